// Which policy for refused messages is in force for which export.

#include "daemon/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::daemon {
namespace {

using Action = exporter::PoisonPolicy::Action;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

exporter::PoisonPolicy policy_of(const std::string& yaml, const std::string& stream = "pumps") {
  const auto loaded = parse_config(yaml, "weir.yaml");
  EXPECT_THAT(loaded.problems, IsEmpty());
  model::ExportConfig config;
  config.identifier = "to-cloud";
  config.type = model::ExportType::kHttp;
  return loaded.config.options_for({stream, config, nullptr}).poison.policy();
}

TEST(PoisonConfig, drops_unless_told_otherwise) { EXPECT_EQ(policy_of("").action, Action::kDrop); }

TEST(PoisonConfig, a_stream_for_dead_letters_is_used_when_it_is_named) {
  const auto policy = policy_of("export: {options: [{dead_letter_stream: letters}]}");
  EXPECT_EQ(policy.action, Action::kDeadLetter);
  EXPECT_EQ(policy.stream, "letters");
}

TEST(PoisonConfig, dead_letters_have_a_stream_when_none_is_named) {
  const auto policy = policy_of("export: {options: [{poison: dead_letter}]}");
  EXPECT_EQ(policy.action, Action::kDeadLetter);
  EXPECT_EQ(policy.stream, "weir-dlq");
}

TEST(PoisonConfig, what_is_said_explicitly_wins_over_the_named_stream) {
  const std::string yaml =
      "export: {options: [{dead_letter_stream: letters}, {stream: 'p*', poison: block}, "
      "{stream: fans, poison: drop}]}";
  EXPECT_EQ(policy_of(yaml).action, Action::kBlock);
  EXPECT_EQ(policy_of(yaml, "fans").action, Action::kDrop);
  EXPECT_EQ(policy_of(yaml, "other").action, Action::kDeadLetter);
}

TEST(PoisonConfig, a_declared_export_says_it_itself) {
  EXPECT_EQ(policy_of("streams: [{name: pumps, exports: [{type: http, identifier: to-cloud, "
                      "uri: 'http://127.0.0.1:9/', poison: block}]}]")
                .action,
            Action::kBlock);
}

TEST(PoisonConfig, what_it_cannot_be_is_named_with_its_place) {
  const auto loaded = parse_config(
      "export:\n  options:\n    - poison: forget\n      dead_letter_stream: a/b\n", "weir.yaml");
  ASSERT_THAT(loaded.problems, SizeIs(2));
  EXPECT_THAT(loaded.problems[0].text(), HasSubstr("weir.yaml:3:"));
  EXPECT_THAT(loaded.problems[1].text(), HasSubstr("weir.yaml:4:"));
}

}  // namespace
}  // namespace weir::daemon
