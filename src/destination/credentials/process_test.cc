#include "destination/credentials/process.h"

#include "base/testing.h"
#include "destination/credentials/fakes.h"

#include <chrono>
#include <fstream>
#include <gtest/gtest.h>
#include <signal.h>
#include <thread>

namespace weir::destination::credentials {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Words = std::vector<std::string>;

TEST(SplitCommand, SplitsAsAShellDoesButExpandsNothing) {
  const std::pair<const char*, Words> rows[] = {
      {"a b  c", {"a", "b", "c"}},
      {"  /opt/get keys\t--for x ", {"/opt/get", "keys", "--for", "x"}},
      {R"("/opt/my tool" 'a b' c\ d)", {"/opt/my tool", "a b", "c d"}},
      {R"(x "a \"b\" \\ \n" '\')", {"x", R"(a "b" \ \n)", "\\"}},
      {"x '' \"\"", {"x", "", ""}},
      {"x $HOME `id` *;y>z|w", {"x", "$HOME", "`id`", "*;y>z|w"}},
      {"a'b'\"c\"d", {"abcd"}},
  };
  for (const auto& [text, expected] : rows) {
    const auto words = split_command(text);
    ASSERT_TRUE(words) << text;
    EXPECT_EQ(*words, expected) << text;
  }
  for (const char* text : {"", "  ", "x 'a", "x \"a", "''"})
    EXPECT_FALSE(split_command(text)) << text;
}

class RunProcess : public ::testing::Test {
 protected:
  static Result<std::string> shell(const std::string& script, Duration timeout = seconds(30),
                                   const std::stop_token& stop = {}) {
    return run_process({"/bin/sh", "-c", script}, timeout, stop);
  }
  static std::string error(const Result<std::string>& result) {
    return result ? "no error" : result.error().what;
  }
  testing::TemporaryDirectory directory;
};

TEST_F(RunProcess, GivesWhatTheProgramPrinted) {
  const auto output = shell("cat; echo to nobody >&2; printf abc; printf def");
  ASSERT_TRUE(output) << output.error().what;
  EXPECT_EQ(*output, "abcdef");
}

TEST_F(RunProcess, AFailureNamesTheProgramAndItsStatusButNotItsOutput) {
  const auto output = shell("echo SECRET; echo SECRET >&2; exit 3");
  EXPECT_EQ(error(output),
            "the program /bin/sh ended with status 3; run it by hand as the user weir runs as, to "
            "see what it says");
  EXPECT_EQ(output.error().code, Errc::kUnavailable);
}

TEST_F(RunProcess, AProgramThatIsNotThereIsNamed) {
  const auto output = run_process({"/opt/missing", "--token", "SECRET"}, seconds(5), {});
  EXPECT_EQ(error(output), "the program /opt/missing: start it: No such file or directory");
}

TEST_F(RunProcess, OneThatHangsIsKilledWithItsChildren) {
  const std::string pid_file = directory.path("pid");
  const auto begun = std::chrono::steady_clock::now();
  const auto output = shell("sleep 600 & echo $! > " + pid_file + "; wait", milliseconds(500));
  EXPECT_EQ(error(output), "the program /bin/sh did not end in time and was stopped");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(60));
  pid_t child = 0;
  std::ifstream(pid_file) >> child;
  ASSERT_GT(child, 0);
  // Gone, or waiting for init to notice.
  const auto state = [&] {
    std::ifstream status("/proc/" + std::to_string(child) + "/stat");
    std::string pid, name, letter;
    status >> pid >> name >> letter;
    return letter;
  };
  EXPECT_TRUE(weir::testing::eventually([&] { return state().empty() || state() == "Z"; }))
      << state();
}

TEST_F(RunProcess, EndlessOutputIsCutOff) {
  const auto output = shell("while :; do echo SECRETSECRETSECRETSECRET; done");
  EXPECT_EQ(error(output), "the program /bin/sh printed more than 64 KiB");
}

TEST_F(RunProcess, AStopInterruptsIt) {
  std::stop_source stop;
  std::jthread later([&] { stop.request_stop(); });
  const auto output = shell("sleep 600", seconds(600), stop.get_token());
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, Errc::kCancelled);
}

}  // namespace
}  // namespace weir::destination::credentials
