#include "stream/test_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::stream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CatalogTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    const auto opened = store.open();
    ASSERT_TRUE(opened) << opened.error().what;
  }
  void restart() {
    store.close();
    open();
  }
  void kill() {
    store.forget();
    disk.kill_process();
    open();
  }
  void append_numbered(const std::string& name, int count) {
    for (int i = 0; i < count; ++i) {
      const auto outcome = store.append(name, "message " + std::to_string(i));
      ASSERT_TRUE(outcome) << outcome.error().what;
    }
  }

  file::FaultyFileSystem disk;
  TestStore store{disk};
};

TEST_F(CatalogTest, WhatIsAppendedIsReadBackInOrder) {
  ASSERT_TRUE(store.create(file_stream("pumps")));
  EXPECT_EQ(store.append("pumps", "one"), SequenceNumber(0));
  EXPECT_EQ(store.append("pumps", "two"), SequenceNumber(1));
  EXPECT_THAT(store.payloads("pumps"), ElementsAre("one", "two"));
  EXPECT_EQ(store.stream("pumps").storage_status(), (model::StorageStatus{0, 1, 2 * (3 + 24)}));
}

TEST_F(CatalogTest, MessagesAndNumbersSurviveAnOrderlyStop) {
  for (const auto& definition : {file_stream("plain"), flushing_stream("flush")}) {
    ASSERT_TRUE(store.create(definition));
    append_numbered(definition.name, 100);
  }
  restart();
  for (const std::string name : {"plain", "flush"}) {
    EXPECT_EQ(store.payloads(name).size(), 100U);
    EXPECT_EQ(store.append(name, "next"), SequenceNumber(100));
    EXPECT_EQ(store.stream(name).log()->durable_end(), SequenceNumber(name == "flush" ? 101 : 100));
  }
}

TEST_F(CatalogTest, MessagesAndNumbersSurviveAKilledProcess) {
  for (const auto& definition : {file_stream("plain"), flushing_stream("flush")}) {
    ASSERT_TRUE(store.create(definition));
    append_numbered(definition.name, 100);
  }
  kill();
  for (const std::string name : {"plain", "flush"}) {
    EXPECT_EQ(store.payloads(name).size(), 100U);
    EXPECT_EQ(store.append(name, "next"), SequenceNumber(100));
  }
}

TEST_F(CatalogTest, MemoryStreamsKeepTheirDefinitionAndStartOver) {
  ASSERT_TRUE(store.create(memory_stream("cache")));
  append_numbered("cache", 100);
  EXPECT_EQ(store.payloads("cache").size(), 100U);
  EXPECT_EQ(store.stream("cache").log()->durable_end(), SequenceNumber(100));
  restart();
  EXPECT_THAT(store.payloads("cache"), IsEmpty());
  EXPECT_EQ(store.append("cache", "again"), SequenceNumber(0));
}

TEST_F(CatalogTest, AFullStreamRejectsInTheWordsClientsKnow) {
  auto definition = file_stream("small");
  definition.max_size = 1024;
  ASSERT_TRUE(store.create(definition));
  const std::string payload(100, 'x');
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(store.append("small", payload));
  const auto refused = store.append("small", payload);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kFull);
  EXPECT_EQ(refused.error().what, "the message stream is full");
  EXPECT_TRUE(store.append("small", "tiny"));
  EXPECT_EQ(store.payloads("small").size(), 9U);
}

TEST_F(CatalogTest, AMessageThatCanNeverFitRemovesNothing) {
  auto definition = file_stream("small");
  definition.max_size = 1024;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  ASSERT_TRUE(store.create(definition));
  ASSERT_TRUE(store.append("small", "kept"));
  const auto refused = store.append("small", std::string(1001, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kFull);
  EXPECT_THAT(refused.error().what, HasSubstr("can never fit"));
  EXPECT_THAT(store.payloads("small"), ElementsAre("kept"));
  EXPECT_TRUE(store.append("small", std::string(1000, 'x')));
}

TEST_F(CatalogTest, OverwritingDropsWholeOldSegments) {
  auto definition = file_stream("ring");
  definition.max_size = 4096;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  ASSERT_TRUE(store.create(definition));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(store.append("ring", std::string(100, 'x')), SequenceNumber(i));
    ASSERT_LE(store.stream("ring").storage_status().total_bytes, 4096);
  }
  const auto messages = store.read("ring");
  EXPECT_EQ(messages.back().number, 999);
  EXPECT_EQ(messages.front().number, store.stream("ring").log()->oldest().value());
  EXPECT_GT(messages.size(), 20U);
  kill();
  EXPECT_EQ(store.read("ring"), messages);
}

}  // namespace
}  // namespace weir::stream
