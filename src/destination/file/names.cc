#include "destination/file/names.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <array>
#include <chrono>
#include <cstdio>

namespace weir::destination::file_export {
namespace {

constexpr std::size_t kPartBytesMax = 80;

std::string escaped(const std::string& text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  if (out.size() <= kPartBytesMax) return out;
  std::array<char, 16> sum{};
  std::snprintf(sum.data(), sum.size(), "~%08x", crc32c(as_bytes(text)));
  return out.substr(0, kPartBytesMax - 9) + sum.data();
}

std::string time_text(std::int64_t wall_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> when{std::chrono::milliseconds(wall_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(when - day);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%04d%02u%02uT%02d%02d%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                static_cast<int>(time.subseconds().count()));
  return text.data();
}

}  // namespace

std::string file_prefix(const std::string& stream, const std::string& identifier) {
  return escaped(stream) + "." + escaped(identifier) + ".";
}

std::string file_name(const std::string& prefix, SequenceNumber first, std::int64_t opened_wall_ms,
                      const FileOptions& options) {
  std::array<char, 32> sequence{};
  std::snprintf(sequence.data(), sequence.size(), "%020lld", static_cast<long long>(first.value()));
  std::string name = prefix + sequence.data() + "." + time_text(opened_wall_ms);
  name += options.format == FileOptions::Format::kNewline ? ".lines" : ".frames";
  if (options.compression == FileOptions::Compression::kGzip) name += ".gz";
  if (options.compression == FileOptions::Compression::kZstd) name += ".zst";
  return name;
}

std::string position_name(const std::string& prefix) { return "." + prefix + "position"; }

}  // namespace weir::destination::file_export
