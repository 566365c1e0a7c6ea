#include "destination/s3/input_file.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace weir::destination::s3 {
namespace {

namespace fs = std::filesystem;

class InputFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root / "data" / "deep");
    fs::create_directories(root / "data-evil");
    fs::create_directories(root / "secret");
    write(root / "data" / "a.bin", "content");
    write(root / "data" / "deep" / "b.bin", "deeper");
    write(root / "data-evil" / "a.bin", "evil");
    write(root / "secret" / "token", "secret");
    rules.directories = {(root / "data").string()};
  }
  void TearDown() override { fs::remove_all(root); }

  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  std::string open(const fs::path& path) {
    const auto file = open_input(path.string(), rules);
    if (!file) return "refused: " + file.error().what;
    std::string text(static_cast<std::size_t>((*file)->bytes()), '\0');
    const auto read =
        (*file)->read(0, std::as_writable_bytes(std::span<char>(text.data(), text.size())));
    return read ? text : "unreadable: " + read.error().what;
  }
  void expect_refused(const fs::path& path, const std::string& why) {
    const std::string said = open(path);
    EXPECT_TRUE(said.starts_with("refused: ")) << path << ": " << said;
    EXPECT_NE(said.find(why), std::string::npos) << said;
  }

  const fs::path root =
      fs::canonical(::testing::TempDir()) / ("weir-input-" + std::to_string(getpid()));
  InputRules rules;
};

TEST_F(InputFiles, BelowAConfiguredDirectoryAreRead) {
  EXPECT_EQ(open(root / "data" / "a.bin"), "content");
  EXPECT_EQ(open(root / "data" / "deep" / "b.bin"), "deeper");
  EXPECT_EQ(open((root / "data").string() + "//deep/./b.bin"), "deeper");
}

TEST_F(InputFiles, ElsewhereAreRefused) {
  expect_refused(root / "secret" / "token", "none of the directories");
  expect_refused(root / "data-evil" / "a.bin", "none of the directories");
  expect_refused(root / "data", "none of the directories");
  expect_refused("/etc/hostname", "none of the directories");
}

TEST_F(InputFiles, LinksLeadNowhere) {
  fs::create_symlink(root / "secret" / "token", root / "data" / "link");
  fs::create_symlink("a.bin", root / "data" / "near");
  fs::create_directory_symlink(root / "secret", root / "data" / "links");
  expect_refused(root / "data" / "link", "symbolic link");
  expect_refused(root / "data" / "near", "symbolic link");
  expect_refused(root / "data" / "links" / "token", "symbolic link");
}

TEST_F(InputFiles, TheConfiguredDirectoryItselfMayBeALink) {
  fs::create_directory_symlink(root / "data", root / "current");
  rules.directories = {(root / "current").string()};
  EXPECT_EQ(open(root / "current" / "a.bin"), "content");
  expect_refused(root / "data" / "a.bin", "none of the directories");
}

TEST_F(InputFiles, OnlyRegularFiles) {
  ASSERT_EQ(mkfifo((root / "data" / "fifo").c_str(), 0600), 0);
  expect_refused(root / "data" / "fifo", "not a regular file");  // and does not hang
  expect_refused(root / "data" / "deep", "not a regular file");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  fs::current_path(root / "data");
  std::string("socket").copy(static_cast<char*>(address.sun_path), 7);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  expect_refused(root / "data" / "socket", "not a regular file");
  close(fd);
  fs::current_path("/");
}

TEST_F(InputFiles, MissingOnesSaySo) {
  expect_refused(root / "data" / "nothing", "does not exist");
  expect_refused(root / "data" / "a.bin" / "x", "does not exist");
  expect_refused(root / "data" / "a.bin" / "", "named like a directory");
  rules.directories = {(root / "gone").string()};
  expect_refused(root / "gone" / "a.bin",
                 "the directory " + (root / "gone").string() + ", from which");
  expect_refused(root / "gone" / "a.bin", "does not exist; is it mounted?");
  expect_refused(root / "data" / "a.bin", "none of the directories");
  rules.directories.push_back(root.string());
  expect_refused(root / "gone" / "a.bin", "the file");  // the other one is there
}

TEST_F(InputFiles, WithoutDirectoriesAnyFileButTheDeniedOnes) {
  rules = {};
  EXPECT_EQ(open(root / "secret" / "token"), "secret");
  fs::create_symlink(root / "secret" / "token", root / "data" / "link");
  EXPECT_EQ(open(root / "data" / "link"), "secret") << "as in the original";
  rules.denied = {(root / "secret").string()};
  expect_refused(root / "secret" / "token", "never uploads");
  expect_refused(root / "data" / "link", "never uploads");
  rules.denied = {(root / "secret" / "token").string()};
  expect_refused(root / "data" / "link", "never uploads");
  fs::create_hard_link(root / "secret" / "token", root / "data" / "hard");
  expect_refused(root / "data" / "hard", "never uploads");
}

TEST_F(InputFiles, TheKernelsTreesAreNeverUploaded) {
  for (const bool everything : {true, false}) {
    rules = {};
    if (everything) rules.directories = {"/"};
    EXPECT_EQ(open(root / "data" / "a.bin"), "content");
    expect_refused("/proc/version", "never upload");
    expect_refused("/sys/kernel/profiling", "");
    expect_refused("/dev/null", "");
  }
  rules.directories = {"/proc"};
  expect_refused("/proc/self/environ", "");
  expect_refused("/proc/version", "never upload");
}

TEST_F(InputFiles, WhatIsDeniedIsDeniedBelowConfiguredDirectoriesToo) {
  rules.directories = {root.string()};
  rules.denied = {(root / "secret").string()};
  EXPECT_EQ(open(root / "data" / "a.bin"), "content");
  expect_refused(root / "secret" / "token", "never uploads");
}

// What is read is what was opened, whatever takes its name meanwhile.
TEST_F(InputFiles, ASwapAfterwardsChangesNothing) {
  const auto file = open_input((root / "data" / "a.bin").string(), rules);
  ASSERT_TRUE(file);
  fs::remove(root / "data" / "a.bin");
  fs::create_symlink(root / "secret" / "token", root / "data" / "a.bin");
  std::array<std::byte, 7> content{};
  ASSERT_TRUE((*file)->read(0, content));
  EXPECT_EQ(as_text(content), "content");
}

TEST_F(InputFiles, ShrinkingIsNoticedGrowingIsNot) {
  const auto file = open_input((root / "data" / "a.bin").string(), rules);
  ASSERT_TRUE(file);
  std::ofstream(root / "data" / "a.bin", std::ios::app) << " and more";
  EXPECT_EQ((*file)->bytes(), 7);
  fs::resize_file(root / "data" / "a.bin", 3);
  std::array<std::byte, 7> content{};
  const auto read = (*file)->read(0, content);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kConflict);
}

TEST_F(InputFiles, AChangeOfContentChangesTheIdentity) {
  const auto identity = [this] {
    return (*open_input((root / "data" / "a.bin").string(), rules))->identity();
  };
  const FileIdentity before = identity();
  EXPECT_EQ(identity(), before);
  std::ofstream(root / "data" / "a.bin", std::ios::app) << "x";
  EXPECT_NE(identity(), before);
}

}  // namespace
}  // namespace weir::destination::s3
