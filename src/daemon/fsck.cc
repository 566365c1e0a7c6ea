#include "daemon/fsck.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/progress.h"
#include "daemon/process.h"
#include "file/posix_file_system.h"
#include "stream/check.h"
#include "stream/repair.h"

#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

namespace weir::daemon {
namespace {

using nlohmann::json;
using stream::FileReport;
using stream::StoreReport;
using stream::StreamReport;
using stream::Verdict;

/// What there is to read, for the progress line only: 0 where it cannot be told.
std::int64_t segment_bytes(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::int64_t bytes = 0;
  fs::recursive_directory_iterator at(directory, fs::directory_options::skip_permission_denied,
                                      error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code unknown;
    if (at->path().extension() != ".seg") continue;
    const auto size = at->file_size(unknown);
    if (!unknown) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

bool is_sound(Verdict verdict) { return verdict == Verdict::kSound || verdict == Verdict::kTorn; }

json file_json(const FileReport& file, bool segment) {
  json out = {{"path", file.path},
              {"verdict", stream::verdict_name(file.verdict)},
              {"text", file.text},
              {"bytes", file.file_bytes}};
  if (!segment) return out;
  out["base"] = file.base.value();
  out["next"] = file.next.value();
  out["valid_end"] = file.valid_end;
  out["lost"] = json::array();
  for (const auto& hole : file.lost) {
    out["lost"].push_back({{"offset", hole.offset},
                           {"bytes", hole.bytes},
                           {"first", hole.first_lost.value()},
                           {"after", hole.first_after.value()}});
  }
  return out;
}

json stream_json(const StreamReport& stream) {
  json out = {{"id", stream.id.value()},
              {"name", stream.name},
              {"directory", stream.directory},
              {"persistence", stream.in_memory ? "memory" : "file"},
              {"verdict", stream::verdict_name(stream.worst())},
              {"messages", stream.messages},
              {"lost_messages", stream.lost_messages},
              {"definition", file_json(stream.definition, false)},
              {"segments", json::array()},
              {"cursors", json::array()},
              {"unknown_files", stream.unknown}};
  if (!stream.state.path.empty()) out["state"] = file_json(stream.state, false);
  for (const auto& file : stream.segments) out["segments"].push_back(file_json(file, true));
  for (const auto& file : stream.cursors) out["cursors"].push_back(file_json(file, false));
  return out;
}

void print_json(const std::string& directory, const StoreReport& report) {
  json out = {{"directory", directory},
              {"verdict", stream::verdict_name(report.worst())},
              {"in_use", report.in_use},
              {"clean_stop", report.clean},
              {"format", file_json(report.format, false)},
              {"state", file_json(report.state, false)},
              {"quarantined_files", report.quarantined_files},
              {"deleted_streams", report.deleted_streams},
              {"streams", json::array()}};
  for (const auto& stream : report.streams) out["streams"].push_back(stream_json(stream));
  fmt::print("{}\n", out.dump(2, ' ', false, json::error_handler_t::replace));
}

// Nothing is said of a sound file: what is said stands out.
void print_file(const FileReport& file) {
  if (file.verdict == Verdict::kSound && file.lost.empty()) return;
  fmt::print("  {}: {}{}\n", stream::verdict_name(file.verdict), log::escaped(file.path),
             file.text.empty() ? "" : ": " + log::escaped(file.text));
  if (file.lost.size() < 2) return;  // one is described already
  for (const auto& hole : file.lost) {
    fmt::print("    {} bytes at offset {}, messages {} to {}\n", hole.bytes, hole.offset,
               hole.first_lost.value(), hole.first_after.value() - 1);
  }
}

void print_stream(const StreamReport& stream) {
  const std::string name =
      stream.name.empty() ? "(name unreadable)" : "'" + log::escaped(stream.name) + "'";
  fmt::print("stream {} in {}: {}", name, stream.directory, stream::verdict_name(stream.worst()));
  if (stream.in_memory) {
    fmt::print(", kept in memory\n");
  } else {
    fmt::print(", {} message{} in {} segment{}", stream.messages, stream.messages == 1 ? "" : "s",
               stream.segments.size(), stream.segments.size() == 1 ? "" : "s");
    if (stream.lost_messages > 0) fmt::print(", {} lost", stream.lost_messages);
    fmt::print("\n");
  }
  print_file(stream.definition);
  if (!stream.state.path.empty()) print_file(stream.state);
  for (const auto& file : stream.segments) print_file(file);
  for (const auto& file : stream.cursors) print_file(file);
  for (const auto& name_of_file : stream.unknown) {
    fmt::print("  not read: {}\n", log::escaped(name_of_file));
  }
}

void print_text(const std::string& directory, const StoreReport& report) {
  if (report.in_use) {
    fmt::print("A running weir uses this store; what it is writing may look torn.\n");
  }
  print_file(report.format);
  print_file(report.state);
  for (const auto& stream : report.streams) print_stream(stream);
  if (report.quarantined_files > 0) {
    fmt::print("{} file{} of damaged bytes kept in quarantine\n", report.quarantined_files,
               report.quarantined_files == 1 ? "" : "s");
  }
  if (report.deleted_streams > 0) {
    fmt::print("{} deleted stream{} not yet removed; the next start does it\n",
               report.deleted_streams, report.deleted_streams == 1 ? "" : "s");
  }
  fmt::print("{}: {}, {} stream{}{}\n", log::escaped(directory),
             stream::verdict_name(report.worst()), report.streams.size(),
             report.streams.size() == 1 ? "" : "s",
             report.clean || report.in_use ? "" : ", not stopped in order");
}

/// Opens a store of ours, or says why not.
std::unique_ptr<file::FileSystem> open_store(const std::string& directory) {
  auto disk = file::open_posix(directory);
  if (disk) return std::move(*disk);
  fmt::print(stderr, "weir fsck: {}: {}\n", log::escaped(directory), disk.error().what);
  return nullptr;
}

}  // namespace

int repair(const std::string& directory, bool as_json) {
  const auto disk = open_store(directory);
  if (disk == nullptr) return 1;
  SystemClock clock;
  json changes = json::array();
  const auto report = stream::repair_store(*disk, clock, boot_id(), [&](const std::string& what) {
    changes.push_back(what);
    // At once: who watches wants to see that something happens.
    if (!as_json) fmt::print("{}\n", log::escaped(what, 2'048));
    std::fflush(stdout);
  });
  if (!report) {
    fmt::print(stderr, "weir fsck: {}: {}\n", log::escaped(directory), report.error().what);
    return 1;
  }
  const Verdict now = report->after.worst();
  if (as_json) {
    const json out = {{"directory", directory},
                      {"before", stream::verdict_name(report->before.worst())},
                      {"verdict", stream::verdict_name(now)},
                      {"changes", changes},
                      {"quarantine", report->quarantine}};
    fmt::print("{}\n", out.dump(2, ' ', false, json::error_handler_t::replace));
  } else {
    if (now != Verdict::kSound) print_text(directory, report->after);
    fmt::print("{}: was {}, is {}{}\n", log::escaped(directory),
               stream::verdict_name(report->before.worst()), stream::verdict_name(now),
               report->changes == 0 ? "; nothing had to be changed" : "");
    if (!report->quarantine.empty()) {
      fmt::print("What was replaced or cannot be read is in {}/{}; nothing was deleted.\n",
                 log::escaped(directory), report->quarantine);
    }
  }
  return is_sound(now) ? 0 : 1;
}

int fsck(const std::string& directory, bool as_json) {
  auto disk = file::open_posix(directory);
  if (!disk) {
    fmt::print(stderr, "weir fsck: {}: {}\n", log::escaped(directory), disk.error().what);
    return 1;
  }
  cli::Progress progress("checking", segment_bytes(directory), cli::Progress::Unit::kBytes);
  const auto report = stream::check_store(**disk, [&](std::int64_t bytes) { progress.at(bytes); });
  progress.clear();
  if (!report) {
    fmt::print(stderr, "weir fsck: {}: {}\n", log::escaped(directory), report.error().what);
    return 1;
  }
  if (as_json) {
    print_json(directory, *report);
  } else {
    print_text(directory, *report);
  }
  return is_sound(report->worst()) ? 0 : 1;
}

}  // namespace weir::daemon
