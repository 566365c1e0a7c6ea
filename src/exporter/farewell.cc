#include "exporter/farewell.h"

#include "base/log.h"

#include <algorithm>
#include <cstddef>

namespace weir::exporter {
namespace {

constexpr std::int64_t kFarewellMessagesMax = 1'000;  // protocol.md §7.4
constexpr std::size_t kFarewellBytesMax = std::size_t{8} << 20;

// What does not fit any more comes without its payload.
class Collector final : public stream::RecordSink {
 public:
  explicit Collector(Batch& batch) : batch_(batch) {}
  bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) override {
    const bool fits = payload.size() <= kFarewellBytesMax - batch_.payload_bytes();
    batch_.add(sequence, append_ms, fits ? payload : Bytes());
    return true;
  }

 private:
  Batch& batch_;
};

Result<void> read_all(stream::LogReader& log, SequenceNumber at, SequenceNumber end,
                      stream::RecordSink& sink) {
  while (at < end) {
    WEIR_TRY(const auto read, log.read(at, end, end - at, stream::ReadMode::kMayBlock, sink));
    if (read.next <= at) break;
    at = read.next;
  }
  return {};
}

// The first of the messages from `at` on that take no more than `bytes` with all behind it,
// roughly.
SequenceNumber first_that_fits(const stream::LogReader& log, SequenceNumber at, SequenceNumber end,
                               std::size_t bytes) {
  while (at < end) {
    const SequenceNumber middle = at + (end - at) / 2;
    if (log.bytes_from(middle) <= static_cast<std::int64_t>(bytes)) {
      end = middle;
    } else {
      at = middle + 1;
    }
  }
  return end;
}

Result<void> collect(stream::LogReader& log, SequenceNumber next, SequenceNumber end,
                     Farewell& farewell) {
  Collector collector(farewell.pending);
  SequenceNumber at = std::max(next, end - kFarewellMessagesMax);
  if (next < at) {
    WEIR_RETURN_IF_ERROR(read_all(log, next, next + 1, collector));
    farewell.older = at - next - 1;
  }
  // Large ones are not even read: a client may wait for this.
  const auto room = kFarewellBytesMax - farewell.pending.payload_bytes();
  const SequenceNumber fitting = first_that_fits(log, at, end, room);
  for (; at < fitting; at = at + 1) farewell.pending.add(at, 0, {});
  return read_all(log, at, end, collector);
}

}  // namespace

std::shared_ptr<Farewell> read_farewell(const std::string& stream_name,
                                        const std::string& identifier, stream::LogReader& log,
                                        SequenceNumber next) {
  auto farewell = std::make_shared<Farewell>(Farewell{Batch(stream_name, identifier), 0, {}});
  const SequenceNumber end = log.visible_end();
  next = std::max(next, log.oldest());
  if (next >= end) return farewell;
  if (const auto read = collect(log, next, end, *farewell); !read) {
    weir::log::warn(
        "Not all messages that a removed export leaves behind could be read.",
        {{"stream", stream_name}, {"destination", identifier}, {"error", read.error().what}});
  }
  return farewell;
}

std::shared_ptr<Farewell> without_payloads(const Farewell& farewell) {
  const Batch& whole = farewell.pending;
  auto bare = std::make_shared<Farewell>(
      Farewell{Batch(whole.stream_name(), whole.identifier()), farewell.older, farewell.note});
  for (const Message& message : whole.messages()) {
    bare->pending.add(message.sequence, message.append_ms, {});
  }
  return bare;
}

}  // namespace weir::exporter
