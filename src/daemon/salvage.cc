#include "daemon/salvage.h"

#include "base/log.h"
#include "cli/message_format.h"
#include "file/posix_file_system.h"
#include "stream/salvage.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weir::daemon {
namespace {

using nlohmann::json;

constexpr const char* kListName = "salvage.json";

/// A file that is written once, whole, with errors that name it.
class Text {
 public:
  explicit Text(std::string path)
      : path_(std::move(path)), file_(std::fopen(path_.c_str(), "wxe")) {
    if (file_ == nullptr) first_errno_ = errno;
  }
  ~Text() {
    if (file_ != nullptr) std::fclose(file_);
  }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  Result<void> write(std::string_view text) {
    if (file_ == nullptr) return failed(first_errno_);
    if (std::fwrite(text.data(), 1, text.size(), file_) == text.size()) return {};
    return failed(errno);
  }
  Result<void> close() {
    if (file_ == nullptr) return failed(first_errno_);
    const bool good = std::fflush(file_) == 0 && ::fsync(::fileno(file_)) == 0;
    const int reason = errno;
    std::fclose(std::exchange(file_, nullptr));
    return good ? Result<void>() : failed(reason);
  }

 private:
  [[nodiscard]] Result<void> failed(int reason) const {
    return fail(os_error("write '" + log::escaped(path_) + "'", reason));
  }

  std::string path_;
  std::FILE* file_;
  int first_errno_ = 0;
};

/// Writes `<id>.jsonl` for each stream, and notes what it wrote.
class Writer final : public stream::SalvageSink {
 public:
  explicit Writer(std::string directory)
      : directory_(std::move(directory)), format_(cli::MessageFormat::json_lines()) {}

  Result<void> stream(const stream::StreamReport& report, const std::string& definition) override {
    entry_ = {{"id", report.id.value()},
              {"name", report.name},
              {"persistence", report.in_memory ? "memory" : "file"},
              {"verdict", stream::verdict_name(report.worst())},
              {"definition", json::parse(definition, nullptr, false)},
              {"lost_messages", report.lost_messages},
              {"lost", json::array()},
              {"messages", 0},
              {"set_aside_messages", 0}};
    if (entry_["definition"].is_discarded()) entry_["definition"] = nullptr;
    for (const auto& file : report.segments) {
      for (const auto& hole : file.lost) {
        entry_["lost"].push_back(
            {{"first", hole.first_lost.value()}, {"last", hole.first_after.value() - 1}});
      }
    }
    name_ = report.name.empty() ? "(name unreadable)" : report.name;
    id_ = report.id.value();
    messages_ = set_aside_ = 0;
    terminal_ = ::isatty(STDERR_FILENO) == 1;
    if (terminal_) fmt::print(stderr, "stream '{}' ...\n", log::escaped(name_));
    return {};
  }

  Result<void> message(SequenceNumber sequence, std::int64_t append_ms, Bytes payload,
                       bool set_aside) override {
    auto& file = set_aside ? beside_ : main_;
    auto& count = set_aside ? set_aside_ : messages_;
    if (!file) {
      const std::string name = fmt::format("{}{}.jsonl", id_, set_aside ? ".set-aside" : "");
      entry_[set_aside ? "set_aside_file" : "file"] = name;
      file = std::make_unique<Text>(directory_ + "/" + name);
    }
    protocol::StoredMessage stored;
    stored.stream_name = name_;
    stored.sequence_number = sequence.value();
    stored.ingest_time_ms = append_ms;
    stored.payload = ByteVector(payload.begin(), payload.end());
    if (count++ == 0 && !set_aside) entry_["first"] = sequence.value();
    if (!set_aside) entry_["last"] = sequence.value();
    return file->write(format_.text_of(stored));
  }

  Result<void> stream_done() override {
    entry_["messages"] = messages_;
    entry_["set_aside_messages"] = set_aside_;
    total_ += messages_ + set_aside_;
    for (auto* const file : {&main_, &beside_}) {
      if (!*file) continue;
      WEIR_RETURN_IF_ERROR((*file)->close());
      file->reset();
    }
    list_["streams"].push_back(std::move(entry_));
    return {};
  }

  Result<void> finish(const std::string& store) {
    list_["format"] = 1;
    list_["store"] = store;
    list_["weir"] = WEIR_VERSION;
    Text file(directory_ + "/" + kListName);
    WEIR_RETURN_IF_ERROR(
        file.write(list_.dump(2, ' ', false, json::error_handler_t::replace) + "\n"));
    return file.close();
  }

  [[nodiscard]] const json& list() const { return list_; }
  [[nodiscard]] std::int64_t total() const { return total_; }

 private:
  const std::string directory_;
  const cli::MessageFormat format_;
  json list_ = {{"streams", json::array()}};
  json entry_;
  std::string name_;
  std::uint64_t id_ = 0;
  std::int64_t messages_ = 0;
  std::int64_t set_aside_ = 0;
  std::int64_t total_ = 0;
  bool terminal_ = false;
  std::unique_ptr<Text> main_;
  std::unique_ptr<Text> beside_;
};

/// Makes `out`, which must be new and not inside of the store.
Result<void> make_output(const std::string& store, const std::string& out) {
  std::error_code error;
  const auto inside = std::filesystem::weakly_canonical(store, error);
  const auto place = std::filesystem::weakly_canonical(std::filesystem::absolute(out), error);
  const auto [end, unused] =
      std::mismatch(inside.begin(), inside.end(), place.begin(), place.end());
  static_cast<void>(unused);
  if (end == inside.end()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' lies in the store, which stays untouched; name a directory on "
                            "another disk",
                            log::escaped(out)));
  }
  if (::mkdir(out.c_str(), 0700) == 0) return {};
  if (errno == EEXIST) {
    return fail(Errc::kAlreadyExists,
                fmt::format("'{}' exists already; name a new directory", log::escaped(out)));
  }
  return fail(os_error("create '" + log::escaped(out) + "'", errno));
}

void print_text(const std::string& out, const Writer& writer) {
  for (const json& entry : writer.list()["streams"]) {
    const std::string name = entry["name"].get<std::string>();
    const auto messages = entry["messages"].get<std::int64_t>();
    fmt::print("stream {}: ", name.empty() ? "(name unreadable)" : "'" + log::escaped(name) + "'");
    if (entry["persistence"] == "memory") {
      fmt::print("kept in memory, nothing is on the disk\n");
      continue;
    }
    fmt::print("{} message{}", messages, messages == 1 ? "" : "s");
    if (entry.contains("file")) fmt::print(" in {}", entry["file"].get<std::string>());
    const auto aside = entry["set_aside_messages"].get<std::int64_t>();
    if (aside > 0) {
      fmt::print(", {} more in {}", aside, entry["set_aside_file"].get<std::string>());
    }
    const auto lost = entry["lost_messages"].get<std::int64_t>();
    if (lost > 0) fmt::print(", {} lost", lost);
    fmt::print("\n");
  }
  fmt::print("{}: {} message{} saved; {} lists them; the store was not changed\n",
             log::escaped(out), writer.total(), writer.total() == 1 ? "" : "s", kListName);
}

}  // namespace

int salvage(const std::string& directory, const std::string& out, bool as_json) {
  ::umask(077);  // messages are nobody else's
  const auto complain = [](const std::string& what, const Error& error) {
    fmt::print(stderr, "weir fsck: {}{}\n", what, error.what);
    return 1;
  };
  auto disk = file::open_posix(directory);
  if (!disk) return complain(log::escaped(directory) + ": ", disk.error());
  // First whether it is a store at all: nothing is made for nothing.
  if (const auto sound = stream::is_store(**disk); !sound) {
    return complain(log::escaped(directory) + ": ", sound.error());
  }
  if (const auto made = make_output(directory, out); !made) return complain("", made.error());
  Writer writer(out);
  const auto done = stream::salvage_store(**disk, writer);
  if (!done) return complain("", done.error());
  if (const auto listed = writer.finish(directory); !listed) return complain("", listed.error());
  if (as_json) {
    fmt::print("{}\n", writer.list().dump(2, ' ', false, json::error_handler_t::replace));
  } else {
    print_text(out, writer);
  }
  return 0;
}

}  // namespace weir::daemon
