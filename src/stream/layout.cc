#include "stream/layout.h"

#include <charconv>
#include <cstdint>

namespace weir::stream::layout {
namespace {

constexpr std::string_view kUnfinishedPrefix = "new-";
constexpr std::string_view kSegmentSuffix = ".seg";
constexpr std::string_view kCursorSuffix = ".cur";
constexpr std::string_view kNoteSuffix = ".note";
constexpr std::size_t kBaseDigits = 20;

/// Only the way we write numbers: digits, no sign, no leading zero.
std::optional<std::uint64_t> plain_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (text.empty() || error != std::errc() || end != last) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

std::optional<std::string_view> without_suffix(std::string_view name, std::string_view suffix) {
  if (name.size() <= suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  return name.substr(0, name.size() - suffix.size());
}

}  // namespace

std::string join(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty()) path += '/';
  path += name;
  return path;
}

std::string stream_directory(StreamId id) { return join(kStreams, std::to_string(id.value())); }

std::string unfinished_directory(StreamId id) {
  return join(kStreams, std::string(kUnfinishedPrefix) + std::to_string(id.value()));
}

std::string trash_directory(StreamId id) { return join(kTrash, std::to_string(id.value())); }

std::string segment_name(SequenceNumber base) {
  const std::string digits = std::to_string(base.value());
  return std::string(kBaseDigits - digits.size(), '0') + digits + std::string(kSegmentSuffix);
}

std::string cursor_name(std::uint64_t number) {
  return std::to_string(number) + std::string(kCursorSuffix);
}

std::string note_name(std::uint64_t number) {
  return std::to_string(number) + std::string(kNoteSuffix);
}

std::optional<StreamId> stream_id_from(std::string_view name) {
  const auto number = plain_number(name);
  if (!number) return std::nullopt;
  return StreamId(*number);
}

std::optional<SequenceNumber> segment_base_from(std::string_view name) {
  const auto digits = without_suffix(name, kSegmentSuffix);
  if (!digits || digits->size() != kBaseDigits) return std::nullopt;
  std::int64_t value = 0;
  const auto* last = digits->data() + digits->size();
  const auto [end, error] = std::from_chars(digits->data(), last, value);
  if (error != std::errc() || end != last || value < 0) return std::nullopt;
  return SequenceNumber(value);
}

std::optional<std::uint64_t> cursor_number_from(std::string_view name) {
  const auto digits = without_suffix(name, kCursorSuffix);
  return digits ? plain_number(*digits) : std::nullopt;
}

std::optional<std::uint64_t> note_number_from(std::string_view name) {
  const auto digits = without_suffix(name, kNoteSuffix);
  return digits ? plain_number(*digits) : std::nullopt;
}

bool is_unfinished(std::string_view name) { return name.starts_with(kUnfinishedPrefix); }

}  // namespace weir::stream::layout
