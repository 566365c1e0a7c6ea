#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "connector/appends.h"
#include "connector/options.h"
#include "connector/reader.h"
#include "model/definition.h"
#include "mqtt/client.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weir::connector {

/// Puts groups of messages into the queues of their delivery streams, in order, writes down the
/// answers for those that are refused, and lets each message be acknowledged when what it led to is
/// safe, in the order in which they came.
///
/// A queue is a stream that is made when the first record for it comes; everything behind that
/// record waits meanwhile. What cannot be stored because of the disk is tried again, so the broker
/// keeps it; what finds its queue full is answered.
///
/// Threads: core. Lifetime: everything in the environment outlives it; it is not destroyed while
/// appends are under way.
class Intake final : public AppendOwner {
 public:
  struct Environment {
    Appends& appends;
    Executor& core;
    metrics::Registry& metrics;
    /// Runs work on the core thread later.
    std::function<void(Duration, std::function<void()>)> later;
    /// Everything below was sent, as far as it is known.
    std::function<SequenceNumber(const stream::Stream&)> sent_below;
    /// Gives messages free, in this order, and the memory they took. Must not block.
    std::function<void(std::vector<mqtt::Receipt>, std::size_t bytes)> release;
  };
  /// Lifetime: `options` outlives it.
  Intake(const Options& options, Environment environment);
  ~Intake() override;

  /// A queue that was found on the disk: it counts as one of `kTargetsMax`.
  void adopt(const DeliveryStreamArn& target);

  void take(std::shared_ptr<const Group> group);

  void appended(std::uint64_t tag, const Result<SequenceNumber>& outcome) override;

 private:
  struct Queue;
  // A message on its way, from `first_slot_` on. It is given free when all before it are.
  struct Slot {
    std::shared_ptr<const Group> group;
    std::uint32_t item = 0;
    Queue* queue = nullptr;
    bool done = false;
    std::size_t bytes = 0;
    mqtt::Receipt receipt;
  };
  // Answers being written down, and the messages that wait for that.
  struct Refusals {
    std::vector<Answer> answers;
    std::vector<std::uint64_t> slots;
    std::size_t appends_left = 0;
  };

  void pump();
  bool stage_retries();
  bool start(const std::shared_ptr<const Group>& group, std::uint32_t item);
  bool stage(std::uint64_t slot);
  Queue* queue_for(const DeliveryStreamArn& target);
  stream::Stream* stream_of(Queue& queue);
  const char* lacks_room(Queue& queue, const stream::Stream& stream, std::size_t bytes);
  void refuse_full(std::uint64_t slot, const char* reason, const std::string& why);
  void refuse(std::uint64_t slot, Answer answer);
  void write_refusals();
  void append_refusals(stream::Stream& stream, Refusals refusals);
  void refusals_appended(std::uint64_t number, const Result<SequenceNumber>& outcome);
  void lose(const Refusals& refusals, const Error& why);
  void record_appended(std::uint64_t slot, const Result<SequenceNumber>& outcome);
  void pause_and_retry();
  void resume_soon();
  void finish(std::uint64_t slot);
  void release_finished();
  [[nodiscard]] Slot& slot_at(std::uint64_t number) {
    return slots_[static_cast<std::size_t>(number - first_slot_)];
  }

  const Options& options_;
  const Environment environment_;
  const model::StreamDefinition answers_;

  std::deque<std::shared_ptr<const Group>> groups_;
  std::uint32_t next_item_ = 0;  // of the first group
  bool blocked_ = false;         // a stream is being made, or a failure is waited out
  bool resuming_ = false;
  std::deque<Slot> slots_;
  std::uint64_t first_slot_ = 0;
  std::vector<std::uint64_t> retries_;  // ascending; goes before the groups
  Refusals refusals_;                   // of this turn
  std::map<std::uint64_t, Refusals> writing_;
  std::uint64_t last_writing_ = 0;
  std::uint64_t turn_ = 0;
  std::map<DeliveryStreamArn, std::unique_ptr<Queue>> queues_;
};

}  // namespace weir::connector
