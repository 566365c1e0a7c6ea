#include "base/log.h"
#include "stream/test_store.h"

#include <cerrno>
#include <gtest/gtest.h>

/// Somebody needs messages on stable storage, whatever the stream promises those who write to it.
namespace weir::stream {
namespace {

class Flush : public ::testing::Test {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    const auto opened = store.open();
    ASSERT_TRUE(opened) << opened.error().what;
  }
  void TearDown() override { log::capture(nullptr); }

  void have(model::StreamDefinition definition, int messages) {
    ASSERT_TRUE(store.create(definition));
    for (int i = 0; i < messages; ++i) ASSERT_TRUE(store.append(definition.name, "message"));
  }
  std::uint64_t ask(const std::string& name) {
    store.catalog->flush(store.stream(name), ++store.last_token);
    return store.last_token;
  }
  Result<SequenceNumber> flush(const std::string& name) {
    const std::uint64_t token = ask(name);
    store.catalog->commit();
    store.settle();
    EXPECT_FALSE(store.answered_twice);
    return store.outcome(token);
  }
  SequenceNumber durable_end(const std::string& name) {
    return store.stream(name).log()->durable_end();
  }

  file::FaultyFileSystem disk;
  TestStore store{disk};
};

TEST_F(Flush, SyncsAStreamThatDoesNotFlushOnWriteAtOnce) {
  have(file_stream("s"), 3);
  ASSERT_LT(durable_end("s"), SequenceNumber(3)) << "its interval has not passed";
  const auto flushed = flush("s");
  ASSERT_TRUE(flushed) << flushed.error().what;
  EXPECT_EQ(*flushed, SequenceNumber(2));
  EXPECT_EQ(durable_end("s"), SequenceNumber(3));
}

TEST_F(Flush, SurvivesThePowerCutBehindIt) {
  have(file_stream("s"), 3);
  ASSERT_TRUE(flush("s"));
  store.forget();
  disk.crash(1);
  store.boot_id = "boot-2";
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.payloads("s").size(), 3U);
}

TEST_F(Flush, IsAnsweredAtOnceWhereNothingIsLeftToSync) {
  have(flushing_stream("flushing"), 2);
  have(memory_stream("memory"), 2);
  have(file_stream("empty"), 0);
  const auto syncs = disk.calls(file::Call::kSync);
  EXPECT_EQ(store.outcome(ask("flushing")), SequenceNumber(1));
  EXPECT_EQ(store.outcome(ask("memory")), SequenceNumber(1));
  EXPECT_EQ(store.outcome(ask("empty")), SequenceNumber(-1));
  EXPECT_EQ(disk.calls(file::Call::kSync), syncs);
}

TEST_F(Flush, SaysSoWhenTheDiskLosesIt) {
  have(file_stream("s"), 3);
  disk.fail_call(file::Call::kSync, 1, EIO);
  const auto flushed = flush("s");
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, Errc::kIo);
}

TEST_F(Flush, OfAStreamThatIsRemovedMeanwhileIsAnswered) {
  have(file_stream("s"), 3);
  const std::uint64_t token = ask("s");
  ASSERT_TRUE(store.remove("s"));
  store.settle();
  const auto flushed = store.outcome(token);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace weir::stream
