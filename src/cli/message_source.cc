#include "cli/message_source.h"

#include "base/log.h"
#include "cli/text.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weir::cli {
namespace {

/// A frame can hold more, but nobody means to send a message like that from a command line.
constexpr std::size_t kMessageBytesMax = 256 * 1024 * 1024;
constexpr std::size_t kReadBytes = 64 * 1024;

tl::unexpected<Error> too_large(std::string_view what) {
  return fail(Errc::kInvalidArgument,
              fmt::format("{} is larger than 256 MiB; is the delimiter right?", what));
}

/// Appends one read's worth of `fd` to `out`. False at the end.
Result<bool> read_some(int fd, std::string& out, std::string_view name) {
  const std::size_t begin = out.size();
  out.resize(begin + kReadBytes);
  ssize_t got = 0;
  do {
    got = ::read(fd, out.data() + begin, kReadBytes);
  } while (got < 0 && errno == EINTR);
  const int error = errno;
  out.resize(begin + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0 && error != EAGAIN) {
    return fail(os_error(fmt::format("read {}", log::escaped(name)), error));
  }
  return got != 0;
}

/// The payload of a message that was printed as JSON.
std::optional<std::string> payload_in(const std::string& line) {
  const auto document = nlohmann::json::parse(line, nullptr, false);
  if (!document.is_object()) return std::nullopt;
  const auto text = document.find("payload");
  if (text != document.end() && text->is_string()) return text->get<std::string>();
  const auto coded = document.find("payloadBase64");
  if (coded == document.end() || !coded->is_string()) return std::nullopt;
  return from_base64(coded->get<std::string>());
}

}  // namespace

MessageSource MessageSource::input(int fd, std::string delimiter) {
  MessageSource source;
  source.fd_ = fd;
  source.delimiter_ = std::move(delimiter);
  return source;
}

MessageSource MessageSource::json_lines(int fd) {
  MessageSource source = input(fd, "\n");
  source.json_ = true;
  return source;
}

MessageSource MessageSource::files(std::vector<std::string> paths) {
  MessageSource source;
  source.paths_ = std::move(paths);
  return source;
}

std::optional<std::int64_t> MessageSource::total() const {
  if (counts_files()) return static_cast<std::int64_t>(paths_.size());
  struct stat kind = {};
  if (::fstat(fd_, &kind) != 0 || !S_ISREG(kind.st_mode)) return std::nullopt;
  return kind.st_size;
}

std::int64_t MessageSource::position() const {
  if (counts_files()) return static_cast<std::int64_t>(next_path_);
  // What was read ahead is not sent yet.
  const auto read = static_cast<std::int64_t>(::lseek(fd_, 0, SEEK_CUR));
  return std::max<std::int64_t>(0, read - static_cast<std::int64_t>(buffer_.size() - taken_));
}

Result<MessageSource::Next> MessageSource::next_file(std::string& out) {
  while (next_path_ < paths_.size()) {
    const std::string& path = paths_[next_path_++];
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(os_error("open " + log::escaped(path), errno));
    out.clear();
    Result<bool> more = true;
    while (more && *more && out.size() <= kMessageBytesMax) more = read_some(fd, out, path);
    ::close(fd);
    if (!more) return fail(std::move(more).error());
    if (out.size() > kMessageBytesMax) return too_large(log::escaped(path));
    if (!out.empty()) return Next::kMessage;
    ++empty_count_;
  }
  return Next::kEnd;
}

Result<MessageSource::Next> MessageSource::next(std::string& out) {
  if (fd_ < 0) return next_file(out);
  WEIR_TRY(const Next next, next_part(out));
  if (!json_ || next != Next::kMessage) return next;
  ++lines_;
  auto payload = payload_in(out);
  if (!payload) {
    return fail(Errc::kInvalidArgument,
                fmt::format("line {} is not a message as 'weir sub --json' prints it", lines_));
  }
  out = std::move(*payload);
  return Next::kMessage;
}

Result<MessageSource::Next> MessageSource::next_part(std::string& out) {
  for (;;) {
    const std::size_t at =
        delimiter_.empty() ? std::string::npos : buffer_.find(delimiter_, searched_);
    std::size_t end = at;
    std::size_t after = at + delimiter_.size();
    if (at == std::string::npos) {
      // A delimiter may lie across the border to what comes next.
      searched_ = std::max(taken_, buffer_.size() - std::min(buffer_.size(), delimiter_.size()));
      if (!end_of_input_) return Next::kNeedInput;
      if (taken_ == buffer_.size()) return Next::kEnd;
      end = after = buffer_.size();
    }
    out.assign(buffer_, taken_, end - taken_);
    taken_ = searched_ = after;
    if (!out.empty()) return Next::kMessage;
    ++empty_count_;
  }
}

Result<void> MessageSource::fill() {
  if (taken_ > 0) {
    buffer_.erase(0, taken_);
    searched_ -= taken_;
    taken_ = 0;
  }
  WEIR_TRY(const bool more, read_some(fd_, buffer_, "standard input"));
  end_of_input_ = !more;
  if (buffer_.size() > kMessageBytesMax + kReadBytes) return too_large("a message");
  return {};
}

}  // namespace weir::cli
