#include "daemon/status_board.h"

#include "base/recent_lines.h"
#include "connector/streams.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace weir::daemon {
namespace {

using nlohmann::json;

json export_json(const exporter::ExportView& view, std::int64_t wall_ms) {
  const std::int64_t oldest = view.oldest_waiting_append_ms;
  return {
      {"identifier", view.config.identifier},
      {"type", model::export_type_name(view.config.type)},
      {"target", view.config.target},
      {"state", exporter::state_name(view.state)},
      {"reason", view.reason},
      {"last_error", view.last_error},
      {"failure_class", exporter::failure_class_name(view.last_failure)},
      {"consecutive_failures", view.consecutive_failures},
      {"next_try_in_ms", view.next_try_in_ms},
      {"waiting_messages", view.waiting_messages},
      {"waiting_bytes", view.waiting_bytes},
      {"oldest_waiting_age_ms", oldest == 0 ? 0 : std::max<std::int64_t>(0, wall_ms - oldest)},
      {"exported_messages", view.status.exported_messages_count},
      {"exported_bytes", view.status.exported_bytes_from_stream},
      {"paused", view.paused},
      {"skipped_messages", view.skipped_messages},
      {"dead_letters", view.set_aside_messages},
      {"lost_messages", view.lost_messages},
      {"last_exported", view.status.last_exported_sequence_number},
      {"on_wire", view.on_wire},
  };
}

// Where an export really goes, where configuration says so.
void add_redirect(json& entry, const exporter::ExportView& view, const std::string& stream,
                  const Config* config) {
  if (config == nullptr) return;
  const RedirectRule* rule = config->redirect_of(stream, view.config);
  if (rule == nullptr) return;
  entry["redirected_to"] = {{"type", model::export_type_name(rule->to.config.type)},
                            {"target", rule->to.config.target}};
}

// Never what the credentials are.
json credentials_json(const std::vector<destination::CredentialsView>& views,
                      std::int64_t wall_ms) {
  json all = json::array();
  for (const auto& view : views) {
    if (!view.have && view.error.empty()) continue;  // nobody needed them yet
    all.push_back({{"role", view.role},
                   {"source", view.source},
                   {"have", view.have},
                   {"expires_ms", view.expires_ms},
                   {"expires_in_ms", view.expires_ms == 0 ? 0 : view.expires_ms - wall_ms},
                   {"error", view.error}});
  }
  return all;
}

json stream_json(const StatusBoard::Row& row) {
  const SequenceNumber oldest = row.log->oldest();
  const SequenceNumber end = std::max(oldest, row.log->visible_end());
  return {
      {"name", row.name},
      {"id", row.id.value()},
      {"oldest", oldest.value()},
      {"newest", end.value() - 1},
      {"total_bytes", row.log->bytes_from(oldest)},
      {"max_size", row.max_size},
      {"persistence", row.persistence == model::Persistence::kFile ? "file" : "memory"},
      {"fault", row.fault},
      {"lost_messages", row.lost_messages},
      {"appended_per_s", std::round(row.appended_per_s * 10) / 10},
      {"exports", json::array()},
  };
}

// The first thing to look at: how often it complained, and about what last.
json warnings_json() {
  const auto lines = log::recent_lines(0);
  if (lines.empty()) return {{"count", 0}, {"newest", ""}, {"newest_ms", 0}};
  return {{"count", lines.back().number},
          {"newest", lines.back().text},
          {"newest_ms", lines.back().wall_ms}};
}

json connector_json(const connector::ConnectorView& view,
                    const std::vector<exporter::ExportView>& exports, std::int64_t wall_ms) {
  json entry = {
      {"name", view.name},
      {"type", "firehose"},
      {"version", view.version},
      {"broker", view.broker},
      {"mqtt_version", view.mqtt_version == mqtt::Version::k5 ? "5" : "3.1.1"},
      {"default_arn", view.default_arn},
      {"state", connector::state_name(view.state)},
      {"reason", view.reason},
      {"next_try_in_ms", view.next_try_in_ms},
      {"unacknowledged_messages", view.unacknowledged_messages},
      {"queues", json::array()},
  };
  for (const auto& one : exports) {
    const auto role = connector::role_of_stream(one.stream_name);
    if (!role || role->connector != view.name) continue;
    json part = export_json(one, wall_ms);
    part["stream"] = one.stream_name;
    if (role->kind == connector::StreamRole::Kind::kAnswers) {
      if (one.config.identifier == connector::kAnswersExport) entry["answers"] = std::move(part);
    } else if (one.config.identifier == connector::kQueueExport) {
      part["arn"] = role->target.text();
      part["persistence"] = role->memory ? "memory" : "file";
      entry["queues"].push_back(std::move(part));
    }
  }
  return entry;
}

json config_state_json(const ProcessStatus& process) {
  const Config& config = *process.config;
  return {{"file", config.files.empty() ? "" : config.files.front()},
          {"loaded_ms", config.loaded_ms},
          {"sha256", config.sha256},
          {"needs_restart", process.reload.needs_restart},
          {"refused", process.reload.refused},
          {"refused_ms", process.reload.refused_ms}};
}

}  // namespace

void StatusBoard::stream_changed(stream::Stream& stream) {
  Row row;
  row.id = stream.id();
  row.name = stream.definition().name;
  row.max_size = stream.definition().max_size_or_default();
  row.persistence = stream.definition().persistence_or_default();
  row.on_full = stream.definition().strategy_on_full;
  row.time_to_live_ms = stream.definition().time_to_live_ms.value_or(0);
  row.fault = stream.fault();
  row.lost_messages = stream.lost_messages();
  row.log = stream.log();
  row.measured_end = row.log->visible_end();
  const MutexLock lock(mutex_);
  Row& known = rows_[row.id];
  if (known.log != nullptr) {
    row.appended_per_s = known.appended_per_s;
    row.measured_end = known.measured_end;
  }
  known = std::move(row);
}

void StatusBoard::stream_removed(StreamId id) {
  const MutexLock lock(mutex_);
  rows_.erase(id);
}

void StatusBoard::refresh_faults(const std::vector<stream::Stream*>& streams) {
  const MutexLock lock(mutex_);
  for (const auto* stream : streams) {
    const auto found = rows_.find(stream->id());
    if (found == rows_.end()) continue;
    found->second.fault = stream->fault();
    found->second.lost_messages = stream->lost_messages();
  }
}

void StatusBoard::measure(Instant now) {
  const double seconds = std::chrono::duration<double>(now - measured_).count();
  if (now - measured_ < kMeasureInterval) return;
  const bool first = measured_ == Instant{};
  measured_ = now;
  const MutexLock lock(mutex_);
  for (auto& [id, row] : rows_) {
    const SequenceNumber end = row.log->visible_end();
    const auto appended = end.value() - row.measured_end.value();
    row.appended_per_s = first || appended <= 0 ? 0 : static_cast<double>(appended) / seconds;
    row.measured_end = end;
  }
}

std::vector<StatusBoard::Row> StatusBoard::rows() const {
  std::vector<Row> all;
  {
    const MutexLock lock(mutex_);
    all.reserve(rows_.size());
    for (const auto& [id, row] : rows_) all.push_back(row);
  }
  std::sort(all.begin(), all.end(), [](const Row& a, const Row& b) { return a.name < b.name; });
  return all;
}

std::optional<StatusBoard::Row> StatusBoard::next(StreamId after) const {
  const MutexLock lock(mutex_);
  const auto found = rows_.upper_bound(after);
  return found == rows_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<StatusBoard::Row> StatusBoard::find(std::string_view name) const {
  const MutexLock lock(mutex_);
  for (const auto& [id, row] : rows_) {
    if (row.name == name) return row;
  }
  return std::nullopt;
}

std::string status_json(const ProcessStatus& process, const std::vector<StatusBoard::Row>& streams,
                        const std::vector<exporter::ExportView>& exports) {
  json document = {
      {"version", WEIR_VERSION},
      {"pid", ::getpid()},
      {"uptime_ms", process.uptime_ms},
      {"store",
       {{"directory", process.store_directory},
        {"free_bytes", process.space.free_bytes},
        {"total_bytes", process.space.total_bytes}}},
      {"server",
       {{"port", process.server_port},
        {"connections", process.server.connections},
        {"parked_reads", process.server.parked_reads}}},
      {"admin", {{"token_file", process.admin_token_file}}},
      {"credentials", credentials_json(process.credentials, process.wall_ms)},
      {"streams", json::array()},
      {"unavailable_streams", json::array()},
      {"connectors", json::array()},
  };
  if (process.nucleus) {
    document["nucleus"] = {{"socket", process.nucleus->socket},
                           {"state", process.nucleus->trouble.empty() ? "connected" : "waiting"},
                           {"reason", process.nucleus->trouble}};
  }
  document["warnings"] = warnings_json();
  if (process.config != nullptr) {
    document["config"] = config_state_json(process);
    document["bandwidth"] = {
        {"limit_bits_per_s", process.config->transport.bandwidth_bits_per_second}};
  }
  for (const auto& view : process.connectors) {
    document["connectors"].push_back(connector_json(view, exports, process.wall_ms));
  }
  for (const auto& one : process.unavailable) {
    document["unavailable_streams"].push_back(
        {{"name", one.name}, {"id", one.id.value()}, {"reason", one.why}});
  }
  std::map<StreamId, std::vector<const exporter::ExportView*>> by_stream;
  for (const auto& view : exports) by_stream[view.stream_id].push_back(&view);
  for (const auto& row : streams) {
    json entry = stream_json(row);
    for (const auto* view : by_stream[row.id]) {
      json one = export_json(*view, process.wall_ms);
      add_redirect(one, *view, row.name, process.config);
      entry["exports"].push_back(std::move(one));
    }
    document["streams"].push_back(std::move(entry));
  }
  // Error texts come from outside and may be anything.
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string recent_log_json() {
  json lines = json::array();
  for (const auto& line : log::recent_lines(0)) {
    lines.push_back({{"number", line.number},
                     {"time_ms", line.wall_ms},
                     {"level", line.level == log::Level::kError ? "error" : "warn"},
                     {"text", line.text}});
  }
  return json{{"lines", lines}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace weir::daemon
