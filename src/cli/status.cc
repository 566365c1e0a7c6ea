#include "cli/status.h"

#include "base/log.h"
#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;

std::int64_t number(const json& entry, const char* key) {
  const auto found = entry.find(key);
  return found != entry.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

std::string text(const json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_string()) return {};
  return log::escaped(found->get_ref<const std::string&>(), 512);
}

const json& part(const json& entry, const char* key) {
  static const json none = json::object();
  const auto found = entry.find(key);
  return found != entry.end() && found->is_structured() ? *found : none;
}

std::string words_for(const std::string& state, const json& entry) {
  const std::string error = text(entry, "last_error");
  const std::string because = error.empty() ? "" : ": " + error;
  if (state == "idle") return number(entry, "waiting_messages") == 0 ? "up to date" : "idle";
  if (state == "collecting") return "collecting a batch";
  if (state == "ready") return "waiting for a free worker";
  if (state == "in_flight") return "sending";
  if (state == "backoff") return "backing off" + because;
  if (state == "broken") return "broken" + because;
  return state.empty() ? "unknown" : state;
}

/// The server's own words, where it has some.
std::string state_words(const json& entry) {
  const std::string state = text(entry, "state");
  std::string words = text(entry, "reason");
  if (words.empty()) {
    words = words_for(state, entry);
  } else if (state == "broken") {
    words = "broken: " + words;
  }
  if (state == "backoff") {
    words += ", next try in " + human_duration(number(entry, "next_try_in_ms"));
  }
  return words;
}

std::string stream_line(const json& stream) {
  const std::int64_t oldest = number(stream, "oldest");
  const std::int64_t newest = number(stream, "newest");
  std::string line = text(stream, "name") + "\n  ";
  if (newest >= oldest) {
    line += fmt::format("{}, numbers {} to {}, {} of {}", counted(newest - oldest + 1, "message"),
                        oldest, newest, human_bytes(number(stream, "total_bytes")),
                        human_bytes(number(stream, "max_size")));
  } else {
    line += "empty; the next message gets number " + std::to_string(oldest);
  }
  if (text(stream, "persistence") == "memory") line += ", in memory";
  line += "\n";
  const std::string fault = text(stream, "fault");
  if (!fault.empty()) line += "  FAULT: " + fault + "\n";
  const std::int64_t lost = number(stream, "lost_messages");
  if (lost > 0) line += fmt::format("  LOST: {}, damaged on disk\n", counted(lost, "message"));
  return line;
}

std::string head_line(const json& status) {
  const json& store = part(status, "store");
  const json& server = part(status, "server");
  std::string line =
      fmt::format("weir {}, process {}, up {}\n", text(status, "version"), number(status, "pid"),
                  human_duration(number(status, "uptime_ms")));
  line += fmt::format("  port {}, {}", number(server, "port"),
                      counted(number(server, "connections"), "connection"));
  const std::int64_t parked = number(server, "parked_reads");
  if (parked > 0) line += fmt::format(", {}", counted(parked, "waiting read"));
  line += fmt::format("\n  store {}, {} of {} free\n", text(store, "directory"),
                      human_bytes(number(store, "free_bytes")),
                      human_bytes(number(store, "total_bytes")));
  return line;
}

std::string credentials_line(const json& entry) {
  const std::string role = text(entry, "role");
  const std::string source = text(entry, "source");
  const std::string error = text(entry, "error");
  const auto found = entry.find("have");
  const bool have = found != entry.end() && found->is_boolean() && found->get<bool>();
  std::string line = role.empty() ? "  AWS credentials: " : "  AWS credentials of " + role + ": ";
  if (have) {
    line += source;
    const std::int64_t left_ms = number(entry, "expires_in_ms");
    if (number(entry, "expires_ms") == 0) {
      line += ", without end";
    } else {
      line += left_ms > 0 ? ", for another " + human_duration(left_ms) : ", EXPIRED";
    }
  } else {
    line += "NONE";
  }
  line += "\n";
  if (!error.empty()) line += "    " + error + "\n";
  return line;
}

std::string connector_words(const json& entry) {
  const std::string state = text(entry, "state");
  const std::string reason = text(entry, "reason");
  if (state == "connected") return reason.empty() ? "connected" : "connected, but " + reason;
  std::string words = state == "broken" ? "broken" : "not connected";
  if (!reason.empty()) words += ": " + reason;
  if (state == "disconnected" || state == "broken") {
    words += ", next try in " + human_duration(number(entry, "next_try_in_ms"));
  }
  return words;
}

std::string connector_lines(const json& entry) {
  std::string lines =
      fmt::format("\nconnector {} ({}, version {}), {}, MQTT {}\n  {}\n", text(entry, "name"),
                  text(entry, "type"), number(entry, "version"), text(entry, "broker"),
                  text(entry, "mqtt_version"), connector_words(entry));
  const std::int64_t open = number(entry, "unacknowledged_messages");
  if (open > 0) lines += fmt::format("  {} not acknowledged yet\n", counted(open, "message"));
  for (const json& queue : part(entry, "queues")) {
    lines += fmt::format("  to {}{}\n    {}\n", text(queue, "arn"),
                         text(queue, "persistence") == "memory" ? ", in memory" : "",
                         export_line(queue));
  }
  const json& answers = part(entry, "answers");
  if (!answers.empty()) {
    lines +=
        fmt::format("  answers on {}\n    {}\n", text(answers, "target"), export_line(answers));
  }
  return lines;
}

int run(const Arguments& arguments) {
  const auto status = ask_status(AdminFlags::from(arguments));
  if (!status) return failed(status.error());
  Output out;
  out.write(arguments.text("--output") == "json" ? status->dump(2) + "\n" : status_text(*status));
  out.flush();
  return kOk;
}

}  // namespace

std::string export_line(const json& entry) {
  std::string line = state_words(entry);
  const std::int64_t waiting = number(entry, "waiting_messages");
  if (waiting > 0) {
    line += fmt::format(", {} waiting", counted(waiting, "message"));
    const std::int64_t age = number(entry, "oldest_waiting_age_ms");
    if (age > 0) line += ", oldest " + human_duration(age);
  }
  const std::int64_t skipped = number(entry, "skipped_messages");
  if (skipped > 0) line += fmt::format("; {} skipped as unacceptable", grouped(skipped));
  const std::int64_t letters = number(entry, "dead_letters");
  if (letters > 0) line += fmt::format("; {} kept as dead letters", grouped(letters));
  const std::int64_t lost = number(entry, "lost_messages");
  if (lost > 0) line += fmt::format("; {} deleted before they were exported", grouped(lost));
  return line;
}

std::string status_text(const json& status) {
  std::string out = head_line(status);
  for (const json& entry : part(status, "credentials")) {
    if (entry.is_object()) out += credentials_line(entry);
  }
  for (const json& entry : part(status, "connectors")) {
    if (entry.is_object()) out += connector_lines(entry);
  }
  const json& streams = part(status, "streams");
  const json& unavailable = part(status, "unavailable_streams");
  for (const json& stream : unavailable) {
    const std::string name = text(stream, "name");
    out += fmt::format("\n{}\n  UNAVAILABLE: {}\n",
                       name.empty() ? "stream " + std::to_string(number(stream, "id")) +
                                          ", whose name cannot be read either"
                                    : name,
                       text(stream, "reason"));
  }
  if (streams.empty() && unavailable.empty()) {
    out += "\nno streams yet; create one with: weir stream create NAME\n";
  }
  for (const json& stream : streams) {
    out += "\n" + stream_line(stream);
    for (const json& entry : part(stream, "exports")) {
      const std::string target = text(entry, "target");
      out += fmt::format("  export {} ({}{}{}), {} exported\n", text(entry, "identifier"),
                         text(entry, "type"), target.empty() ? "" : " -> ", target,
                         grouped(number(entry, "exported_messages")));
      const json& elsewhere = part(entry, "redirected_to");
      if (!elsewhere.empty()) {
        const std::string to = text(elsewhere, "target");
        out += fmt::format("    redirected to {}{}{}\n", text(elsewhere, "type"),
                           to.empty() ? "" : " -> ", to);
      }
      out += fmt::format("    {}\n", export_line(entry));
    }
  }
  return out;
}

Result<json> parse_status(const std::string& body) {
  json status = json::parse(body, nullptr, false);
  if (status.is_discarded() || !status.is_object()) {
    return fail(Errc::kCorrupt,
                "the answer is not a status document; is this weir's admin port? Another one: "
                "--admin-port");
  }
  return status;
}

Command status_command() {
  return {.name = "status",
          .summary = "Show every stream and every export, and why an export waits.",
          .flags = joined({output_flag()}, AdminFlags::flags()),
          .examples = {{"weir status -o json | jq '.streams[].exports[] | select(.state == "
                        "\"backoff\")'"}},
          .run = run};
}

}  // namespace weir::cli
