#include "connector/intake.h"

#include "base/check.h"
#include "base/log.h"
#include "connector/envelope.h"
#include "connector/metrics.h"
#include "connector/streams.h"
#include "stream/catalog.h"

#include <algorithm>
#include <utility>

namespace weir::connector {
namespace {

constexpr auto kRetryAfter = std::chrono::seconds(1);
constexpr std::uint64_t kRefusalsTag = std::uint64_t{1} << 63U;

}  // namespace

// The records for one delivery stream.
struct Intake::Queue {
  DeliveryStreamArn target;
  std::string arn;
  model::StreamDefinition definition;
  metrics::Counter& stored;
  std::string unusable;  // why its stream could not be made, until the next record asks

  // Of the stream `id`; estimates that are never too low.
  StreamId id;
  SequenceNumber sent_below;
  std::int64_t waiting_bytes = 0;
  std::int64_t staged_records = 0;
  std::int64_t staged_bytes = 0;
  std::uint64_t looked_at = 0;  // the turn
};

Intake::Intake(const Options& options, Environment environment)
    : options_(options),
      environment_(std::move(environment)),
      answers_(answers_definition(options)) {}
Intake::~Intake() = default;

void Intake::adopt(const DeliveryStreamArn& target) {
  const std::string arn = target.text();
  queues_[target] = std::make_unique<Queue>(
      Queue{target,
            arn,
            queue_definition(options_, target),
            environment_.metrics.counter(kStoredRecordsTotal, {options_.name, arn}),
            {},
            StreamId(),
            SequenceNumber()});
}

void Intake::take(std::shared_ptr<const Group> group) {
  groups_.push_back(std::move(group));
  pump();
}

void Intake::pump() {
  if (environment_.appends.catalog() == nullptr) return;  // the broker keeps what is not safe
  ++turn_;
  bool more = !blocked_ && stage_retries();
  while (more && !groups_.empty()) {
    const auto group = groups_.front();
    while (more && next_item_ < group->items.size()) {
      more = start(group, next_item_);
      if (more) ++next_item_;
    }
    if (!more) break;
    groups_.pop_front();
    next_item_ = 0;
  }
  environment_.appends.commit();
  write_refusals();
  release_finished();
}

bool Intake::stage_retries() {
  std::size_t done = 0;
  while (done < retries_.size() && stage(retries_[done])) ++done;
  retries_.erase(retries_.begin(), retries_.begin() + static_cast<std::ptrdiff_t>(done));
  return retries_.empty();
}

// False: its stream has to be made first.
bool Intake::start(const std::shared_ptr<const Group>& group, std::uint32_t item) {
  const Group::Item& message = group->items[item];
  Queue* queue = nullptr;
  if (message.refusal < 0) {
    queue = queue_for(group->targets[message.target]);
    if (queue != nullptr && stream_of(*queue) == nullptr && queue->unusable.empty()) return false;
  }
  const std::uint64_t slot = first_slot_ + slots_.size();
  slots_.push_back({group, item, queue, false, message.cost, message.receipt});
  if (message.refusal >= 0) {
    refuse(slot, group->refusals[static_cast<std::size_t>(message.refusal)]);
  } else if (queue == nullptr) {
    const std::string id(read_envelope(group->envelope(message)).value_or(Enveloped{}).id);
    environment_.metrics.counter(kRefusedMessagesTotal, {options_.name, "too_many_targets"}).add();
    refuse(slot, {id,
                  {},
                  kInvalidRequest,
                  "there are queues for " + std::to_string(queues_.size()) +
                      " delivery streams already, which is the most"});
  } else {
    return stage(slot);
  }
  return true;
}

Intake::Queue* Intake::queue_for(const DeliveryStreamArn& target) {
  const auto found = queues_.find(target);
  if (found != queues_.end()) return found->second.get();
  // The default one always has a place.
  const std::size_t others = queues_.size() - queues_.count(options_.default_target);
  if (target != options_.default_target && others >= kTargetsMax - 1) return nullptr;
  adopt(target);
  return queues_.at(target).get();
}

// Null: it is being made, or `unusable` says why it cannot be.
stream::Stream* Intake::stream_of(Queue& queue) {
  stream::Stream* stream = environment_.appends.catalog()->find(queue.definition.name);
  if (stream != nullptr) {
    if (stream->id() != queue.id) {
      queue.id = stream->id();
      queue.sent_below = environment_.sent_below(*stream);
      queue.waiting_bytes = stream->log()->bytes_from(queue.sent_below);
    }
    queue.unusable.clear();
    return stream;
  }
  if (!queue.unusable.empty()) return nullptr;
  blocked_ = true;
  environment_.appends.open(queue.definition, [this, &queue](const Result<stream::Stream*>& made) {
    blocked_ = false;
    if (made) {
      log::info("A queue for a delivery stream was made.",
                {{"connector", options_.name}, {"arn", queue.arn}});
    } else if (made.error().code == Errc::kFull) {
      queue.unusable = made.error().what;
    } else if (made.error().code != Errc::kCancelled) {
      log::warn("The queue for a delivery stream cannot be made; the broker keeps its messages.",
                {{"connector", options_.name}, {"arn", queue.arn}, {"error", made.error().what}});
      pause_and_retry();
      return;
    }
    pump();
  });
  return nullptr;
}

// False: its stream has to be made first.
bool Intake::stage(std::uint64_t slot) {
  Slot& waiting = slot_at(slot);
  Queue& queue = *waiting.queue;
  stream::Stream* stream = stream_of(queue);
  if (stream == nullptr && queue.unusable.empty()) return false;
  if (stream == nullptr) {
    // The next record tries again.
    refuse_full(slot, "too_many_streams", std::exchange(queue.unusable, {}));
    return true;
  }
  const Bytes envelope = waiting.group->envelope(waiting.group->items[waiting.item]);
  if (const char* reason = lacks_room(queue, *stream, envelope.size()); reason != nullptr) {
    refuse_full(slot, reason,
                "the queue of " + queue.arn + " is full: it may hold " +
                    std::to_string(options_.queue_records_max) + " records in " +
                    std::to_string(options_.queue_bytes_in_force()) + " bytes");
    return true;
  }
  ++queue.staged_records;
  queue.staged_bytes += static_cast<std::int64_t>(envelope.size());
  queue.waiting_bytes += static_cast<std::int64_t>(envelope.size());
  environment_.appends.stage(*stream, envelope, *this, slot);
  return true;
}

// The position of the export is looked up only when what is known of it would not do, and once for
// messages that came together.
const char* Intake::lacks_room(Queue& queue, const stream::Stream& stream, std::size_t bytes) {
  const auto& log = *stream.log();
  const auto records = [&] { return log.visible_end() - queue.sent_below + queue.staged_records; };
  const auto wanted = [&] { return queue.waiting_bytes + static_cast<std::int64_t>(bytes); };
  if (records() < options_.queue_records_max && wanted() <= options_.queue_bytes_in_force()) {
    return nullptr;
  }
  if (queue.looked_at != turn_) {
    queue.looked_at = turn_;
    queue.sent_below = environment_.sent_below(stream);
    queue.waiting_bytes = log.bytes_from(queue.sent_below) + queue.staged_bytes;
  }
  if (records() >= options_.queue_records_max) return "queue_records";
  return wanted() > options_.queue_bytes_in_force() ? "queue_bytes" : nullptr;
}

void Intake::refuse_full(std::uint64_t slot, const char* reason, const std::string& why) {
  const Slot& full = slot_at(slot);
  const auto stored = read_envelope(full.group->envelope(full.group->items[full.item]));
  environment_.metrics.counter(kRefusedMessagesTotal, {options_.name, reason}).add();
  log::warn("Records are refused because there is no room for them.",
            {{"connector", options_.name}, {"destination", full.queue->arn}, {"error", why}});
  refuse(slot, {std::string(stored ? stored->id : ""), {}, kQueueFull, why});
}

void Intake::refuse(std::uint64_t slot, Answer answer) {
  refusals_.answers.push_back(std::move(answer));
  refusals_.slots.push_back(slot);
}

void Intake::write_refusals() {
  if (refusals_.answers.empty() || environment_.appends.catalog() == nullptr) return;
  // A shared one: closures must be copyable.
  auto refusals = std::make_shared<Refusals>(std::exchange(refusals_, {}));
  environment_.appends.open(answers_, [this, refusals](const Result<stream::Stream*>& opened) {
    if (opened) {
      append_refusals(**opened, std::move(*refusals));
    } else if (opened.error().code != Errc::kCancelled) {
      lose(*refusals, opened.error());
    }
  });
}

void Intake::append_refusals(stream::Stream& stream, Refusals refusals) {
  const std::vector<std::string> messages = status_messages(refusals.answers, options_.version);
  const std::uint64_t number = ++last_writing_;
  refusals.appends_left = messages.size();
  writing_.emplace(number, std::move(refusals));
  for (const std::string& message : messages) {
    environment_.appends.stage(stream, as_bytes(message), *this, kRefusalsTag | number);
  }
  environment_.appends.commit();
}

void Intake::appended(std::uint64_t tag, const Result<SequenceNumber>& outcome) {
  if ((tag & kRefusalsTag) != 0) {
    refusals_appended(tag & ~kRefusalsTag, outcome);
  } else {
    record_appended(tag, outcome);
  }
}

void Intake::refusals_appended(std::uint64_t number, const Result<SequenceNumber>& outcome) {
  const auto found = writing_.find(number);
  WEIR_CHECK(found != writing_.end(), "refusals are written once");
  if (!outcome && outcome.error().code != Errc::kCancelled) lose({}, outcome.error());
  if (--found->second.appends_left > 0) return;
  if (outcome) {
    environment_.metrics.counter(kAnswersTotal, {options_.name, "fail"})
        .add(found->second.answers.size());
  }
  for (const std::uint64_t slot : found->second.slots) finish(slot);
  writing_.erase(found);
  resume_soon();
}

// Nobody hears of these; the messages themselves were bad or came too late.
void Intake::lose(const Refusals& refusals, const Error& why) {
  environment_.metrics.counter(kLostAnswersTotal, {options_.name, "not_stored"})
      .add(std::max<std::size_t>(1, refusals.answers.size()));
  log::error("Answers for the status topic cannot be written down; requesters will not get them.",
             {{"connector", options_.name}, {"error", why.what}});
  for (const std::uint64_t slot : refusals.slots) finish(slot);
  resume_soon();
}

void Intake::record_appended(std::uint64_t slot, const Result<SequenceNumber>& outcome) {
  const Slot& stored = slot_at(slot);
  Queue& queue = *stored.queue;
  const auto bytes = static_cast<std::int64_t>(stored.group->items[stored.item].size);
  --queue.staged_records;
  queue.staged_bytes -= bytes;
  if (outcome) {
    queue.stored.add();
    finish(slot);
  } else if (outcome.error().code == Errc::kFull) {
    queue.waiting_bytes -= bytes;
    refuse_full(slot, "disk_full", outcome.error().what);
  } else if (outcome.error().code != Errc::kCancelled) {
    queue.waiting_bytes -= bytes;
    environment_.metrics.counter(kStoreRetriesTotal, {options_.name}).add();
    log::warn("A record cannot be stored; the broker is not told that it is safe.",
              {{"connector", options_.name},
               {"destination", queue.arn},
               {"error", outcome.error().what}});
    retries_.insert(std::lower_bound(retries_.begin(), retries_.end(), slot), slot);
    pause_and_retry();
    return;
  }
  resume_soon();
}

void Intake::pause_and_retry() {
  if (blocked_) return;
  blocked_ = true;
  environment_.later(kRetryAfter, [this] {
    blocked_ = false;
    pump();
  });
}

// Outcomes arrive while the catalog commits: what follows from them waits until that is over, and
// those that come together lead to one pass.
void Intake::resume_soon() {
  if (std::exchange(resuming_, true)) return;
  environment_.core.post([this] {
    resuming_ = false;
    pump();
  });
}

void Intake::finish(std::uint64_t slot) {
  Slot& finished = slot_at(slot);
  finished.done = true;
  finished.group.reset();
}

void Intake::release_finished() {
  std::vector<mqtt::Receipt> receipts;
  std::size_t bytes = 0;
  while (!slots_.empty() && slots_.front().done) {
    receipts.push_back(slots_.front().receipt);
    bytes += slots_.front().bytes;
    slots_.pop_front();
    ++first_slot_;
  }
  if (!receipts.empty()) environment_.release(std::move(receipts), bytes);
}

}  // namespace weir::connector
