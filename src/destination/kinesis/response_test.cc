#include "destination/kinesis/response.h"

#include <gtest/gtest.h>

namespace weir::destination::kinesis {
namespace {

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
