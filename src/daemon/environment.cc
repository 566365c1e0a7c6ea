#include "daemon/environment.h"

#include "base/ascii.h"
#include "base/nearest.h"
#include "daemon/nucleus_values.h"
#include "daemon/schema.h"
#include "destination/plain_host.h"
#include "destination/url.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace weir::daemon {
namespace {

using Apply = std::string (*)(const std::string& text, const Position& where, Config& config);

// A row with a `key` is read as that key's type; one without has its own function.
struct Row {
  EnvironmentName shown;
  Apply apply = nullptr;
};

std::string apply_key(std::string_view path, const std::string& text, const Position& where,
                      Config& config) {
  const Key* key = find_key(path);
  auto value = value_from_text(*key, text);
  if (!value) return value.error().what;
  Target target{config};
  key->set(target, *value);
  config.settings[std::string(path)] = {text_of(*key, *value), where};
  return {};
}

std::string apply_store_root(const std::string& text, const Position& where, Config& config) {
  if (!text.starts_with('/')) {
    return fmt::format("'{}' is not an absolute path; it must start with '/'",
                       log::escaped(text, 128));
  }
  if (auto why = apply_key("store.directory", text, where, config); !why.empty()) return why;
  config.store_must_exist = true;
  return {};
}

std::string apply_authenticate(const std::string& text, const Position& where, Config& config) {
  return apply_key("server.authenticate_client", ascii_lower(text), where, config);
}

std::string apply_log_level(const std::string& text, const Position& where, Config& config) {
  const auto level = log::level_from_text(text);
  if (!level) {
    return fmt::format("'{}' is not one of TRACE, DEBUG, INFO, WARN, ERROR",
                       log::escaped(text, 64));
  }
  config.log_level = *level;
  config.settings["log.level"] = {ascii_lower(text), where};
  return {};
}

std::string apply_inter_call_delay(const std::string& text, const Position&, Config& config) {
  Key key;
  key.kind = Kind::kInteger;
  key.max = 60'000;
  auto value = value_from_text(key, text);
  if (!value) return value.error().what;
  config.export_defaults.kinesis.inter_call_delay_ms = value->integer;
  return {};
}

std::string note(Config& config, std::string_view what) {
  config.notes.emplace_back(what);
  return {};
}

std::string apply_jvm_args(const std::string&, const Position&, Config& config) {
  return note(config, "JVM_ARGS is set; weir has no Java virtual machine and ignores it.");
}

std::string apply_token_exchange(const std::string& text, const Position&, Config& config) {
  const auto url = destination::parse_url(text);
  if (!url) return url.error().what;
  const bool tls = url->scheme == "https";
  if (!tls && !destination::is_plain_credentials_host(url->host)) {
    return fmt::format(
        "credentials are not fetched in the clear from {}; write https://, or http:// on this "
        "machine or at an address of container platforms",
        log::escaped(url->host, 128));
  }
  config.aws.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = text;
  // Tokens of clients leave this machine over TLS only; who gives credentials to pods does not know
  // them anyway.
  if (tls || destination::is_this_machine(url->host)) config.token_exchange_url = url->text();
  return {};
}

std::string apply_fips(const std::string& text, const Position& where, Config& config) {
  return apply_key("export.aws.use_fips", ascii_lower(text), where, config);
}
std::string apply_dual_stack(const std::string& text, const Position& where, Config& config) {
  return apply_key("export.aws.use_dual_stack", ascii_lower(text), where, config);
}

std::string apply_access_key_id(const std::string& text, const Position&, Config& config) {
  config.aws.access_key_id = text;
  return {};
}
std::string apply_secret(const std::string& text, const Position&, Config& config) {
  config.aws.secret_access_key = text;
  return {};
}
std::string apply_session_token(const std::string& text, const Position&, Config& config) {
  config.aws.session_token = text;
  return {};
}

// What a nucleus gives to the components it starts.
std::string apply_nucleus_socket(const std::string& text, const Position&, Config& config) {
  config.greengrass.socket = text;
  return {};
}
std::string apply_nucleus_token(const std::string& text, const Position&, Config& config) {
  config.greengrass.auth_token = text;
  return {};
}

// Secrets are kept where they are used, and nowhere else.
const std::string kHidden = "(hidden)";
constexpr std::string_view kServiceUrlPrefix = "AWS_ENDPOINT_URL_";

// Read by the sources of credentials when they are asked, see docs/credentials.md.
const std::vector<EnvironmentName>& credential_names() {
  static const std::vector<EnvironmentName> names = {
      {"AWS_CREDENTIAL_EXPIRATION", "", "When the keys of the environment expire."},
      {"AWS_PROFILE", "", "Profile of the shared files, instead of `default`."},
      {"AWS_CONFIG_FILE", "", "Instead of `~/.aws/config`."},
      {"AWS_SHARED_CREDENTIALS_FILE", "", "Instead of `~/.aws/credentials`."},
      {"HOME", "", "Where `~` is."},
      {"AWS_WEB_IDENTITY_TOKEN_FILE", "", "Token to exchange for credentials, with AWS_ROLE_ARN."},
      {"AWS_ROLE_ARN", "", "Role to assume with that token."},
      {"AWS_ROLE_SESSION_NAME", "", "Name of that session; `weir` if unset."},
      {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "",
       "Path at 169.254.170.2 where a container's credentials are; wins over the full URI."},
      {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "", "What to show at the container endpoint."},
      {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "", "The same in a file; wins."},
      {"AWS_EC2_METADATA_DISABLED", "", "`true`: do not ask the instance for anything."},
      {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "", "Where the instance's metadata are."},
      {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "", "`IPv6` for the address of that kind."},
      {"AWS_METADATA_SERVICE_TIMEOUT", "", "Seconds to wait for it; 1 if unset."},
      {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "", "How often to ask it; 1 if unset."},
      {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "",
       "`true`: no endpoints from AWS_ENDPOINT_URL* and the shared files."},
      {"AWS_DISABLE_HOST_PREFIX_INJECTION", "", "`true`: no `data.` before SiteWise's host."},
  };
  return names;
}

bool ignores_endpoint_urls(const std::map<std::string, std::string>& environment) {
  const auto found = environment.find("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
  return found != environment.end() && ascii_lower(found->second) == "true";
}

// In the order of application: of two rows for one key, the later wins.
const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {{"STREAM_MANAGER_STORE_ROOT_DIR", "store.directory",
        "Absolute path; must exist and be readable and writable."},
       apply_store_root},
      {{"STREAM_MANAGER_SERVER_PORT", "server.port", "0 = any free port, printed at start."}},
      {{"STREAM_MANAGER_AUTHENTICATE_CLIENT", "server.authenticate_client", "`true` or `false`."},
       apply_authenticate},
      {{"STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH", "export.max_bandwidth_kbps",
        "Kilobits per second, all exports together."}},
      {{"STREAM_MANAGER_THREAD_POOL_SIZE", "export.worker_count",
        "Older spelling of the next; the longer name wins."}},
      {{"STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE", "export.worker_count",
        "Deliveries under way at the same time."}},
      {{"STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS", "",
        "Default of `kinesis.inter_call_delay_ms` for every Kinesis export."},
       apply_inter_call_delay},
      {{"STREAM_MANAGER_EXPORTER_S3_DESTINATION_MULTIPART_UPLOAD_MIN_PART_SIZE_BYTES",
        "export.s3.part_bytes_min", "At least 5242880."}},
      {{"STREAM_MANAGER_READ_ONLY_DIRS", "export.s3.input_directories",
        "Absolute paths, separated by commas."}},
      {{"JVM_ARGS", "", "Accepted and ignored; said once at start."}, apply_jvm_args},
      {{"LOG_LEVEL", "log.level", "TRACE, DEBUG, INFO, WARN or ERROR, in any case."},
       apply_log_level},
      {{"AWS_DEFAULT_REGION", "export.aws.region",
        "Used if neither AWS_REGION nor a file sets the region."}},
      {{"AWS_REGION", "export.aws.region",
        "Region of all AWS destinations, where no file sets it."}},
      {{"AWS_ENDPOINT_URL", "export.aws.endpoint_url",
        "Where to send AWS requests instead of AWS's own addresses, where no file sets it."}},
      {{"AWS_CA_BUNDLE", "export.aws.ca_bundle_file",
        "Certificates to trust instead of the system's, where no file sets them."}},
      {{"AWS_ACCESS_KEY_ID", "",
        "Credentials. There are no keys for them, so that they are not "
        "written into files that others read."},
       apply_access_key_id},
      {{"AWS_SECRET_ACCESS_KEY", "", "Credentials."}, apply_secret},
      {{"AWS_SESSION_TOKEN", "", "Credentials, if temporary."}, apply_session_token},
      {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "",
        "Where a container's credentials are: https, or http on this machine, 169.254.170.2, "
        "169.254.170.23 or fd00:ec2::23. Over https or on this machine it is also the token "
        "exchange endpoint that is asked whether a client's token is good."},
       apply_token_exchange},
      {{"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", "",
        "Socket of the Greengrass nucleus that started weir: told that weir runs and on which "
        "port, asked whether a client's token is good, and given telemetry."},
       apply_nucleus_socket},
      {{"SVCUID", "", "What weir shows there to be let in."}, apply_nucleus_token},
      {{"AWS_USE_FIPS_ENDPOINT", "export.aws.use_fips",
        "Use the FIPS endpoints of AWS, where no file says whether to."},
       apply_fips},
      {{"AWS_USE_DUALSTACK_ENDPOINT", "export.aws.use_dual_stack",
        "Use endpoints that have IPv6 addresses, too, where no file says whether to."},
       apply_dual_stack},
  };
  return table;
}

bool is_set_by_file(const Config& config, const std::string& path) {
  const auto found = config.settings.find(path);
  return found != config.settings.end() && found->second.where.line > 0;
}

// AWS's variables describe the machine; weir's own configuration is more to the point, as with the
// AWS tools: a platform that sets AWS_REGION for every component does not undo it.
bool yields_to_file(const Row& row, const Config& config) {
  return row.shown.name.starts_with("AWS_") && !row.shown.key.empty() &&
         is_set_by_file(config, std::string(row.shown.key));
}

bool starts_like_ours(std::string_view name) {
  return name.starts_with("STREAM_MANAGER_") || name.starts_with("WEIR_");
}

Position place_of(const std::string& name) { return {"environment variable " + name, 0, 0}; }

void report(const std::string& name, std::string what, std::vector<Problem>& problems) {
  problems.push_back({place_of(name), std::move(what)});
}

// The generic names, WEIR_<SECTION>_<KEY>; warns of names that look like ours but mean nothing.
void apply_generic_names(const std::map<std::string, std::string>& environment, Config& config,
                         std::vector<Problem>& problems) {
  std::vector<std::string> known = {"STREAM_MANAGER_SERVER_HOST"};  // only clients read this one
  for (const auto& row : rows()) known.emplace_back(row.shown.name);
  for_each_key([&](const std::string& path, const Key&) {
    if (find_key(path) == nullptr || find_key(path)->kind == Kind::kTextMap) return;
    const std::string name = environment_name_of(path);
    known.push_back(name);
    const auto found = environment.find(name);
    if (found == environment.end() || found->second.empty()) return;
    const bool number = find_key(path)->kind == Kind::kInteger;
    const std::string text = number ? whole_number_text(found->second) : found->second;
    if (auto why = apply_key(path, text, place_of(name), config); !why.empty()) {
      report(name, std::move(why), problems);
    }
    if (path == "store.directory") config.store_must_exist = false;
  });
  for (const auto& [name, value] : environment) {
    if (!starts_like_ours(name) || value.empty()) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    // Clients of this machine share the prefix, so an unknown name is no error.
    const auto near = nearest(ascii_lower(name), [&] {
      std::vector<std::string> lowered;
      lowered.reserve(known.size());
      for (const auto& each : known) lowered.push_back(ascii_lower(each));
      return lowered;
    }());
    const auto match = std::find_if(known.begin(), known.end(), [&](const std::string& each) {
      return ascii_lower(each) == near;
    });
    config.notes.push_back(
        fmt::format("{} is set, but weir knows no such variable{}", log::escaped(name, 96),
                    match == known.end() ? "." : fmt::format("; did you mean {}?", *match)));
  }
}

// A nucleus has no value for them, so they count as unset.
std::map<std::string, std::string> without_unfilled_variables(
    const std::map<std::string, std::string>& given, Config& config) {
  std::map<std::string, std::string> environment = given;
  for (auto each = environment.begin(); each != environment.end();) {
    const bool ours =
        starts_like_ours(each->first) || each->first == "LOG_LEVEL" || each->first == "JVM_ARGS";
    if (!ours || !is_unfilled_variable(each->second)) {
      ++each;
      continue;
    }
    config.notes.push_back(fmt::format(
        "{} is '{}': the component's configuration has no such key, so it counts as unset; give it "
        "an empty value there.",
        each->first, log::escaped(each->second, 128)));
    each = environment.erase(each);
  }
  return environment;
}

void apply_service_urls(const std::map<std::string, std::string>& environment, Config& config,
                        std::vector<Problem>& problems) {
  constexpr const char* kEverywhere = "export.aws.endpoint_url";
  const auto own_variable = environment.find(environment_name_of(kEverywhere));
  const bool own = own_variable != environment.end() && !own_variable->second.empty();
  if (own || is_set_by_file(config, kEverywhere)) return;
  const Key* check = find_key(kEverywhere);
  for (auto at = environment.lower_bound(std::string(kServiceUrlPrefix));
       at != environment.end() && at->first.starts_with(kServiceUrlPrefix); ++at) {
    const std::string service = ascii_lower(at->first.substr(kServiceUrlPrefix.size()));
    const std::string path = "export.aws.service_endpoint_urls." + service;
    if (at->second.empty() || is_set_by_file(config, path)) continue;
    if (auto value = value_from_text(*check, at->second); !value) {
      report(at->first, value.error().what, problems);
      continue;
    }
    config.aws.service_endpoint_urls[service] = at->second;
    config.settings[path] = {at->second, place_of(at->first)};
  }
}

}  // namespace

const std::vector<EnvironmentName>& environment_names() {
  static const std::vector<EnvironmentName> names = [] {
    std::vector<EnvironmentName> all;
    for (const auto& row : rows()) {
      all.push_back(row.shown);
      if (row.shown.name == "AWS_ENDPOINT_URL") {
        all.push_back(
            {"AWS_ENDPOINT_URL_*", "export.aws.service_endpoint_urls",
             "The same for one service: AWS_ENDPOINT_URL_KINESIS, ... Not where a file sets "
             "endpoint_url or that service's."});
      }
    }
    all.insert(all.end(), credential_names().begin(), credential_names().end());
    return all;
  }();
  return names;
}

std::string environment_name_of(std::string_view path) {
  std::string name = "WEIR_";
  for (const char c : path) {
    name += c == '.' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

bool is_environment_name(std::string_view name) {
  // Credentials do not belong into files.
  if (name.starts_with("AWS_") || is_secret_name(name)) return false;
  return std::any_of(rows().begin(), rows().end(),
                     [&](const Row& row) { return row.shown.name == name; });
}

std::string apply_environment_name(std::string_view name, const std::string& given,
                                   const Position& where, Config& config) {
  // Numbers of a nucleus are floating point ones; in the other names' values none is meant.
  const bool original = name.starts_with("STREAM_MANAGER_") || name == "LOG_LEVEL";
  const std::string text = original ? whole_number_text(given) : given;
  if (text.empty()) return {};
  const auto row = std::find_if(rows().begin(), rows().end(),
                                [&](const Row& each) { return each.shown.name == name; });
  if (row->apply == nullptr) return apply_key(row->shown.key, text, where, config);
  std::string why = row->apply(text, where, config);
  if (why.empty() && row->shown.key.empty()) {
    config.settings[std::string(name)] = {is_secret_name(name) ? kHidden : text, where};
  }
  return why;
}

bool is_secret_name(std::string_view name) {
  return name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY" ||
         name == "AWS_SESSION_TOKEN" || name == "SVCUID" ||
         name == "AWS_CONTAINER_AUTHORIZATION_TOKEN";
}

void apply_environment(const std::map<std::string, std::string>& given, Config& config,
                       std::vector<Problem>& problems) {
  const auto environment = without_unfilled_variables(given, config);
  for (const auto& row : rows()) {
    const auto found = environment.find(std::string(row.shown.name));
    if (found == environment.end() || yields_to_file(row, config)) continue;
    if (row.shown.name == "AWS_ENDPOINT_URL" && ignores_endpoint_urls(environment)) continue;
    if (auto why =
            apply_environment_name(found->first, found->second, place_of(found->first), config);
        !why.empty()) {
      report(found->first, std::move(why), problems);
    }
  }
  if (!ignores_endpoint_urls(environment)) apply_service_urls(environment, config, problems);
  for (const auto& each : credential_names()) {
    const auto found = environment.find(std::string(each.name));
    if (found == environment.end() || found->second.empty()) continue;
    config.aws.environment.insert(*found);
    if (each.name == "HOME") continue;  // of no interest
    config.settings[found->first] = {is_secret_name(each.name) ? kHidden : found->second,
                                     place_of(found->first)};
  }
  apply_generic_names(environment, config, problems);
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

}  // namespace weir::daemon
