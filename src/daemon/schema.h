#pragma once

#include "daemon/config.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The table of all configuration keys. The parser, the reference in docs/configuration.md, the
/// sample packaging/weir.yaml and the names of environment variables are all made from it.
namespace weir::daemon {

enum class Kind : std::uint8_t {
  kSection,          ///< a map with the keys `children`
  kList,             ///< a list of sections, each with the keys `children`
  kFlag,             ///< true or false
  kInteger,          ///< min..max
  kText,             ///< one line, not empty
  kChoice,           ///< one of `choices`
  kChoiceOrSection,  ///< one of `choices`, or a map with exactly one of `children`
  kTextMap,          ///< names of `choices`, or of the user's own, to text
};

struct Value {
  bool flag = false;
  std::int64_t integer = 0;
  std::string text;  ///< also the choice
  std::string name;  ///< kTextMap: the entry
};

/// Whether a changed value takes effect while weir runs. Unsaid: as kRestart.
enum class Change : std::uint8_t { kUnsaid, kRestart, kLive };

/// What is being filled in. The pointers are set inside the list element they stand for.
struct Target {
  Config& config;
  std::string path = {};  ///< of the list element
  DeclaredStream* stream = nullptr;
  DeclaredExport* declared_export = nullptr;
  ExportRule* rule = nullptr;
  RedirectRule* redirect = nullptr;
  AddedExport* addition = nullptr;
  DeclaredConnector* connector = nullptr;
  OptionChanges* changes = nullptr;
};

struct Key {
  std::string name;
  Kind kind = Kind::kText;
  std::string doc;           ///< one or two sentences
  std::string default_text;  ///< as shown; empty = none
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string> choices;  ///< kTextMap: the names; none = of the user's own
  bool required = false;
  Change change = Change::kUnsaid;
  bool secret = false;  ///< never shown to anybody
  std::string sample;   ///< value for the sample file where the default would not do
  std::vector<Key> children;
  std::function<void(Target&, const Position&)> begin;  ///< a section or list element was entered
  std::function<void(Target&, const Value&)> set;
  std::function<std::string(const std::string&)> check;  ///< kText: why it is wrong, else empty
};

/// The root; its children are the sections of the file.
const Key& schema();

/// The scalar key outside any list with this dotted path, or null.
const Key* find_key(std::string_view path);

/// The key that a setting belongs to: "streams[3].exports[0].type", "export.aws.region", also an
/// entry of a map of texts. Null: there is none, as for names of the environment.
const Key* key_of_setting(std::string_view path);

/// `value` as the type of `key` writes it.
std::string text_of(const Key& key, const Value& value);

/// Calls `visit(path, key)` for every key, parents first. List elements are written "streams[]".
void for_each_key(const std::function<void(const std::string&, const Key&)>& visit);

/// Reads `text` as the type of `key`; the error says why not.
Result<Value> value_from_text(const Key& key, const std::string& text);

/// "integer 0..65535", "true or false" ...
std::string type_text(const Key& key);

/// Sections of the schema, one function per file.
Key store_section();
Key server_section();
Key admin_section();
Key greengrass_section();
Key log_section();
Key export_section();
Key aws_section();
Key streams_section();
Key redirects_section();
Key additions_section();
Key connectors_section();

/// `type` and what names the target of each type.
std::vector<Key> where_to_keys();
/// All keys of an export that the configuration declares.
std::vector<Key> declared_export_keys();

/// The options of single destinations, shared by declared exports and rules.
std::vector<Key> destination_option_keys();
/// What becomes of messages that a destination refuses for good.
std::vector<Key> poison_keys();
/// The account and region of one export; one of those options.
Key aws_access_options();

}  // namespace weir::daemon
