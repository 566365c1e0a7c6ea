#include "daemon/settings.h"

#include "daemon/environment.h"
#include "daemon/schema.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

namespace weir::daemon {
namespace {

constexpr std::string_view kHidden = "(hidden)";
// The one name of the environment without a key that files may hold and that means something.
constexpr std::string_view kInterCallDelay = "STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS";

// "streams[0].exports[1].type" -> "streams".
std::string_view name_of_change(std::string_view path) { return path.substr(0, path.find('[')); }

// What is in force for a path that one of two configurations does not mention.
std::string value_or_default(const Settings& settings, const std::string& path) {
  if (const auto found = settings.find(path); found != settings.end()) return found->second.text;
  const Key* key = find_key(path);
  return key != nullptr && key->kind != Kind::kTextMap ? key->default_text : std::string();
}

// Where the text of the URL's scheme ends ("://"), or npos.
std::size_t next_url(std::string_view text, std::size_t from) { return text.find("://", from); }

bool ends_url(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\'' || c == ',' || c == '<' ||
         c == '>' || c == '}' || c == ']';
}

class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) mix(static_cast<unsigned char>(c));
    mix(0);
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  void mix(unsigned char byte) {  // FNV-1a
    value_ ^= byte;
    value_ *= 0x100000001b3ULL;
  }
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

void add_below(Hash& hash, const Settings& settings, const std::string& prefix) {
  for (auto at = settings.lower_bound(prefix);
       at != settings.end() && at->first.starts_with(prefix); ++at) {
    hash.add(std::string_view(at->first).substr(prefix.size()));
    hash.add(at->second.text);
  }
}

bool fits(const DeclaredExport& entry, const model::ExportConfig& config) {
  return entry.config.identifier == config.identifier && entry.config.type == config.type;
}

// Everything that concerns every destination.
void add_common(Hash& hash, const Config& config) {
  const Settings& settings = config.settings;
  hash.add(std::to_string(config.outlets));
  add_below(hash, settings, "export.aws.");
  add_below(hash, settings, "export.s3.");
  for (const char* path :
       {"export.connect_timeout_ms", "export.stall_timeout_ms", "export.response_bytes_max"}) {
    hash.add(value_or_default(settings, path));
  }
  if (const auto found = settings.find(kInterCallDelay); found != settings.end()) {
    hash.add(found->second.text);
  }
}

}  // namespace

bool is_live(std::string_view path) {
  const Key* key = key_of_setting(path);
  return key != nullptr ? key->change == Change::kLive : path == kInterCallDelay;
}

std::string source_of(const Setting& setting) {
  constexpr std::string_view kVariable = "environment variable ";
  const Position& where = setting.where;
  if (where.source.starts_with(kVariable)) {
    return "environment " + where.source.substr(kVariable.size());
  }
  return where.line == 0 ? where.source : fmt::format("{}:{}", where.source, where.line);
}

std::string without_url_secrets(std::string_view text) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = next_url(text, 0); at != std::string_view::npos;
       at = next_url(text, done)) {
    const std::size_t host = at + 3;
    std::size_t end = host;
    while (end < text.size() && !ends_url(text[end])) ++end;
    const std::string_view rest = text.substr(host, end - host);
    const std::size_t path = std::min(rest.find_first_of("/?#"), rest.size());
    const std::size_t at_sign = rest.substr(0, path).rfind('@');
    const std::size_t begin = at_sign == std::string_view::npos ? 0 : at_sign + 1;
    const std::size_t query = rest.find_first_of("?#", begin);
    out += text.substr(done, host - done);
    if (begin > 0) out += fmt::format("{}@", kHidden);
    out += rest.substr(begin, query == std::string_view::npos ? query : query - begin);
    if (query != std::string_view::npos) out += fmt::format("?{}", kHidden);
    done = end;
  }
  return out.append(text.substr(done));
}

std::string shown_value(std::string_view path, const std::string& text) {
  const Key* key = key_of_setting(path);
  if (is_secret_name(path) || (key != nullptr && key->secret)) return std::string(kHidden);
  return without_url_secrets(text);
}

std::map<std::string, ShownSetting> shown_settings(const Config& config, bool defaults) {
  std::map<std::string, ShownSetting> shown;
  if (defaults) {
    for_each_key([&](const std::string& path, const Key& key) {
      if (find_key(path) == nullptr || key.default_text.empty()) return;
      shown[path] = {shown_value(path, key.default_text), "default"};
    });
  }
  for (const auto& [path, setting] : config.settings) {
    shown[path] = {shown_value(path, setting.text), source_of(setting)};
  }
  return shown;
}

std::vector<std::string> changed_keys(const Config& before, const Config& after) {
  std::set<std::string, std::less<>> changed;
  const auto look = [&](const Config& mine, const Config& other) {
    for (const auto& [path, setting] : mine.settings) {
      if (changed.contains(name_of_change(path))) continue;
      if (setting.text == value_or_default(other.settings, path)) {
        // An empty default in a list is something else than an entry with an empty text.
        if (path.find('[') == std::string::npos || other.settings.contains(path)) continue;
      }
      changed.emplace(name_of_change(path));
    }
  };
  look(before, after);
  look(after, before);
  return {changed.begin(), changed.end()};
}

bool concern_exports(const std::vector<std::string>& keys) {
  static const std::set<std::string, std::less<>> kExact = {"streams",
                                                            "redirects",
                                                            "additions",
                                                            "export.options",
                                                            "export.connect_timeout_ms",
                                                            "export.stall_timeout_ms",
                                                            "export.response_bytes_max",
                                                            std::string(kInterCallDelay)};
  return std::any_of(keys.begin(), keys.end(), [](const std::string& key) {
    return kExact.contains(key) || key.starts_with("export.aws.") || key.starts_with("export.s3.");
  });
}

std::string config_json(const Config& config) {
  using nlohmann::json;
  json values = json::object();
  for (const auto& [path, shown] : shown_settings(config, true)) {
    values[path] = {{"value", shown.value}, {"source", shown.source}};
  }
  const json document = {{"file", config.files.empty() ? "" : config.files.front()},
                         {"files", config.files},
                         {"loaded_ms", config.loaded_ms},
                         {"sha256", config.sha256},
                         {"values", std::move(values)}};
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::map<std::string, std::string> settings_below(const Settings& settings,
                                                  const std::string& path) {
  std::map<std::string, std::string> below;
  const std::string prefix = path + ".";
  for (auto at = settings.lower_bound(prefix);
       at != settings.end() && at->first.starts_with(prefix); ++at) {
    below.emplace(at->first.substr(prefix.size()), at->second.text);
  }
  return below;
}

Fingerprint fingerprint_of(const Config& config, const exporter::ExportSpec& spec) {
  Hash options;
  add_common(options, config);
  for (const ExportRule* rule : config.rules_for(spec)) {
    add_below(options, config.settings, rule->path + ".");
  }
  if (const auto* stream = config.find_stream(spec.stream_name)) {
    for (const auto& entry : stream->exports) {
      if (fits(entry, spec.config)) add_below(options, config.settings, entry.path + ".");
    }
  }
  for (const DeclaredExport* entry : config.added_exports(spec.stream_name)) {
    if (!fits(*entry, spec.config)) continue;
    add_below(options, config.settings, entry->path + ".");
    break;
  }
  Fingerprint print;
  if (const RedirectRule* rule = config.redirect_of(spec.stream_name, spec.config)) {
    add_below(options, config.settings, rule->to.path + ".to.");
    Hash route;
    route.add(model::export_type_name(rule->to.config.type));
    route.add(rule->to.config.target);
    route.add(rule->to.config.export_format == model::ExportFormat::kJsonBatched ? "json" : "raw");
    print.route = route.value();
  }
  print.options = options.value();
  return print;
}

}  // namespace weir::daemon
