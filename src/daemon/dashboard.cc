#include "daemon/dashboard.h"

#include "base/log.h"
#include "base/mutex.h"
#include "base/recent_lines.h"
#include "daemon/tail.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <utility>

namespace weir::daemon {
namespace {

using nlohmann::json;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

std::vector<admin::WarningFigures> warnings_after(std::uint64_t number) {
  std::vector<admin::WarningFigures> warnings;
  for (auto& line : log::recent_lines(number)) {
    warnings.push_back(
        {line.number, line.wall_ms, line.level == log::Level::kError, std::move(line.text)});
  }
  return warnings;
}

// Looks at one record's time only.
class TimeOfRecord final : public stream::RecordSink {
 public:
  bool record(SequenceNumber, std::int64_t append_ms, Bytes) override {
    append_ms_ = append_ms;
    return true;
  }
  [[nodiscard]] std::int64_t append_ms() const { return append_ms_; }

 private:
  std::int64_t append_ms_ = 0;
};

std::string error_body(const std::string& error, bool needs_confirmation) {
  const json document = {{"error", error}, {"needs_confirmation", needs_confirmation}};
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

// When the newest message of each stream came. The log does not tell without reading it, which is
// done here once for each that is new; where the disk is needed, by another thread, one at a time.
class Dashboard::NewestTimes {
 public:
  NewestTimes(const StatusBoard& board, server::ReaderPool& readers)
      : board_(board), readers_(readers) {}

  // Somebody begins to ask for one stream after the other. Now and then those that are gone are
  // forgotten.
  void begin_round() {
    constexpr std::uint64_t kRounds = 100;
    if (++rounds_ % kRounds != 0) return;
    std::erase_if(known_, [&](const auto& entry) {
      const auto row = board_.next(StreamId(entry.first.value() - 1));
      return !row || row->id != entry.first;
    });
  }

  // 0 = not known yet, or there is none.
  std::int64_t of(StreamId id, const std::shared_ptr<stream::LogReader>& log) {
    take_result();
    const SequenceNumber end = log->visible_end();
    Known& known = known_[id];
    if (end <= log->oldest()) return 0;
    if (known.end == end) return known.ms;
    TimeOfRecord time;
    const auto read = log->read(end - 1, end, 1, stream::ReadMode::kCachedOnly, time);
    if (read && read->would_block) {
      if (!task_) start(id, log, end);
      return known.ms;
    }
    known.end = end;
    known.ms = time.append_ms();
    return known.ms;
  }

 private:
  struct Known {
    SequenceNumber end{-1};
    std::int64_t ms = 0;
  };
  struct Task {
    StreamId id;
    SequenceNumber end;
    std::atomic<bool> done{false};
    std::int64_t ms = 0;  // before `done`: the other thread's
  };

  void start(StreamId id, const std::shared_ptr<stream::LogReader>& log, SequenceNumber end) {
    task_ = std::make_shared<Task>();
    task_->id = id;
    task_->end = end;
    readers_.submit([task = task_, log] {
      TimeOfRecord time;
      const auto read = log->read(task->end - 1, task->end, 1, stream::ReadMode::kMayBlock, time);
      task->ms = read ? time.append_ms() : 0;
      task->done = true;
    });
  }

  void take_result() {
    if (!task_ || !task_->done) return;
    const auto found = known_.find(task_->id);
    if (found != known_.end()) {
      found->second.end = task_->end;
      found->second.ms = task_->ms;
    }
    task_.reset();
  }

  const StatusBoard& board_;
  server::ReaderPool& readers_;
  std::map<StreamId, Known> known_;
  std::uint64_t rounds_ = 0;
  std::shared_ptr<Task> task_;
};

Dashboard::Dashboard(Environment environment)
    : environment_(std::move(environment)),
      host_(host_name()),
      newest_times_(std::make_unique<NewestTimes>(environment_.board, readers_)) {}

Dashboard::~Dashboard() = default;

void Dashboard::add_to(admin::Sources& sources) {
  sources.figures.weir = [this] { return weir(); };
  sources.figures.next_stream = [this](std::uint64_t after) { return next_stream(after); };
  sources.figures.warnings = warnings_after;
  sources.events.push_back(
      {"/tail", "?stream=NAME: its messages as they come", true,
       [this](std::string_view query) { return open_tail(query, environment_.board, readers_); }});
  sources.events.push_back(
      {"/tap", "?export=STREAM/EXPORT: what it sends, as it is sent", true,
       [this](std::string_view query) { return open_tap(query, environment_); }});
  sources.orders.push_back({"/streams", "orders of the dashboard for streams", true,
                            [this](std::string_view body, admin::Reply reply) {
                              take_stream_order(body, std::move(reply));
                            }});
}

admin::WeirFigures Dashboard::weir() {
  admin::WeirFigures figures = environment_.process();
  figures.version = WEIR_VERSION;
  figures.host = host_;
  for (auto& view : environment_.credentials()) {
    if (!view.have && view.error.empty()) continue;  // nobody needed them yet
    figures.credentials.push_back({std::move(view.role), std::move(view.source),
                                   std::move(view.error), view.have, view.expires_ms});
  }
  const std::int64_t wall_ms = environment_.clock.wall_ms();
  for (auto& view : environment_.connectors()) {
    figures.connectors.push_back({std::move(view.name), std::move(view.broker),
                                  connector::state_name(view.state), std::move(view.reason),
                                  view.next_try_in_ms > 0 ? wall_ms + view.next_try_in_ms : 0,
                                  view.unacknowledged_messages});
  }
  for (const auto& one : environment_.unavailable()) {
    figures.unavailable.push_back({one.name, one.why});
  }
  refresh_faults();
  return figures;
}

// For the next look: the core thread tells when it comes to it, and is asked again only then.
void Dashboard::refresh_faults() {
  if (refreshing_->exchange(true)) return;
  environment_.on_core([refresh = environment_.refresh_faults, refreshing = refreshing_] {
    refresh();
    refreshing->store(false);
  });
}

std::optional<admin::StreamFigures> Dashboard::next_stream(std::uint64_t after) {
  if (after == 0) newest_times_->begin_round();
  auto row = environment_.board.next(StreamId(after));
  if (!row) return std::nullopt;
  const SequenceNumber oldest = row->log->oldest();
  const SequenceNumber end = std::max(oldest, row->log->visible_end());
  admin::StreamFigures figures;
  figures.id = row->id.value();
  figures.name = std::move(row->name);
  figures.in_memory = row->persistence == model::Persistence::kMemory;
  figures.overwrites = row->on_full == model::StrategyOnFull::kOverwriteOldestData;
  figures.time_to_live_ms = row->time_to_live_ms;
  figures.oldest = oldest.value();
  figures.next = end.value();
  figures.oldest_ms = row->log->append_ms_near(oldest);
  figures.newest_ms = newest_times_->of(row->id, row->log);
  figures.bytes = row->log->bytes_from(oldest);
  figures.bytes_max = row->max_size;
  figures.fault = std::move(row->fault);
  figures.lost_messages = row->lost_messages;
  const std::int64_t wall_ms = environment_.clock.wall_ms();
  for (const auto& view : environment_.exports(row->id)) {
    figures.exports.push_back(figures_of(view, wall_ms));
  }
  return figures;
}

admin::ExportFigures Dashboard::figures_of(const exporter::ExportView& view,
                                           std::int64_t wall_ms) const {
  admin::ExportFigures figures;
  figures.identifier = view.config.identifier;
  figures.type = model::export_type_name(view.config.type);
  figures.target = view.config.target;
  figures.redirected_to = environment_.redirected_to(view.stream_name, view.config);
  figures.state = exporter::state_name(view.state);
  figures.reason = view.reason;
  figures.last_error = view.last_error;
  if (view.last_failure != exporter::FailureClass::kNone) {
    figures.failure_class = exporter::failure_class_name(view.last_failure);
  }
  figures.failures_in_a_row = view.consecutive_failures;
  if (view.next_try_in_ms > 0) figures.next_try_ms = wall_ms + view.next_try_in_ms;
  figures.waiting_messages = view.waiting_messages;
  figures.waiting_bytes = view.waiting_bytes;
  figures.oldest_waiting_ms = view.oldest_waiting_append_ms;
  figures.exported_messages = view.status.exported_messages_count;
  figures.exported_bytes = view.status.exported_bytes_from_stream;
  figures.last_exported = view.status.last_exported_sequence_number;
  figures.last_export_ms = view.status.last_export_time_ms;
  figures.skipped_messages = view.skipped_messages;
  figures.dead_letters = view.set_aside_messages;
  figures.lost_messages = view.lost_messages;
  figures.paused = view.paused;
  return figures;
}

// {"stream": "pumps", "order": "delete", "confirmed": true}
void Dashboard::take_stream_order(std::string_view body, admin::Reply reply) {
  const json document = json::parse(body, nullptr, false);
  const auto text = [&](const char* name) -> std::string {
    if (!document.is_object()) return {};
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const std::string stream = text("stream");
  if (stream.empty() || text("order") != "delete") {
    reply(400, error_body("stream must be named, and order be delete", false));
    return;
  }
  const auto row = environment_.board.find(stream);
  if (!row) {
    reply(404, error_body(fmt::format("there is no stream '{}'", log::escaped(stream)), false));
    return;
  }
  if (!document.contains("confirmed") || document["confirmed"] != true) {
    reply(409, error_body(
                   fmt::format("deleting '{}' loses its {} stored messages for good, and "
                               "those that are not exported yet",
                               log::escaped(stream), row->log->visible_end() - row->log->oldest()),
                   true));
    return;
  }
  environment_.on_core([remove = environment_.remove_stream, stream, reply = std::move(reply)] {
    remove(stream, [stream, reply](const Result<void>& outcome) {
      if (!outcome) {
        reply(outcome.error().code == Errc::kNotFound ? 404 : 500,
              error_body(outcome.error().what, false));
        return;
      }
      log::info("A stream was deleted from the dashboard.", {{"stream", stream}});
      const json done = {{"done", fmt::format("deleted '{}'", log::escaped(stream))}};
      reply(200, done.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
    });
  });
}

}  // namespace weir::daemon
