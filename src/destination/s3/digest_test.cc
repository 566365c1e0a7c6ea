#include "destination/s3/digest.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <unistd.h>

/// The expected values are those of Python's hashlib and zlib.
namespace weir::destination::s3 {
namespace {

class Digests : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "weir-digest-" + std::to_string(getpid());
    std::ofstream(path_) << "123456789" << std::string(300'000, 'a');
    auto opened = open_input(path_, {});
    ASSERT_TRUE(opened) << opened.error().what;
    file_ = std::move(*opened);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Digest of(std::int64_t offset, std::int64_t bytes) {
    auto digest = digest_part(*file_, offset, bytes, true, {});
    EXPECT_TRUE(digest);
    return digest.value_or(Digest{});
  }

  std::string path_;
  std::unique_ptr<InputFile> file_;
};

TEST_F(Digests, AreThoseOfOtherPrograms) {
  const Digest nine = of(0, 9);
  EXPECT_EQ(hex(nine.md5), "25f9e794323b453885f5181f1b624d0b");
  EXPECT_EQ(nine.crc32, 0xcbf43926U);
  EXPECT_EQ(nine.sha256_hex, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
  // More than one step of reading.
  const Digest many = of(9, 300'000);
  EXPECT_EQ(hex(many.md5), "92712d77c46f3ee77d7ac6caba4fe2ba");
  EXPECT_EQ(many.crc32, 0xf44ef25fU);
  EXPECT_EQ(many.sha256_hex, "12e1b9b179b29a4f7e5889b185d7ac71bff0ad1f49a7b391d0911b737a0f5381");
}

TEST_F(Digests, OfPartsMakeThoseOfTheWhole) {
  EXPECT_EQ(crc32_joined(of(0, 4).crc32, of(4, 5).crc32, 5), 0xcbf43926U);
  EXPECT_EQ(multipart_etag({of(0, 9), of(9, 300'000)}), "391d6530ab9821dbceee232e703d19b7-2");
}

TEST_F(Digests, AStopEndsTheReading) {
  std::stop_source stop;
  stop.request_stop();
  const auto digest = digest_part(*file_, 0, 9, true, stop.get_token());
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error().code, Errc::kCancelled);
}

}  // namespace
}  // namespace weir::destination::s3
