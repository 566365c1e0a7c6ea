#include "connector/appends.h"

#include "base/log.h"
#include "connector/testing.h"

#include <gtest/gtest.h>

namespace weir::connector {
namespace {

using Texts = std::vector<std::string>;

// A worker that stores messages and needs to know how many of them are safe.
class AppendsInOrder : public ::testing::Test {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    wanted.name = "kept";
    wanted.flush_on_write = true;
  }
  void TearDown() override {
    core.stop();
    log::capture(nullptr);
  }

  // The stream is there before, as somebody made it.
  void have(const model::StreamDefinition& definition) {
    std::promise<Result<void>> made;
    core.run([&] {
      core.catalog->create(definition, [&](const Result<void>& done) { made.set_value(done); });
    });
    ASSERT_TRUE(made.get_future().get());
  }
  Appends::Stored store(const Texts& texts) {
    std::vector<ByteVector> payloads;
    payloads.reserve(texts.size());
    for (const std::string& text : texts) {
      const Bytes bytes = as_bytes(text);
      payloads.emplace_back(bytes.begin(), bytes.end());
    }
    return core.appends.append_in_order(wanted, std::move(payloads), {});
  }
  std::int64_t durable() {
    std::int64_t end = 0;
    core.run([&] { end = core.catalog->find("kept")->log()->durable_end().value(); });
    return end;
  }

  testing::Core core;
  model::StreamDefinition wanted;
};

TEST_F(AppendsInOrder, AHundredMessagesAreSyncedTogether) {
  ASSERT_TRUE(store({"first"}).outcome);
  const auto before = core.disk.calls(file::Call::kSync);
  const auto stored = store(Texts(100, "more"));
  EXPECT_TRUE(stored.outcome);
  EXPECT_EQ(stored.count, 100U);
  EXPECT_EQ(durable(), 101);
  EXPECT_LE(core.disk.calls(file::Call::kSync) - before, 2U);
}

TEST_F(AppendsInOrder, AStreamThatDoesNotFlushOnWriteIsSyncedForThem) {
  auto plain = wanted;
  plain.flush_on_write = false;
  have(plain);
  EXPECT_EQ(store({"a", "b", "c"}).count, 3U);
  EXPECT_EQ(durable(), 3);
}

TEST_F(AppendsInOrder, ThoseInMemoryAreStoredWhenTheyAreThere) {
  auto memory = wanted;
  memory.flush_on_write = false;
  memory.persistence = model::Persistence::kMemory;
  have(memory);
  EXPECT_EQ(store({"a", "b"}).count, 2U);
}

TEST_F(AppendsInOrder, WhatDoesNotFitAnyMoreIsCountedAndNothingBehindItIsThere) {
  auto small = wanted;
  small.max_size = 1'024;
  small.stream_segment_size = 1'024;
  small.strategy_on_full = model::StrategyOnFull::kRejectNewData;
  have(small);
  const std::string half(500, 'h');
  const auto stored = store({"a", half, half, "z"});
  ASSERT_FALSE(stored.outcome);
  EXPECT_EQ(stored.outcome.error().code, Errc::kFull);
  EXPECT_EQ(stored.count, 2U);
  EXPECT_EQ(durable(), 2);
  EXPECT_EQ(core.payloads("kept"), (Texts{"a", half})) << "the small one would have fitted";
}

TEST_F(AppendsInOrder, OneThatNoStreamOfThisSizeTakesStopsThoseBehindIt) {
  auto small = wanted;
  small.max_size = 1'024;
  small.stream_segment_size = 1'024;
  small.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  have(small);
  const auto stored = store({"a", std::string(2'000, 'x'), "z"});
  ASSERT_FALSE(stored.outcome);
  EXPECT_EQ(stored.count, 1U);
  EXPECT_EQ(core.payloads("kept"), (Texts{"a"}));
}

TEST_F(AppendsInOrder, TwoWorkersMayFillOneStreamAtOnce) {
  Appends::Stored other;
  std::thread second([&] { other = store(Texts(300, "of the other")); });
  const auto mine = store(Texts(300, "mine"));
  second.join();
  EXPECT_EQ(mine.count + other.count, 600U);
  EXPECT_EQ(durable(), 600);
}

}  // namespace
}  // namespace weir::connector
