#include "destination/kinesis/response.h"

#include "base/rng.h"

#include <array>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <optional>

namespace weir::destination::kinesis {
namespace {

using Json = nlohmann::json;

// What the answer says by another library. Depth 1 is the answer, 2 its Records, 3 one result;
// deeper is ignored.
class AnswerReader final : public nlohmann::json_sax<Json> {
 public:
  std::vector<FailedRecord> failed;
  std::size_t results = 0;
  bool has_records = false;
  bool sound = true;
  std::string sequence;  // of PutRecord

  bool null() override { return value({}); }
  bool boolean(bool) override { return value({}); }
  bool number_integer(number_integer_t) override { return value({}); }
  bool number_unsigned(number_unsigned_t) override { return value({}); }
  bool number_float(number_float_t, const string_t&) override { return value({}); }
  bool binary(binary_t&) override { return false; }
  bool string(string_t& text) override { return value(&text); }
  bool key(string_t& name) override {
    if (depth_ == 1 || depth_ == 3) key_ = name;
    return true;
  }
  bool start_object(std::size_t) override {
    if (depth_ == 0) in_object_ = true;
    if (depth_ == 2 && in_records_) {
      has_code_ = has_sequence_ = false;
      current_ = {results, {}, {}};
    }
    return enter();
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 2 && in_records_) {
      ++results;
      if (has_code_) {
        failed.push_back(std::move(current_));
      } else if (!has_sequence_) {
        sound = false;
      }
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ == 0) return false;
    if (depth_ == 1 && key_ == "Records") {
      if (std::exchange(has_records, true)) sound = false;
      in_records_ = true;
    }
    if (depth_ == 2 && in_records_) sound = false;  // a result that is a list
    return enter();
  }
  bool end_array() override {
    --depth_;
    if (depth_ == 1) in_records_ = false;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

  [[nodiscard]] bool in_object() const { return in_object_; }

 private:
  bool enter() {
    ++depth_;
    return depth_ <= kDepthMax;
  }
  bool value(std::string* text) {
    if (depth_ == 0) return false;  // the whole answer is a bare value
    if (depth_ == 2 && in_records_) sound = false;
    if (text == nullptr) return true;
    if (depth_ == 1) {
      if (key_ == "SequenceNumber") sequence = std::move(*text);
    } else if (depth_ == 3 && in_records_) {
      if (key_ == "ErrorCode") {
        has_code_ = true;
        current_.code = std::move(*text);
      } else if (key_ == "ErrorMessage") {
        current_.message = std::move(*text);
      } else if (key_ == "SequenceNumber") {
        has_sequence_ = true;
      }
    }
    return true;
  }

  static constexpr int kDepthMax = 16;
  int depth_ = 0;
  bool in_object_ = false;
  bool in_records_ = false;
  bool has_code_ = false;
  bool has_sequence_ = false;
  std::string key_;
  FailedRecord current_;
};

// The same question to the other library: how each record fared, or nothing.
std::optional<std::vector<FailedRecord>> oracle(std::string_view body, std::size_t record_count) {
  AnswerReader reader;
  const bool sound = Json::sax_parse(body.begin(), body.end(), &reader) && reader.in_object() &&
                     reader.sound && reader.has_records && reader.results == record_count;
  if (!sound) return std::nullopt;
  return std::move(reader.failed);
}

void expect_as_the_oracle(std::string_view body, std::size_t record_count) {
  const auto expected = oracle(body, record_count);
  const auto read = read_put_records(body, record_count);
  ASSERT_EQ(read.has_value(), expected.has_value()) << body;
  if (!expected) return;
  ASSERT_EQ(read->size(), expected->size()) << body;
  for (std::size_t i = 0; i < expected->size(); ++i) {
    EXPECT_EQ((*read)[i].index, (*expected)[i].index) << body;
    EXPECT_EQ((*read)[i].code, (*expected)[i].code) << body;
    EXPECT_EQ((*read)[i].message, (*expected)[i].message) << body;
  }
}

// Answers as services, proxies and the wild make them.
std::string some_answer(Rng& rng, std::size_t record_count) {
  constexpr std::array kTexts = {R"("")",
                                 R"("a b")",
                                 R"("\u00e9\"\\\/\b\f\n\r\t")",
                                 R"("\ud83d\ude00")",
                                 "\"\xc3\xa9\xf0\x9f\x98\x80\"",
                                 R"("0123456789abcdef0123456789\n")"};
  constexpr std::array kValues = {"null",
                                  "true",
                                  "false",
                                  "0",
                                  "-1.5e+3",
                                  "[]",
                                  "{}",
                                  R"([1,{"ErrorCode":"X"}])",
                                  R"({"Records":[{}]})"};
  constexpr std::array kNames = {"SequenceNumber",       "ErrorCode", "ErrorMessage", "ShardId",
                                 "Sequence\\u004eumber", "x"};
  const auto any = [&](const auto& list) {
    return std::string(list[static_cast<std::size_t>(rng.below(list.size()))]);
  };
  std::string records;
  for (std::size_t i = 0; i < record_count; ++i) {
    records += i == 0 ? "{" : " ,\t{";
    records += rng.below(3) == 0 ? R"("ErrorCode":"InternalFailure")" : R"("SequenceNumber":"49")";
    for (auto more = rng.below(3); more > 0; --more) {
      records += ",\n\"" + any(kNames) + "\" : " + (rng.below(4) == 0 ? any(kValues) : any(kTexts));
    }
    records += "}";
  }
  std::string text = R"({"FailedRecordCount":1,"Records":[)" + records + "]";
  if (rng.below(3) == 0) text += R"(,"EncryptionType":)" + any(kTexts);
  return text + (rng.below(2) == 0 ? "}" : "} \r\n");
}

TEST(PutRecordsAnswer, IsReadAsAnotherLibraryReadsIt) {
  const std::uint64_t seed = 20261120;
  Rng rng(seed);
  std::size_t believed = 0;
  for (int round = 0; round < 20'000; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    const std::size_t count = 1 + static_cast<std::size_t>(rng.below(4));
    std::string text = some_answer(rng, count);
    expect_as_the_oracle(text, count);
    if (oracle(text, count)) ++believed;
    // One byte changed, removed or doubled; the other library takes a NUL for the end.
    const auto at = static_cast<std::size_t>(rng.below(text.size()));
    switch (rng.below(3)) {
      case 0:
        text[at] = static_cast<char>(1 + rng.below(255));
        break;
      case 1:
        text.erase(at, 1);
        break;
      default:
        text.insert(at, 1, text[at]);
    }
    expect_as_the_oracle(text, count);
  }
  EXPECT_GT(believed, 10'000U) << "most of them are good answers";
}

TEST(PutRecordsAnswer, EveryByteOfTextIsJudgedAsAnotherLibraryJudgesIt) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      std::string text = R"({"Records":[{"ErrorCode":"0123456)";
      text += {static_cast<char>(first), static_cast<char>(second)};
      text += R"(7"}]})";
      expect_as_the_oracle(text, 1);
    }
  }
}

constexpr std::string_view kTwo =
    R"({"FailedRecordCount":1,"Records":[{"SequenceNumber":"49","ShardId":"shardId-0"},)"
    R"({"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"slow"}],)"
    R"("EncryptionType":"KMS"})";

TEST(PutRecordsAnswer, TellsWhichRecordsFailed) {
  const auto failed = read_put_records(kTwo, 2);
  ASSERT_TRUE(failed) << failed.error().what;
  ASSERT_EQ(failed->size(), 1U);
  EXPECT_EQ(failed->front().index, 1U);
  EXPECT_EQ(failed->front().code, "ProvisionedThroughputExceededException");
  EXPECT_EQ(failed->front().message, "slow");
}

TEST(PutRecordsAnswer, IsJudgedByErrorCodesNotByTheCount) {
  EXPECT_EQ(
      read_put_records(R"({"FailedRecordCount":5,"Records":[{"SequenceNumber":"1"}]})", 1)->size(),
      0U);
  EXPECT_EQ(read_put_records(R"({"FailedRecordCount":0,"Records":[{"ErrorCode":"X"}]})", 1)->size(),
            1U);
  // Some services write members that are not there as null.
  EXPECT_EQ(read_put_records(
                R"({"Records":[{"SequenceNumber":"1","ErrorCode":null,"ErrorMessage":null}]})", 1)
                ->size(),
            0U);
}

TEST(PutRecordsAnswer, EveryTruncationIsRefused) {
  for (std::size_t length = 0; length < kTwo.size(); ++length) {
    EXPECT_FALSE(read_put_records(kTwo.substr(0, length), 2)) << length;
  }
}

TEST(PutRecordsAnswer, WrongNumbersOfResultsAreRefused) {
  EXPECT_FALSE(read_put_records(kTwo, 1));
  EXPECT_FALSE(read_put_records(kTwo, 3));
  EXPECT_FALSE(read_put_records(R"({"Records":[]})", 1));
}

TEST(PutRecordsAnswer, WhatIsNotAnAnswerOfKinesisIsRefused) {
  for (const char* body :
       {"", "{}", "null", "[]", "7", "\"x\"", "<html>log in</html>", R"({"Records":{}})",
        R"({"Records":[1]})", R"({"Records":[[]]})", R"({"Records":[{}]})",
        R"({"Records":[{"SequenceNumber":7}]})", R"({"Records":[{"ErrorCode":7}]})",
        R"({"Records":[null]})", R"({"records":[{"SequenceNumber":"1"}]})",
        R"({"Records":[{"SequenceNumber":"1"}],"Records":[{"SequenceNumber":"1"}]})",
        R"({"Records":[{"SequenceNumber":"1"}]} trailing)",
        R"({"Records":[{"SequenceNumber":"1"}]}{"Records":[]})",
        R"({"x":{"Records":[{"SequenceNumber":"1"}]}})"}) {
    EXPECT_FALSE(read_put_records(body, 1)) << body;
  }
  std::string deep = R"({"x":)";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_FALSE(read_put_records(deep, 1));
}

TEST(PutRecordsAnswer, UnknownMembersAreIgnored) {
  const auto failed = read_put_records(
      R"({"New":[{"ErrorCode":"X"}],"Records":[{"SequenceNumber":"1","Extra":{"ErrorCode":"Y",)"
      R"("l":[1,{"ErrorCode":"Z"}]}}],"Z":{"Records":[1]}})",
      1);
  ASSERT_TRUE(failed) << failed.error().what;
  EXPECT_TRUE(failed->empty());
}

TEST(PutRecordAnswer, CarriesTheNumberOfTheRecord) {
  EXPECT_EQ(*read_put_record(R"({"ShardId":"s","SequenceNumber":"4961"})"), "4961");
  for (const char* body : {"", "{}", R"({"SequenceNumber":""})", R"({"SequenceNumber":1})",
                           R"({"SequenceNumber":"1")", "<html>"}) {
    EXPECT_FALSE(read_put_record(body)) << body;
  }
}

TEST(Blame, FindsTheRecordThatARefusalNames) {
  EXPECT_EQ(blamed_record("Value 'java.nio.HeapByteBuffer[pos=0 lim=2097152]' at "
                          "'records.97.member.data' failed to satisfy constraint: Member must "
                          "have length less than or equal to 1048576",
                          500),
            96U);
  EXPECT_EQ(blamed_record("records.1.member.partitionKey", 1), 0U);
  for (const char* text :
       {"", "records.", "records.0.member.data", "records.4.member.data", "records.x.member.data",
        "records.-1.member.data", "records.2.data", "records.99999999999999999999.member.data"}) {
    EXPECT_EQ(blamed_record(text, 3), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace weir::destination::kinesis
