#include "connector/appends.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mutex.h"
#include "segment/segment.h"
#include "stream/catalog.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

namespace weir::connector {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// After a stop was asked for; the engine gives workers about 5 s.
constexpr auto kStopGrace = seconds(3);

auto stopping() { return fail(Errc::kCancelled, "weir is stopping"); }

}  // namespace

// What one worker waits for. Shared with the core thread, which may be done with it later.
class Appends::Batch final : public AppendOwner, public std::enable_shared_from_this<Batch> {
 public:
  Batch(Appends& appends, model::StreamDefinition definition, std::vector<ByteVector> payloads)
      : appends_(appends), definition_(std::move(definition)), payloads_(std::move(payloads)) {}

  // Core, as all up to `wait`.
  void go_on() {
    appends_.open(definition_, [self = shared_from_this()](Result<stream::Stream*> stream) {
      if (stream) {
        self->append_to(**stream);
      } else {
        self->finish(fail(std::move(stream).error()));
      }
    });
  }

  void appended(std::uint64_t tag, const Result<SequenceNumber>& outcome) override {
    if (tag == kFlushed) {
      flushed(outcome);
      return;
    }
    if (!outcome && tag < group_end_) {
      group_end_ = tag;
      failure_ = outcome.error();
    }
    if (outcome) last_ = std::max(last_, *outcome);
    if (--left_ > 0) return;
    if (group_end_ == kept_) {
      finish(fail(*failure_));
    } else if (log_->durable_end() > last_) {
      flushed(last_);
    } else {
      next_turn([](Batch& batch) { batch.flush(); });
    }
  }

  // The worker.
  Stored wait(const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] {
      const MutexLock lock(mutex_);
      give_up_at_ = steady_clock::now() + kStopGrace;
      changed_.notify_all();
    });
    const MutexLock lock(mutex_);
    while (!stored_) {
      if (!give_up_at_) {
        changed_.wait(mutex_);
      } else if (steady_clock::now() >= *give_up_at_) {
        return {0, stopping()};
      } else {
        changed_.wait_until(mutex_, *give_up_at_);
      }
    }
    return *stored_;
  }

 private:
  static constexpr std::uint64_t kFlushed = std::numeric_limits<std::uint64_t>::max();

  // Appends what is sure to be taken, and one more only where nothing else is: the catalog says why
  // it is not, and nothing behind it is there.
  void append_to(stream::Stream& stream) {
    self_ = shared_from_this();
    stream_ = stream.id();
    log_ = stream.log();
    group_end_ = kept_ + std::max<std::size_t>(fitting(stream), 1);
    left_ = group_end_ - kept_;
    for (std::size_t i = kept_, end = group_end_; i < end; ++i) {
      appends_.stage(stream, payloads_[i], *this, i);
    }
    appends_.commit();
  }

  [[nodiscard]] std::size_t fitting(const stream::Stream& stream) const {
    const auto& definition = stream.definition();
    const bool full_rejects = definition.strategy_on_full == model::StrategyOnFull::kRejectNewData;
    std::int64_t room = definition.max_size_or_default();
    if (full_rejects) room -= stream.storage_status().total_bytes;
    std::size_t end = kept_;
    for (; end < payloads_.size(); ++end) {
      const auto need =
          static_cast<std::int64_t>(payloads_[end].size() + segment::kRecordOverheadBytes);
      if (need > room) break;
      if (full_rejects) room -= need;
    }
    return end - kept_;
  }

  void flush() {
    self_ = shared_from_this();
    appends_.flush(stream_, *this, kFlushed);
  }

  void flushed(const Result<SequenceNumber>& outcome) {
    if (outcome) kept_ = group_end_;
    if (failure_ || !outcome) {
      finish(fail(failure_ ? *failure_ : outcome.error()));
    } else if (kept_ == payloads_.size()) {
      finish({});
    } else {
      next_turn([](Batch& batch) { batch.go_on(); });
    }
  }

  // An outcome may come in the middle of a commit, where nothing else can be asked of the catalog.
  void next_turn(void (*what)(Batch&)) {
    appends_.core_.post([self = std::move(self_), what] { what(*self); });
  }

  void finish(Result<void> result) {
    const auto keep = std::move(self_);
    const MutexLock lock(mutex_);
    stored_ = Stored{kept_, std::move(result)};
    changed_.notify_all();
  }

  Appends& appends_;
  const model::StreamDefinition definition_;
  const std::vector<ByteVector> payloads_;
  // Core's.
  std::shared_ptr<Batch> self_;  // while the catalog owes an outcome
  StreamId stream_{};
  std::shared_ptr<stream::LogReader> log_;
  SequenceNumber last_{-1};
  std::size_t kept_ = 0;       // before this they are on stable storage
  std::size_t group_end_ = 0;  // before this they are appended, or on their way
  std::size_t left_ = 0;       // of the group, without an outcome
  std::optional<Error> failure_;

  Mutex mutex_;
  CondVar changed_;
  std::optional<steady_clock::time_point> give_up_at_ WEIR_GUARDED_BY(mutex_);
  std::optional<Stored> stored_ WEIR_GUARDED_BY(mutex_);
};

std::uint64_t Appends::token_for(AppendOwner& owner, std::uint64_t tag) {
  if (spare_.empty()) {
    spare_.push_back(static_cast<std::uint32_t>(waiting_.size()));
    waiting_.emplace_back();
  }
  const std::uint32_t upper = spare_.back();
  spare_.pop_back();
  waiting_[upper] = {&owner, tag};
  return (std::uint64_t{upper} << 32U) | lane_;
}

void Appends::stage(stream::Stream& stream, Bytes payload, AppendOwner& owner, std::uint64_t tag) {
  WEIR_CHECK(catalog_ != nullptr, "appends need a catalog that is open");
  catalog_->append(stream, payload, token_for(owner, tag));
}

void Appends::flush(StreamId id, AppendOwner& owner, std::uint64_t tag) {
  stream::Stream* const stream = catalog_ == nullptr ? nullptr : catalog_->find(id);
  if (stream == nullptr) {
    const bool closed = catalog_ == nullptr;
    owner.appended(tag, closed ? stopping() : fail(Errc::kNotFound, "the stream was deleted"));
    return;
  }
  catalog_->flush(*stream, token_for(owner, tag));
  catalog_->commit();
}

void Appends::commit() {
  if (catalog_ != nullptr) catalog_->commit();
}

void Appends::append_done(std::uint32_t upper, const Result<SequenceNumber>& outcome) {
  WEIR_CHECK(upper < waiting_.size() && waiting_[upper].owner != nullptr,
             "an append is answered once");
  const Waiting waiting = std::exchange(waiting_[upper], {});
  spare_.push_back(upper);
  waiting.owner->appended(waiting.tag, outcome);
}

void Appends::open(const model::StreamDefinition& definition,
                   std::function<void(Result<stream::Stream*>)> done) {
  if (catalog_ == nullptr) {
    done(stopping());
    return;
  }
  if (stream::Stream* found = catalog_->find(definition.name); found != nullptr) {
    done(found);
    return;
  }
  catalog_->create(definition, [this, name = definition.name,
                                done = std::move(done)](const Result<void>& created) {
    stream::Stream* found = catalog_ == nullptr ? nullptr : catalog_->find(name);
    if (found != nullptr) {
      if (created) log::info("A stream that weir needs was created.", {{"stream", name}});
      done(found);
    } else if (catalog_ == nullptr) {
      done(stopping());
    } else if (created) {
      done(fail(Errc::kUnavailable, "the stream " + name + " was deleted a moment ago"));
    } else {
      done(fail(with_context("create the stream " + name, created.error())));
    }
  });
}

Appends::Stored Appends::append_in_order(const model::StreamDefinition& definition,
                                         std::vector<ByteVector> payloads,
                                         const std::stop_token& stop) {
  if (payloads.empty()) return {};
  auto batch = std::make_shared<Batch>(*this, definition, std::move(payloads));
  core_.post([batch] { batch->go_on(); });
  return batch->wait(stop);
}

}  // namespace weir::connector
