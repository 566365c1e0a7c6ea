#include "destination/sitewise/entry.h"

#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::destination::sitewise {
namespace {

using Json = nlohmann::json;

const char* const kGood =
    R"({"entryId":"e1","propertyAlias":"/a/b","propertyValues":[{"value":{"doubleValue":1.5},)"
    R"("timestamp":{"timeInSeconds":1700000000,"offsetInNanos":5},"quality":"GOOD"}]})";

Json edited(const std::function<void(Json&)>& edit) {
  Json document = Json::parse(kGood);
  edit(document);
  return document;
}

Result<Entry> read(const std::string& text) { return read_entry(as_bytes(text)); }

TEST(SitewiseEntry, IsSentAsTheClientWroteIt) {
  const auto entry = read(kGood);
  ASSERT_TRUE(entry) << entry.error().what;
  EXPECT_EQ(entry->id, "e1");
  EXPECT_EQ(Json::parse(entry->json), Json::parse(kGood));
  EXPECT_EQ(entry->timestamps, (std::vector<Timestamp>{{1'700'000'000, 5}}));
}

TEST(SitewiseEntry, EveryKindOfValueIsUnderstood) {
  for (const char* value :
       {R"({"stringValue":"\u00e9\" \\"})", R"({"integerValue":-2147483648})",
        R"({"doubleValue":3})", R"({"doubleValue":-1e-7})", R"({"doubleValue":"NaN"})",
        R"({"booleanValue":false})", R"({"nullValue":{"valueType":"D"}})"}) {
    const Json document =
        edited([&](Json& d) { d["propertyValues"][0]["value"] = Json::parse(value); });
    const auto entry = read(document.dump());
    ASSERT_TRUE(entry) << value << entry.error().what;
    EXPECT_EQ(Json::parse(entry->json), document) << value;
  }
}

TEST(SitewiseEntry, NullsAndUnknownMembersAreLeftOut) {
  const auto entry = read(
      R"({"entryId":"e1","assetId":null,"propertyAlias":"/a/b","more":1,"propertyValues":[{"value":)"
      R"({"stringValue":null,"doubleValue":1.5},"timestamp":{"timeInSeconds":1700000000,)"
      R"("offsetInNanos":5},"quality":"GOOD"}]})");
  ASSERT_TRUE(entry) << entry.error().what;
  EXPECT_EQ(Json::parse(entry->json), Json::parse(kGood));
}

TEST(SitewiseEntry, TheLastOfSeveralValuesForOneTimeCounts) {
  Json document = Json::parse(kGood);
  document["propertyValues"].push_back(document["propertyValues"][0]);
  document["propertyValues"][1]["value"]["doubleValue"] = 2.5;
  const auto entry = read(document.dump());
  ASSERT_TRUE(entry);
  const Json sent = Json::parse(entry->json);
  ASSERT_EQ(sent["propertyValues"].size(), 1U);
  EXPECT_EQ(sent["propertyValues"][0]["value"]["doubleValue"], 2.5);
}

TEST(SitewiseEntry, PropertiesAreToldApart) {
  const auto named = [](const char* names) {
    Json document = Json::parse(kGood);
    document.erase("propertyAlias");
    document.update(Json::parse(names));
    return read(document.dump())->property;
  };
  EXPECT_EQ(named(R"({"propertyAlias":"x"})"), named(R"({"propertyAlias":"x"})"));
  EXPECT_NE(named(R"({"propertyAlias":"x"})"), named(R"({"propertyAlias":"y"})"));
  EXPECT_NE(named(R"({"assetId":"a","propertyId":"bc"})"),
            named(R"({"assetId":"ab","propertyId":"c"})"));
}

// Ten texts of 1,024 characters, each written as two escapes, and names as long as they may be.
TEST(SitewiseEntry, TheLongestOneThereCanBeIsRead) {
  const auto emoji = [](int count) {
    std::string text = "\"";
    for (int i = 0; i < count; ++i) text += R"(\ud83d\ude00)";
    return text + '"';
  };
  std::string values;
  for (int i = 0; i < 10; ++i) {
    values += (i == 0 ? R"({"value":{"stringValue":)" : R"(,{"value":{"stringValue":)") +
              emoji(1024) + R"(},"timestamp":{"timeInSeconds":)" + std::to_string(1 + i) + "}}";
  }
  const std::string text = R"({"entryId":"e1","propertyAlias":)" + emoji(2048) + R"(,"assetId":)" +
                           emoji(139) + R"(,"propertyId":)" + emoji(139) +
                           R"(,"propertyValues":[)" + values + "]}";
  const auto entry = read(text);
  ASSERT_TRUE(entry) << entry.error().what;
  EXPECT_EQ(entry->timestamps.size(), 10U);
  EXPECT_TRUE(read(text + std::string(256 * 1024 - text.size(), ' ')));
  const auto refused = read(text + std::string(256 * 1024 + 1 - text.size(), ' '));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("262145 bytes"), std::string::npos) << refused.error().what;
}

TEST(SitewiseEntry, WhatNoEntryCanHaveIsNamed) {
  struct Bad {
    const char* why;
    std::function<void(Json&)> edit;
  };
  const auto value = [](const char* text) {
    return [text](Json& d) { d["propertyValues"][0]["value"] = Json::parse(text); };
  };
  const std::vector<Bad> cases = {
      {"no entryId", [](Json& d) { d.erase("entryId"); }},
      {"entryId", [](Json& d) { d["entryId"] = 7; }},
      {"entryId", [](Json& d) { d["entryId"] = ""; }},
      {"entryId", [](Json& d) { d["entryId"] = std::string(65, 'a'); }},
      {"other characters", [](Json& d) { d["entryId"] = "a b"; }},
      {"names no property", [](Json& d) { d.erase("propertyAlias"); }},
      {"names no property",
       [](Json& d) {
         d.erase("propertyAlias");
         d["assetId"] = "a";
       }},
      {"control characters", [](Json& d) { d["propertyAlias"] = "a\nb"; }},
      {"2048", [](Json& d) { d["propertyAlias"] = std::string(2049, 'a'); }},
      {"no propertyValues", [](Json& d) { d.erase("propertyValues"); }},
      {"no propertyValues", [](Json& d) { d["propertyValues"] = Json::array(); }},
      {"at most 10",
       [](Json& d) { d["propertyValues"] = Json::array_t(11, d["propertyValues"][0]); }},
      {"no value", [](Json& d) { d["propertyValues"][0].erase("value"); }},
      {"none of", value("{}")},
      {"none of", value(R"({"stringValue":null})")},
      {"more than one", value(R"({"doubleValue":1,"integerValue":1})")},
      {"doubleValue", value(R"({"doubleValue":"1"})")},
      {"integerValue", value(R"({"integerValue":2147483648})")},
      {"integerValue", value(R"({"integerValue":1.5})")},
      {"booleanValue", value(R"({"booleanValue":"true"})")},
      {"stringValue", value(R"({"stringValue":""})")},
      {"nullValue", value(R"({"nullValue":{"valueType":"X"}})")},
      {"1024",
       [](Json& d) {
         d["propertyValues"][0]["value"] = {{"stringValue", std::string(1025, 'a')}};
       }},
      {"no timestamp", [](Json& d) { d["propertyValues"][0].erase("timestamp"); }},
      {"timeInSeconds",
       [](Json& d) { d["propertyValues"][0]["timestamp"].erase("timeInSeconds"); }},
      {"timeInSeconds", [](Json& d) { d["propertyValues"][0]["timestamp"]["timeInSeconds"] = 0; }},
      {"timeInSeconds",
       [](Json& d) { d["propertyValues"][0]["timestamp"]["timeInSeconds"] = "1700000000"; }},
      {"timeInSeconds",
       [](Json& d) {
         d["propertyValues"][0]["timestamp"]["timeInSeconds"] = 9223372036854775807ULL;
       }},
      {"offsetInNanos",
       [](Json& d) { d["propertyValues"][0]["timestamp"]["offsetInNanos"] = 1'000'000'000; }},
      {"quality", [](Json& d) { d["propertyValues"][0]["quality"] = "FINE"; }},
  };
  for (const Bad& bad : cases) {
    const std::string text = edited(bad.edit).dump();
    const auto entry = read(text);
    ASSERT_FALSE(entry) << text;
    EXPECT_NE(entry.error().what.find(bad.why), std::string::npos)
        << bad.why << " is not in: " << entry.error().what;
  }
  for (const char* text : {"", "null", "[]", "7", "{", "\xff", R"({"entryId":"\ud800"})"}) {
    EXPECT_FALSE(read(text)) << text;
  }
}

}  // namespace
}  // namespace weir::destination::sitewise
