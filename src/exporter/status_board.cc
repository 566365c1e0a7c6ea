#include "exporter/status_board.h"

#include "exporter/metrics.h"

#include <algorithm>
#include <fmt/format.h>

namespace weir::exporter {
namespace {

std::int64_t whole_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// "90 s", "1.5 s": as short as it is exact.
std::string seconds_text(std::int64_t ms) {
  return ms % 1000 == 0 ? fmt::format("{} s", ms / 1000)
                        : fmt::format("{} s", static_cast<double>(ms) / 1000);
}

// What an export shows before the scheduler has placed it: what its machine begins with.
model::ExportStatus first_status(const model::ExportConfig& config,
                                 const std::vector<stream::Cursor>& saved) {
  return Exporter(config, cursor_of(config.identifier, saved), {}, 0).status();
}

bool is_broken(State state) { return state == State::kBroken || state == State::kServiceRetired; }

}  // namespace

void StatusBoard::set(StreamId id, const std::string& stream_name,
                      std::shared_ptr<stream::LogReader> log,
                      const std::vector<Engine::Wanted>& wanted,
                      const std::vector<stream::Cursor>& saved) {
  const MutexLock lock(mutex_);
  StreamRows& stream = streams_[id];
  std::vector<Row> rows;
  rows.reserve(wanted.size());
  for (const auto& want : wanted) {
    const auto known = std::find_if(stream.rows.begin(), stream.rows.end(), [&](const Row& row) {
      return row.config.identifier == want.config.identifier && row.config.type == want.config.type;
    });
    Row row = known == stream.rows.end() ? Row{} : std::move(*known);
    row.config = want.config;
    row.on_wire = want.on_wire;
    if (!row.placed) row.status = first_status(want.config, saved);
    rows.push_back(std::move(row));
  }
  stream = {stream_name, std::move(log), std::move(rows)};
}

void StatusBoard::remove(StreamId id) {
  const MutexLock lock(mutex_);
  streams_.erase(id);
}

void StatusBoard::publish(StreamId id, const Exporter& exporter) {
  const MutexLock lock(mutex_);
  const auto stream = streams_.find(id);
  if (stream == streams_.end()) return;
  for (Row& row : stream->second.rows) {
    if (row.config.identifier != exporter.config().identifier) continue;
    if (row.config.type != exporter.config().type) return;
    row.placed = true;
    row.status = exporter.status();
    row.state = exporter.state();
    row.broken = exporter.broken();
    row.last_failure = exporter.last_failure();
    row.consecutive_failures = exporter.consecutive_failures();
    row.retry_at = exporter.retry_at();
    row.ready_since = exporter.ready_since();
    row.batch_messages = exporter.batch_messages();
    row.paused = exporter.paused();
    row.skipped_messages = exporter.skipped_messages();
    row.set_aside_messages = exporter.set_aside_messages();
    row.lost_messages = exporter.lost_messages();
    row.resending = exporter.resending();
    return;
  }
}

std::vector<model::ExportStatus> StatusBoard::statuses(StreamId id) const {
  std::vector<model::ExportStatus> statuses;
  const MutexLock lock(mutex_);
  const auto stream = streams_.find(id);
  if (stream == streams_.end()) return statuses;
  for (const Row& row : stream->second.rows) {
    if (!row.on_wire) continue;
    model::ExportStatus& status = statuses.emplace_back(row.status);
    // Nothing was tried yet, and this is where clients look for the reason.
    if (is_broken(row.state) && status.error_message.empty()) {
      status.error_message = row.broken;
    }
  }
  return statuses;
}

std::vector<ExportView> StatusBoard::views() const {
  std::vector<std::pair<std::string, StreamId>> names;
  {
    const MutexLock lock(mutex_);
    names.reserve(streams_.size());
    for (const auto& [id, stream] : streams_) {
      if (!stream.rows.empty()) names.emplace_back(stream.name, id);
    }
  }
  std::sort(names.begin(), names.end());
  const Instant now = clock_.now();
  std::vector<ExportView> views;
  for (const auto& [name, id] : names) add_views(id, now, views);
  return views;
}

std::vector<ExportView> StatusBoard::views(StreamId id) const {
  std::vector<ExportView> views;
  add_views(id, clock_.now(), views);
  return views;
}

void StatusBoard::add_views(StreamId id, Instant now, std::vector<ExportView>& views) const {
  // One stream at a time, so that ten thousand of them hold up nobody who asks for one.
  std::optional<StreamRows> stream;
  {
    const MutexLock lock(mutex_);
    const auto found = streams_.find(id);
    if (found != streams_.end()) stream = found->second;
  }
  if (!stream) return;
  for (const Row& row : stream->rows) views.push_back(view_of(id, *stream, row, now));
}

ExportView StatusBoard::view_of(StreamId id, const StreamRows& stream, const Row& row,
                                Instant now) {
  ExportView view;
  view.stream_id = id;
  view.stream_name = stream.name;
  view.config = row.config;
  view.on_wire = row.on_wire;
  view.status = row.status;
  view.state = row.state;
  view.last_error = is_broken(row.state) ? row.broken : row.status.error_message;
  view.last_failure = row.last_failure;
  view.consecutive_failures = row.consecutive_failures;
  if (row.state == State::kBackoff && row.retry_at && *row.retry_at > now) {
    view.next_try_in_ms = whole_ms(*row.retry_at - now);
  }
  if (row.ready_since && now > *row.ready_since) {
    view.ready_age_ms = whole_ms(now - *row.ready_since);
  }
  view.paused = row.paused;
  view.skipped_messages = row.skipped_messages;
  view.set_aside_messages = row.set_aside_messages;
  view.lost_messages = row.lost_messages;
  const SequenceNumber next(row.status.last_exported_sequence_number + 1);
  const SequenceNumber from = std::max(next, stream.log->oldest());
  view.waiting_messages = std::max<std::int64_t>(0, stream.log->durable_end() - from);
  if (view.waiting_messages > 0) {
    view.waiting_bytes = stream.log->bytes_from(from);
    view.oldest_waiting_append_ms = stream.log->append_ms_near(from);
  }
  view.reason = reason_of(row, view);
  return view;
}

std::string StatusBoard::reason_of(const Row& row, const ExportView& view) {
  if (!row.placed) return "reading its saved position";
  switch (row.state) {
    case State::kIdle:
      if (view.waiting_messages == 0 && row.config.start_sequence_number.value_or(0) > 0 &&
          row.status.exported_messages_count == 0) {
        return fmt::format("waiting for message {}, where it starts",
                           row.status.last_exported_sequence_number + 1);
      }
      return "";
    case State::kCollecting:
      return fmt::format("waiting for {} messages or {}", row.batch_messages,
                         seconds_text(row.config.batch_interval_ms.value_or(0)));
    case State::kReady:
      return "waiting for a free worker";
    case State::kInFlight:
      if (row.paused) return "paused; finishing the delivery under way";
      return row.config.disabled.value_or(false) ? "disabled; finishing the delivery under way"
                                                 : "";
    case State::kBackoff:
      return fmt::format("{}: {}", row.resending ? "backing off, part was refused" : "backing off",
                         row.status.error_message);
    case State::kStopped:
      return row.paused ? "paused by hand until weir export resume" : "disabled";
    case State::kBroken:
    case State::kServiceRetired:
      return row.broken;
  }
  return "";
}

void StatusBoard::collect(metrics::Samples& samples) const {
  const std::int64_t wall_ms = clock_.wall_ms();
  for (const ExportView& view : views()) {
    const std::string& stream = view.stream_name;
    const std::string& name = view.config.identifier;
    const char* type = model::export_type_name(view.config.type);
    const auto add = [&](const metrics::Descriptor& descriptor, double value) {
      samples.add(descriptor, {stream, name, type}, value);
    };
    const auto seconds = [](std::int64_t ms) { return static_cast<double>(ms) / 1000; };
    const std::int64_t oldest_ms = view.oldest_waiting_append_ms;
    add(metric::kExportMessages, static_cast<double>(view.status.exported_messages_count));
    add(metric::kExportBytes, static_cast<double>(view.status.exported_bytes_from_stream));
    add(metric::kExportSkipped, static_cast<double>(view.skipped_messages));
    add(metric::kExportDeadLetters, static_cast<double>(view.set_aside_messages));
    add(metric::kExportLost, static_cast<double>(view.lost_messages));
    add(metric::kLagMessages, static_cast<double>(view.waiting_messages));
    add(metric::kLagBytes, static_cast<double>(view.waiting_bytes));
    add(metric::kLagSeconds,
        oldest_ms > 0 ? seconds(std::max<std::int64_t>(0, wall_ms - oldest_ms)) : 0);
    add(metric::kFailuresInARow, static_cast<double>(view.consecutive_failures));
    add(metric::kBackoffSeconds, seconds(view.next_try_in_ms));
    add(metric::kReadyAgeSeconds, seconds(view.ready_age_ms));
    samples.add(metric::kState, {stream, name, type, state_name(view.state)}, 1);
  }
}

}  // namespace weir::exporter
