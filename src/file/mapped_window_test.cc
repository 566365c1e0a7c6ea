#include "file/mapped_window.h"

#include "base/rng.h"
#include "base/testing.h"
#include "file/posix_file_system.h"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <unistd.h>
#include <vector>

namespace weir::file {
namespace {

constexpr std::size_t kFileBytes = std::size_t{64} * 1024;

/// A file of zeros on the real disk, which is written in small pieces.
class SmallWrites : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_posix(directory_.path());
    ASSERT_TRUE(opened) << opened.error().what;
    files_ = std::move(*opened);
    auto created = files_->open("f", OpenMode::kCreateNew);
    ASSERT_TRUE(created) << created.error().what;
    file_ = std::move(*created);
    write(0, std::string(kFileBytes, '\0'));
  }

  void write(std::uint64_t offset, std::string_view text) {
    const std::array<Bytes, 1> pieces{as_bytes(text)};
    const auto written = file_->write_at(offset, pieces);
    ASSERT_TRUE(written) << written.error().what;
  }

  [[nodiscard]] std::string path() const { return directory_.path() + "/f"; }
  /// As another program sees it.
  [[nodiscard]] std::string content() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  weir::testing::TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> files_;
  std::unique_ptr<File> file_;
};

TEST_F(SmallWrites, AreSeenByEverybodyAtOnceWhereverTheyLie) {
  constexpr std::uint64_t kSeed = 20261120;
  Rng rng(kSeed);
  std::string expected(kFileBytes, '\0');
  for (int i = 0; i < 2'000; ++i) {
    if (rng.below(10) == 0) {
      // Somewhere else, of any alignment, sometimes nowhere.
      const std::uint64_t offset = rng.below(kFileBytes);
      file_->expect_small_writes(offset, rng.below(kFileBytes - offset + 1));
    }
    const std::size_t offset = rng.below(kFileBytes);
    const std::size_t bytes = std::min<std::size_t>(rng.below(3'000), kFileBytes - offset);
    const std::string first(bytes / 2, static_cast<char>('a' + i % 26));
    const std::string second(bytes - bytes / 2, static_cast<char>('A' + i % 26));
    const std::array<Bytes, 2> pieces{as_bytes(first), as_bytes(second)};
    ASSERT_TRUE(file_->write_at(offset, pieces));
    expected.replace(offset, bytes, first + second);
    if (i % 50 == 0) {
      ASSERT_EQ(content(), expected) << "seed " << kSeed << ", write " << i;
    }
  }
  EXPECT_EQ(content(), expected);
  ByteVector read(kFileBytes);
  ASSERT_EQ(file_->read_at(0, read).value(), kFileBytes);
  EXPECT_EQ(as_text(read), expected);
  EXPECT_TRUE(file_->sync());
}

TEST_F(SmallWrites, NeedNoCallToTheKernel) {
  const int descriptor = ::open(path().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  MappedWindow window;
  window.open(descriptor, 5'000, 10'000);
  EXPECT_TRUE(window.covers(5'000, 10'000));
  EXPECT_FALSE(window.covers(4'999, 1));
  EXPECT_FALSE(window.covers(14'999, 2));
  EXPECT_FALSE(window.covers(14'999, ~std::uint64_t{0}));
  EXPECT_FALSE(MappedWindow().covers(0, 0)) << "a closed one covers not even nothing";
  // The mapping outlives the descriptor; nothing else could write now.
  ::close(descriptor);
  const std::array<Bytes, 2> pieces{as_bytes("one "), as_bytes("two")};
  EXPECT_TRUE(window.write(7'000, pieces));
  EXPECT_EQ(content().substr(6'999, 9), std::string("\0one two\0", 9));
}

TEST_F(SmallWrites, OfAFileThatWasCutBehindOurBackAreNotLostAndKillNobody) {
  file_->expect_small_writes(0, kFileBytes);
  write(10'000, "before");
  std::filesystem::resize_file(path(), 0);
  write(20'000, "after");
  EXPECT_EQ(content(), std::string(20'000, '\0') + "after");
  write(0, "again");
  EXPECT_EQ(content().substr(0, 5), "again");
}

TEST_F(SmallWrites, EndWhereTheFileIsCut) {
  file_->expect_small_writes(0, kFileBytes);
  ASSERT_TRUE(file_->truncate(10));
  write(5, "at the end");
  EXPECT_EQ(content().size(), 15U);
  EXPECT_EQ(content().substr(5), "at the end");
}

TEST_F(SmallWrites, KeepABoundedAmountOfMemory) {
  const int descriptor = ::open(path().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  std::vector<std::unique_ptr<MappedWindow>> windows;
  const auto open_one = [&] {
    windows.push_back(std::make_unique<MappedWindow>());
    windows.back()->open(descriptor, 0, 4'096);
    return windows.back()->covers(0, 1);
  };
  for (int i = 0; i < kMappedWindowsMax; ++i) ASSERT_TRUE(open_one()) << i;
  EXPECT_FALSE(open_one()) << "one too many";
  windows.front()->close();
  EXPECT_TRUE(open_one()) << "in the place of another";
  // One that moves stays one.
  windows.back()->open(descriptor, 8'192, 4'096);
  EXPECT_TRUE(windows.back()->covers(8'192, 1));
  EXPECT_FALSE(open_one());
  ::close(descriptor);
}

TEST_F(SmallWrites, AFileThatCannotBeMappedIsWrittenAllTheSame) {
  const int descriptor = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  MappedWindow window;
  window.open(descriptor, 0, 4'096);
  EXPECT_FALSE(window.covers(0, 1));
  ::close(descriptor);
  file_->expect_small_writes(0, 0);
  write(3, "x");
  EXPECT_EQ(content()[3], 'x');
}

TEST_F(SmallWrites, ABusErrorOfAnythingElseEndsTheProcess) {
  file_->expect_small_writes(0, kFileBytes);
  write(0, "the handler is there now");
  EXPECT_EXIT(std::raise(SIGBUS), ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace weir::file
