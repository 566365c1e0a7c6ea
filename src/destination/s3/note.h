#pragma once

#include "destination/s3/input_file.h"
#include "destination/s3/status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::destination::s3 {

/// A multipart upload that was begun. Valid while `id` is not empty.
struct BegunUpload {
  std::string id;
  std::int64_t part_bytes = 0;
  FileIdentity file;      ///< as it was when the upload was begun; its size is that of the object
  int failed_aborts = 0;  ///< how often this process could not take its parts away
};

/// How a task ended, before applications were told.
struct TaskEnd {
  TaskStatus status = TaskStatus::kFailure;
  std::string message;
  /// Where in the status stream the message about it can stand at the earliest.
  std::int64_t told_from = 0;
};

/// What an S3 export remembers beside its position. All tasks before `task` are done and told.
struct Note {
  std::int64_t task = -1;  ///< the sequence number this is about; -1 = none
  std::string bucket;
  std::string key;  ///< with the time of the upload filled in; "" = not yet
  BegunUpload upload;
  std::optional<TaskEnd> end;
};

std::string encode(const Note& note);
/// None if `text` is not a note; then nothing is remembered. Pure.
std::optional<Note> decode_note(std::string_view text);

}  // namespace weir::destination::s3
