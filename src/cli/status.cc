#include "cli/status.h"

#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/overview.h"
#include "cli/status_fields.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;

std::string stream_line(const json& stream) {
  const std::int64_t oldest = number_field(stream, "oldest");
  const std::int64_t newest = number_field(stream, "newest");
  std::string line = text_field(stream, "name") + "\n  ";
  if (newest >= oldest) {
    line += fmt::format("{}, numbers {} to {}, {} of {}", counted(newest - oldest + 1, "message"),
                        oldest, newest, human_bytes(number_field(stream, "total_bytes")),
                        human_bytes(number_field(stream, "max_size")));
  } else {
    line += "empty; the next message gets number " + std::to_string(oldest);
  }
  if (text_field(stream, "persistence") == "memory") line += ", in memory";
  line += "\n";
  const std::string fault = text_field(stream, "fault");
  if (!fault.empty()) line += "  FAULT: " + fault + "\n";
  const std::int64_t lost = number_field(stream, "lost_messages");
  if (lost > 0) line += fmt::format("  LOST: {}, damaged on disk\n", counted(lost, "message"));
  return line;
}

std::string head_line(const json& status) {
  const json& store = part_field(status, "store");
  const json& server = part_field(status, "server");
  std::string line =
      fmt::format("weir {}, process {}, up {}\n", text_field(status, "version"),
                  number_field(status, "pid"), human_duration(number_field(status, "uptime_ms")));
  line += fmt::format("  port {}, {}", number_field(server, "port"),
                      counted(number_field(server, "connections"), "connection"));
  const std::int64_t parked = number_field(server, "parked_reads");
  if (parked > 0) line += fmt::format(", {}", counted(parked, "waiting read"));
  line += fmt::format("\n  store {}, {} of {} free\n", text_field(store, "directory"),
                      human_bytes(number_field(store, "free_bytes")),
                      human_bytes(number_field(store, "total_bytes")));
  return line;
}

std::string credentials_line(const json& entry) {
  const std::string role = text_field(entry, "role");
  const std::string source = text_field(entry, "source");
  const std::string error = text_field(entry, "error");
  const auto found = entry.find("have");
  const bool have = found != entry.end() && found->is_boolean() && found->get<bool>();
  std::string line = role.empty() ? "  AWS credentials: " : "  AWS credentials of " + role + ": ";
  if (have) {
    line += source;
    const std::int64_t left_ms = number_field(entry, "expires_in_ms");
    if (number_field(entry, "expires_ms") == 0) {
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
  const std::string state = text_field(entry, "state");
  const std::string reason = text_field(entry, "reason");
  if (state == "connected") return reason.empty() ? "connected" : "connected, but " + reason;
  std::string words = state == "broken" ? "broken" : "not connected";
  if (!reason.empty()) words += ": " + reason;
  if (state == "disconnected" || state == "broken") {
    words += ", next try in " + human_duration(number_field(entry, "next_try_in_ms"));
  }
  return words;
}

std::string connector_lines(const json& entry) {
  std::string lines = fmt::format("\nconnector {} ({}, version {}), {}, MQTT {}\n  {}\n",
                                  text_field(entry, "name"), text_field(entry, "type"),
                                  number_field(entry, "version"), text_field(entry, "broker"),
                                  text_field(entry, "mqtt_version"), connector_words(entry));
  const std::int64_t open = number_field(entry, "unacknowledged_messages");
  if (open > 0) lines += fmt::format("  {} not acknowledged yet\n", counted(open, "message"));
  for (const json& queue : part_field(entry, "queues")) {
    lines += fmt::format("  to {}{}\n    {}\n", text_field(queue, "arn"),
                         text_field(queue, "persistence") == "memory" ? ", in memory" : "",
                         export_line(queue));
  }
  const json& answers = part_field(entry, "answers");
  if (!answers.empty()) {
    lines += fmt::format("  answers on {}\n    {}\n", text_field(answers, "target"),
                         export_line(answers));
  }
  return lines;
}

constexpr std::size_t kLines = 24;
constexpr std::size_t kColumns = 80;

int run(const Arguments& arguments) {
  const auto status = ask_status(AdminFlags::from(arguments));
  if (!status) return failed(status.error());
  Output out;
  if (arguments.text("--output") == "json") {
    out.write(status->dump(2) + "\n");
  } else if (arguments.has("--all")) {
    out.write(status_text(*status));
  } else {
    const std::size_t columns = terminal_size(out.fd()).columns;
    out.write(overview_text(read_overview(*status), kLines, columns == 0 ? kColumns : columns));
  }
  out.flush();
  return kOk;
}

}  // namespace

std::string export_line(const json& entry) { return export_words(read_export(entry, "")); }

std::string status_text(const json& status) {
  std::string out = head_line(status);
  for (const json& entry : part_field(status, "credentials")) {
    if (entry.is_object()) out += credentials_line(entry);
  }
  for (const json& entry : part_field(status, "connectors")) {
    if (entry.is_object()) out += connector_lines(entry);
  }
  const json& streams = part_field(status, "streams");
  const json& unavailable = part_field(status, "unavailable_streams");
  for (const json& stream : unavailable) {
    const std::string name = text_field(stream, "name");
    out += fmt::format("\n{}\n  UNAVAILABLE: {}\n",
                       name.empty() ? "stream " + std::to_string(number_field(stream, "id")) +
                                          ", whose name cannot be read either"
                                    : name,
                       text_field(stream, "reason"));
  }
  if (streams.empty() && unavailable.empty()) {
    out += "\nno streams yet; create one with: weir stream create NAME\n";
  }
  for (const json& stream : streams) {
    out += "\n" + stream_line(stream);
    for (const json& entry : part_field(stream, "exports")) {
      const std::string target = text_field(entry, "target");
      out += fmt::format("  export {} ({}{}{}), {} exported\n", text_field(entry, "identifier"),
                         text_field(entry, "type"), target.empty() ? "" : " -> ", target,
                         grouped(number_field(entry, "exported_messages")));
      const json& elsewhere = part_field(entry, "redirected_to");
      if (!elsewhere.empty()) {
        const std::string to = text_field(elsewhere, "target");
        out += fmt::format("    redirected to {}{}{}\n", text_field(elsewhere, "type"),
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
          .summary = "Show how weir is: what is stuck and why, then the busiest streams.",
          .description =
              "The whole picture in 24 lines: what needs a person comes first, then what waits "
              "longest. --all shows every stream with all its exports. It answers while weir's "
              "other threads are stuck, too.",
          .flags =
              joined({{"-a,--all", "", "Everything about every stream and export."}, output_flag()},
                     AdminFlags::flags()),
          .examples = {{"weir status -o json | jq '.streams[].exports[] | select(.state == "
                        "\"backoff\")'"}},
          .run = run};
}

}  // namespace weir::cli
