#include "base/log.h"

#include "base/mutex.h"
#include "base/recent_lines.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_map>

namespace weir::log {
namespace {

std::atomic<Level> g_level{Level::kInfo};
std::atomic<void (*)(Level, const std::string&)> g_sink{nullptr};

constexpr std::array<std::string_view, 5> kNames = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};

// Length of the valid UTF-8 sequence at the start of `text`, 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  std::size_t length = 0;
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  if (lead >= 0xe0 && lead <= 0xef) length = 3;
  if (lead >= 0xf0 && lead <= 0xf4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80U) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  if (lead == 0xe0 && second < 0xa0) return 0;  // overlong
  if (lead == 0xed && second > 0x9f) return 0;  // surrogates
  if (lead == 0xf0 && second < 0x90) return 0;
  if (lead == 0xf4 && second > 0x8f) return 0;
  return length;
}

bool separates_lines(std::string_view sequence) {
  return sequence == "\xe2\x80\xa8" || sequence == "\xe2\x80\xa9" || sequence == "\xc2\x85";
}

void append_value(std::string& line, const std::string& value) {
  constexpr std::size_t kValueBytesMax = 512;
  const std::string clean = escaped(value, kValueBytesMax);
  const bool quoted = clean.empty() || clean.find_first_of(" =\"") != std::string::npos;
  if (!quoted) {
    line += clean;
    return;
  }
  line += '"';
  for (const char c : clean) {
    if (c == '"') line += '\\';
    line += c;
  }
  line += '"';
}

// Ten lines a minute for one cause, then a count: a flood of bad requests must not fill the disk.
class RepeatLimit {
 public:
  struct Verdict {
    bool write;
    std::uint64_t hidden_before;
  };
  Verdict admit(const std::string& cause) {
    constexpr int kLinesPerMinute = 10;
    constexpr std::size_t kCausesMax = 1024;
    const auto now = std::chrono::steady_clock::now();
    const MutexLock lock(mutex_);
    if (causes_.size() > kCausesMax) causes_.clear();
    auto& seen = causes_[cause];
    if (now - seen.since >= std::chrono::minutes(1)) {
      const std::uint64_t hidden = seen.hidden;
      seen = {now, 1, 0};
      return {true, hidden};
    }
    if (seen.lines < kLinesPerMinute) {
      ++seen.lines;
      return {true, 0};
    }
    ++seen.hidden;
    return {false, 0};
  }

 private:
  struct Seen {
    std::chrono::steady_clock::time_point since{};
    int lines = 0;
    std::uint64_t hidden = 0;
  };
  Mutex mutex_;
  std::unordered_map<std::string, Seen> causes_ WEIR_GUARDED_BY(mutex_);
};

RepeatLimit& repeat_limit() {
  static RepeatLimit limit;
  return limit;
}

// What was said last, for a page that is opened later.
class Recent {
 public:
  void add(Level level, std::int64_t wall_ms, std::string_view text) {
    const MutexLock lock(mutex_);
    if (lines_.size() == kRecentLinesMax) lines_.pop_front();
    lines_.push_back({++last_, wall_ms, level, std::string(text.substr(0, kRecentLineBytesMax))});
  }
  std::vector<RecentLine> after(std::uint64_t number) {
    const MutexLock lock(mutex_);
    if (number == last_) return {};
    const auto found = std::find_if(lines_.begin(), lines_.end(),
                                    [&](const auto& line) { return line.number > number; });
    return {found, lines_.end()};
  }

 private:
  Mutex mutex_;
  std::uint64_t last_ WEIR_GUARDED_BY(mutex_) = 0;
  std::deque<RecentLine> lines_ WEIR_GUARDED_BY(mutex_);
};

Recent& recent() {
  static Recent lines;
  return lines;
}

std::int64_t wall_ms_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string timestamp(std::int64_t ms) {
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, ms % 1000);
}

// What journald makes of a line that begins with it (sd-daemon(3)), one for each level.
constexpr std::array<std::string_view, 5> kJournalPriorities = {"<7>", "<7>", "<6>", "<4>", "<3>"};

// journald names the stream that it reads as "device:inode"; standard error may have been
// redirected since, to a file where its prefixes would only be in the way.
bool journal_reads_standard_error() {
  // Read once; weir never changes its environment.
  const char* stream = ::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe)
  struct stat info {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &info) != 0) return false;
  return fmt::format("{}:{}", info.st_dev, info.st_ino) == stream;
}

std::string_view journal_priority(Level level) {
  static const bool wanted = journal_reads_standard_error();
  return wanted ? kJournalPriorities[static_cast<std::size_t>(level)] : std::string_view();
}

void write_whole(std::string_view line) {
  while (!line.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody can be told that telling failed
    line.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

std::optional<Level> level_from_text(std::string_view text) {
  std::string upper;
  for (const char c : text) upper += (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
  if (upper == "WARNING") upper = "WARN";
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == upper) return static_cast<Level>(i);
  }
  return std::nullopt;
}

void set_level(Level level) { g_level.store(level, std::memory_order_relaxed); }
bool enabled(Level level) { return level >= g_level.load(std::memory_order_relaxed); }

std::string escaped(std::string_view text, std::size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= bytes_max) return out + "...";
    const auto c = static_cast<unsigned char>(text[0]);
    if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
      text.remove_prefix(1);
      continue;
    }
    const std::size_t length = c >= 0x80 ? utf8_length(text) : 0;
    // U+0080 to U+009F are control characters in two bytes.
    const bool control = length == 2 && c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    if (length > 0 && !control && !separates_lines(text.substr(0, length))) {
      out += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += fmt::format("\\x{:02x}", c);
    }
    text.remove_prefix(1);
  }
  return out;
}

std::vector<RecentLine> recent_lines(std::uint64_t after) { return recent().after(after); }

void capture(void (*sink)(Level, const std::string&)) { g_sink.store(sink); }

void write(Level level, std::string_view sentence, std::initializer_list<Field> fields) {
  const auto sink = g_sink.load();
  std::uint64_t hidden = 0;
  if (sink == nullptr) {
    std::string cause(sentence);
    for (const auto& field : fields) {
      if (field.key == "stream" || field.key == "destination") cause += '\0' + field.value;
    }
    const auto verdict = repeat_limit().admit(cause);
    if (!verdict.write) return;
    hidden = verdict.hidden_before;
  }
  const std::int64_t now_ms = wall_ms_now();
  std::string line = timestamp(now_ms);
  line += ' ';
  line += kNames[static_cast<std::size_t>(level)];
  line += ' ';
  const std::size_t head = line.size();
  line += escaped(sentence, 1024);
  for (const auto& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  if (hidden > 0) line += fmt::format(" hidden_repeats={}", hidden);
  if (level >= Level::kWarn) recent().add(level, now_ms, std::string_view(line).substr(head));
  if (sink != nullptr) {
    sink(level, line);
    return;
  }
  line += '\n';
  line.insert(0, journal_priority(level));
  write_whole(line);
}

}  // namespace weir::log
