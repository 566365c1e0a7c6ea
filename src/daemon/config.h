#pragma once

#include "admin/admin.h"
#include "base/log.h"
#include "connector/options.h"
#include "destination/options.h"
#include "exporter/engine.h"
#include "greengrass/options.h"
#include "model/definition.h"
#include "server/server.h"
#include "stream/catalog.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::daemon {

/// Where a setting was written. `line` and `column` count from 1; 0 for what is not a file.
struct Position {
  std::string source;  ///< a file name, "environment variable X" or "option --x"
  int line = 0;
  int column = 0;
};

/// A value that somebody set, as the key's type writes it, and where.
struct Setting {
  std::string text;
  Position where;
};

/// All that was set, by dotted path; elements of lists are counted over all files:
/// "streams[0].exports[1].type". What has no key goes under the variable's name.
using Settings = std::map<std::string, Setting, std::less<>>;

/// How a file ended when it was read: tells a whole one from one that is being written.
struct FileShape {
  std::string name;
  bool empty = false;      ///< nothing but blanks
  bool ends_line = false;  ///< the last byte is a line's end
  bool marked = false;     ///< the last line is YAML's mark for the end of a document, '...'
  bool is_json = false;
};

/// One thing that is wrong with a configuration, and where.
struct Problem {
  Position where;
  std::string what;
  /// "weir.yaml:12:5: unknown key ...", as editors and compilers write it.
  [[nodiscard]] std::string text() const;
};

/// Changes to the options of an export, in the order written. Kept as changes, not as values, so
/// that a later rule replaces only the keys it names.
using OptionChanges = std::vector<std::function<void(destination::ExportOptions&)>>;

/// Options for the exports whose stream and identifier match, for exports that clients define.
struct ExportRule {
  std::string path;                  ///< "export.options[0]", where its settings are
  std::string stream_pattern = "*";  ///< `*` any text, `?` any one character
  std::string identifier_pattern = "*";
  OptionChanges changes;
};

/// One export of a stream that the configuration declares.
struct DeclaredExport {
  std::string path;  ///< "streams[0].exports[1]", where its settings are
  model::ExportConfig config;
  OptionChanges changes;
  Position where;
  std::map<std::string, Position> keys;  ///< which keys were written, to check them against `type`
  bool type_written = false;
  /// False for types that clients cannot define: those are never shown to them.
  [[nodiscard]] bool on_wire() const {
    return config.type != model::ExportType::kFile && config.type != model::ExportType::kFirehose;
  }
  /// The configuration as clients may see it: within the ranges that their libraries accept.
  [[nodiscard]] model::ExportConfig wire_config() const;
};

/// Exports that go elsewhere than their definition says.
struct RedirectRule {
  std::string stream_pattern = "*";
  std::string type_pattern = "*";
  std::string identifier_pattern = "*";
  std::string target_pattern = "*";
  DeclaredExport to;  ///< without an identifier
};

/// An export of streams that clients own.
struct AddedExport {
  std::string stream_pattern = "*";
  DeclaredExport entry;
};

/// A stream that is made at start if it does not exist, and updated if it differs.
struct DeclaredStream {
  std::string path;                    ///< "streams[0]", where its settings are
  model::StreamDefinition definition;  ///< complete after loading: exports that are on the wire too
  std::vector<DeclaredExport> exports;
  Position where;
};

/// A connector that the configuration declares.
struct DeclaredConnector {
  connector::Options options;
  Position where;
  std::map<std::string, Position> keys;  ///< which keys were written
  /// What was given for settings that have several names: name and value, in the order written.
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> given;
};

/// Everything that can be set, in its final form.
struct Config {
  std::string store_directory = "/var/lib/weir";
  /// The directory came from STREAM_MANAGER_STORE_ROOT_DIR, which must exist (protocol.md §8.1).
  bool store_must_exist = false;
  stream::Options store;

  server::Options server;
  std::string tokens_file;
  std::string token_exchange_url;  ///< AWS_CONTAINER_CREDENTIALS_FULL_URI
  greengrass::Options greengrass;

  admin::Options admin;

  exporter::Options exporter;
  destination::TransportOptions transport;
  destination::AwsOptions aws;
  destination::ExportOptions export_defaults;
  std::vector<ExportRule> export_rules;

  std::vector<DeclaredStream> streams;
  std::vector<RedirectRule> redirects;
  std::vector<AddedExport> additions;
  std::vector<DeclaredConnector> connectors;

  log::Level log_level = log::Level::kInfo;

  Settings settings;
  /// What the files set but waits for a restart.
  Settings waiting;
  /// The set of outlets that goes with it: the same settings lead elsewhere when the profile of the
  /// AWS tools says so.
  std::uint64_t outlets = 0;
  std::map<std::string, std::size_t> list_sizes;  ///< of every list, by path

  std::vector<std::string> files;  ///< what was read, in order
  std::vector<FileShape> shapes;   ///< of each of them
  std::string sha256;              ///< of all their bytes, one file behind the other
  std::int64_t loaded_ms = 0;      ///< wall clock
  std::vector<std::string> notes;  ///< things to say once at start

  [[nodiscard]] const DeclaredStream* find_stream(std::string_view name) const;
  /// The rules that match, in order.
  [[nodiscard]] std::vector<const ExportRule*> rules_for(const exporter::ExportSpec& spec) const;
  /// The exports that the configuration adds to the stream of this name.
  [[nodiscard]] std::vector<const DeclaredExport*> added_exports(std::string_view stream) const;
  /// Where the export really goes, if the configuration sends it elsewhere: the first rule that
  /// matches, else null.
  [[nodiscard]] const RedirectRule* redirect_of(const std::string& stream,
                                                const model::ExportConfig& config) const;
  /// The options in force for one export: defaults, then matching rules in order, then what the
  /// declared or added export says itself, then its redirect.
  [[nodiscard]] destination::ExportOptions options_for(const exporter::ExportSpec& spec) const;
};

/// What a configuration is made of, weakest first: defaults, files, environment, command line.
struct ConfigSources {
  /// The file, "" for none, and the directory of further ones, "" for `conf.d` beside it; looked
  /// for again at each load. Not used if both are empty.
  std::string file;
  std::string directory;
  bool file_optional = false;                      ///< `file` need not exist
  std::vector<std::string> files;                  ///< instead of these two; each must exist
  std::map<std::string, std::string> environment;  ///< empty values count as unset
  struct Option {
    std::string flag;  ///< "--port"
    std::string key;   ///< "server.port"
    std::string value;
  };
  std::vector<Option> options;
};

struct LoadedConfig {
  Config config;
  std::vector<Problem> problems;  ///< empty: `config` is complete and valid
};

/// Reads and checks a configuration; reports as many problems at once as it can find (at most 50).
/// Blocks: on disk. Threads: any.
LoadedConfig load_config(const ConfigSources& sources);

/// The same for text in memory instead of files; `name` stands for the file in messages.
LoadedConfig parse_config(std::string_view yaml, const std::string& name,
                          const ConfigSources& rest = {});

/// `file` followed by the files of the directory `conf.d` beside it, see `find_config_files`.
std::vector<std::string> with_drop_ins(const std::string& file);

/// The process's environment.
std::map<std::string, std::string> process_environment();

}  // namespace weir::daemon
