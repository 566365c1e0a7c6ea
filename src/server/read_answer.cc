#include "server/read_answer.h"

#include "protocol/codec.h"

#include <algorithm>

namespace weir::server {
namespace {

class AnswerSink final : public stream::RecordSink {
 public:
  AnswerSink(protocol::ReadResponseEncoder& encoder, const ReadPlan& plan)
      : encoder_(encoder), plan_(plan) {}

  bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) override {
    const std::size_t limit =
        encoder_.count() >= plan_.count_min ? plan_.soft_bytes_max : plan_.hard_bytes_max;
    if (encoder_.frame_bytes() + encoder_.message_bytes_max(payload.size()) > limit) {
      full_ = true;
      return false;
    }
    encoder_.add(sequence.value(), append_ms, payload);
    return true;
  }
  [[nodiscard]] bool full() const { return full_; }

 private:
  protocol::ReadResponseEncoder& encoder_;
  const ReadPlan& plan_;
  bool full_ = false;
};

}  // namespace

Result<ReadFit> encode_read_answer(stream::LogReader& log, const ReadPlan& plan,
                                   stream::ReadMode mode, ByteBuffer& out, std::int64_t& found) {
  const std::int64_t count = std::min(plan.count_max, plan.end - plan.start);
  const std::size_t begin = out.size();
  protocol::ReadResponseEncoder encoder(plan.request_id, plan.stream_name, count, out);
  AnswerSink sink(encoder, plan);
  const auto result = log.read(plan.start, plan.end, count, mode, sink);
  found = encoder.count();
  if (!result) {
    out.truncate(begin);
    return fail(result.error());
  }
  if (result->would_block) {
    out.truncate(begin);
    return ReadFit::kWouldBlock;
  }
  if (encoder.count() < plan.count_min) {
    out.truncate(begin);
    return sink.full() ? ReadFit::kTooLarge : ReadFit::kShort;
  }
  encoder.finish();
  return sink.full() ? ReadFit::kCut : ReadFit::kAnswered;
}

}  // namespace weir::server
