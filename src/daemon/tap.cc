#include "daemon/tap.h"

#include "exporter/wrapped_destination.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace weir::daemon {
namespace {

TappedBatch shown(const exporter::Batch& batch, const exporter::Outcome& outcome) {
  TappedBatch seen;
  const auto& messages = batch.messages();
  seen.first = messages.front().sequence.value();
  seen.last = messages.back().sequence.value();
  seen.messages = static_cast<std::int64_t>(messages.size());
  seen.bytes = static_cast<std::int64_t>(batch.payload_bytes());
  seen.sent = outcome.records.empty() && outcome.verdict == exporter::Verdict::kDelivered;
  seen.error = outcome.error;
  if (!outcome.records.empty()) {
    const auto refused =
        std::find_if(outcome.records.begin(), outcome.records.end(), [](const auto& r) {
          return r.verdict == exporter::Verdict::kRetry ||
                 r.verdict == exporter::Verdict::kRejected;
        });
    seen.sent = refused == outcome.records.end();
    if (!seen.sent && seen.error.empty()) seen.error = refused->reason;
  }
  std::size_t room = Taps::kBatchBytesMax;
  for (const auto& message : messages) {
    if (seen.sample.size() == Taps::kSamplesMax || room == 0) break;
    const auto part =
        message.payload.first(std::min({message.payload.size(), Taps::kSampleBytesMax, room}));
    room -= part.size();
    seen.sample.push_back({message.sequence.value(), std::string(as_text(part)),
                           static_cast<std::int64_t>(message.payload.size())});
  }
  return seen;
}

}  // namespace

// What taps, listeners and destinations own together.
struct Taps::Shared {
  explicit Shared(Clock& c) : clock(c) {}

  void show(const exporter::Batch& batch, const exporter::Outcome& outcome,
            const std::string& destination) {
    const auto looking = listeners_to(batch);
    if (looking.empty() || batch.empty()) return;
    TappedBatch seen = shown(batch, outcome);
    seen.time_ms = clock.wall_ms();
    seen.destination = destination;
    for (const auto& listener : looking) listener->put(seen);
  }

  std::vector<std::shared_ptr<Listener>> listeners_to(const exporter::Batch& batch) {
    std::vector<std::shared_ptr<Listener>> found;
    const MutexLock lock(mutex);
    for (const auto& each : listeners) {
      auto listener = each.lock();
      if (listener && listener->looks_at(batch)) found.push_back(std::move(listener));
    }
    return found;
  }

  Clock& clock;
  std::atomic<std::int64_t> count{0};
  Mutex mutex;
  std::vector<std::weak_ptr<Listener>> listeners WEIR_GUARDED_BY(mutex);
};

// Passes everything on, and shows what became of each batch. A delivery that hangs may end after
// everything else has, so it owns what it needs.
class Taps::Tapped final : public exporter::WrappedDestination {
 public:
  Tapped(std::unique_ptr<exporter::Destination> inner, std::shared_ptr<Shared> shared,
         std::string name)
      : WrappedDestination(std::move(inner)), shared_(std::move(shared)), name_(std::move(name)) {}

  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override {
    auto outcome = WrappedDestination::deliver(batch, std::move(stop));
    if (shared_->count.load(std::memory_order_relaxed) > 0) shared_->show(batch, outcome, name_);
    return outcome;
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const std::string name_;
};

Taps::Taps(Clock& clock) : shared_(std::make_shared<Shared>(clock)) {}

bool Taps::Listener::take(TappedBatch& batch, std::int64_t& missed) {
  const MutexLock lock(mutex_);
  if (waiting_.empty()) return false;
  batch = std::move(waiting_.front());
  waiting_.pop_front();
  missed = std::exchange(missed_, 0);
  return true;
}

void Taps::Listener::put(const TappedBatch& batch) {
  const MutexLock lock(mutex_);
  if (waiting_.size() == kWaitingMax) {
    ++missed_;
  } else {
    waiting_.push_back(batch);
  }
}

bool Taps::Listener::looks_at(const exporter::Batch& batch) const {
  return stream_ == batch.stream_name() && identifier_ == batch.identifier();
}

std::shared_ptr<Taps::Listener> Taps::listen(const std::string& stream,
                                             const std::string& identifier) {
  // The count goes down with the last reference, wherever that is released. The list keeps what is
  // left of it, which must not keep the list.
  auto inner = std::make_shared<Listener>(stream, identifier);
  std::shared_ptr<Listener> listener(inner.get(), [inner, shared = shared_](Listener*) mutable {
    shared->count.fetch_sub(1);
    inner.reset();
    shared.reset();
  });
  shared_->count.fetch_add(1);
  const MutexLock lock(shared_->mutex);
  std::erase_if(shared_->listeners, [](const auto& each) { return each.expired(); });
  shared_->listeners.push_back(listener);
  return listener;
}

exporter::DestinationFactory Taps::in_front_of(exporter::DestinationFactory factory) {
  return [shared = shared_, factory = std::move(factory)](
             const exporter::ExportSpec& spec) -> Result<std::unique_ptr<exporter::Destination>> {
    WEIR_TRY(auto made, factory(spec));
    std::string name = model::export_type_name(spec.config.type);
    if (!spec.config.target.empty()) name += " " + spec.config.target;
    return std::unique_ptr<exporter::Destination>(
        std::make_unique<Tapped>(std::move(made), shared, std::move(name)));
  };
}

}  // namespace weir::daemon
