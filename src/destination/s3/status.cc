#include "destination/s3/status.h"

#include "base/byte_buffer.h"
#include "destination/json_text.h"

#include <nlohmann/json.hpp>

namespace weir::destination::s3 {
namespace {

using nlohmann::json;

// A status repeats its task, which has at most 64 KiB, and adds a few short texts. Applications
// can append other things to a status stream.
constexpr std::size_t kStatusBytesMax = 256 * 1024;

void put(ByteBuffer& to, std::string_view text) { to.append(as_bytes(text)); }

const json* member(const json& of, const char* name) {
  const auto found = of.find(name);
  return found == of.end() ? nullptr : &*found;
}

bool is_text(const json* value, const std::string& text) {
  return value != nullptr && value->is_string() && value->get_ref<const std::string&>() == text;
}

}  // namespace

std::string status_message(const TaskName& task, std::string_view echo, const StatusReport& report,
                           std::int64_t wall_ms) {
  ByteBuffer out;
  put(out, R"({"eventType":0,"statusLevel":)");
  put(out, std::to_string(static_cast<int>(report.level)));
  put(out, R"(,"status":)");
  put(out, std::to_string(static_cast<int>(report.status)));
  put(out, R"(,"statusContext":{)");
  if (!echo.empty()) {
    put(out, R"("s3ExportTaskDefinition":)");
    put(out, echo);
    put(out, ",");
  }
  put(out, R"("exportIdentifier":")");
  append_json_text(out, task.export_identifier);
  put(out, R"(","streamName":")");
  append_json_text(out, task.stream_name);
  put(out, R"(","sequenceNumber":)");
  put(out, std::to_string(task.sequence.value()));
  put(out, R"(},"message":")");
  append_json_text(out, report.message);
  put(out, R"(","timestampEpochMs":)");
  put(out, std::to_string(wall_ms));
  put(out, "}");
  return std::string(as_text(out.bytes()));
}

bool says_completed(Bytes payload, const TaskName& task) {
  if (payload.size() > kStatusBytesMax) return false;
  const json document = json::parse(as_text(payload), nullptr, false);
  if (document.is_discarded() || !document.is_object()) return false;
  const json* status = member(document, "status");
  const json* context = member(document, "statusContext");
  if (status == nullptr || !status->is_number_integer() || context == nullptr ||
      !context->is_object()) {
    return false;
  }
  const json* sequence = member(*context, "sequenceNumber");
  const auto number = status->get<std::int64_t>();
  return (number == static_cast<int>(TaskStatus::kSuccess) ||
          number == static_cast<int>(TaskStatus::kFailure) ||
          number == static_cast<int>(TaskStatus::kCanceled)) &&
         is_text(member(*context, "exportIdentifier"), task.export_identifier) &&
         is_text(member(*context, "streamName"), task.stream_name) && sequence != nullptr &&
         sequence->is_number_integer() && sequence->get<std::int64_t>() == task.sequence.value();
}

}  // namespace weir::destination::s3
