#include "destination/s3/note.h"

#include <nlohmann/json.hpp>

namespace weir::destination::s3 {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

}  // namespace

std::string encode(const Note& note) {
  json out = {{"v", kVersion}, {"task", note.task}};
  if (!note.key.empty()) {
    out["bucket"] = note.bucket;
    out["key"] = note.key;
  }
  if (!note.upload.id.empty()) {
    const FileIdentity& file = note.upload.file;
    out["upload"] = {{"id", note.upload.id},
                     {"part", note.upload.part_bytes},
                     {"inode", file.inode},
                     {"bytes", file.bytes},
                     {"modified", file.modified_ns}};
  }
  if (note.end) {
    out["end"] = {{"status", static_cast<int>(note.end->status)},
                  {"message", note.end->message},
                  {"from", note.end->told_from}};
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Note> decode_note(std::string_view text) {
  try {
    const json in = json::parse(text);
    if (in.at("v").get<int>() != kVersion) return std::nullopt;
    Note note;
    note.task = in.at("task").get<std::int64_t>();
    note.bucket = in.value("bucket", std::string());
    note.key = in.value("key", std::string());
    if (const auto upload = in.find("upload"); upload != in.end()) {
      note.upload.id = upload->at("id").get<std::string>();
      note.upload.part_bytes = upload->at("part").get<std::int64_t>();
      note.upload.file = {upload->at("inode").get<std::uint64_t>(),
                          upload->at("bytes").get<std::int64_t>(),
                          upload->at("modified").get<std::int64_t>()};
      if (note.upload.part_bytes < 1) return std::nullopt;
    }
    if (const auto end = in.find("end"); end != in.end()) {
      const int status = end->at("status").get<int>();
      if (status < 0 || status > 4) return std::nullopt;
      note.end = TaskEnd{static_cast<TaskStatus>(status), end->at("message").get<std::string>(),
                         end->at("from").get<std::int64_t>()};
    }
    return note;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace weir::destination::s3
