#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "model/definition.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::destination::s3 {

/// What became of a task (protocol.md §7.3); the numbers are those of the SDKs.
enum class TaskStatus : std::uint8_t {
  kSuccess = 0,
  kFailure = 1,
  kInProgress = 2,
  kWarning = 3,
  kCanceled = 4,
};

/// True for the states a task ends in; each task gets exactly one of them.
constexpr bool is_completed(TaskStatus status) {
  return status == TaskStatus::kSuccess || status == TaskStatus::kFailure ||
         status == TaskStatus::kCanceled;
}

/// Names one task for the applications that wait for it.
struct TaskName {
  std::string stream_name;
  std::string export_identifier;
  SequenceNumber sequence;
};

struct StatusReport {
  TaskStatus status = TaskStatus::kInProgress;
  model::StatusLevel level = model::StatusLevel::kInfo;
  std::string_view message;  ///< for people; invalid UTF-8 becomes U+FFFD
};

/// A status message as the SDKs parse it. `echo` is the task's document, "" leaves it out. Pure.
std::string status_message(const TaskName& task, std::string_view echo, const StatusReport& report,
                           std::int64_t wall_ms);

/// True if `payload` is a status message that says `task` has ended. Pure.
bool says_completed(Bytes payload, const TaskName& task);

}  // namespace weir::destination::s3
