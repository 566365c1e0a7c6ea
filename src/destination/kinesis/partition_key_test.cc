#include "destination/kinesis/partition_key.h"

#include <gtest/gtest.h>
#include <regex>
#include <set>

namespace weir::destination::kinesis {
namespace {

class Keys : public ::testing::Test {
 protected:
  KeyMaker maker(PartitionKey::Kind kind, std::string text = {}) {
    auto made = KeyMaker::create({kind, std::move(text)}, "pumps", 1, fallbacks);
    EXPECT_TRUE(made) << made.error().what;
    return std::move(*made);
  }
  std::string key(KeyMaker& maker, std::string_view payload, std::int64_t sequence = 7) {
    return maker.make({SequenceNumber(sequence), 0, as_bytes(payload)});
  }
  std::string field(const char* pointer, std::string_view payload) {
    KeyMaker made = maker(PartitionKey::Kind::kField, pointer);
    return key(made, payload);
  }
  std::string from_template(const char* text, std::string_view payload = "{}") {
    KeyMaker made = maker(PartitionKey::Kind::kTemplate, text);
    return key(made, payload);
  }
  metrics::Counter fallbacks;
};

TEST_F(Keys, RandomOnesAreUuidsAndDiffer) {
  KeyMaker made = maker(PartitionKey::Kind::kRandom);
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string one = key(made, "x");
    EXPECT_TRUE(std::regex_match(one, uuid)) << one;
    seen.insert(one);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST_F(Keys, StreamKeysAreTheStreamsName) {
  KeyMaker made = maker(PartitionKey::Kind::kStream);
  EXPECT_EQ(key(made, "x"), "pumps");
}

TEST_F(Keys, FieldsAreTakenFromThePayload) {
  EXPECT_EQ(field("/id", R"({"id":"p-1"})"), "p-1");
  EXPECT_EQ(field("/a/1/b", R"({"a":[0,{"b":42}]})"), "42");
  EXPECT_EQ(field("/ok", R"({"ok":true})"), "true");
  EXPECT_EQ(field("/t", R"({"t":21.5})"), "21.5");
  EXPECT_EQ(field("/a~1b", R"({"a/b":"slash"})"), "slash");
  EXPECT_EQ(fallbacks.value(), 0U);
}

TEST_F(Keys, TheWayToAFieldLeadsThroughObjectsAndArrays) {
  EXPECT_EQ(field("/a/b", R"({"x":{"a":{"b":1}},"a":{"a":{"b":2},"b":3},"b":4})"), "3");
  EXPECT_EQ(field("/1/1", R"([[1,2],[3,4],[5,6]])"), "4");
  EXPECT_EQ(field("/2", R"([[1,[2]],{"2":0},"third"])"), "third");
  EXPECT_EQ(field("/10", "[0,1,2,3,4,5,6,7,8,9,10]"), "10");
  EXPECT_EQ(field("/0", R"({"0":"a member"})"), "a member");
  EXPECT_EQ(field("/a~0b/", R"({"a~b":{"":"no name"}})"), "no name");
  EXPECT_EQ(field("", R"("all of it")"), "all of it");
  EXPECT_EQ(field("/n", R"({"n":-3})"), "-3");
  EXPECT_EQ(field("/n", R"({"n":1e2})"), "100.0");
  EXPECT_EQ(field("/n", R"({"n":18446744073709551615})"), "18446744073709551615");
  EXPECT_EQ(field("/n", R"({"n":"\u00e9\n"})"), "é\n");
  EXPECT_EQ(fallbacks.value(), 0U);
  for (const char* payload : {R"([1])", R"(["a",{"01":1}])", R"({"0":1})", "[[],[[]]]"}) {
    EXPECT_EQ(field("/01", payload), "pumps") << payload;
    EXPECT_EQ(field("/-", payload), "pumps") << payload;
  }
}

TEST_F(Keys, OfMembersWithOneNameTheLastCounts) {
  EXPECT_EQ(field("/a", R"({"a":1,"a":2})"), "2");
  EXPECT_EQ(field("/a/b", R"({"a":{"b":1},"a":{"b":2}})"), "2");
  for (const char* payload : {R"({"a":{"b":1},"a":{}})", R"({"a":{"b":1},"a":7})",
                              R"({"a":{"b":1,"b":null}})", R"({"a":{"b":1}} x)"}) {
    EXPECT_EQ(field("/a/b", payload), "pumps") << payload;
  }
}

TEST_F(Keys, DepthIsNoObstacle) {
  const std::string deep(100'000, '[');
  const std::string end(100'000, ']');
  EXPECT_EQ(field("/id", R"({"x":)" + deep + end + R"(,"id":"p-1"})"), "p-1");
  EXPECT_EQ(field("/id", deep), "pumps");
}

TEST_F(Keys, WithoutAUsableFieldItIsTheStreamsNameAndCounted) {
  std::uint64_t expected = 0;
  for (const char* payload : {"", "not json", "{", "{}", R"({"id":null})", R"({"id":[]})",
                              R"({"id":{}})", R"({"id":""})", "[]", "7", R"({"ID":"x"})"}) {
    EXPECT_EQ(field("/id", payload), "pumps") << payload;
    EXPECT_EQ(fallbacks.value(), ++expected) << payload;
  }
  EXPECT_EQ(field("/a/b", R"({"a":[1]})"), "pumps");
}

TEST_F(Keys, LongValuesAreCutTo256CharactersNotBytes) {
  std::string value;
  for (int i = 0; i < 300; ++i) value += "é";
  const std::string one = field("/id", R"({"id":")" + value + "\"}");
  EXPECT_EQ(one.size(), 512U);
  EXPECT_EQ(one, value.substr(0, 512));
}

TEST_F(Keys, TemplatesMixTextAndPlaceholders) {
  EXPECT_EQ(from_template("{stream}-{sequence}"), "pumps-7");
  EXPECT_EQ(from_template("site:{/site}/{/n}", R"({"site":"A","n":3})"), "site:A/3");
  EXPECT_EQ(from_template("{{{stream}}}"), "{pumps}");
  EXPECT_EQ(from_template("{/missing}-x"), "pumps");
  EXPECT_EQ(fallbacks.value(), 1U);
}

TEST_F(Keys, MalformedOptionsAreRefusedWithAReason) {
  const auto refused = [this](PartitionKey::Kind kind, const char* text, const char* expected) {
    const auto made = KeyMaker::create({kind, text}, "pumps", 1, fallbacks);
    ASSERT_FALSE(made) << text;
    EXPECT_NE(made.error().what.find(expected), std::string::npos) << made.error().what;
  };
  refused(PartitionKey::Kind::kField, "id", "JSON pointer");
  refused(PartitionKey::Kind::kField, "/a~2", "JSON pointer");
  refused(PartitionKey::Kind::kTemplate, "", "empty");
  refused(PartitionKey::Kind::kTemplate, "a{stream", "without");
  refused(PartitionKey::Kind::kTemplate, "{shard}", "{stream}");
  refused(PartitionKey::Kind::kTemplate, "{/a~}", "JSON pointer");
}

}  // namespace
}  // namespace weir::destination::kinesis
