#include "base/backoff.h"
#include "base/byte_buffer.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/token_bucket.h"

#include <gtest/gtest.h>
#include <map>

namespace weir {
namespace {

using namespace std::chrono_literals;

TEST(Crc32c, MatchesThePublishedCheckValue) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c_portable(as_bytes("123456789")), 0xE3069283U);
}

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  ByteVector zeros(32, std::byte{0});
  ByteVector ones(32, std::byte{0xff});
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAU);
  EXPECT_EQ(crc32c(ones), 0x62A8AB43U);
}

TEST(Crc32c, HardwareAndTableAgreeAtEveryLengthAndAlignment) {
  Rng rng(7);
  ByteVector data(1'700);  // three lanes of the fast version, three times, and a rest
  for (auto& byte : data) byte = static_cast<std::byte>(rng.next());
  for (std::size_t from = 0; from < 16; ++from) {
    for (std::size_t length = 0; from + length <= data.size(); ++length) {
      const Bytes part(data.data() + from, length);
      ASSERT_EQ(crc32c(part, 42), crc32c_portable(part, 42)) << from << "+" << length;
    }
  }
}

TEST(Crc32c, ContinuesFromASeed) {
  EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xE3069283U);
}

TEST(Backoff, DoublesFromOneSecondToFiveMinutesWithHalfJitter) {
  Backoff backoff({}, 1);
  Duration full = 1s;
  for (int i = 0; i < 40; ++i) {
    const Duration wait = backoff.next();
    EXPECT_GE(wait, full / 2);
    EXPECT_LE(wait, full);
    full = std::min<Duration>(full * 2, 300s);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(), 1s);
}

TEST(Backoff, SomeFailuresBeginFurtherAhead) {
  Backoff backoff({}, 1);
  for (const Duration full : {4s, 8s, 16s}) {
    const Duration wait = backoff.next({}, 2);
    EXPECT_GE(wait, full / 2);
    EXPECT_LE(wait, full);
  }
  EXPECT_LE(backoff.next(), 8s) << "the fourth failure";
}

TEST(Backoff, AServersWishRaisesTheWaitUpToTheCeiling) {
  Backoff backoff({}, 1);
  EXPECT_EQ(backoff.next(20s), 20s);
  EXPECT_EQ(backoff.next(1'000'000s), 300s);
  EXPECT_GE(backoff.next(-5s), 2s);
}

TEST(TokenBucket, KeepsTheAverage) {
  TokenBucket bucket(1000, 1000);
  Instant now{1h};
  const Instant start = now;
  EXPECT_EQ(bucket.ready_at(1000, now), now) << "the burst";
  bucket.take(1000, now);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(bucket.ready_at(500, now), bucket.ready_at(500, now)) << "to ask takes nothing";
    EXPECT_GT(bucket.ready_at(500, now), now);
    now = bucket.ready_at(500, now);
    EXPECT_EQ(bucket.ready_at(500, now), now) << "who comes when told is not sent away";
    bucket.take(500, now);
  }
  EXPECT_GE(now - start, 5s);
  EXPECT_LE(now - start, 5s + 1us);
  now += 1h;
  bucket.take(1000, now);
  EXPECT_GT(bucket.ready_at(1, now), now) << "a silence saves up one burst";
}

TEST(TokenBucket, MoreThanABurstGoesOnCredit) {
  TokenBucket bucket(1000, 1000);
  const Instant start{1h};
  EXPECT_EQ(bucket.ready_at(5000, start), start) << "the bucket will never hold more";
  bucket.take(5000, start);
  EXPECT_GE(bucket.ready_at(1, start), start + 4s) << "and the debt is paid first";
}

TEST(TokenBucket, ZeroMeansUnlimited) {
  TokenBucket bucket(0, 0);
  bucket.take(1 << 30, Instant{});
  EXPECT_EQ(bucket.ready_at(1 << 30, Instant{}), Instant{});
}

TEST(ByteBuffer, GrowsAndKeepsItsContent) {
  ByteBuffer buffer;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string word = std::to_string(i);
    buffer.append(as_bytes(word));
    expected += word;
  }
  EXPECT_EQ(as_text(buffer.bytes()), expected);
  buffer.consume(10);
  EXPECT_EQ(as_text(buffer.bytes()), expected.substr(10));
}

TEST(LogText, EscapesWhatCouldForgeALine) {
  EXPECT_EQ(log::escaped("a\nb\x1b[0m"), "a\\nb\\x1b[0m");
  EXPECT_EQ(log::escaped("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(log::escaped("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(log::escaped("a\xe2\x80\xa8z"), "a\\xe2\\x80\\xa8z");
  EXPECT_EQ(log::escaped("abcdef", 3), "abc...");
}

std::string g_line;  // the sink is a plain function, so it needs a place that outlives it

TEST(LogText, WritesASentenceAndFields) {
  log::capture([](log::Level, const std::string& line) { g_line = line; });
  log::warn("Disk is slow.", {{"stream", "two words"}, {"wait_ms", 12}});
  log::capture(nullptr);
  EXPECT_NE(g_line.find("WARN Disk is slow. stream=\"two words\" wait_ms=12"), std::string::npos)
      << g_line;
}

constexpr metrics::Descriptor kSeen{"weir_test_seen_total", metrics::Type::kCounter, "reason",
                                    "What the test has seen."};

TEST(Metrics, PrintsCountersAndCollectedSamplesInTheTextFormat) {
  metrics::Registry registry;
  registry.counter(kSeen, {"a"}).add(2);
  registry.add_collector([](metrics::Samples& samples) { samples.add(kSeen, {"b\"c"}, 5); });
  const std::string text = registry.text();
  EXPECT_NE(text.find("# TYPE weir_test_seen_total counter"), std::string::npos) << text;
  EXPECT_NE(text.find("weir_test_seen_total{reason=\"a\"} 2"), std::string::npos) << text;
  EXPECT_NE(text.find("weir_test_seen_total{reason=\"b\\\"c\"} 5"), std::string::npos) << text;
}

}  // namespace
}  // namespace weir
