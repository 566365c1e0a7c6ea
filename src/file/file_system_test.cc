#include "file/file_system.h"

#include "base/mutex.h"
#include "base/rng.h"
#include "base/testing.h"
#include "file/faulty_file_system.h"
#include "file/memory_file_system.h"
#include "file/posix_file_system.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace weir::file {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using weir::testing::TemporaryDirectory;

/// What every file system has to do, whatever is behind it.
class AnyFileSystem : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "Memory") {
      files_ = make_memory();
    } else if (GetParam() == "Faulty") {
      files_ = std::make_unique<FaultyFileSystem>();
    } else {
      auto opened = open_posix(directory_.path());
      ASSERT_TRUE(opened) << opened.error().what;
      files_ = std::move(*opened);
    }
  }

  std::unique_ptr<File> create(std::string_view path, std::string_view content = "") {
    auto file = files_->open(path, OpenMode::kCreateNew);
    EXPECT_TRUE(file) << file.error().what;
    write(**file, 0, content);
    return std::move(*file);
  }
  static void write(File& file, std::uint64_t offset, std::string_view content) {
    const std::array<Bytes, 1> pieces{as_bytes(content)};
    const auto written = file.write_at(offset, pieces);
    EXPECT_TRUE(written) << written.error().what;
  }
  static std::string read(File& file, std::uint64_t offset = 0, std::size_t count = 1'000'000) {
    ByteVector into(count);
    const auto n = file.read_at(offset, into);
    EXPECT_TRUE(n) << n.error().what;
    return std::string(as_text(Bytes(into).first(n.value_or(0))));
  }
  std::string content(std::string_view path) {
    const auto bytes = read_file(*files_, path, 1'000'000);
    return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().what;
  }
  std::vector<std::string> names(std::string_view path) {
    const auto entries = files_->list(path);
    EXPECT_TRUE(entries) << entries.error().what;
    std::vector<std::string> found;
    for (const Entry& entry : entries.value_or(std::vector<Entry>{})) {
      found.push_back(entry.name + (entry.kind == EntryKind::kDirectory ? "/" : ""));
    }
    return found;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> files_;
};

INSTANTIATE_TEST_SUITE_P(On, AnyFileSystem, ::testing::Values("Posix", "Memory", "Faulty"),
                         [](const auto& test) { return test.param; });

TEST_P(AnyFileSystem, KeepsWhatWasWritten) {
  const auto file = create("a", "hello");
  EXPECT_EQ(read(*file), "hello");
  EXPECT_EQ(file->size().value(), 5U);
  write(*file, 3, "LOW");
  EXPECT_EQ(read(*file), "helLOW");
  EXPECT_EQ(read(*file, 2, 3), "lLO");
  EXPECT_TRUE(file->sync());
  EXPECT_EQ(content("a"), "helLOW");
}

TEST_P(AnyFileSystem, ReadsLessAtTheEndAndNothingBehindIt) {
  const auto file = create("a", "hello");
  EXPECT_EQ(read(*file, 3, 100), "lo");
  EXPECT_EQ(read(*file, 5, 100), "");
  EXPECT_EQ(read(*file, 5'000'000'000, 100), "");
  ByteVector into(10);
  const auto cached = file->try_read_at(1, into);
  ASSERT_TRUE(cached) << cached.error().what;
  ASSERT_TRUE(cached->has_value());
  EXPECT_EQ(**cached, 4U);
}

TEST_P(AnyFileSystem, WritesManyPiecesOneBehindTheOther) {
  const auto file = create("a");
  std::string expected;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 3'000; ++i) texts.emplace_back(i % 7 == 0 ? 0 : i % 5, 'a');
  std::vector<Bytes> pieces;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (char& c : texts[i]) c = static_cast<char>('a' + i % 26);
    pieces.push_back(as_bytes(texts[i]));
    expected += texts[i];
  }
  ASSERT_TRUE(file->write_at(10, pieces));
  EXPECT_EQ(read(*file, 10), expected);
  EXPECT_EQ(read(*file, 0, 10), std::string(10, '\0'));
  EXPECT_TRUE(file->write_at(0, {}));
}

TEST_P(AnyFileSystem, CutsAndExtendsWithZeros) {
  const auto file = create("a", std::string(200'000, 'x'));
  ASSERT_TRUE(file->truncate(100'001));
  EXPECT_EQ(file->size().value(), 100'001U);
  ASSERT_TRUE(file->truncate(150'000));
  EXPECT_EQ(read(*file), std::string(100'001, 'x') + std::string(49'999, '\0'));
  write(*file, 160'000, "end");
  EXPECT_EQ(read(*file, 149'999), std::string(10'001, '\0') + "end");
  ASSERT_TRUE(file->truncate(0));
  EXPECT_EQ(read(*file), "");
}

TEST_P(AnyFileSystem, ADirectoryIsNotAFile) {
  ASSERT_TRUE(files_->make_directory("a"));
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    const auto opened = files_->open("a", mode);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().os_errno, EISDIR) << opened.error().what;
  }
}

TEST_P(AnyFileSystem, CreatesOnlyWhatIsNotThere) {
  create("a", "one");
  const auto again = files_->open("a", OpenMode::kCreateNew);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kAlreadyExists);
  EXPECT_EQ(again.error().os_errno, EEXIST);
  EXPECT_THAT(again.error().what, HasSubstr("'a'"));
  EXPECT_EQ(content("a"), "one");

  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    const auto missing = files_->open("b", mode);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::kNotFound);
  }
  const auto nowhere = files_->open("no/such/place", OpenMode::kCreateNew);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Errc::kNotFound);
}

TEST_P(AnyFileSystem, RefusesToWriteThroughAReader) {
  create("a", "one");
  const auto file = files_->open("a", OpenMode::kRead);
  ASSERT_TRUE(file);
  EXPECT_EQ(read(**file), "one");
  if (GetParam() == "Memory") return;  // its only user never tries
  const std::array<Bytes, 1> pieces{as_bytes("two")};
  EXPECT_FALSE((*file)->write_at(0, pieces));
  EXPECT_EQ(content("a"), "one");
}

TEST_P(AnyFileSystem, MakesAndRemovesDirectories) {
  ASSERT_TRUE(files_->make_directory("d"));
  ASSERT_TRUE(files_->make_directory("d/e"));
  EXPECT_EQ(files_->make_directory("d").error().code, Errc::kAlreadyExists);
  EXPECT_EQ(files_->make_directory("x/y").error().code, Errc::kNotFound);
  create("d/file");
  create("d/e/file");
  create("z");
  EXPECT_THAT(names(""), UnorderedElementsAre("d/", "z"));
  EXPECT_THAT(names("d"), UnorderedElementsAre("e/", "file"));
  EXPECT_FALSE(files_->remove_directory("d"));
  EXPECT_FALSE(files_->remove_file("d"));
  EXPECT_FALSE(files_->remove_directory("z"));
  EXPECT_TRUE(files_->sync_directory("d"));
  EXPECT_TRUE(files_->sync_directory(""));
  EXPECT_EQ(files_->sync_directory("x").error().code, Errc::kNotFound);
  EXPECT_EQ(files_->list("x").error().code, Errc::kNotFound);
  ASSERT_TRUE(remove_tree(*files_, "d"));
  EXPECT_THAT(names(""), UnorderedElementsAre("z"));
  EXPECT_EQ(remove_tree(*files_, "d").error().code, Errc::kNotFound);
}

TEST_P(AnyFileSystem, ListsALotOfEntries) {
  ASSERT_TRUE(files_->make_directory("d"));
  for (int i = 0; i < 1'000; ++i) create("d/" + std::to_string(i));
  EXPECT_EQ(names("d").size(), 1'000U);
}

TEST_P(AnyFileSystem, RenamesFilesOverFilesAndDirectoriesToFreshNames) {
  create("old", "old");
  create("new", "new");
  ASSERT_TRUE(files_->rename("new", "old"));
  EXPECT_EQ(content("old"), "new");
  EXPECT_THAT(names(""), UnorderedElementsAre("old"));

  ASSERT_TRUE(files_->make_directory("d"));
  ASSERT_TRUE(files_->make_directory("d/e"));
  create("d/e/file", "kept");
  ASSERT_TRUE(files_->make_directory("taken"));
  EXPECT_FALSE(files_->rename("d", "taken"));
  EXPECT_FALSE(files_->rename("old", "taken"));
  EXPECT_FALSE(files_->rename("d", "old"));
  EXPECT_EQ(files_->rename("nothing", "x").error().code, Errc::kNotFound);
  ASSERT_TRUE(files_->rename("d", "taken/d"));
  EXPECT_EQ(content("taken/d/e/file"), "kept");
  EXPECT_THAT(names(""), UnorderedElementsAre("old", "taken/"));
}

TEST_P(AnyFileSystem, AnOpenFileOutlivesItsName) {
  const auto file = create("a", "still here");
  ASSERT_TRUE(files_->remove_file("a"));
  EXPECT_THAT(names(""), IsEmpty());
  EXPECT_EQ(read(*file), "still here");
  EXPECT_EQ(files_->remove_file("a").error().code, Errc::kNotFound);
  create("a", "another");
  EXPECT_EQ(read(*file), "still here");
}

TEST_P(AnyFileSystem, RefusesPathsThatLeaveTheRoot) {
  for (const char* path : {"..", "../x", "/etc/passwd", "a/../../b", "./a", "a//b", "a/"}) {
    EXPECT_EQ(files_->open(path, OpenMode::kRead).error().code, Errc::kInvalidArgument) << path;
    EXPECT_EQ(files_->open(path, OpenMode::kCreateNew).error().code, Errc::kInvalidArgument);
    EXPECT_EQ(files_->make_directory(path).error().code, Errc::kInvalidArgument) << path;
    EXPECT_EQ(files_->remove_file(path).error().code, Errc::kInvalidArgument) << path;
    EXPECT_EQ(files_->remove_directory(path).error().code, Errc::kInvalidArgument) << path;
    EXPECT_EQ(files_->rename("x", path).error().code, Errc::kInvalidArgument) << path;
    EXPECT_EQ(files_->rename(path, "x").error().code, Errc::kInvalidArgument) << path;
    EXPECT_EQ(files_->list(path).error().code, Errc::kInvalidArgument) << path;
    EXPECT_EQ(files_->lock(path).error().code, Errc::kInvalidArgument) << path;
  }
}

TEST_P(AnyFileSystem, LocksOnceAndAgainWhenReleased) {
  auto first = files_->lock("LOCK");
  ASSERT_TRUE(first) << first.error().what;
  const auto second = files_->lock("LOCK");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  first->reset();
  EXPECT_TRUE(files_->lock("LOCK"));
}

TEST_P(AnyFileSystem, ReplacesAFileAsAWhole) {
  ASSERT_TRUE(replace_file(*files_, "a", as_bytes("one")));
  ASSERT_TRUE(replace_file(*files_, "a", as_bytes("two")));
  EXPECT_EQ(content("a"), "two");
  create("a.tmp", "left over by a crash");
  ASSERT_TRUE(replace_file(*files_, "a", as_bytes("")));
  EXPECT_EQ(content("a"), "");
  EXPECT_THAT(names(""), UnorderedElementsAre("a"));
  const auto nowhere = replace_file(*files_, "no/such/place", as_bytes("x"));
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().what, HasSubstr("no/such/place"));
}

TEST_P(AnyFileSystem, DoesNotReadFilesThatAreTooLarge) {
  create("a", "12345");
  EXPECT_TRUE(read_file(*files_, "a", 5));
  EXPECT_EQ(read_file(*files_, "a", 4).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(read_file(*files_, "b", 4).error().code, Errc::kNotFound);
}

TEST_P(AnyFileSystem, TellsHowMuchSpaceThereIs) {
  const auto space = files_->space();
  ASSERT_TRUE(space) << space.error().what;
  EXPECT_GT(space->total_bytes, 0U);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

TEST_P(AnyFileSystem, SyncsEverythingAtOnceOrSaysThatItCannot) {
  const auto synced = files_->sync_all();
  EXPECT_TRUE(synced || synced.error().code == Errc::kUnsupported) << synced.error().what;
}

TEST_P(AnyFileSystem, IsReadWhileItGrows) {
  const auto file = create("a");
  std::atomic<std::uint64_t> written{0};
  std::atomic<bool> wrong{false};
  constexpr std::uint64_t kBytes = 1'000'000;
  const auto byte_at = [](std::uint64_t offset) { return std::byte(offset * 31 % 251); };
  std::vector<std::thread> readers;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    readers.emplace_back([&, seed] {
      Rng rng(seed);
      ByteVector into(3'000);
      while (written < kBytes && !wrong) {
        const std::uint64_t end = written;
        if (end == 0) continue;
        const std::uint64_t offset = rng.below(end);
        const std::size_t count = std::min<std::size_t>(into.size(), end - offset);
        const auto n = file->read_at(offset, MutableBytes(into).first(count));
        if (!n || *n != count) wrong = true;
        for (std::size_t i = 0; i < count && !wrong; ++i) wrong = into[i] != byte_at(offset + i);
      }
    });
  }
  ByteVector piece(777);
  while (written < kBytes) {
    for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(written + i);
    const std::array<Bytes, 1> pieces{piece};
    ASSERT_TRUE(file->write_at(written, pieces));
    written += piece.size();
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_FALSE(wrong);
}

class OnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_posix(directory_.path());
    ASSERT_TRUE(opened) << opened.error().what;
    files_ = std::move(*opened);
  }
  [[nodiscard]] mode_t mode_of(const std::string& name) const {
    struct stat status {};
    EXPECT_EQ(::stat((directory_.path() + "/" + name).c_str(), &status), 0);
    return status.st_mode & 07777U;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> files_;
};

TEST_F(OnDisk, NeedsADirectoryThatExists) {
  EXPECT_EQ(open_posix(directory_.path() + "/missing").error().code, Errc::kNotFound);
  ASSERT_TRUE(files_->open("plain", OpenMode::kCreateNew));
  EXPECT_EQ(open_posix(directory_.path() + "/plain").error().code, Errc::kInvalidArgument);
}

TEST_F(OnDisk, NobodyElseMayReadWhatItCreates) {
  ASSERT_TRUE(files_->make_directory("d"));
  ASSERT_TRUE(files_->open("d/f", OpenMode::kCreateNew));
  ASSERT_TRUE(replace_file(*files_, "d/g", as_bytes("x")));
  ASSERT_TRUE(files_->lock("LOCK"));
  EXPECT_EQ(mode_of("d"), 0700U);
  EXPECT_EQ(mode_of("d/f"), 0600U);
  EXPECT_EQ(mode_of("d/g"), 0600U);
  EXPECT_EQ(mode_of("LOCK"), 0600U);
}

TEST_F(OnDisk, OpensNothingButRegularFiles) {
  const std::string root = directory_.path() + "/";
  ASSERT_TRUE(files_->open("target", OpenMode::kCreateNew));
  ASSERT_EQ(::symlink("target", (root + "link").c_str()), 0);
  ASSERT_EQ(::mkfifo((root + "fifo").c_str(), 0600), 0);
  ASSERT_TRUE(files_->make_directory("d"));
  for (const char* name : {"link", "fifo", "d"}) {
    EXPECT_FALSE(files_->open(name, OpenMode::kRead)) << name;
    EXPECT_FALSE(files_->open(name, OpenMode::kReadWrite)) << name;
    EXPECT_FALSE(files_->open(name, OpenMode::kCreateNew)) << name;
  }
  const auto entries = files_->list("");
  ASSERT_TRUE(entries);
  for (const Entry& entry : *entries) {
    if (entry.name == "link" || entry.name == "fifo") {
      EXPECT_EQ(entry.kind, EntryKind::kOther);
    }
  }
}

TEST_F(OnDisk, RemovingATreeLeavesAloneWhatItsLinksPointTo) {
  ASSERT_TRUE(files_->make_directory("outside"));
  ASSERT_TRUE(files_->open("outside/precious", OpenMode::kCreateNew));
  ASSERT_TRUE(files_->make_directory("d"));
  ASSERT_EQ(::symlink("../outside", (directory_.path() + "/d/link").c_str()), 0);
  ASSERT_TRUE(remove_tree(*files_, "d"));
  EXPECT_TRUE(files_->open("outside/precious", OpenMode::kRead));
}

TEST_F(OnDisk, TheLockDiesWithTheProcessThatHolds) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto held = files_->lock("LOCK");
    ::_exit(held ? 0 : 1);  // without releasing it
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(files_->lock("LOCK"));
}

TEST_F(OnDisk, RoomSetAsideChangesNothingAndIsGivenBack) {
  constexpr std::uint64_t kRoom = std::uint64_t{1} << 20U;
  const auto file = files_->open("a", OpenMode::kCreateNew);
  ASSERT_TRUE(file);
  const std::array<Bytes, 1> pieces{as_bytes("hello")};
  ASSERT_TRUE((*file)->write_at(0, pieces));
  const auto blocks = [&] {
    struct stat status {};
    EXPECT_EQ(::stat((directory_.path() + "/a").c_str(), &status), 0);
    return status.st_blocks;
  };
  const int other = ::open((directory_.path() + "/other").c_str(), O_CREAT | O_WRONLY, 0600);
  ASSERT_GE(other, 0);
  const bool possible = ::fallocate(other, FALLOC_FL_KEEP_SIZE, 0, 1) == 0;
  ::close(other);
  const auto before = blocks();
  (*file)->reserve(0, kRoom);
  EXPECT_EQ((*file)->size().value(), 5U);
  if (possible) {
    EXPECT_GE(blocks() * 512, static_cast<std::int64_t>(kRoom));
  }
  ASSERT_TRUE((*file)->truncate(5));
  EXPECT_LE(blocks(), before + 8) << "at most the block the five bytes lie in";
  EXPECT_EQ((*file)->size().value(), 5U);
}

TEST_F(OnDisk, SaysWhyAWriteFailed) {
  const auto file = files_->open("a", OpenMode::kCreateNew);
  ASSERT_TRUE(file);
  const std::array<Bytes, 1> pieces{as_bytes("x")};
  const auto refused = (*file)->write_at(std::uint64_t{1} << 62U, pieces);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().os_errno, EFBIG);
  EXPECT_THAT(refused.error().what, HasSubstr("write 'a': File too large"));
}

TEST(InMemory, RefusesToGrowBeyondItsLimitAndTakesSpaceBack) {
  const auto files = make_memory(1'000);
  const auto a = files->open("a", OpenMode::kCreateNew).value()->size();
  EXPECT_EQ(a.value(), 0U);
  const auto file = std::move(files->open("a", OpenMode::kReadWrite).value());
  const std::string text(800, 'x');
  const std::array<Bytes, 1> pieces{as_bytes(text)};
  ASSERT_TRUE(file->write_at(0, pieces));
  const auto refused = file->write_at(800, pieces);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().os_errno, ENOSPC);
  EXPECT_THAT(refused.error().what, HasSubstr("No space left on device"));
  EXPECT_EQ(files->space()->free_bytes, 200U);
  ASSERT_TRUE(file->truncate(100));
  EXPECT_EQ(files->space()->free_bytes, 900U);
  EXPECT_TRUE(file->write_at(100, pieces));
}

}  // namespace
}  // namespace weir::file
