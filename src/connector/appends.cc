#include "connector/appends.h"

#include "base/check.h"
#include "base/mutex.h"
#include "base/pause.h"
#include "stream/catalog.h"

#include <optional>
#include <utility>

namespace weir::connector {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// After a stop was asked for; the engine gives workers about 5 s.
constexpr auto kStopGrace = seconds(3);
// A stream that does not flush on write is synced within a second and one flush.
constexpr auto kDurableWithin = seconds(10);
constexpr auto kLookEvery = std::chrono::milliseconds(10);

auto stopping() { return fail(Errc::kCancelled, "weir is stopping"); }

}  // namespace

// What one worker waits for. Shared with the core thread, which may be done with it later.
class Appends::Batch final : public AppendOwner, public std::enable_shared_from_this<Batch> {
 public:
  explicit Batch(std::vector<ByteVector> payloads) : payloads_(std::move(payloads)) {}

  // Core.
  void begin(Appends& appends, Result<stream::Stream*> stream) {
    if (!stream) {
      finish(fail(std::move(stream).error()));
      return;
    }
    log_ = (*stream)->log();
    left_ = payloads_.size();
    self_ = shared_from_this();
    for (const ByteVector& payload : payloads_) appends.stage(**stream, payload, *this, 0);
    appends.commit();
  }

  void appended(std::uint64_t, const Result<SequenceNumber>& outcome) override {
    if (!outcome && !failure_) failure_ = outcome.error();
    if (outcome) last_ = std::max(last_, *outcome);
    if (--left_ > 0) return;
    const auto keep = std::move(self_);
    finish(failure_ ? Result<void>(fail(*failure_)) : Result<void>());
  }

  void finish(Result<void> result) {
    const MutexLock lock(mutex_);
    outcome_ = std::move(result);
    changed_.notify_all();
  }

  // The worker.
  Result<void> wait(const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] {
      const MutexLock lock(mutex_);
      give_up_at_ = steady_clock::now() + kStopGrace;
      changed_.notify_all();
    });
    {
      const MutexLock lock(mutex_);
      while (!outcome_) {
        if (!give_up_at_) {
          changed_.wait(mutex_);
        } else if (steady_clock::now() >= *give_up_at_) {
          return stopping();
        } else {
          changed_.wait_until(mutex_, *give_up_at_);
        }
      }
      WEIR_RETURN_IF_ERROR(*outcome_);
    }
    return wait_durable(stop);
  }

 private:
  Result<void> wait_durable(const std::stop_token& stop) {
    const auto until = steady_clock::now() + kDurableWithin;
    std::optional<steady_clock::time_point> give_up_at;
    while (log_->durable_end() <= last_) {
      const auto now = steady_clock::now();
      if (now >= until) return fail(Errc::kUnavailable, "it is not on stable storage yet");
      if (stop.stop_requested() && !give_up_at) give_up_at = now + kStopGrace;
      if (give_up_at && now >= *give_up_at) return stopping();
      pause_for(kLookEvery, {});
    }
    return {};
  }

  const std::vector<ByteVector> payloads_;
  // Core's, until the outcome is there.
  std::shared_ptr<stream::LogReader> log_;
  std::shared_ptr<Batch> self_;
  std::size_t left_ = 0;
  SequenceNumber last_{-1};
  std::optional<Error> failure_;

  Mutex mutex_;
  CondVar changed_;
  std::optional<steady_clock::time_point> give_up_at_ WEIR_GUARDED_BY(mutex_);
  std::optional<Result<void>> outcome_ WEIR_GUARDED_BY(mutex_);
};

void Appends::stage(stream::Stream& stream, Bytes payload, AppendOwner& owner, std::uint64_t tag) {
  WEIR_CHECK(catalog_ != nullptr, "appends need a catalog that is open");
  if (spare_.empty()) {
    spare_.push_back(static_cast<std::uint32_t>(waiting_.size()));
    waiting_.emplace_back();
  }
  const std::uint32_t upper = spare_.back();
  spare_.pop_back();
  waiting_[upper] = {&owner, tag};
  catalog_->append(stream, payload, (std::uint64_t{upper} << 32U) | lane_);
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

Result<void> Appends::append_all(const model::StreamDefinition& definition,
                                 std::vector<ByteVector> payloads, const std::stop_token& stop) {
  if (payloads.empty()) return {};
  auto batch = std::make_shared<Batch>(std::move(payloads));
  core_.post([this, batch, definition] {
    open(definition,
         [this, batch](Result<stream::Stream*> stream) { batch->begin(*this, std::move(stream)); });
  });
  return batch->wait(stop);
}

}  // namespace weir::connector
