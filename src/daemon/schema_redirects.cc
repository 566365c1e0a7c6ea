#include "daemon/schema.h"
#include "daemon/schema_builder.h"

#include <utility>

namespace weir::daemon {

using build::list;
using build::live;
using build::of_kind;
using build::one_of;
using build::required;
using build::section;
using build::with_sample;

namespace {

Key pattern(std::string name, std::string doc, std::string sample,
            std::string RedirectRule::*field) {
  return with_sample(std::move(sample),
                     of_kind(Kind::kText, std::move(name), std::move(doc), "*",
                             [field](Target& t, const Value& v) { t.redirect->*field = v.text; }));
}

Key match_section() {
  return section(
      "match", "Which exports; * stands for any text, ? for one character.",
      {
          pattern("stream", "Name of the stream.", "\"pumps-*\"", &RedirectRule::stream_pattern),
          pattern("type",
                  "What the definition says: http, iot_analytics, kinesis, iot_sitewise, "
                  "s3_task_executor, and of declared exports also firehose, file.",
                  "iot_analytics", &RedirectRule::type_pattern),
          pattern("identifier", "Identifier of the export.", "\"*\"",
                  &RedirectRule::identifier_pattern),
          pattern("target", "Kinesis stream, channel or URI in the definition.", "\"*\"",
                  &RedirectRule::target_pattern),
      });
}

Key to_section() {
  auto keys = where_to_keys();
  for (auto& key : destination_option_keys()) keys.push_back(std::move(key));
  return section("to", "Where their messages go instead.", std::move(keys));
}

}  // namespace

Key redirects_section() {
  Key redirects = list(
      "redirects",
      "Exports that go elsewhere than their definition says, whoever defined them. The first entry "
      "that matches counts. Programs still see what they defined, and positions are kept.",
      {required(match_section()), required(to_section())});
  redirects.begin = [](Target& target, const Position& where) {
    target.redirect = &target.config.redirects.emplace_back();
    target.declared_export = &target.redirect->to;
    target.declared_export->where = where;
    target.declared_export->path = target.path;
    target.changes = &target.declared_export->changes;
  };
  return live(std::move(redirects));
}

Key additions_section() {
  auto keys = std::vector<Key>{with_sample(
      "\"pumps-*\"",
      of_kind(Kind::kText, "on_streams",
              "Which streams, by name; * stands for any text, ? for one character.", "*",
              [](Target& t, const Value& v) { t.addition->stream_pattern = v.text; }))};
  for (auto& key : declared_export_keys()) keys.push_back(std::move(key));
  Key additions = list(
      "additions",
      "Further exports of streams that programs own. Programs do not see them. An identifier that "
      "a stream has already leaves its own export as it is.",
      std::move(keys));
  additions.begin = [](Target& target, const Position& where) {
    target.addition = &target.config.additions.emplace_back();
    target.declared_export = &target.addition->entry;
    target.declared_export->where = where;
    target.declared_export->path = target.path;
    target.changes = &target.declared_export->changes;
  };
  return live(std::move(additions));
}

}  // namespace weir::daemon
