#include "cli/event_reader.h"

#include <utility>

namespace weir::cli {
namespace {

/// A batch shows a few payloads of 16 KiB each, so this is generous.
constexpr std::size_t kEventBytesMax = 8 * 1024 * 1024;

}  // namespace

void EventReader::take_line(std::string_view line, std::vector<ServerEvent>& out) {
  if (line.empty()) {
    if (!open_.data.empty()) {
      open_.data.pop_back();  // the line end behind the last one
      if (open_.name.empty()) open_.name = "message";
      out.push_back(std::move(open_));
    }
    open_ = {};
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") open_.name = value;
  if (field == "data") open_.data.append(value).append("\n");
}

Result<std::vector<ServerEvent>> EventReader::take(std::string_view bytes) {
  kept_ += bytes;
  std::vector<ServerEvent> events;
  std::size_t begin = 0;
  for (std::size_t end = kept_.find('\n'); end != std::string::npos;
       end = kept_.find('\n', begin)) {
    std::string_view line = std::string_view(kept_).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take_line(line, events);
    begin = end + 1;
  }
  kept_.erase(0, begin);
  if (kept_.size() + open_.data.size() > kEventBytesMax) {
    return fail(Errc::kCorrupt, "what answers there sends events without end; is it weir?");
  }
  return events;
}

}  // namespace weir::cli
