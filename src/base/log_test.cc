#include "base/log.h"

#include <array>
#include <cstdlib>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir {
namespace {

using ::testing::MatchesRegex;

std::string journal_stream_of(int descriptor) {
  struct stat info {};
  EXPECT_EQ(::fstat(descriptor, &info), 0);
  return fmt::format("{}:{}", info.st_dev, info.st_ino);
}

// What a process with this JOURNAL_STREAM writes to standard error; "@" stands for the right one.
std::string lines_written(const char* journal_stream) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    const std::string stream =
        std::string(journal_stream) == "@" ? journal_stream_of(ends[1]) : journal_stream;
    ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
    log::set_level(log::Level::kDebug);
    log::debug("Detail.");
    log::info("Started.");
    log::warn("Odd.");
    log::error("Lost.", {{"messages", 3}});
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string all;
  std::array<char, 4096> chunk{};
  for (ssize_t n = 0; (n = ::read(ends[0], chunk.data(), chunk.size())) > 0;) {
    all.append(chunk.data(), static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  return all;
}

TEST(LogLines, TellTheJournalHowImportantTheyAre) {
  EXPECT_THAT(lines_written("@"), MatchesRegex("<7>[^\n]* DEBUG Detail[.]\n"
                                               "<6>[^\n]* INFO Started[.]\n"
                                               "<4>[^\n]* WARN Odd[.]\n"
                                               "<3>[^\n]* ERROR Lost[.] messages=3\n"));
}

TEST(LogLines, CarryNoPrefixWhereTheJournalDoesNotRead) {
  for (const char* stream : {"", "0:0", "8:12345678901", "nonsense"}) {
    EXPECT_THAT(lines_written(stream), MatchesRegex("20[^\n]* DEBUG Detail[.]\n"
                                                    "20[^\n]* INFO Started[.]\n"
                                                    "20[^\n]* WARN Odd[.]\n"
                                                    "20[^\n]* ERROR Lost[.] messages=3\n"))
        << stream;
  }
}

}  // namespace
}  // namespace weir
