#include "exporter/delivery.h"

#include "base/log.h"
#include "exporter/batch_reader.h"
#include "exporter/farewell.h"
#include "exporter/lookahead.h"
#include "exporter/rest.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace weir::exporter {
namespace {

// A destination that throws has a bug; its data must survive that.
Outcome deliver_safely(Destination& destination, const Batch& batch, const std::stop_token& stop) {
  try {
    return destination.deliver(batch, stop);
  } catch (const std::exception& problem) {
    return Outcome::retry(FailureClass::kBug,
                          std::string("the delivery broke off: ") + log::escaped(problem.what()));
  }
}

bool wholly_delivered(const Outcome& outcome) {
  return outcome.records.empty() && outcome.verdict == Verdict::kDelivered;
}

bool got_through(const Outcome& outcome) {
  if (outcome.records.empty()) return outcome.verdict != Verdict::kRetry;
  return std::any_of(outcome.records.begin(), outcome.records.end(), [](const RecordOutcome& r) {
    return r.verdict == Verdict::kDelivered || r.verdict == Verdict::kRejected;
  });
}

// Several batches delivered in one job, as long as nothing stands against it (`Job::stay`).
class Visit {
 public:
  Visit(const Job& job, Lookahead* lookahead, const Rest* rest)
      : job_(job),
        lookahead_(job.stay.looks_ahead ? lookahead : nullptr),
        rest_(rest),
        may_stay_(job.stay.batches_max > 1 && job.grant.only.empty() &&
                  job.destination->prepares()) {
    delivery_.limits = job.destination->limits();
  }

  Delivery run() {
    if (rest_ != nullptr) used_ = rest_->begin();
    const auto read = read_batch(job_, delivery_.limits, job_.grant.from, now_);
    delivery_.oldest = job_.log->oldest();
    if (!read) {
      delivery_.kind = Delivery::Kind::kReadFailed;
      delivery_.outcome =
          Outcome::retry(FailureClass::kTransient, "read the stream: " + read.error().what);
      return std::move(delivery_);
    }
    delivery_.next = now_.next;
    if (now_.bytes_needed > 0) {
      delivery_.kind = Delivery::Kind::kNeedsBytes;
      delivery_.bytes_needed = now_.bytes_needed;
      return std::move(delivery_);
    }
    if (job_.stop.stop_requested()) {
      delivery_.kind = Delivery::Kind::kInterrupted;
      return std::move(delivery_);
    }
    if (now_.batch.empty()) return std::move(delivery_);
    if (may_stay_) prepare(now_);
    deliver_all();
    return std::move(delivery_);
  }

 private:
  void deliver_all() {
    for (std::int64_t batches = 1;; ++batches) {
      // The first answer shows whether they are quick: nothing is prepared in vain for a slow one.
      const bool looks_ahead = lookahead_ != nullptr && batches > 1 && goes_on(batches);
      std::shared_ptr<Lookahead::Task> task;
      if (looks_ahead) {
        task = std::make_shared<Lookahead::Task>([this] { read_next(next_); });
        lookahead_->offer(task);
      }
      Outcome outcome = deliver_beside(task);
      const bool delivered = wholly_delivered(outcome);
      add(std::move(outcome), batches == 1);
      if (!delivered || job_.stop.stop_requested()) return;
      if (rest_ != nullptr) rest_->take(used_);
      if (!task) {
        if (!goes_on(batches)) return;
        // In place of the one that was delivered: memory for a second is not set aside.
        read_next(now_);
      }
      if (!next_is_ready_) return;
      if (task) std::swap(now_, next_);
    }
  }

  // However the delivery ends, the task uses this visit no more. `task` may be null.
  Outcome deliver_beside(const std::shared_ptr<Lookahead::Task>& task) {
    struct Finish {
      Lookahead* lookahead;
      const std::shared_ptr<Lookahead::Task>& task;
      ~Finish() {
        if (task) lookahead->finish(task);
      }
    };
    const Finish at_the_end{lookahead_, task};
    return deliver_safely(*job_.destination, now_.batch, job_.stop);
  }

  [[nodiscard]] bool goes_on(std::int64_t batches) const {
    return may_stay_ && batches < job_.stay.batches_max && Steady::now() < stay_until_ &&
           // Less than a full batch is for the export to decide, which knows its interval.
           job_.log->durable_end() - now_.next >= job_.grant.messages_max;
  }

  // On the thread of the lookahead or on this one, never on both at a time.
  void read_next(ReadBatch& into) noexcept {
    next_is_ready_ = false;
    try {
      const SequenceNumber from = now_.next;
      if (!read_batch(job_, delivery_.limits, from, into) || into.batch.empty()) return;
      // What is missing in front was perhaps removed: the export accounts for that.
      if (into.batch.messages().front().sequence != from) return;
      prepare(into);
      next_is_ready_ = true;
    } catch (...) {
      return;  // whatever it was, the next job meets it and reports it
    }
  }

  void prepare(ReadBatch& read) {
    read.batch.set_preparation(
        job_.destination->prepare(read.batch, read.batch.take_preparation()));
  }

  // Adds what became of the present batch. All before it was delivered.
  void add(Outcome outcome, bool first) {
    const bool interrupted = job_.stop.stop_requested() && !got_through(outcome);
    if (first) {
      if (interrupted) delivery_.kind = Delivery::Kind::kInterrupted;
      delivery_.outcome = std::move(outcome);
    } else {
      if (interrupted) return;
      if (!wholly_delivered(outcome)) {
        spell_out(outcome, delivery_.sent.size());
        delivery_.outcome = std::move(outcome);
      }
    }
    delivery_.sent_before = static_cast<std::int64_t>(delivery_.sent.size());
    for (const Message& message : now_.batch.messages()) {
      delivery_.sent.push_back(
          {message.sequence, static_cast<std::int64_t>(message.payload.size())});
    }
    delivery_.next = now_.next;
  }

  // Makes `outcome`, which is of the present batch, one of `before` delivered messages and these.
  void spell_out(Outcome& outcome, std::size_t before) const {
    const std::size_t count = now_.batch.size();
    if (!outcome.records.empty() && outcome.records.size() != count) {
      outcome = Outcome::retry(FailureClass::kBug, "the destination answered for " +
                                                       std::to_string(outcome.records.size()) +
                                                       " messages of " + std::to_string(count));
    }
    if (outcome.records.empty()) {
      outcome.records.assign(count, {outcome.verdict, outcome.failure, outcome.error});
    }
    const RecordOutcome delivered{Verdict::kDelivered, FailureClass::kNone, {}};
    outcome.records.insert(outcome.records.begin(), before, delivered);
  }

  using Steady = std::chrono::steady_clock;
  const Job& job_;
  Lookahead* const lookahead_;
  const Rest* const rest_;
  Duration used_{0};  // of the processor by this thread, when it last rested
  const bool may_stay_;
  const Steady::time_point stay_until_ = Steady::now() + job_.stay.at_most;
  Delivery delivery_;
  ReadBatch now_{{job_.stream_name, job_.identifier}, {}};
  // Made ready beside `now_` by a task; else it stays empty.
  ReadBatch next_{{job_.stream_name, job_.identifier}, {}};
  bool next_is_ready_ = false;
};

Delivery visit_idle(const Job& job) {
  try {
    if (job.moved) job.destination->moved();
    if (job.passed) {
      job.destination->passed(job.grant.from, job.stop);
    } else {
      job.destination->on_idle(job.stop);
    }
    Delivery delivery;
    delivery.idle_deadline = job.destination->idle_deadline();
    return delivery;
  } catch (const std::exception& problem) {
    log::error(
        "An idle destination failed at what it had to finish; the next delivery tries.",
        {{"stream", job.stream_name}, {"destination", job.identifier}, {"error", problem.what()}});
    return {};
  }
}

Delivery say_farewell(const Job& job) {
  try {
    auto left = job.left_behind;
    if (!left) left = read_farewell(job.stream_name, job.identifier, *job.log, job.grant.from);
    left->note = job.note;
    job.destination->farewell(*left, job.stop);
  } catch (const std::exception& problem) {
    log::error(
        "A destination failed while it was removed.",
        {{"stream", job.stream_name}, {"destination", job.identifier}, {"error", problem.what()}});
  }
  return {};
}

}  // namespace

Delivery run_job(const Job& job, Lookahead* lookahead, const Rest* rest) {
  if (job.farewell) return say_farewell(job);
  if (job.idle_visit) return visit_idle(job);
  Delivery delivery;
  const auto broke_off = [&delivery](FailureClass failure, std::string why) {
    delivery = {};
    delivery.kind = Delivery::Kind::kReadFailed;
    delivery.outcome = Outcome::retry(failure, std::move(why));
  };
  try {
    if (job.moved) job.destination->moved();
    if (job.forgive_refusals) job.destination->forgive_refusals();
    delivery = Visit(job, lookahead, rest).run();
    delivery.idle_deadline = job.destination->idle_deadline();
  } catch (const std::exception& problem) {
    broke_off(FailureClass::kTransient,
              std::string("read the stream or deliver: ") + log::escaped(problem.what()));
  } catch (...) {
    broke_off(FailureClass::kBug, "the delivery broke off without saying why");
  }
  delivery.generation = job.grant.generation;
  return delivery;
}

}  // namespace weir::exporter
