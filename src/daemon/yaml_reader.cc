#include "daemon/yaml_reader.h"

#include "base/nearest.h"
#include "daemon/environment.h"
#include "daemon/schema.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace weir::daemon {
namespace {

std::vector<std::string> names_of(const std::vector<Key>& keys) {
  std::vector<std::string> names;
  names.reserve(keys.size());
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

const char* kind_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return "a section";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Scalar:
      return "a single value";
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined:
      break;
  }
  return "nothing";
}

class Reader {
 public:
  Reader(const std::string& name, Config& config, std::vector<Problem>& problems)
      : name_(name), config_(config), problems_(problems) {}

  void read(const YAML::Node& root) {
    if (root.IsNull()) return;
    Target target{config_};
    read_section(schema(), root, "", target);
  }

  void report(const YAML::Mark& mark, std::string what) {
    if (problems_.size() < kProblemsMax) problems_.push_back({position(mark), std::move(what)});
  }

 private:
  [[nodiscard]] Position position(const YAML::Mark& mark) const {
    return {name_, mark.line + 1, mark.column + 1};
  }

  bool spend(const YAML::Node& node) {
    if (nodes_ == kConfigNodesMax) {
      report(node.Mark(), fmt::format("the configuration has more than {} values, aliases counted "
                                      "each time; make it smaller",
                                      kConfigNodesMax));
    }
    return nodes_++ < kConfigNodesMax;
  }

  void read_section(const Key& section, const YAML::Node& node, const std::string& path,
                    Target& target) {
    if (!node.IsMap()) {
      report(node.Mark(), fmt::format("{} must be a section with keys ({}), but here is {}",
                                      path.empty() ? "the configuration" : path,
                                      joined(names_of(section.children)), kind_of(node)));
      return;
    }
    std::map<std::string, YAML::Mark> seen;
    for (const auto& entry : node) {
      if (!spend(entry.first)) return;
      if (!entry.first.IsScalar()) {
        report(entry.first.Mark(), "the name of a key must be a single word");
        continue;
      }
      const std::string& name = entry.first.Scalar();
      const auto [first, is_new] = seen.emplace(name, entry.first.Mark());
      if (!is_new) {
        report(entry.first.Mark(), fmt::format("key '{}' appears twice; the first is in line {}",
                                               log::escaped(name, 64), first->second.line + 1));
        continue;
      }
      read_entry(section, name, entry.first, entry.second, path, target);
    }
    for (const auto& child : section.children) {
      if (child.required && !seen.contains(child.name)) {
        report(node.Mark(), fmt::format("{} has no '{}', which is required", path, child.name));
      }
    }
  }

  void read_entry(const Key& section, const std::string& name, const YAML::Node& key_node,
                  const YAML::Node& value, const std::string& path, Target& target) {
    const auto found = std::find_if(section.children.begin(), section.children.end(),
                                    [&](const Key& child) { return child.name == name; });
    if (found != section.children.end()) {
      // Only the export's own keys: those of its sections are what the sections allow.
      const bool own = section.kind == Kind::kList || section.name == "to";
      if (target.declared_export != nullptr && own) {
        target.declared_export->keys.emplace(name, position(key_node.Mark()));
      }
      if (target.connector != nullptr) {
        target.connector->keys.emplace(name, position(key_node.Mark()));
      }
      read_value(*found, value, key_node.Mark(), path.empty() ? name : path + "." + name, target);
      return;
    }
    // A Greengrass component's JSON configuration has the environment names as keys.
    if (path.empty() && is_environment_name(name) && value.IsScalar()) {
      if (auto why = apply_environment_name(name, value.Scalar(), position(value.Mark()), config_);
          !why.empty()) {
        report(value.Mark(), std::move(why));
      }
      return;
    }
    report(key_node.Mark(), unknown_key(section, name, path));
  }

  static std::string unknown_key(const Key& section, const std::string& name,
                                 const std::string& path) {
    const std::string where = path.empty() ? "" : " in " + path;
    std::string text = fmt::format("unknown key '{}'{}", log::escaped(name, 64), where);
    const auto siblings = names_of(section.children);
    if (const auto near = nearest(name, siblings); !near.empty()) {
      return text + fmt::format("; did you mean '{}'?", near);
    }
    std::string elsewhere;
    for_each_key([&](const std::string& other, const Key& key) {
      if (key.name == name && elsewhere.empty()) elsewhere = other;
    });
    if (!elsewhere.empty()) return text + fmt::format("; there is a key {}", elsewhere);
    return text + "; known keys are " + joined(siblings);
  }

  void read_value(const Key& key, const YAML::Node& node, const YAML::Mark& key_mark,
                  const std::string& path, Target& target) {
    if (!spend(node)) return;
    const bool holds_keys = key.kind == Kind::kSection || key.kind == Kind::kList;
    if (node.IsNull()) {
      // A section whose keys are all commented out is fine; a value left out is a mistake.
      if (!holds_keys) {
        report(key_mark, fmt::format("{} has no value; write one or remove the line", path));
      }
      return;
    }
    switch (key.kind) {
      case Kind::kSection:
        read_section(key, node, path, target);
        return;
      case Kind::kList:
        read_list(key, node, path, target);
        return;
      case Kind::kTextMap:
        read_text_map(key, node, path, target);
        return;
      case Kind::kChoiceOrSection:
        if (node.IsMap()) {
          if (node.size() != 1) {
            report(node.Mark(),
                   fmt::format("{} needs exactly one of {}", path, joined(names_of(key.children))));
            return;
          }
          read_section(key, node, path, target);
          return;
        }
        break;
      default:
        break;
    }
    read_scalar(key, node, path, target);
  }

  void read_list(const Key& key, const YAML::Node& node, const std::string& path,
                 const Target& target) {
    if (!node.IsSequence()) {
      report(node.Mark(), fmt::format("{} must be a list ('- ' before each entry), but here is {}",
                                      path, kind_of(node)));
      return;
    }
    // Lists of several files are joined, so elements are counted on.
    std::size_t& index = config_.list_sizes[path];
    for (const auto& element : node) {
      const std::string element_path = fmt::format("{}[{}]", path, index++);
      if (!spend(element)) return;
      if (!element.IsMap()) {
        report(element.Mark(),
               fmt::format("{} must be a section with keys ({}), but here is {}", element_path,
                           joined(names_of(key.children)), kind_of(element)));
        continue;
      }
      Target inner = target;
      inner.path = element_path;
      key.begin(inner, position(element.Mark()));
      read_section(key, element, element_path, inner);
    }
  }

  void read_text_map(const Key& key, const YAML::Node& node, const std::string& path,
                     Target& target) {
    if (!node.IsMap()) {
      report(node.Mark(), fmt::format("{} must be a section of names and text, but here is {}",
                                      path, kind_of(node)));
      return;
    }
    std::map<std::string, int> seen;
    for (const auto& entry : node) {
      if (!spend(entry.first)) return;
      if (!entry.first.IsScalar() || entry.first.Scalar().empty()) {
        report(entry.first.Mark(), fmt::format("a name in {} must be a single word", path));
        continue;
      }
      const std::string& name = entry.first.Scalar();
      if (!seen.emplace(name, 0).second) {
        report(entry.first.Mark(),
               fmt::format("'{}' appears twice in {}", log::escaped(name, 64), path));
        continue;
      }
      if (!key.choices.empty() &&
          std::find(key.choices.begin(), key.choices.end(), name) == key.choices.end()) {
        report(entry.first.Mark(), fmt::format("{}: '{}' is not one of {}", path,
                                               log::escaped(name, 64), joined(key.choices)));
        continue;
      }
      read_scalar(key, entry.second, path + "." + log::escaped(name, 64), target, name);
    }
  }

  void read_scalar(const Key& key, const YAML::Node& node, const std::string& path, Target& target,
                   const std::string& entry_name = {}) {
    if (!node.IsScalar()) {
      report(node.Mark(),
             fmt::format("{} must be {}, but here is {}", path, type_text(key), kind_of(node)));
      return;
    }
    auto value = value_from_text(key, node.Scalar());
    if (!value) {
      report(node.Mark(), fmt::format("{}: {}", path, value.error().what));
      return;
    }
    value->name = entry_name;
    key.set(target, *value);
    config_.settings[path] = {text_of(key, *value), position(node.Mark())};
  }

  const std::string& name_;
  Config& config_;
  std::vector<Problem>& problems_;
  std::size_t nodes_ = 0;
};

// Hears where documents begin.
class DocumentStarts final : public YAML::EventHandler {
 public:
  YAML::Mark last;

  void OnDocumentStart(const YAML::Mark& mark) override { last = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Where the text goes on behind its first document. `YAML::Load` would ignore that part, and
// `YAML::LoadAll` never returns for some of it (a lone comma is enough).
std::optional<YAML::Mark> text_behind_first_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  if (!parser.HandleNextDocument(starts) || !parser) return std::nullopt;
  parser.HandleNextDocument(starts);
  return starts.last;
}

}  // namespace

void read_yaml(std::string_view yaml, const std::string& name, Config& config,
               std::vector<Problem>& problems) {
  if (yaml.size() > kConfigBytesMax) {
    problems.push_back(
        {{name, 0, 0},
         fmt::format("the file has {} bytes; at most {} are read", yaml.size(), kConfigBytesMax)});
    return;
  }
  Reader reader(name, config, problems);
  try {
    const std::string text(yaml);
    if (const auto rest = text_behind_first_document(text)) {
      reader.report(*rest,
                    "this does not belong to the one document that is read; look for a '---' or a "
                    "stray character before it");
      return;
    }
    reader.read(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    reader.report(error.mark, fmt::format("this is not valid YAML: {}", log::escaped(error.msg)));
  } catch (const std::exception& error) {
    problems.push_back({{name, 0, 0}, fmt::format("cannot read this YAML: {}", error.what())});
  }
}

}  // namespace weir::daemon
