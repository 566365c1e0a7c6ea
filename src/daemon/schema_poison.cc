#include "daemon/schema.h"
#include "daemon/schema_builder.h"
#include "protocol/definition_codec.h"

#include <string>
#include <vector>

namespace weir::daemon {

using build::checked;
using build::one_of;
using build::option;
using build::with_sample;
using destination::ExportOptions;
using Action = exporter::PoisonPolicy::Action;

namespace {

std::string check_stream_name(const std::string& name) {
  return std::string(protocol::name_violation(name));
}

}  // namespace

std::vector<Key> poison_keys() {
  return {
      with_sample(
          "dead_letter",
          one_of(
              {"drop", "dead_letter", "block"},
              option(Kind::kChoice, "poison",
                     "What becomes of a message that the destination refuses for good: drop skips "
                     "it and counts it, dead_letter keeps it in dead_letter_stream, block waits "
                     "until a person has acted.",
                     "dead_letter with a dead_letter_stream, else drop",
                     [](ExportOptions& o, const Value& v) {
                       o.poison.action = v.text == "block"         ? Action::kBlock
                                         : v.text == "dead_letter" ? Action::kDeadLetter
                                                                   : Action::kDrop;
                     }))),
      with_sample("weir-dlq",
                  checked(check_stream_name,
                          option(Kind::kText, "dead_letter_stream",
                                 "Stream for such messages; created when the first comes, as one "
                                 "that overwrites its oldest and flushes on write.",
                                 "weir-dlq",
                                 [](ExportOptions& o, const Value& v) {
                                   o.poison.dead_letter_stream = v.text;
                                 }))),
  };
}

}  // namespace weir::daemon
