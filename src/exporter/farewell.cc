#include "exporter/farewell.h"

#include "base/log.h"

#include <algorithm>

namespace weir::exporter {
namespace {

constexpr std::int64_t kFarewellMessagesMax = 1'000;  // protocol.md §7.4
constexpr std::size_t kFarewellBytesMax = std::size_t{4} << 20;

class Collector final : public stream::RecordSink {
 public:
  explicit Collector(Batch& batch) : batch_(batch) {}
  bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) override {
    if (batch_.payload_bytes() + payload.size() > kFarewellBytesMax) full_ = true;
    if (full_) return false;
    batch_.add(sequence, append_ms, payload);
    return true;
  }
  [[nodiscard]] bool full() const { return full_; }

 private:
  Batch& batch_;
  bool full_ = false;
};

}  // namespace

std::shared_ptr<Farewell> read_farewell(const std::string& stream_name,
                                        const std::string& identifier, stream::LogReader& log,
                                        SequenceNumber next) {
  auto farewell = std::make_shared<Farewell>(Farewell{Batch(stream_name, identifier), 0, {}});
  const SequenceNumber end = log.visible_end();
  next = std::max(next, log.oldest());
  if (next >= end) return farewell;
  SequenceNumber at = std::max(next, end - kFarewellMessagesMax);
  farewell->older = at - next;
  Collector collector(farewell->pending);
  while (at < end && !collector.full()) {
    const auto read =
        log.read(at, end, kFarewellMessagesMax, stream::ReadMode::kMayBlock, collector);
    if (!read) {
      weir::log::warn(
          "Not all messages that a removed export leaves behind could be read.",
          {{"stream", stream_name}, {"destination", identifier}, {"error", read.error().what}});
      break;
    }
    if (read->next <= at) break;
    at = read->next;
  }
  return farewell;
}

}  // namespace weir::exporter
