#pragma once

#include "daemon/schema.h"

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Short ways to write one row of the key table. For the schema_*.cc files only.
namespace weir::daemon::build {

inline Key section(std::string name, std::string doc, std::vector<Key> children) {
  Key key;
  key.name = std::move(name);
  key.kind = Kind::kSection;
  key.doc = std::move(doc);
  key.children = std::move(children);
  return key;
}

inline Key list(std::string name, std::string doc, std::vector<Key> children) {
  Key key = section(std::move(name), std::move(doc), std::move(children));
  key.kind = Kind::kList;
  return key;
}

/// A default-constructed configuration, to read defaults from.
inline Config& defaults() {
  static Config config;
  return config;
}

/// `get(Config&)` gives the field; its default is read from a default-constructed Config.
template <class Get>
Key integer(std::string name, std::string doc, std::int64_t min, std::int64_t max, Get get) {
  Key key;
  key.name = std::move(name);
  key.kind = Kind::kInteger;
  key.doc = std::move(doc);
  key.default_text = std::to_string(get(defaults()));
  key.min = min;
  key.max = max;
  key.set = [get](Target& target, const Value& value) { get(target.config) = value.integer; };
  return key;
}

template <class Get>
Key flag(std::string name, std::string doc, Get get) {
  Key key;
  key.name = std::move(name);
  key.kind = Kind::kFlag;
  key.doc = std::move(doc);
  key.default_text = get(defaults()) ? "true" : "false";
  key.set = [get](Target& target, const Value& value) { get(target.config) = value.flag; };
  return key;
}

template <class Get>
Key text(std::string name, std::string doc, std::string sample, Get get) {
  Key key;
  key.name = std::move(name);
  key.kind = Kind::kText;
  key.doc = std::move(doc);
  key.default_text = get(defaults());
  key.sample = std::move(sample);
  key.set = [get](Target& target, const Value& value) { get(target.config) = value.text; };
  return key;
}

/// For fields of list elements and options: the default is given in words.
inline Key of_kind(Kind kind, std::string name, std::string doc, std::string default_text,
                   std::function<void(Target&, const Value&)> set) {
  Key key;
  key.name = std::move(name);
  key.kind = kind;
  key.doc = std::move(doc);
  key.default_text = std::move(default_text);
  key.set = std::move(set);
  return key;
}

inline Key within(std::int64_t min, std::int64_t max, Key key) {
  key.min = min;
  key.max = max;
  return key;
}
inline Key one_of(std::vector<std::string> choices, Key key) {
  key.choices = std::move(choices);
  return key;
}
inline Key with_sample(std::string sample, Key key) {
  key.sample = std::move(sample);
  return key;
}
inline Key required(Key key) {
  key.required = true;
  return key;
}
/// A changed value takes effect while weir runs; for sections: of every key inside of which nothing
/// else was said.
inline Key live(Key key) {
  if (key.change == Change::kUnsaid) key.change = Change::kLive;
  for (Key& child : key.children) child = live(std::move(child));
  return key;
}
/// The opposite, for single keys inside.
inline Key needs_restart(Key key) {
  key.change = Change::kRestart;
  return key;
}
/// Its values are never shown.
inline Key secret(Key key) {
  key.secret = true;
  return key;
}
inline Key checked(std::function<std::string(const std::string&)> check, Key key) {
  key.check = std::move(check);
  return key;
}

/// An option of a destination: kept as a change, see `OptionChanges`.
template <class Apply>
Key option(Kind kind, std::string name, std::string doc, std::string default_text, Apply apply) {
  return of_kind(kind, std::move(name), std::move(doc), std::move(default_text),
                 [apply](Target& target, const Value& value) {
                   target.changes->push_back(
                       [apply, value](destination::ExportOptions& o) { apply(o, value); });
                 });
}

std::string check_url(const std::string& text);
std::string check_header_value(const std::string& text);

}  // namespace weir::daemon::build
