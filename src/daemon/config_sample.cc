#include "daemon/config_sample.h"

#include "daemon/schema.h"

#include <fmt/format.h>
#include <sstream>
#include <vector>

namespace weir::daemon {
namespace {

bool holds_keys(const Key& key) { return key.kind == Kind::kSection || key.kind == Kind::kList; }

void add_wrapped(std::string& out, const std::string& indent, const std::string& text) {
  constexpr std::size_t kColumns = 96;
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) {
    if (!line.empty() && indent.size() + 3 + line.size() + 1 + word.size() > kColumns) {
      out += fmt::format("## {}{}\n", indent, line);
      line.clear();
    }
    line += line.empty() ? "" : " ";
    line += word;
  }
  if (!line.empty()) out += fmt::format("## {}{}\n", indent, line);
}

std::string sample_value(const Key& key) {
  if (!key.sample.empty()) return key.sample;
  if (key.default_text.empty() || key.kind == Kind::kInteger || key.kind == Kind::kFlag) {
    return key.default_text.substr(0, key.default_text.find(' '));
  }
  const bool plain = key.default_text.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") ==
                     std::string::npos;
  return plain ? key.default_text : "\"" + key.default_text + "\"";
}

std::string range_text(const Key& key) {
  std::string text = key.kind == Kind::kText ? "" : " (" + type_text(key) + ")";
  if (key.required) text += " Required.";
  return text;
}

void add_sample(std::string& out, const Key& key, const std::string& indent, bool first_of_element);

void add_children(std::string& out, const std::vector<Key>& children, const std::string& indent) {
  for (const auto& child : children) add_sample(out, child, indent, false);
}

void add_list(std::string& out, const Key& key, const std::string& indent) {
  bool first = true;
  for (const auto& child : key.children) {
    add_sample(out, child, indent + "  ", first);
    first = false;
  }
}

void add_sample(std::string& out, const Key& key, const std::string& indent,
                bool first_of_element) {
  const std::string lead = first_of_element ? indent.substr(0, indent.size() - 2) + "- " : indent;
  if (key.kind == Kind::kChoiceOrSection) {
    add_wrapped(out, indent, key.doc + range_text(key));
    out += "#" + indent + key.name + ":\n";
    // One of the two; the other is described.
    add_sample(out, key.children.front(), indent + "  ", false);
    for (std::size_t i = 1; i < key.children.size(); ++i) {
      add_wrapped(out, indent,
                  "or " + key.children[i].name + ": " + key.children[i].sample + " - " +
                      key.children[i].doc);
    }
    return;
  }
  if (holds_keys(key)) {
    if (indent.empty()) out += "\n";
    add_wrapped(out, indent, key.doc);
    out += "#" + lead + key.name + ":\n";
    if (key.kind == Kind::kList) {
      add_list(out, key, indent + "  ");
    } else {
      add_children(out, key.children, indent + "  ");
    }
    return;
  }
  add_wrapped(out, indent, key.doc + range_text(key));
  out += "#" + lead + key.name + ": " + sample_value(key) + "\n";
}

}  // namespace

std::string sample_config() {
  std::string out =
      "## Every key of weir's configuration, with its default or an example.\n"
      "## Lines with one # are settings: remove the # to use them (and the # of the section\n"
      "## above). Lines with two explain what follows. Check with: weir validate weir.yaml\n"
      "## docs/configuration.md says the same as a reference. This file is made from the same\n"
      "## table as the parser.\n";
  for (const auto& section : schema().children) add_sample(out, section, "", false);
  return out;
}

}  // namespace weir::daemon
