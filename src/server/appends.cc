#include "server/appends.h"

#include "base/check.h"
#include "protocol/codec.h"
#include "server/answers.h"

#include <new>

namespace weir::server {

void Appends::stage(Peer& peer, stream::Stream& stream, const protocol::AppendRequest& request) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  Pending& pending = slots_[slot];
  pending.peer = peer.id();
  ++pending.serial;
  pending.live = true;
  pending.owned = false;
  pending.request_id = request.request_id;
  pending.payload_bytes = static_cast<std::int64_t>(request.payload.size());
  staged_.push_back(slot);
  ++staged_unanswered_;
  ++peer.appends.waiting;
  peer.appends.waiting_bytes += pending.payload_bytes;
  environment_.catalog.append(stream, request.payload,
                              (std::uint64_t{pending.serial} << 32U) | slot);
}

void Appends::commit() {
  if (staged_.empty()) return;
  environment_.instruments.count_request(protocol::Operation::kAppendMessage, staged_.size());
  environment_.catalog.commit();
  if (staged_unanswered_ > 0) keep_unanswered();
  staged_.clear();
  staged_unanswered_ = 0;
}

// The frames they came in are about to be overwritten.
void Appends::keep_unanswered() {
  const Instant now = environment_.clock.now();
  for (const std::uint32_t slot : staged_) {
    Pending& pending = slots_[slot];
    if (!pending.live || pending.owned) continue;
    pending.own_id = pending.request_id;
    pending.owned = true;
    waiting_.push_back({slot, pending.serial, now});
  }
  while (!waiting_.empty()) {
    const Waiting& oldest = waiting_.front();
    const Pending& pending = slots_[oldest.slot];
    if (pending.live && pending.serial == oldest.serial) break;
    waiting_.pop_front();
  }
}

void Appends::done(std::uint64_t token, const Result<SequenceNumber>& outcome) {
  const auto slot = static_cast<std::uint32_t>(token & 0xFFFFFFFFU);
  WEIR_CHECK(slot < slots_.size() && slots_[slot].live && slots_[slot].serial == token >> 32U,
             "an append was answered twice");
  Pending& pending = slots_[slot];
  pending.live = false;
  if (!pending.owned) --staged_unanswered_;
  if (Peer* peer = environment_.peers.find(pending.peer)) {
    --peer->appends.waiting;
    peer->appends.waiting_bytes -= pending.payload_bytes;
    const std::string_view id = pending.owned ? pending.own_id : pending.request_id;
    try {
      if (outcome) [[likely]] {
        protocol::encode_append_response(id, outcome->value(), peer->output());
      } else {
        const Answer answer = answer_for(outcome.error(), protocol::Operation::kAppendMessage);
        peer->answer(protocol::Operation::kAppendMessage, id, answer.status, answer.text);
      }
      if (peer->paused()) environment_.peers.resume(pending.peer);
    } catch (const std::bad_alloc&) {
      environment_.peers.drop(pending.peer, CloseReason::kOutOfMemory);
    }
  }
  free_.push_back(slot);
}

void Appends::drop_overdue(Instant since) {
  while (!waiting_.empty() && waiting_.front().since < since) {
    const Waiting oldest = waiting_.front();
    waiting_.pop_front();
    const Pending& pending = slots_[oldest.slot];
    if (!pending.live || pending.serial != oldest.serial) continue;
    environment_.peers.drop(pending.peer, CloseReason::kRequestDeadline);
  }
}

}  // namespace weir::server
