#pragma once

#include "daemon/config.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

/// What was set in a configuration, as people see and compare it.
namespace weir::daemon {

/// Whether a change of this setting takes effect while weir runs.
bool is_live(std::string_view path);

/// "weir.yaml:12", "environment WEIR_SERVER_PORT", "option --port".
std::string source_of(const Setting& setting);

/// The value for people: "(hidden)" for secrets, URLs without user names and queries.
std::string shown_value(std::string_view path, const std::string& text);

/// Takes user names, passwords and queries out of every URL in `text`.
std::string without_url_secrets(std::string_view text);

struct ShownSetting {
  std::string value;
  std::string source;  ///< as `source_of`; "default" where nobody set it
};
/// What is in force, by path; with what nobody set, if `defaults`. Keys without a value are left
/// out.
std::map<std::string, ShownSetting> shown_settings(const Config& config, bool defaults);

/// The keys in which the two differ, ascending: "export.max_bandwidth_kbps"; for something in a
/// list the list, "export.options"; for names without a key the name.
std::vector<std::string> changed_keys(const Config& before, const Config& after);

/// Whether any of these keys concerns where exports go, or how.
bool concern_exports(const std::vector<std::string>& keys);

/// What GET /config answers.
std::string config_json(const Config& config);

/// The settings below `path` ("streams[2]"), by what follows it.
std::map<std::string, std::string> settings_below(const Settings& settings,
                                                  const std::string& path);

/// Whoever has the same fingerprint has the same options in force for the export. `route` is of
/// where it goes, `options` of everything else that concerns its destination.
struct Fingerprint {
  std::uint64_t route = 0;
  std::uint64_t options = 0;
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};
Fingerprint fingerprint_of(const Config& config, const exporter::ExportSpec& spec);

}  // namespace weir::daemon
