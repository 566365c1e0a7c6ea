#include "cli/overview.h"

#include "cli/screen_text.h"
#include "cli/status_fields.h"
#include "cli/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::cli {
namespace {

using nlohmann::json;

/// So long a ready export may wait for a worker before somebody should know.
constexpr std::int64_t kWorkerWaitMs = 60'000;

std::string plain_words(const std::string& state, const ExportRow& row) {
  const std::string because = row.error.empty() ? "" : ": " + row.error;
  if (state == "idle") return row.waiting == 0 ? "up to date" : "idle";
  if (state == "collecting") return "collecting a batch";
  if (state == "ready") return "waiting for a free worker";
  if (state == "in_flight") return "sending";
  if (state == "backoff") return "backing off" + because;
  if (state == "broken") return "broken" + because;
  return state.empty() ? "unknown" : state;
}

/// The server's own words, where it has some.
std::string state_words(const json& entry, const ExportRow& row) {
  std::string words = text_field(entry, "reason");
  if (words.empty()) {
    words = plain_words(row.state, row);
  } else if (row.state == "broken") {
    words = "broken: " + words;
  }
  return words;
}

Trouble trouble_of(const ExportRow& row, const std::string& failure) {
  if (row.paused) return Trouble::kNone;
  if (row.state == "broken") return Trouble::kNeedsPerson;
  if (row.state == "backoff") {
    const bool person = failure == "operator" || failure == "credentials" || failure == "clock";
    return person ? Trouble::kNeedsPerson : Trouble::kWaits;
  }
  return row.state == "ready" && row.oldest_ms > kWorkerWaitMs ? Trouble::kWaits : Trouble::kNone;
}

StreamRow read_stream(const json& entry) {
  StreamRow row;
  row.name = text_field(entry, "name");
  row.id = number_field(entry, "id");
  row.oldest = number_field(entry, "oldest");
  row.newest = number_field(entry, "newest");
  row.bytes = number_field(entry, "total_bytes");
  row.max = number_field(entry, "max_size");
  row.in_memory = text_field(entry, "persistence") == "memory";
  row.fault = text_field(entry, "fault");
  row.lost = number_field(entry, "lost_messages");
  row.per_second = decimal_field(entry, "appended_per_s");
  for (const json& each : part_field(entry, "exports")) {
    if (each.is_object()) row.exports.push_back(read_export(each, row.name));
  }
  return row;
}

void add_credentials(const json& status, std::vector<TroubleRow>& troubles) {
  for (const json& entry : part_field(status, "credentials")) {
    if (!entry.is_object()) continue;
    const bool expired =
        number_field(entry, "expires_ms") != 0 && number_field(entry, "expires_in_ms") <= 0;
    if (flag_field(entry, "have") && !expired) continue;
    const std::string role = text_field(entry, "role");
    const std::string error = text_field(entry, "error");
    troubles.push_back({role.empty() ? "AWS credentials" : "AWS credentials of " + role,
                        (expired ? "expired" : "none") + (error.empty() ? "" : ": " + error),
                        Trouble::kNeedsPerson});
  }
}

void add_connectors(const json& status, std::vector<TroubleRow>& troubles) {
  for (const json& entry : part_field(status, "connectors")) {
    const std::string state = text_field(entry, "state");
    if (!entry.is_object() || state == "connected" || state.empty()) continue;
    const std::string reason = text_field(entry, "reason");
    troubles.push_back({"connector " + text_field(entry, "name"),
                        "not connected" + (reason.empty() ? "" : ": " + reason),
                        state == "broken" ? Trouble::kNeedsPerson : Trouble::kWaits});
  }
}

void add_nucleus(const json& status, std::vector<TroubleRow>& troubles) {
  const json& nucleus = part_field(status, "nucleus");
  const std::string reason = text_field(nucleus, "reason");
  if (reason.empty()) return;
  troubles.push_back(
      {"Greengrass nucleus", "not connected, lets no new programs in: " + reason, Trouble::kWaits});
}

// Its texts, safe for a terminal and joined.
std::string joined_texts(const json& list) {
  std::string all;
  for (const json& each : list) {
    if (!each.is_string()) continue;
    all += (all.empty() ? "" : ", ") + visible(each.get_ref<const std::string&>());
  }
  return all;
}

void add_configuration(const json& status, std::vector<TroubleRow>& troubles) {
  const json& config = part_field(status, "config");
  if (const std::string why = joined_texts(part_field(config, "refused")); !why.empty()) {
    troubles.push_back(
        {"configuration", "refused, the one before is in force: " + why, Trouble::kNeedsPerson});
  }
  if (const std::string keys = joined_texts(part_field(config, "needs_restart")); !keys.empty()) {
    troubles.push_back({"configuration", "in force after a restart: " + keys, Trouble::kWaits});
  }
}

void add_troubles(const json& status, Overview& overview) {
  for (const json& entry : part_field(status, "unavailable_streams")) {
    const std::string name = text_field(entry, "name");
    overview.troubles.push_back(
        {"stream " + (name.empty() ? std::to_string(number_field(entry, "id")) : name),
         "not available: " + text_field(entry, "reason"), Trouble::kNeedsPerson});
  }
  for (const StreamRow& row : overview.streams) {
    if (!row.fault.empty()) {
      overview.troubles.push_back({"stream " + row.name, row.fault, Trouble::kNeedsPerson});
    }
  }
  add_credentials(status, overview.troubles);
  add_connectors(status, overview.troubles);
  add_nucleus(status, overview.troubles);
  add_configuration(status, overview.troubles);
}

double rate(std::int64_t now, std::int64_t before, double seconds) {
  return seconds <= 0 || now <= before ? 0 : static_cast<double>(now - before) / seconds;
}

}  // namespace

ExportRow read_export(const json& entry, const std::string& stream) {
  ExportRow row;
  row.stream = stream;
  row.name = text_field(entry, "identifier");
  row.type = text_field(entry, "type");
  row.target = text_field(entry, "target");
  const json& elsewhere = part_field(entry, "redirected_to");
  if (!elsewhere.empty()) {
    row.type = text_field(elsewhere, "type");
    row.target = text_field(elsewhere, "target");
  }
  row.state = text_field(entry, "state");
  row.error = text_field(entry, "last_error");
  row.waiting = number_field(entry, "waiting_messages");
  row.waiting_bytes = number_field(entry, "waiting_bytes");
  row.oldest_ms = number_field(entry, "oldest_waiting_age_ms");
  row.failures = number_field(entry, "consecutive_failures");
  row.exported = number_field(entry, "exported_messages");
  row.exported_bytes = number_field(entry, "exported_bytes");
  row.last_exported = number_field(entry, "last_exported");
  row.lost = number_field(entry, "lost_messages");
  row.skipped = number_field(entry, "skipped_messages");
  row.dead_letters = number_field(entry, "dead_letters");
  row.paused = flag_field(entry, "paused");
  row.cause = state_words(entry, row);
  row.words = row.cause;
  if (row.state == "backoff") {
    row.words += ", next try in " + human_duration(number_field(entry, "next_try_in_ms"));
  }
  row.trouble = trouble_of(row, text_field(entry, "failure_class"));
  row.per_second = decimal_field(entry, "exported_per_s");
  return row;
}

Overview read_overview(const json& status) {
  Overview overview;
  overview.version = text_field(status, "version");
  overview.pid = number_field(status, "pid");
  overview.uptime_ms = number_field(status, "uptime_ms");
  overview.connections = number_field(part_field(status, "server"), "connections");
  const json& store = part_field(status, "store");
  overview.free_bytes = number_field(store, "free_bytes");
  overview.total_bytes = number_field(store, "total_bytes");
  const json& warnings = part_field(status, "warnings");
  overview.warnings = number_field(warnings, "count");
  overview.last_warning = text_field(warnings, "newest");
  overview.bandwidth_bits = number_field(part_field(status, "bandwidth"), "limit_bits_per_s");
  for (const json& entry : part_field(status, "streams")) {
    if (entry.is_object()) overview.streams.push_back(read_stream(entry));
  }
  add_troubles(status, overview);
  return overview;
}

std::size_t Overview::export_count() const {
  std::size_t count = 0;
  for (const StreamRow& stream : streams) count += stream.exports.size();
  return count;
}

std::vector<const ExportRow*> Overview::stuck() const {
  std::vector<const ExportRow*> rows;
  for (const StreamRow& stream : streams) {
    for (const ExportRow& row : stream.exports) {
      if (row.trouble != Trouble::kNone) rows.push_back(&row);
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ExportRow* a, const ExportRow* b) {
    if (a->trouble != b->trouble) return a->trouble > b->trouble;
    return std::pair(a->oldest_ms, a->waiting) > std::pair(b->oldest_ms, b->waiting);
  });
  return rows;
}

double Overview::in_per_second() const {
  double sum = 0;
  for (const StreamRow& stream : streams) sum += stream.per_second;
  return sum;
}

double Overview::out_per_second() const {
  double sum = 0;
  for (const StreamRow& stream : streams) {
    for (const ExportRow& row : stream.exports) sum += row.per_second;
  }
  return sum;
}

void add_rates(Overview& now, const Overview& before, double seconds) {
  const bool same = now.pid == before.pid && now.uptime_ms >= before.uptime_ms;
  std::map<std::int64_t, const StreamRow*> known;
  for (const StreamRow& stream : before.streams) known[stream.id] = &stream;
  for (StreamRow& stream : now.streams) {
    const auto found = known.find(stream.id);
    const bool compare = same && found != known.end();
    stream.per_second = compare ? rate(stream.newest, found->second->newest, seconds) : 0;
    for (ExportRow& row : stream.exports) {
      row.per_second = 0;
      if (!compare) continue;
      for (const ExportRow& old : found->second->exports) {
        if (old.name == row.name) row.per_second = rate(row.exported, old.exported, seconds);
      }
    }
  }
}

std::string export_words(const ExportRow& row) {
  std::string line = row.words;
  if (row.waiting > 0) {
    line += fmt::format(", {} waiting", counted(row.waiting, "message"));
    if (row.oldest_ms > 0) line += ", oldest " + human_duration(row.oldest_ms);
  }
  if (row.skipped > 0) line += fmt::format("; {} skipped as unacceptable", grouped(row.skipped));
  if (row.dead_letters > 0) {
    line += fmt::format("; {} kept as dead letters", grouped(row.dead_letters));
  }
  if (row.lost > 0) {
    line += fmt::format("; {} never sent, deleted or moved past", grouped(row.lost));
  }
  return line;
}

std::string rate_text(double per_second) {
  if (per_second <= 0) return "-";
  if (per_second < 10) return fmt::format("{:.1f}", std::max(per_second, 0.1));
  return grouped(std::llround(per_second));
}

}  // namespace weir::cli
