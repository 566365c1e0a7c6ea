#include "daemon/local_streams.h"

#include "base/check.h"

#include <utility>

namespace weir::daemon {
namespace {

constexpr std::uint64_t kOwnToken = 0xFFFFFFFFU;
constexpr std::int64_t kReadAtOnce = 256;

auto no_such_stream() { return fail(Errc::kNotFound, "there is no such stream"); }

class Visitor final : public stream::RecordSink {
 public:
  explicit Visitor(const std::function<bool(Bytes)>& visit) : visit_(visit) {}
  bool record(SequenceNumber, std::int64_t, Bytes payload) override {
    if (stopped_) return false;
    stopped_ = !visit_(payload);
    return true;
  }
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  const std::function<bool(Bytes)>& visit_;
  bool stopped_ = false;
};

}  // namespace

// One message on its way from a worker to the core thread and the answer on its way back.
struct CatalogStreams::Append {
  std::string stream;
  ByteVector payload;
  Mutex mutex;
  CondVar changed;
  bool given_up WEIR_GUARDED_BY(mutex) = false;
  std::optional<Result<SequenceNumber>> outcome WEIR_GUARDED_BY(mutex);

  void finish(Result<SequenceNumber> result) {
    const MutexLock lock(mutex);
    outcome = std::move(result);
    changed.notify_all();
  }
};

void CatalogStreams::stream_changed(const stream::Stream& stream) {
  const MutexLock lock(mutex_);
  known_[stream.definition().name] = {stream.log(), stream.definition().time_to_live_ms};
}

void CatalogStreams::stream_removed(const std::string& name) {
  const MutexLock lock(mutex_);
  known_.erase(name);
}

Result<SequenceNumber> CatalogStreams::append(const std::string& stream, Bytes payload,
                                              const std::stop_token& stop) {
  if (stop.stop_requested()) return fail(Errc::kCancelled, "weir or the export is stopping");
  auto append = std::make_shared<Append>();
  append->stream = stream;
  append->payload.assign(payload.begin(), payload.end());
  core_.post([this, append] { start(append); });
  const std::stop_callback wake(stop, [&append] {
    const MutexLock lock(append->mutex);
    append->given_up = true;
    append->changed.notify_all();
  });
  const MutexLock lock(append->mutex);
  while (!append->outcome && !append->given_up) append->changed.wait(append->mutex);
  if (append->outcome) return *append->outcome;
  return fail(Errc::kCancelled, "weir or the export is stopping");
}

void CatalogStreams::start(const std::shared_ptr<Append>& append) {
  if (catalog_ == nullptr) {
    append->finish(fail(Errc::kCancelled, "weir is stopping"));
    return;
  }
  stream::Stream* stream = catalog_->find(append->stream);
  if (stream == nullptr) {
    append->finish(no_such_stream());
    return;
  }
  const std::uint64_t token = (++last_number_ << 32U) | kOwnToken;
  under_way_.emplace(token, append);
  catalog_->append(*stream, append->payload, token);
  catalog_->commit();
}

void CatalogStreams::append_done(std::uint64_t token, const Result<SequenceNumber>& outcome) {
  if ((token & kOwnToken) != kOwnToken) {
    const auto lower = static_cast<std::uint32_t>(token & kOwnToken);
    if (const auto lane = lower < kFirstLane ? lanes_.end() : lanes_.find(lower);
        lane != lanes_.end()) {
      lane->second(static_cast<std::uint32_t>(token >> 32U), outcome);
      return;
    }
    clients_.append_done(token, outcome);
    return;
  }
  const auto found = under_way_.find(token);
  WEIR_CHECK(found != under_way_.end(), "an append is answered once");
  found->second->finish(outcome);
  under_way_.erase(found);
}

Result<std::shared_ptr<stream::LogReader>> CatalogStreams::log_of(const std::string& stream) {
  const MutexLock lock(mutex_);
  const auto found = known_.find(stream);
  if (found == known_.end()) return no_such_stream();
  return found->second.log;
}

Result<SequenceNumber> CatalogStreams::end(const std::string& stream) {
  WEIR_TRY(const auto log, log_of(stream));
  return log->visible_end();
}

Result<void> CatalogStreams::read(const std::string& stream, SequenceNumber from,
                                  const std::function<bool(Bytes payload)>& visit) {
  WEIR_TRY(const auto log, log_of(stream));
  const SequenceNumber end = log->visible_end();
  Visitor visitor(visit);
  while (from < end && !visitor.stopped()) {
    WEIR_TRY(const stream::ReadResult read,
             log->read(from, end, kReadAtOnce, stream::ReadMode::kMayBlock, visitor));
    if (read.next <= from) break;
    from = read.next;
  }
  return {};
}

std::optional<std::int64_t> CatalogStreams::time_to_live_ms(const std::string& stream) {
  const MutexLock lock(mutex_);
  const auto found = known_.find(stream);
  return found == known_.end() ? std::nullopt : found->second.time_to_live_ms;
}

}  // namespace weir::daemon
