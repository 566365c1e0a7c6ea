#include "daemon/support_bundle.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/http_get.h"
#include "cli/output.h"
#include "daemon/archive.h"
#include "daemon/child.h"
#include "daemon/config_commands.h"
#include "daemon/config_files.h"
#include "daemon/redactor.h"
#include "daemon/settings.h"
#include "stream/layout.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace weir::daemon {
namespace {

namespace fs = std::filesystem;
using cli::AdminFlags;
using cli::Arguments;
using cli::Kind;
using nlohmann::json;

constexpr std::size_t kPartBytesMax = std::size_t{4} << 20;
constexpr std::size_t kAllBytesMax = std::size_t{32} << 20;
constexpr std::size_t kStoreFilesMax = 20'000;
constexpr std::size_t kDefinitionsMax = 2'000;
constexpr std::size_t kFactBytesMax = 64 * 1024;
constexpr auto kDoctorMax = std::chrono::seconds(40);
constexpr auto kJournalMax = std::chrono::seconds(10);

std::string dump(const json& document) {
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

// A file of /proc or /etc; in words why it cannot be read.
std::string fact(const std::string& path) {
  auto content = read_config_file(path, kFactBytesMax);
  if (!content) return fmt::format("({})\n", content.error().what);
  if (content->size() > kFactBytesMax) content->resize(kFactBytesMax);
  return *content;
}

class Bundle {
 public:
  explicit Bundle(const Arguments& arguments) : arguments_(arguments) {}

  Result<std::string> collect() {
    add_version();
    add_configuration();
    ask_daemon();
    add_doctor();
    add_store();
    add_machine();
    add_journal();
    add_contents();
    return tar_gz(files_, std::time(nullptr));
  }
  [[nodiscard]] const std::string& contents() const { return contents_; }

 private:
  // Everything that goes in comes through here.
  void add(const std::string& name, const std::string& about, std::string_view text) {
    std::string clean = redactor_.redact(text);
    std::string cut;
    const std::size_t room = std::min(kPartBytesMax, kAllBytesMax - std::min(kAllBytesMax, bytes_));
    if (clean.size() > room) {
      cut = fmt::format(", the first {} of {} bytes", room, clean.size());
      clean.resize(room);
    }
    bytes_ += clean.size();
    contents_ += fmt::format("{:<24}{} bytes{}: {}\n", name, clean.size(), cut, about);
    files_.push_back({folder_ + name, std::move(clean)});
  }
  void leave_out(const std::string& name, const std::string& why) {
    contents_ += fmt::format("{:<24}left out: {}\n", name, redactor_.redact(log::escaped(why)));
  }

  void add_version() {
    utsname kernel{};
    ::uname(&kernel);
    const auto now = std::chrono::system_clock::now();
    add("version.txt", "version, time, kernel",
        fmt::format("weir {}\nmade {:%Y-%m-%dT%H:%M:%SZ}\n{} {} {} {}\n", WEIR_VERSION,
                    fmt::gmtime(std::chrono::system_clock::to_time_t(now)), kernel.sysname,
                    kernel.release, kernel.version, kernel.machine));
  }

  void add_configuration() {
    ConfigSources sources =
        named_sources(arguments_.text("--config"), arguments_.text("--config-dir"));
    sources.environment = process_environment();
    const LoadedConfig loaded = load_config(sources);
    redactor_.add_secrets_of(loaded.config);
    store_ = loaded.config.store_directory;
    json document = json::parse(config_json(loaded.config), nullptr, false);
    document["problems"] = json::array();
    for (const auto& problem : loaded.problems) document["problems"].push_back(problem.text());
    document["notes"] = loaded.config.notes;
    add("config-files.json", "the configuration as its files and this command's environment say it",
        dump(document));
  }

  // What the daemon says of itself. Only the first question waits for one that hangs.
  void ask_daemon() {
    const AdminFlags flags = AdminFlags::from(arguments_);
    const auto status = cli::http_get(flags.host, flags.port, "/status");
    if (!status) {
      leave_out("status.json and others", "weir does not answer: " + status.error().what);
      redactor_.add_lines_of(fs::path(store_) / stream::layout::kAdminToken);
      return;
    }
    const json document = json::parse(*status, nullptr, false);
    if (document.is_object()) {
      store_ = document.value("/store/directory"_json_pointer, store_);
      pid_ = document.value("pid", 0);
    }
    redactor_.add_lines_of(fs::path(store_) / stream::layout::kAdminToken);
    add("status.json", "what weir status shows", *status);
    const std::tuple<const char*, const char*, const char*> pages[] = {
        {"/config", "config-running.json", "the configuration in force"},
        {"/metrics", "metrics.txt", "all figures"},
        {"/log", "recent-log.json", "the newest warnings and errors of the running weir"}};
    for (const auto& [path, name, about] : pages) {
      const auto page = cli::http_get(flags.host, flags.port, path);
      if (page) {
        add(name, about, *page);
      } else {
        leave_out(name, page.error().what);
      }
    }
  }

  void add_doctor() {
    std::vector<std::string> command = {"/proc/self/exe", "doctor", "--json"};
    if (arguments_.has("--offline")) command.emplace_back("--offline");
    if (const auto config = arguments_.maybe("--config")) {
      command.insert(command.end(), {"--config", *config});
    }
    const ChildOutput output = run_child(command, kDoctorMax, kPartBytesMax);
    if (output.text.empty()) {
      leave_out("doctor.json", output.complaint.empty() ? "it said nothing" : output.complaint);
    } else {
      add("doctor.json", "what weir doctor finds", output.text);
    }
  }

  void add_store() {
    std::error_code error;
    if (!fs::is_directory(store_, error)) {
      leave_out("store.txt", fmt::format("the store directory '{}' cannot be seen", store_));
      return;
    }
    add("store.txt", "names, sizes and times of the store's files; none of their contents",
        space_text() + store_listing());
    add("definitions.json", "the definitions of streams and exports", definitions());
  }

  std::string space_text() const {
    struct statvfs space {};
    if (::statvfs(store_.c_str(), &space) != 0) return "(no figures of the disk)\n";
    return fmt::format("{}: {} of {} bytes free, {} of {} inodes free\n\n", store_,
                       space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize,
                       space.f_favail, space.f_files);
  }

  std::string store_listing() const {
    std::vector<std::string> lines;
    std::error_code error;
    fs::recursive_directory_iterator at(store_, fs::directory_options::skip_permission_denied,
                                        error);
    for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
      struct stat info {};
      if (::lstat(at->path().c_str(), &info) != 0) continue;
      lines.push_back(fmt::format("{:>14} {} {:o} {}:{} {}", info.st_size, info.st_mtim.tv_sec,
                                  info.st_mode, info.st_uid, info.st_gid,
                                  log::escaped(at->path().lexically_relative(store_).string())));
      if (lines.size() == kStoreFilesMax) {
        lines.emplace_back("(and more)");
        break;
      }
    }
    if (error) lines.push_back(fmt::format("(not everything: {})", error.message()));
    std::sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) {
      return a.substr(a.rfind(' ') + 1) < b.substr(b.rfind(' ') + 1);
    });
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    return text;
  }

  std::string definitions() const {
    json all = json::object();
    std::error_code error;
    fs::directory_iterator at(fs::path(store_) / "streams", error);
    for (; !error && at != fs::directory_iterator() && all.size() < kDefinitionsMax;
         at.increment(error)) {
      const auto content = read_config_file(at->path() / "definition.json", kFactBytesMax);
      const std::string number = at->path().filename();
      if (!content) {
        all[number] = content.error().what;
        continue;
      }
      // Behind the document stands its checksum.
      json document = json::parse(content->substr(0, content->rfind('}') + 1), nullptr, false);
      all[number] = document.is_discarded() ? json("not valid JSON") : std::move(document);
    }
    return dump(all);
  }

  void add_machine() {
    std::string text;
    for (const char* path : {"/etc/os-release", "/proc/loadavg", "/proc/uptime", "/proc/meminfo",
                             "/proc/pressure/io", "/proc/pressure/memory", "/proc/mounts",
                             "/proc/sys/fs/file-nr", "/proc/sys/kernel/random/boot_id"}) {
      text += fmt::format("==> {}\n{}\n", path, fact(path));
    }
    add("machine.txt", "memory, load, file systems, release", text);
    const std::string process = pid_ > 0 ? fmt::format("/proc/{}", pid_) : "/proc/self";
    text = pid_ > 0 ? "" : "of this command: weir did not say its process number\n";
    for (const char* name : {"/limits", "/status", "/io", "/cgroup", "/oom_score_adj"}) {
      text += fmt::format("==> {}\n{}\n", process + name, fact(process + name));
    }
    add("process.txt", "limits and figures of weir's process", text);
  }

  void add_journal() {
    const ChildOutput output = run_child(
        {"journalctl", "--unit", "weir", "--lines", "2000", "--no-pager", "--output", "short-iso"},
        kJournalMax, kPartBytesMax);
    if (output.text.empty()) {
      leave_out("log.txt", "no journal of the unit 'weir'" +
                               (output.complaint.empty() ? "" : ": " + output.complaint));
    } else {
      add("log.txt", "the newest lines of weir's journal", output.text);
    }
  }

  void add_contents() {
    contents_ +=
        "\nWithout payloads, tokens, keys and passwords; addresses without user names and queries. "
        "Error texts of destinations are as they came, so look before you send this to anybody.\n";
    files_.insert(files_.begin(), {folder_ + "contents.txt", contents_});
  }

  const Arguments& arguments_;
  const std::string folder_ = "weir-support/";
  Redactor redactor_;
  std::vector<ArchiveFile> files_;
  std::size_t bytes_ = 0;
  std::string contents_;
  std::string store_;
  std::int64_t pid_ = 0;
};

std::string default_name() {
  char host[256] = "host";
  ::gethostname(host, sizeof host - 1);
  std::string name;
  for (const char c : std::string(host)) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    name += plain ? c : '-';
  }
  return fmt::format("weir-support-{}-{:%Y%m%dT%H%M%SZ}.tar.gz", name,
                     fmt::gmtime(std::time(nullptr)));
}

Result<void> write_private(const std::string& path, std::string_view bytes) {
  const std::string doing = fmt::format("write '{}'", log::escaped(path));
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (descriptor < 0 && errno == EEXIST) {
    return fail(Errc::kAlreadyExists, doing + ": it is there already; name another file");
  }
  if (descriptor < 0) return fail(os_error(doing, errno));
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : ENOSPC;
      ::close(descriptor);
      ::unlink(path.c_str());
      return fail(os_error(doing, error));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::close(descriptor) != 0) return fail(os_error(doing, errno));
  return {};
}

int run_bundle(const Arguments& arguments) {
  log::set_level(log::Level::kError);
  Bundle bundle(arguments);
  const auto packed = bundle.collect();
  const std::string path = arguments.maybe("--output").value_or(default_name());
  const auto written = packed ? write_private(path, *packed) : Result<void>(fail(packed.error()));
  if (!written) {
    cli::complain(written.error().what);
    return cli::kFailed;
  }
  cli::note(bundle.contents());
  fmt::print("{}\n", path);
  return cli::kOk;
}

}  // namespace

cli::Command support_bundle_command() {
  return {
      .name = "support-bundle",
      .summary = "Collect in one file what somebody needs who was not there.",
      .description =
          "A .tar.gz, readable by its owner only, with version, configuration, status, figures, "
          "what weir doctor finds, names and sizes of the store's files, definitions, limits, "
          "facts "
          "of the machine and the newest log lines. It prints what is inside. Payloads, tokens, "
          "keys and passwords are not; addresses come without user names and queries. It works "
          "when weir does not answer.",
      .flags = cli::joined(
          cli::joined({{"-o,--output", "FILE",
                        "Where to. Default: weir-support-HOST-TIME.tar.gz in the working "
                        "directory.",
                        Kind::kFile},
                       {"--offline", "", "Ask no destination over the network."}},
                      configuration_flags()),
          AdminFlags::flags()),
      .examples = {{"sudo weir support-bundle"}},
      .run = run_bundle};
}

}  // namespace weir::daemon
