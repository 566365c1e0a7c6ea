#include "cli/start_position.h"

#include "base/log.h"
#include "cli/client.h"
#include "cli/text.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace weir::cli {
namespace {

using Kind = StartPosition::Kind;

/// The first message whose time is not before `time_ms`, `newest` + 1 if there is none. Times
/// nearly always rise with the numbers; where a clock was set back, what is found is one of the
/// places that fit.
Result<std::int64_t> find_time(Client& client, std::string_view stream, std::int64_t time_ms,
                               std::int64_t oldest, std::int64_t newest) {
  std::int64_t low = oldest;
  std::int64_t high = newest + 1;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    auto response = client.request(fmt::format("read stream {}", log::escaped(stream)),
                                   protocol::ReadRequest{{}, stream, middle, 1, 1, 0});
    if (!response) return fail(std::move(response).error());
    if (response->messages.empty()) {
      return fail(Errc::kCorrupt, client.where() + " answered a read without a message");
    }
    // The number may be higher than asked for: what was there has been deleted meanwhile.
    const auto& message = response->messages.front();
    if (message.ingest_time_ms >= time_ms) {
      high = middle;
    } else {
      low = std::max(middle, message.sequence_number) + 1;
    }
  }
  return low;
}

}  // namespace

std::optional<StartPosition> parse_start_position(std::string_view text) {
  if (text == "start") return StartPosition{Kind::kStart, 0};
  if (text == "end") return StartPosition{Kind::kEnd, 0};
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (number == std::numeric_limits<std::int64_t>::min()) return std::nullopt;
    return text.starts_with('-') ? StartPosition{Kind::kLast, -number}
                                 : StartPosition{Kind::kSequence, number};
  }
  if (const auto time = parse_time_ms(text)) return StartPosition{Kind::kTime, *time};
  return std::nullopt;
}

Result<std::int64_t> find_start(Client& client, std::string_view stream,
                                const StartPosition& position, std::int64_t oldest,
                                std::int64_t newest) {
  switch (position.kind) {
    case Kind::kStart:
      return oldest;
    case Kind::kEnd:
      return newest + 1;
    case Kind::kLast:
      return std::max(oldest, newest + 1 - std::min(position.value, newest + 1));
    case Kind::kSequence:
      return position.value;
    case Kind::kTime:
      return find_time(client, stream, position.value, oldest, newest);
  }
  return oldest;
}

}  // namespace weir::cli
