#include "daemon/config.h"

#include "base/clock.h"
#include "daemon/config_files.h"
#include "daemon/connector_config.h"
#include "daemon/environment.h"
#include "daemon/schema.h"
#include "daemon/value_checks.h"
#include "daemon/yaml_reader.h"
#include "protocol/codec.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <set>

namespace weir::daemon {
namespace {

constexpr std::int64_t kWireBatchIntervalMinMs = 60'000;

// Iterative, so that a pattern of stars costs no more than its length times the text's.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

struct TypeKeys {
  model::ExportType type;
  const char* target;  // null: it has none
  std::set<std::string> own;
};
// What configuration can declare.
const std::vector<TypeKeys>& declared_types() {
  static const std::vector<TypeKeys> kAll = {
      {model::ExportType::kKinesis, "stream", {"stream", "kinesis"}},
      {model::ExportType::kFirehose, "delivery_stream", {"delivery_stream", "firehose"}},
      {model::ExportType::kIotSitewise, nullptr, {}},
      {model::ExportType::kIotAnalytics, "channel", {"channel"}},
      {model::ExportType::kHttp, "uri", {"uri", "format", "http"}},
      {model::ExportType::kFile, "directory", {"directory", "file"}},
  };
  return kAll;
}

const TypeKeys& keys_of(model::ExportType type) {
  const auto& all = declared_types();
  return *std::find_if(all.begin(), all.end(), [&](const TypeKeys& k) { return k.type == type; });
}

// What definitions and declarations can say.
constexpr std::array kRedirectedTypes = {model::ExportType::kHttp,
                                         model::ExportType::kIotAnalytics,
                                         model::ExportType::kKinesis,
                                         model::ExportType::kIotSitewise,
                                         model::ExportType::kS3TaskExecutor,
                                         model::ExportType::kFirehose,
                                         model::ExportType::kFile};

class Checker {
 public:
  Checker(Config& config, std::vector<Problem>& problems) : config_(config), problems_(problems) {}

  void check() {
    check_options();
    check_addresses();
    for (Problem& problem : aws_problems(config_)) {
      report(std::move(problem.where), std::move(problem.what));
    }
    check_streams();
    check_redirects();
    check_additions();
    check_connectors(config_.connectors, [this](Position where, std::string what) {
      report(std::move(where), std::move(what));
    });
  }

 private:
  void report(Position where, std::string what) {
    if (problems_.size() < kProblemsMax) problems_.push_back({std::move(where), std::move(what)});
  }

  void check_options() {
    const auto take = [&](const char* section, const Result<void>& verdict) {
      if (!verdict) report({}, fmt::format("{}: {}", section, verdict.error().what));
    };
    take("store", config_.store.validate());
    take("server", config_.server.validate());
    take("admin", config_.admin.validate());
    take("export", config_.exporter.validate());
  }

  static bool is_address(const std::string& text) {
    unsigned char raw[16];
    return text == "localhost" || ::inet_pton(AF_INET, text.c_str(), raw) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), raw) == 1;
  }

  void check_addresses() {
    for (const auto& [key, address] : {std::pair{"server", config_.server.bind_address},
                                       std::pair{"admin", config_.admin.bind_address}}) {
      if (!is_address(address)) {
        report({}, fmt::format("{}.bind_address: '{}' is not an IP address", key,
                               log::escaped(address, 64)));
      }
    }
    if (config_.server.port != 0 && config_.server.port == config_.admin.port) {
      report({}, fmt::format("server.port and admin.port are both {}; they must differ",
                             config_.server.port));
    }
  }

  void check_export(DeclaredExport& entry, const std::string& path) {
    if (!entry.type_written) return;  // reported already
    const TypeKeys& mine = keys_of(entry.config.type);
    const std::size_t before = problems_.size();
    const char* type = model::export_type_name(entry.config.type);
    for (const auto& other : declared_types()) {
      if (other.type == entry.config.type) continue;
      for (const auto& name : other.own) {
        if (const auto key = entry.keys.find(name); key != entry.keys.end()) {
          report(key->second, fmt::format("{}: '{}' is a key of {} exports, but this one is of "
                                          "type {}",
                                          path, name, model::export_type_name(other.type), type));
        }
      }
    }
    if (mine.target != nullptr && entry.config.target.empty()) {
      report(entry.where,
             fmt::format("{} has no '{}', which {} exports need", path, mine.target, type));
    }
    if (problems_.size() == before) check_target(entry, path);
    if (const std::string why = protocol::validate_name(entry.config.identifier, "identifier");
        !why.empty() && !entry.config.identifier.empty()) {
      report(entry.where, fmt::format("{}: {}", path, why));
    }
    if (entry.config.type == model::ExportType::kFile) {
      entry.changes.push_back([directory = entry.config.target](destination::ExportOptions& o) {
        o.file.directory = directory;
      });
    }
  }

  void check_target(const DeclaredExport& entry, const std::string& path) {
    const std::string why = target_problem(entry.config, own_ports());
    if (!why.empty()) report(entry.where, fmt::format("{}: {}", path, why));
  }

  // Those that are known before weir listens.
  [[nodiscard]] std::vector<std::uint16_t> own_ports() const {
    std::vector<std::uint16_t> ports;
    for (const std::int64_t port : {config_.server.port, config_.admin.port}) {
      if (port > 0) ports.push_back(static_cast<std::uint16_t>(port));
    }
    return ports;
  }

  // An update may not make a segment larger than the stream (protocol.md §4.7), so a small stream
  // gets small segments from the beginning.
  void check_sizes(DeclaredStream& stream, const std::string& path) {
    auto& definition = stream.definition;
    if (definition.segment_size_or_default() <= definition.max_size_or_default()) return;
    if (definition.stream_segment_size) {
      report(stream.where,
             fmt::format("{}: segment_size_bytes is {}, more than max_size_bytes, which is {}",
                         path, *definition.stream_segment_size, definition.max_size_or_default()));
    }
    definition.stream_segment_size = std::min(
        definition.max_size_or_default(), std::int64_t{std::numeric_limits<std::int32_t>::max()});
  }

  void check_stream(DeclaredStream& stream, const std::string& path) {
    check_sizes(stream, path);
    std::set<std::string> identifiers;
    for (std::size_t i = 0; i < stream.exports.size(); ++i) {
      auto& entry = stream.exports[i];
      const std::string export_path = fmt::format("{}.exports[{}]", path, i);
      check_export(entry, export_path);
      if (!identifiers.insert(entry.config.identifier).second) {
        report(entry.where, fmt::format("{}: the identifier '{}' is used twice in this stream",
                                        export_path, entry.config.identifier));
      }
    }
    if (stream.exports.size() > model::kExportsPerStreamMax) {
      report(stream.where, fmt::format("{} has {} exports; at most {} are allowed", path,
                                       stream.exports.size(), model::kExportsPerStreamMax));
    }
    // Clients list exports by type; `describe` shows them in that order.
    for (const auto type : {model::ExportType::kHttp, model::ExportType::kIotAnalytics,
                            model::ExportType::kKinesis, model::ExportType::kIotSitewise}) {
      for (const auto& entry : stream.exports) {
        if (entry.config.type == type) stream.definition.exports.push_back(entry.wire_config());
      }
    }
  }

  void check_streams() {
    std::map<std::string, Position> names;
    for (std::size_t i = 0; i < config_.streams.size(); ++i) {
      auto& stream = config_.streams[i];
      const std::string path = fmt::format("streams[{}]", i);
      const std::size_t before = problems_.size();
      check_stream(stream, path);
      const auto [first, is_new] = names.emplace(stream.definition.name, stream.where);
      if (!is_new && !stream.definition.name.empty()) {
        report(stream.where, fmt::format("{}: there is already a stream '{}', at {}:{}", path,
                                         log::escaped(stream.definition.name), first->second.source,
                                         first->second.line));
      }
      // What is incomplete was reported when it was read; once is enough.
      const bool incomplete =
          stream.definition.name.empty() ||
          std::any_of(stream.exports.begin(), stream.exports.end(), [](const DeclaredExport& e) {
            return !e.type_written || e.config.identifier.empty();
          });
      if (problems_.size() != before || incomplete) continue;
      if (const std::string why = protocol::validate(stream.definition, path); !why.empty()) {
        report(stream.where, why);
      }
    }
    if (static_cast<std::int64_t>(config_.streams.size()) > config_.store.streams_max) {
      report({}, fmt::format("{} streams are declared, but store.streams_max is {}",
                             config_.streams.size(), config_.store.streams_max));
    }
  }

  void check_redirects() {
    for (std::size_t i = 0; i < config_.redirects.size(); ++i) {
      RedirectRule& rule = config_.redirects[i];
      check_type_pattern(rule.type_pattern, fmt::format("redirects[{}].match.type", i));
      check_export(rule.to, fmt::format("redirects[{}].to", i));
    }
  }

  // A rule that matches nothing would let messages go where nobody wants them any more.
  void check_type_pattern(const std::string& pattern, const std::string& path) {
    std::string names;
    for (const auto type : kRedirectedTypes) {
      const char* name = model::export_type_name(type);
      if (matches(pattern, name)) return;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    const auto written = config_.settings.find(path);
    report(written == config_.settings.end() ? Position{} : written->second.where,
           fmt::format("{}: '{}' is not one of {}, nor a pattern for any", path,
                       log::escaped(pattern, 64), names));
  }

  void check_additions() {
    for (std::size_t i = 0; i < config_.additions.size(); ++i) {
      check_export(config_.additions[i].entry, fmt::format("additions[{}]", i));
    }
    if (config_.additions.size() > model::kExportsPerStreamMax) {
      report(config_.additions.back().entry.where,
             fmt::format("there are {} additions; at most {} are allowed", config_.additions.size(),
                         model::kExportsPerStreamMax));
    }
  }

  Config& config_;
  std::vector<Problem>& problems_;
};

void apply_options(const std::vector<ConfigSources::Option>& options, Config& config,
                   std::vector<Problem>& problems) {
  for (const auto& option : options) {
    const Key* key = find_key(option.key);
    auto value = value_from_text(*key, option.value);
    if (!value) {
      problems.push_back({{"option " + option.flag, 0, 0}, value.error().what});
      continue;
    }
    Target target{config};
    key->set(target, *value);
    config.settings[option.key] = {text_of(*key, *value), {"option " + option.flag, 0, 0}};
    if (option.key == "store.directory") config.store_must_exist = false;
  }
}

void finish(const ConfigSources& rest, LoadedConfig& loaded) {
  loaded.config.loaded_ms = SystemClock().wall_ms();
  apply_environment(rest.environment, loaded.config, loaded.problems);
  apply_options(rest.options, loaded.config, loaded.problems);
  Checker(loaded.config, loaded.problems).check();
  if (loaded.problems.size() >= kProblemsMax) {
    loaded.problems.push_back({{}, "there may be more; these are the first"});
  }
}

}  // namespace

std::string Problem::text() const {
  if (where.source.empty()) return what;
  if (where.line == 0) return fmt::format("{}: {}", where.source, what);
  return fmt::format("{}:{}:{}: {}", where.source, where.line, where.column, what);
}

model::ExportConfig DeclaredExport::wire_config() const {
  model::ExportConfig shown = config;
  // Client libraries refuse to read a definition with a shorter one.
  if (shown.batch_interval_ms && *shown.batch_interval_ms < kWireBatchIntervalMinMs) {
    shown.batch_interval_ms = kWireBatchIntervalMinMs;
  }
  return shown;
}

const DeclaredStream* Config::find_stream(std::string_view name) const {
  const auto found = std::find_if(streams.begin(), streams.end(), [&](const DeclaredStream& s) {
    return s.definition.name == name;
  });
  return found == streams.end() ? nullptr : &*found;
}

std::vector<const ExportRule*> Config::rules_for(const exporter::ExportSpec& spec) const {
  std::vector<const ExportRule*> rules;
  for (const auto& rule : export_rules) {
    if (matches(rule.stream_pattern, spec.stream_name) &&
        matches(rule.identifier_pattern, spec.config.identifier)) {
      rules.push_back(&rule);
    }
  }
  return rules;
}

destination::ExportOptions Config::options_for(const exporter::ExportSpec& spec) const {
  destination::ExportOptions options = export_defaults;
  for (const ExportRule* rule : rules_for(spec)) {
    for (const auto& change : rule->changes) change(options);
  }
  if (const auto* stream = find_stream(spec.stream_name)) {
    for (const auto& entry : stream->exports) {
      if (entry.config.identifier != spec.config.identifier) continue;
      if (entry.config.type != spec.config.type) continue;
      for (const auto& change : entry.changes) change(options);
    }
  }
  for (const DeclaredExport* entry : added_exports(spec.stream_name)) {
    if (entry->config.identifier != spec.config.identifier) continue;
    if (entry->config.type != spec.config.type) continue;
    for (const auto& change : entry->changes) change(options);
    break;
  }
  if (const RedirectRule* rule = redirect_of(spec.stream_name, spec.config)) {
    for (const auto& change : rule->to.changes) change(options);
    options.redirect = {rule->to.config.type, rule->to.config.target,
                        rule->to.config.export_format};
  }
  return options;
}

std::vector<const DeclaredExport*> Config::added_exports(std::string_view stream) const {
  std::vector<const DeclaredExport*> added;
  for (const auto& addition : additions) {
    if (matches(addition.stream_pattern, stream)) added.push_back(&addition.entry);
  }
  return added;
}

const RedirectRule* Config::redirect_of(const std::string& stream,
                                        const model::ExportConfig& config) const {
  const auto found = std::find_if(redirects.begin(), redirects.end(), [&](const RedirectRule& r) {
    return matches(r.stream_pattern, stream) &&
           matches(r.type_pattern, model::export_type_name(config.type)) &&
           matches(r.identifier_pattern, config.identifier) &&
           matches(r.target_pattern, config.target);
  });
  return found == redirects.end() ? nullptr : &*found;
}

LoadedConfig load_config(const ConfigSources& sources) {
  LoadedConfig loaded;
  FoundFiles found = find_config_files(sources);
  loaded.config.notes = std::move(found.notes);
  loaded.problems = std::move(found.problems);
  std::string all;
  for (const auto& file : found.files) {
    auto content = read_config_file(file, kConfigBytesMax);
    if (!content) {
      loaded.problems.push_back({{file, 0, 0}, content.error().what});
      continue;
    }
    all += *content;
    if (all.size() > kAllFilesBytesMax) {
      loaded.problems.push_back(
          {{file, 0, 0},
           fmt::format("all files together have more than {} bytes", kAllFilesBytesMax)});
      break;
    }
    loaded.config.files.push_back(file);
    loaded.config.shapes.push_back(shape_of(file, *content));
    read_yaml(*content, file, loaded.config, loaded.problems);
  }
  loaded.config.sha256 = sha256_of(all);
  finish(sources, loaded);
  return loaded;
}

LoadedConfig parse_config(std::string_view yaml, const std::string& name,
                          const ConfigSources& rest) {
  LoadedConfig loaded;
  loaded.config.files.push_back(name);
  loaded.config.shapes.push_back(shape_of(name, yaml));
  loaded.config.sha256 = sha256_of(yaml);
  read_yaml(yaml, name, loaded.config, loaded.problems);
  finish(rest, loaded);
  return loaded;
}

}  // namespace weir::daemon
