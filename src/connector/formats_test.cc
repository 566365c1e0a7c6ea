// ARNs, names of streams, envelopes, answers: everything that has a form of its own.

#include "connector/answer.h"
#include "connector/arn.h"
#include "connector/envelope.h"
#include "connector/streams.h"
#include "connector/testing.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::connector {
namespace {

using testing::kLakeArn;
using testing::options_for_test;

TEST(Arn, of_every_partition_is_taken_apart_and_put_together_again) {
  for (const char* text :
       {kLakeArn, "arn:aws:firehose:eu-central-1:000000000000:deliverystream/A_b-c.9",
        "arn:aws-cn:firehose:cn-north-1:123456789012:deliverystream/x",
        "arn:aws-us-gov:firehose:us-gov-west-1:123456789012:deliverystream/x"}) {
    const auto arn = parse_arn(text);
    ASSERT_TRUE(arn) << text << ": " << arn.error().what;
    EXPECT_EQ(arn->text(), text);
  }
  EXPECT_EQ(parse_arn(kLakeArn)->region, "us-east-1");
  EXPECT_EQ(parse_arn(kLakeArn)->account, "123456789012");
  EXPECT_EQ(parse_arn(kLakeArn)->name, "lake");
  EXPECT_TRUE(
      parse_arn("arn:aws:firehose:eu-west-1:123456789012:deliverystream/" + std::string(64, 'n')));
}

TEST(Arn, anything_else_is_refused_and_says_which_part_is_wrong) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "is not the ARN"},
      {"lake", "is not the ARN"},
      {"arn:aws:firehose:eu-west-1:123456789012", "is not the ARN"},
      {"urn:aws:firehose:eu-west-1:123456789012:deliverystream/x", "does not begin"},
      {" arn:aws:firehose:eu-west-1:123456789012:deliverystream/x", "does not begin"},
      {"arn:azure:firehose:eu-west-1:123456789012:deliverystream/x", "partition"},
      {"arn:aws-:firehose:eu-west-1:123456789012:deliverystream/x", "partition"},
      {"arn:aws:kinesis:eu-west-1:123456789012:deliverystream/x", "another service"},
      {"arn:aws:firehose::123456789012:deliverystream/x", "region"},
      {"arn:aws:firehose:eu-west:123456789012:deliverystream/x", "region"},
      {"arn:aws:firehose:EU-WEST-1:123456789012:deliverystream/x", "region"},
      {"arn:aws:firehose:eu-west-11:123456789012:deliverystream/x", "region"},
      {"arn:aws:firehose:eu--1:123456789012:deliverystream/x", "region"},
      {"arn:aws:firehose:eu-west-1:12345678901:deliverystream/x", "account"},
      {"arn:aws:firehose:eu-west-1:12345678901x:deliverystream/x", "account"},
      {"arn:aws:firehose:eu-west-1:123456789012:stream/x", "something else"},
      {"arn:aws:firehose:eu-west-1:123456789012:deliverystream/", "name"},
      {"arn:aws:firehose:eu-west-1:123456789012:deliverystream/a/b", "name"},
      {"arn:aws:firehose:eu-west-1:123456789012:deliverystream/a:b", "name"},
      {"arn:aws:firehose:eu-west-1:123456789012:deliverystream/\xff", "name"},
      {"arn:aws:firehose:eu-west-1:123456789012:deliverystream/" + std::string(65, 'n'), "name"},
  };
  for (const auto& [text, why] : wrong) {
    const auto arn = parse_arn(text);
    ASSERT_FALSE(arn) << text;
    EXPECT_NE(arn.error().what.find(why), std::string::npos) << arn.error().what;
  }
}

TEST(StreamNames, tell_everything_that_a_restart_has_to_know) {
  const auto arn = *parse_arn("arn:aws-cn:firehose:cn-north-1:123456789012:deliverystream/a.b-c_d");
  for (const bool memory : {false, true}) {
    const std::string name = queue_stream_name("line-7", memory, arn);
    const auto role = role_of_stream(name);
    ASSERT_TRUE(role) << name;
    EXPECT_EQ(role->kind, StreamRole::Kind::kQueue);
    EXPECT_EQ(role->connector, "line-7");
    EXPECT_EQ(role->memory, memory);
    EXPECT_EQ(role->target, arn);
  }
  const auto answers = role_of_stream(answers_stream_name("line-7"));
  ASSERT_TRUE(answers);
  EXPECT_EQ(answers->kind, StreamRole::Kind::kAnswers);
  EXPECT_EQ(answers->connector, "line-7");
}

TEST(StreamNames, of_others_have_no_role) {
  for (const char* name :
       {"", "pumps", "firehose-queue.", "firehose-queue.c", "firehose-queue.c.aws.eu-west-1",
        "firehose-queue.c.aws.eu-west-1.123456789012", "firehose-queue.c.aws.eu-west-1.12.x",
        "firehose-queue..aws.eu-west-1.123456789012.x",
        "firehose-queue.c.aws.nowhere.123456789012.x", "firehose-answers.", "firehose-answers.a.b",
        "Firehose-answers.a"}) {
    EXPECT_FALSE(role_of_stream(name)) << name;
  }
}

TEST(StreamNames, fit_however_long_their_parts_are) {
  const auto arn =
      *parse_arn("arn:aws-" + std::string(28, 'x') + ":firehose:us-" + std::string(27, 'y') +
                 "-1:123456789012:deliverystream/" + std::string(64, 'n'));
  EXPECT_LE(queue_stream_name(std::string(32, 'c'), true, arn).size(), model::kNameBytesMax);
}

TEST(QueueDefinition, keeps_more_than_may_wait_so_that_room_is_made_of_what_was_sent) {
  for (const std::int64_t bytes : {std::int64_t{2} << 20, std::int64_t{50} << 20,
                                   std::int64_t{256} << 20, std::int64_t{1} << 40}) {
    Options options = options_for_test();
    options.queue_bytes_max = bytes;
    const auto definition = queue_definition(options, options.default_target);
    EXPECT_GE(*definition.max_size, bytes + 2 * *definition.stream_segment_size);
    EXPECT_GE(*definition.stream_segment_size,
              static_cast<std::int64_t>(kDataBytesMax + kIdBytesMax + 1'000));
    EXPECT_EQ(definition.strategy_on_full, model::StrategyOnFull::kOverwriteOldestData);
  }
}

TEST(QueueDefinition, is_flushed_where_records_go_out_one_by_one_unless_told_otherwise) {
  Options options = options_for_test();
  const auto flushes = [&] {
    return *queue_definition(options, options.default_target).flush_on_write;
  };
  EXPECT_FALSE(flushes());
  options.publish_interval_s = 0;
  EXPECT_TRUE(flushes());
  options.flush_on_write = false;
  EXPECT_FALSE(flushes());
  options = options_for_test();
  options.version = 1;
  EXPECT_TRUE(flushes());
  options.memory_only = true;
  EXPECT_FALSE(flushes());
  EXPECT_EQ(*queue_definition(options, options.default_target).persistence,
            model::Persistence::kMemory);
}

TEST(QueueExport, collects_for_the_interval_only_where_there_is_one) {
  Options options = options_for_test();
  const StreamRole queue =
      *role_of_stream(queue_stream_name("firehose", false, options.default_target));
  EXPECT_EQ(export_of(options, queue).batch_interval_ms, 10'000);
  EXPECT_EQ(export_of(options, queue).batch_size, 500);
  EXPECT_EQ(export_of(options, queue).target, "lake");
  options.publish_interval_s = 0;
  EXPECT_FALSE(export_of(options, queue).batch_interval_ms);
  options.publish_interval_s = 10;
  options.version = 1;
  EXPECT_FALSE(export_of(options, queue).batch_interval_ms);
}

TEST(Envelope, gives_back_what_went_in) {
  const std::string longest(kIdBytesMax, 'i');
  for (const std::string& id :
       {std::string(), std::string("r-17"), std::string("\0x", 2), longest}) {
    for (const std::string& data : {std::string("d"), std::string("\0\xff", 2)}) {
      ByteBuffer stored;
      append_envelope(stored, id, as_bytes(data));
      const auto read = read_envelope(stored.bytes());
      ASSERT_TRUE(read);
      EXPECT_EQ(read->id, id);
      EXPECT_EQ(as_text(read->data), data);
    }
  }
}

TEST(Envelope, has_the_documented_bytes) {
  ByteBuffer stored;
  append_envelope(stored, "id", as_bytes("data"));
  EXPECT_EQ(as_text(stored.bytes()), std::string_view("\x01\x00\x02iddata", 9));
}

TEST(Envelope, anything_else_is_none) {
  using namespace std::string_view_literals;
  for (const auto bytes : {""sv, "\x01"sv, "\x01\x00"sv, "\x01\x00\x01"sv, "\x01\xff\xff-----"sv,
                           "\x00\x00\x00x"sv, "\x02\x00\x00x"sv}) {
    EXPECT_FALSE(read_envelope(as_bytes(bytes)));
  }
}

// The examples of the contract, byte for byte.
TEST(StatusMessages, of_versions_2_to_5_are_an_array_for_a_batch) {
  const std::vector<Answer> answers = {{"r-17", "", "ServiceUnavailableException", "Slow down."},
                                       {"r-18", "hA9", "", ""}};
  for (const int version : {2, 3, 4, 5}) {
    EXPECT_EQ(
        status_messages(answers, version),
        (std::vector<std::string>{
            R"({"response":[{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down.","id":"r-17","status":"fail"},)"
            R"({"firehose_record_id":"hA9","id":"r-18","status":"success"}]})"}));
  }
}

TEST(StatusMessages, of_version_1_are_one_for_each_record) {
  const std::vector<Answer> answers = {{"r-17", "hA9", "", ""},
                                       {"r-17", "", "ResourceNotFoundException", "no such stream"}};
  EXPECT_EQ(
      status_messages(answers, 1),
      (std::vector<std::string>{
          R"({"response":{"firehose_record_id":"hA9","status":"success"},"id":"r-17"})",
          R"({"response":{"error":"ResourceNotFoundException","error_message":"no such stream","status":"fail"},"id":"r-17"})"}));
}

TEST(StatusMessages, are_json_whatever_ids_and_messages_hold) {
  const std::string id("quote\" slash\\ line\n nul\0 \xc3\xa4", 28);
  for (const int version : {1, 5}) {
    for (const auto& text :
         status_messages(std::vector<Answer>{{id, "", "Code", "\xff\""}}, version)) {
      const auto read = nlohmann::json::parse(text);
      const auto& entry = version == 1 ? read : read["response"][0];
      EXPECT_EQ(entry["id"], id);
    }
  }
}

TEST(StatusMessages, beyond_a_size_are_several_and_lose_nothing) {
  std::vector<Answer> answers;
  for (int i = 0; i < 100; ++i) answers.push_back({"r-" + std::to_string(i), "id", "", ""});
  answers[50].id = std::string(5'000, 'l');  // alone beyond the size
  const auto messages = status_messages(answers, 5, 1'000);
  std::vector<std::string> ids;
  for (const auto& text : messages) {
    const auto read = nlohmann::json::parse(text);
    EXPECT_TRUE(text.size() <= 1'000 || read["response"].size() == 1);
    for (const auto& entry : read["response"]) ids.push_back(entry["id"].get<std::string>());
  }
  ASSERT_EQ(ids.size(), answers.size());
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], answers[i].id);
}

}  // namespace
}  // namespace weir::connector
