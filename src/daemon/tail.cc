#include "daemon/tail.h"

#include "base/log.h"
#include "base/mutex.h"
#include "destination/base64.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <utility>

namespace weir::daemon {
namespace {

constexpr auto kPause = std::chrono::milliseconds(200);
constexpr std::size_t kPayloadBytesMax = std::size_t{16} << 10;
// Who follows the newest is not shown more than this at once: it is for eyes.
constexpr std::int64_t kBehindMax = 500;
constexpr std::int64_t kRecordsMax = 200;

// Makes events of records until there are enough.
class Events final : public stream::RecordSink {
 public:
  Events(std::string& out, std::size_t bytes_max) : out_(out), bytes_max_(bytes_max) {}

  bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) override {
    if (out_.size() >= bytes_max_) return false;
    const Bytes part = payload.first(std::min(payload.size(), kPayloadBytesMax));
    admin::append_event(
        out_, "message",
        fmt::format(R"({{"sequence":{},"time_ms":{},"payload_base64":"{}","payload_bytes":{}}})",
                    sequence.value(), append_ms, destination::base64(part), payload.size()));
    return true;
  }

 private:
  std::string& out_;
  const std::size_t bytes_max_;
};

// One read by another thread. It owns all it uses: the reader may be gone before it ends.
struct DiskRead {
  Mutex mutex;
  bool done WEIR_GUARDED_BY(mutex) = false;
  std::string events WEIR_GUARDED_BY(mutex);
  Result<stream::ReadResult> result WEIR_GUARDED_BY(mutex){stream::ReadResult{}};
};

class Tail final : public admin::EventSource {
 public:
  Tail(std::string name, std::shared_ptr<stream::LogReader> log, SequenceNumber from, bool follows,
       const StatusBoard& board, server::ReaderPool& readers)
      : name_(std::move(name)),
        log_(std::move(log)),
        next_(from),
        follows_(follows),
        board_(board),
        readers_(readers) {}

  bool more(std::string& out, std::size_t bytes_max) override {
    if (under_way_) {
      take_disk_read(out);
      return !over_;
    }
    const SequenceNumber end = log_->visible_end();
    if (end <= next_) {
      follows_ = true;
      return !gone(out);
    }
    if (follows_ && end - next_ > kBehindMax) {
      const SequenceNumber from = std::max(end - kBehindMax / 10, log_->oldest());
      admin::append_event(out, "skipped", fmt::format("{{\"messages\":{}}}", from - next_));
      next_ = from;
    }
    Events events(out, bytes_max);
    const auto read = log_->read(next_, end, kRecordsMax, stream::ReadMode::kCachedOnly, events);
    use(read, out);
    if (read && read->would_block && read->records == 0) start_disk_read(end, bytes_max);
    return !over_;
  }

  [[nodiscard]] Duration pause() const override { return kPause; }

 private:
  // Also if another of the same name has taken its place.
  bool gone(std::string& out) {
    const auto row = board_.find(name_);
    if (row && row->log == log_) return false;
    admin::append_event(out, "gone", "{}");
    return true;
  }

  void use(const Result<stream::ReadResult>& read, std::string& out) {
    if (read) {
      next_ = std::max(next_, read->next);
      return;
    }
    over_ = true;
    if (read.error().code == Errc::kNotFound) {
      admin::append_event(out, "gone", "{}");
    } else {
      log::warn("A stream that somebody looks at cannot be read.", {{"error", read.error().what}});
      admin::append_event(out, "failed", "{}");
    }
  }

  void start_disk_read(SequenceNumber end, std::size_t bytes_max) {
    under_way_ = std::make_shared<DiskRead>();
    readers_.submit([task = under_way_, log = log_, from = next_, end, bytes_max] {
      std::string text;
      Events events(text, bytes_max);
      auto read = log->read(from, end, kRecordsMax, stream::ReadMode::kMayBlock, events);
      const MutexLock lock(task->mutex);
      task->events = std::move(text);
      task->result = std::move(read);
      task->done = true;
    });
  }

  void take_disk_read(std::string& out) {
    const auto task = under_way_;
    const MutexLock lock(task->mutex);
    if (!task->done) return;
    out += task->events;
    use(task->result, out);
    under_way_.reset();
  }

  const std::string name_;
  const std::shared_ptr<stream::LogReader> log_;
  SequenceNumber next_;
  bool follows_;  // has come to the newest, and stays there
  bool over_ = false;
  const StatusBoard& board_;
  server::ReaderPool& readers_;
  std::shared_ptr<DiskRead> under_way_;
};

struct Start {
  SequenceNumber from;
  bool follows = false;
};

std::optional<Start> start_of(std::string_view from, const stream::LogReader& log) {
  const SequenceNumber oldest = log.oldest();
  const SequenceNumber end = std::max(oldest, log.visible_end());
  if (from.empty() || from == "newest") return Start{end, true};
  if (from == "oldest") return Start{oldest, false};
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(from.data(), from.data() + from.size(), number);
  if (error != std::errc{} || stop != from.data() + from.size()) return std::nullopt;
  if (number < 0) {
    const std::int64_t back = number < -(end - oldest) ? end - oldest : -number;
    return Start{end - back, false};
  }
  return Start{std::clamp(SequenceNumber(number), oldest, end), false};
}

}  // namespace

Result<std::unique_ptr<admin::EventSource>> open_tail(std::string_view query,
                                                      const StatusBoard& board,
                                                      server::ReaderPool& readers) {
  const std::string name = admin::query_value(query, "stream");
  if (name.empty()) return fail(Errc::kInvalidArgument, "say which stream: /tail?stream=NAME");
  const auto row = board.find(name);
  if (!row) {
    return fail(Errc::kNotFound, fmt::format("there is no stream '{}'", log::escaped(name)));
  }
  const auto start = start_of(admin::query_value(query, "from"), *row->log);
  if (!start) {
    return fail(Errc::kInvalidArgument,
                "from must be newest, oldest, a sequence number, or a negative count back");
  }
  return std::unique_ptr<admin::EventSource>(
      std::make_unique<Tail>(name, row->log, start->from, start->follows, board, readers));
}

}  // namespace weir::daemon
