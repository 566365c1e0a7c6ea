#include "daemon/doctor.h"

#include "base/log.h"
#include "connector/streams.h"
#include "daemon/config.h"
#include "daemon/config_files.h"
#include "daemon/settings.h"
#include "daemon/wiring.h"
#include "doctor/examine.h"
#include "doctor/ports.h"
#include "doctor/report.h"
#include "file/posix_file_system.h"
#include "segment/segment.h"
#include "stream/definition_file.h"
#include "stream/layout.h"
#include "stream/store.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace weir::daemon {
namespace {

using doctor::Subject;
using doctor::Target;
using model::ExportType;

constexpr std::size_t kTaskBytesMax = 64 * 1024;
constexpr std::size_t kStreamsMax = 10'000;

// --- the configuration --------------------------------------------------------------------------

/// The variables that curl reads have to be those of the running weir too.
void use_proxies_of(const std::map<std::string, std::string>& environment) {
  // NOLINTBEGIN(concurrency-mt-unsafe): there is only one thread yet.
  for (const char* const name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy",
                                 "ALL_PROXY", "no_proxy", "NO_PROXY"}) {
    const auto found = environment.find(name);
    if (found == environment.end()) {
      ::unsetenv(name);
    } else {
      ::setenv(name, found->second.c_str(), 1);
    }
  }
  // NOLINTEND(concurrency-mt-unsafe)
}

struct Loaded {
  LoadedConfig config;
  std::map<std::string, std::string> environment;
  int pid = 0;
};

/// With the environment of the weir that runs, where this user may see it: a service has another
/// one than a login.
Loaded load(const DoctorFlags& flags) {
  Loaded out;
  ConfigSources sources = named_sources(flags.config, flags.config_directory);
  sources.environment = process_environment();
  out.environment = sources.environment;
  out.config = load_config(sources);
  const std::int64_t port = out.config.config.server.port;
  if (port <= 0) return out;
  const auto facts = doctor::look_at_port("", "", port);
  if (!facts.owner || doctor::who_is(*facts.owner) != doctor::Who::kWeir) return out;
  out.pid = facts.owner->pid;
  auto environment = doctor::environment_of(out.pid);
  if (environment.empty()) return out;
  sources.environment = environment;
  LoadedConfig again = load_config(sources);
  if (again.config.server.port != port) return out;  // not the weir of this configuration
  out.config = std::move(again);
  out.environment = std::move(environment);
  use_proxies_of(out.environment);
  return out;
}

// --- exports ------------------------------------------------------------------------------------

/// The bucket and key that the newest stored task of an S3 export names.
void read_newest_task(file::FileSystem& disk, const stream::StoredDefinition& stored,
                      destination::ProbeTarget& target) {
  const std::string directory = stream::layout::stream_directory(stored.id);
  const auto names = disk.list(directory);
  if (!names) return;
  std::optional<SequenceNumber> newest;
  for (const file::Entry& entry : *names) {
    const auto base = stream::layout::segment_base_from(entry.name);
    if (base && (!newest || *newest < *base)) newest = base;
  }
  if (!newest) return;
  const auto file =
      disk.open(stream::layout::join(directory, stream::layout::segment_name(*newest)),
                file::OpenMode::kRead);
  if (!file) return;
  segment::RecordPlace last;
  const auto scanned = segment::scan(**file, stored.identity, [&](const auto& place) {
    last = place;
    return Result<void>();
  });
  if (!scanned || last.payload_bytes == 0 || last.payload_bytes > kTaskBytesMax) return;
  std::string payload(static_cast<std::size_t>(last.payload_bytes), '\0');
  const auto got =
      (*file)->read_at(last.payload_offset, std::as_writable_bytes(std::span<char>(payload)));
  if (!got || *got != payload.size()) return;
  const auto task = nlohmann::json::parse(payload, nullptr, false);
  if (!task.is_object()) return;
  const auto text = [&](const char* name) {
    const auto found = task.find(name);
    return found != task.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  target.bucket = text("bucket");
  target.key = text("key");
  if (target.key.empty()) target.key = "weir-doctor";
}

class Exports {
 public:
  Exports(const Config& config, Subject& subject) : config_(config), subject_(subject) {}

  void find(const doctor::RunningFacts& running) {
    const auto disk = file::open_posix(config_.store_directory);
    const bool readable = disk && stream::Store::check_format(**disk) && find_stored(**disk);
    if (!readable && running.life == doctor::Life::kAnswers) {
      find_running(running);
    } else if (!readable && ::access(config_.store_directory.c_str(), F_OK) == 0) {
      subject_.targets_note =
          "the exports that clients defined are not known: the store cannot be "
          "read";
    }
    // A configuration with mistakes says little of what it means.
    if (!subject_.config_problems.empty()) return;
    for (const DeclaredStream& declared : config_.streams) {
      if (!seen_.contains(declared.definition.name)) add_stream(declared.definition, nullptr, {});
    }
    for (const DeclaredConnector& connector : config_.connectors) add_connector(connector.options);
  }

 private:
  bool find_stored(file::FileSystem& disk) {
    const auto entries = disk.list(stream::layout::kStreams);
    if (!entries) return false;
    for (const file::Entry& entry : *entries) {
      const auto id = stream::layout::stream_id_from(entry.name);
      if (!id || entry.kind != file::EntryKind::kDirectory || seen_.size() >= kStreamsMax) continue;
      const auto loaded = stream::load_definition(disk, stream::layout::stream_directory(*id));
      if (loaded) add_stream(loaded->stored.definition, &disk, loaded->stored);
    }
    return true;
  }

  /// What the running weir says of them: where they go, but not what a client asked for in detail.
  void find_running(const doctor::RunningFacts& running) {
    for (const auto& each : doctor::exports_in(running.status)) {
      exporter::ExportSpec spec;
      spec.stream_name = each.stream;
      spec.config.identifier = each.identifier;
      spec.config.target = each.target;
      const auto type = type_named(each.type);
      if (!type) continue;
      spec.config.type = *type;
      seen_.insert(each.stream);
      add_export(std::move(spec), nullptr, {});
    }
  }

  static std::optional<ExportType> type_named(const std::string& name) {
    for (const ExportType type :
         {ExportType::kHttp, ExportType::kIotAnalytics, ExportType::kKinesis,
          ExportType::kIotSitewise, ExportType::kS3TaskExecutor, ExportType::kFile,
          ExportType::kFirehose}) {
      if (name == model::export_type_name(type)) return type;
    }
    return std::nullopt;
  }

  void add_stream(const model::StreamDefinition& definition, file::FileSystem* disk,
                  const stream::StoredDefinition& stored) {
    seen_.insert(definition.name);
    if (const auto role = connector::role_of_stream(definition.name)) {
      if (role->kind == connector::StreamRole::Kind::kQueue) add_delivery_stream(role->target);
      return;
    }
    for (auto& wanted : wanted_exports(config_, definition)) {
      if (wanted.config.disabled.value_or(false)) continue;
      add_export({definition.name, std::move(wanted.config)}, disk, stored);
    }
  }

  void add_export(exporter::ExportSpec spec, file::FileSystem* disk,
                  const stream::StoredDefinition& stored) {
    Target target;
    target.stream = spec.stream_name;
    target.probe.options = config_.options_for(spec);
    if (const auto& redirect = target.probe.options.redirect) {
      spec.config.type = redirect->type;
      spec.config.target = redirect->target;
    }
    if (spec.config.type == ExportType::kMqtt) return;
    target.probe.spec = std::move(spec);
    if (target.probe.spec.config.type == ExportType::kFile) {
      const std::string& named = target.probe.options.file.directory;
      target.directory = named.empty() ? target.probe.spec.config.target : named;
    } else if (target.probe.spec.config.type == ExportType::kS3TaskExecutor && disk != nullptr) {
      read_newest_task(*disk, stored, target.probe);
    }
    subject_.needs_aws =
        subject_.needs_aws || (target.probe.spec.config.type != ExportType::kHttp &&
                               target.probe.spec.config.type != ExportType::kFile);
    subject_.targets.push_back(std::move(target));
  }

  void add_delivery_stream(const connector::DeliveryStreamArn& arn) {
    exporter::ExportSpec spec;
    spec.stream_name = "connector";
    spec.config.type = ExportType::kFirehose;
    spec.config.identifier = arn.name;
    spec.config.target = arn.name;
    Target target;
    target.stream = spec.stream_name;
    target.probe.options = config_.options_for(spec);
    target.probe.options.aws.region = arn.region;
    target.probe.spec = std::move(spec);
    subject_.needs_aws = true;
    subject_.targets.push_back(std::move(target));
  }

  void add_connector(const connector::Options& options) {
    add_delivery_stream(options.default_target);
    const auto& broker = options.broker;
    subject_.brokers.push_back({options.name, broker.host, broker.port, broker.tls, broker.ca_file,
                                broker.certificate_file, broker.key_file});
    const auto secret = [&](const std::string& path, const char* what) {
      if (!path.empty()) {
        subject_.secrets.push_back({path, what + (" of connector " + options.name)});
      }
    };
    secret(broker.key_file, "the key");
    secret(broker.password_file, "the password");
  }

  const Config& config_;
  Subject& subject_;
  std::set<std::string> seen_;
};

// --- putting it together ------------------------------------------------------------------------

std::vector<doctor::SecretFile> secret_files(const Config& config) {
  std::vector<doctor::SecretFile> files;
  const auto add = [&files](const std::string& path, const char* what) {
    if (!path.empty()) files.push_back({path, what});
  };
  add(config.tokens_file, "the clients' tokens");
  add(config.aws.iot.private_key_file, "the private key of weir's AWS IoT certificate");
  add(config.export_defaults.http.bearer_token_file, "the token for HTTP exports");
  add(config.export_defaults.http.client_key_file, "the key for HTTP exports");
  return files;
}

/// A configuration file that holds a secret itself.
void add_secret_file(const std::string& file, Subject& subject) {
  const auto& files = subject.config_files;
  if (std::find(files.begin(), files.end(), file) == files.end()) return;
  const bool known = std::any_of(subject.secrets.begin(), subject.secrets.end(),
                                 [&](const auto& each) { return each.path == file; });
  if (!known) subject.secrets.push_back({file, "configuration, which holds a secret"});
}

Subject subject_of(const Loaded& loaded, const DoctorFlags& flags) {
  const Config& config = loaded.config.config;
  Subject subject;
  subject.config_files = config.files;
  for (const Problem& problem : loaded.config.problems) {
    subject.config_problems.push_back(problem.text());
  }
  subject.store_directory = config.store_directory;
  subject.min_free_bytes = config.store.min_free_bytes;
  subject.open_files_max = config.store.open_files_max;
  subject.connections_max = config.server.connections_max;
  subject.bind_address = config.server.bind_address;
  subject.port = config.server.port;
  subject.admin_address = config.admin.bind_address;
  subject.admin_port = config.admin.port;
  subject.aws = config.aws;
  subject.transport = config.transport;
  subject.secrets = secret_files(config);
  subject.environment = loaded.environment;
  subject.weir_pid = loaded.pid;
  for (const auto& [key, shown] : shown_settings(config, true)) {
    const bool elsewhere =
        shown.source.starts_with("environment") || shown.source.starts_with("option");
    if (!elsewhere) subject.settings.emplace(key, shown.value);
    if (shown.value != "(hidden)") continue;
    const auto setting = config.settings.find(key);
    if (setting != config.settings.end()) add_secret_file(setting->second.where.source, subject);
  }
  subject.settings_sha256 = config.sha256;
  subject.offline = flags.offline;
  for (const auto& [path, shown] : shown_settings(config, true)) {
    const bool of_here = shown.source.starts_with("environment") || shown.value == "(hidden)";
    if (!of_here) subject.settings[path] = shown.value;
  }
  return subject;
}

bool store_is_locked(const std::string& directory) {
  const auto disk = file::open_posix(directory);
  if (!disk) return false;
  const auto names = (*disk)->list("");
  if (!names) return false;
  const bool has_lock = std::any_of(names->begin(), names->end(), [](const file::Entry& entry) {
    return entry.name == stream::layout::kLock;
  });
  if (!has_lock) return false;
  const auto lock = (*disk)->lock(stream::layout::kLock);
  return !lock && lock.error().code == Errc::kUnavailable;
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

}  // namespace

int doctor(const DoctorFlags& flags) {
  // What matters stands in the findings.
  log::set_level(log::Level::kError);
  const Loaded loaded = load(flags);
  Subject subject = subject_of(loaded, flags);
  doctor::RunningFacts running = doctor::ask_running(subject.admin_address, subject.admin_port);
  running.store_locked = store_is_locked(subject.store_directory);
  Exports(loaded.config.config, subject).find(running);
  const doctor::Examination examination = doctor::examine(subject, running);

  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment any more.
  const bool colour = terminal && std::getenv("NO_COLOR") == nullptr;
  const std::string text = flags.json ? doctor::json_report(examination.findings)
                                      : doctor::text_report(examination.findings, colour,
                                                            terminal ? terminal_width() : 0);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  const int status = doctor::summary_of(examination.findings).errors == 0 ? 0 : 1;
  // A thread that hangs on a disk or a name server would keep the process.
  if (examination.abandoned) std::_Exit(status);
  return status;
}

}  // namespace weir::daemon
