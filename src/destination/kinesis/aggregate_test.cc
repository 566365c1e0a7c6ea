#include "destination/kinesis/aggregate.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace weir::destination::kinesis {
namespace {

std::string hex(Bytes bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::byte byte : bytes) {
    out += kDigits[std::to_integer<unsigned>(byte) >> 4U];
    out += kDigits[std::to_integer<unsigned>(byte) & 15U];
  }
  return out;
}

std::string aggregate_hex(std::string_view key, const std::vector<std::string>& records) {
  std::vector<Bytes> views;
  AggregateSize size(key.size());
  for (const std::string& record : records) {
    views.push_back(as_bytes(record));
    size.add(record.size());
  }
  const ByteBuffer made = aggregate(key, views);
  EXPECT_EQ(made.size(), size.bytes()) << "the size is known beforehand";
  return hex(made.bytes());
}

// pipeline.md §6.2, accepted by the published de-aggregator.
TEST(Aggregate, IsTheContainerThatConsumersKnow) {
  EXPECT_EQ(aggregate_hex("pk1", {"hello", "world"}),
            "f3899ac2"
            "0a03706b31"
            "1a0908001a0568656c6c6f"
            "1a0908001a05776f726c64"
            "f5fb92b07d5dc986bb5915e9657557aa");
}

TEST(Aggregate, LengthsOfMoreThanOneByteAreWrittenInFull) {
  const std::string made = aggregate_hex("k", {std::string(200, 'x')});
  EXPECT_EQ(made.size() / 2, 231U);
  EXPECT_TRUE(made.starts_with("f3899ac20a016b1acd0108001ac80178")) << made;
  EXPECT_TRUE(made.ends_with("b4a947814d780bfeafc08959f5eaf987")) << made;
}

TEST(Aggregate, EmptyDataIsStillARecord) {
  EXPECT_NE(aggregate_hex("k", {""}).find("1a0408001a00"), std::string::npos);
}

TEST(Aggregate, SizesAreExactAroundEveryBoundary) {
  for (const std::size_t bytes : {0U, 1U, 120U, 121U, 122U, 123U, 124U, 127U, 128U, 16375U, 16376U,
                                  16377U, 16383U, 16384U, 70000U}) {
    for (const std::size_t key : {1U, 127U, 128U, 256U}) {
      aggregate_hex(std::string(key, 'k'), {std::string(bytes, 'a'), std::string(bytes, 'b')});
    }
  }
}

TEST(Aggregate, OnlyTheWholeMagicLooksLikeAContainer) {
  EXPECT_TRUE(looks_aggregated(as_bytes("\xf3\x89\x9a\xc2")));
  EXPECT_TRUE(looks_aggregated(as_bytes("\xf3\x89\x9a\xc2 and more")));
  EXPECT_FALSE(looks_aggregated(as_bytes("\xf3\x89\x9a")));
  EXPECT_FALSE(looks_aggregated({}));
}

}  // namespace
}  // namespace weir::destination::kinesis
