#include "daemon/process.h"

#include "daemon/testing.h"

#include <csignal>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace weir::daemon {
namespace {

// Runs `body` in a child, which ends with what it returns; gives back the wait status.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(Process, knows_figures_about_itself) {
  EXPECT_GT(resident_bytes(), 1 << 20);
  EXPECT_GE(open_descriptors(), 3);
  EXPECT_EQ(boot_id().size(), 36U);
}

TEST(Process, is_told_the_boot_id_where_a_sandbox_hides_it) {
  EXPECT_EQ(boot_id("/absent"), "");
  ::setenv("BOOT_ID", "0123456789abcdef0123456789abcdef", 1);
  EXPECT_EQ(boot_id("/absent"), "01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_NE(boot_id(), boot_id("/absent")) << "the kernel is believed first";
  ::setenv("BOOT_ID", "01234567-89ab-cdef-0123-456789abcdef", 1);
  EXPECT_EQ(boot_id("/absent"), "01234567-89ab-cdef-0123-456789abcdef");
  ::unsetenv("BOOT_ID");
}

TEST(Process, makes_private_files_and_ignores_signals_that_are_errors) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path("file");
  const int status = in_child([&] {
    log::capture([](log::Level, const std::string&) {});
    prepare_process({});
    ::raise(SIGPIPE);
    ::raise(SIGXFSZ);
    const int descriptor = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    struct stat info {};
    ::fstat(descriptor, &info);
    return (info.st_mode & 0777U) == 0600U ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(Process, leaves_no_core_file_when_it_holds_credentials) {
  const int status = in_child([] {
    log::capture([](log::Level, const std::string&) {});
    Config config;
    config.aws.secret_access_key = "x";
    prepare_process(config);
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    return limit.rlim_max == 0 ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

// What was written to a private mapping, relocations above all, must survive.
TEST(Process, giving_memory_back_loses_nothing) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.write("file", std::string(8192, 'f'));
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char* touched =
      static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0));
  ASSERT_NE(static_cast<void*>(touched), MAP_FAILED);
  touched[0] = 'm';
  ASSERT_EQ(::mprotect(touched, 8192, PROT_READ), 0);
  const char* clean =
      static_cast<const char*>(::mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE, descriptor, 0));
  release_startup_memory();
  EXPECT_EQ(touched[0], 'm');
  EXPECT_EQ(touched[4096], 'f');
  EXPECT_EQ(clean[0], 'f');
  EXPECT_GT(resident_bytes(), 0);
  ::munmap(touched, 8192);
  ::close(descriptor);
}

TEST(StopSignals, a_signal_while_starting_ends_the_process) {
  const int status = in_child([] {
    log::capture([](log::Level, const std::string&) {});
    const StopSignals signals;
    ::kill(::getpid(), SIGTERM);
    while (true) ::pause();
    return 1;
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(StopSignals, a_signal_right_after_the_start_asks_for_an_ordered_stop) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const int status = in_child([signal] {
      log::capture([](log::Level, const std::string&) {});
      StopSignals signals;
      signals.expect();
      ::kill(::getpid(), SIGHUP);  // does nothing
      ::kill(::getpid(), signal);
      return signals.wait() == signal ? 42 : 1;
    });
    EXPECT_EQ(WEXITSTATUS(status), 42);
  }
}

TEST(StopSignals, the_same_wish_told_twice_is_one_and_a_second_wish_ends_it_at_once) {
  const int status = in_child([] {
    log::capture([](log::Level, const std::string&) {});
    StopSignals signals;
    signals.expect();
    ::kill(::getpid(), SIGTERM);
    ::kill(::getpid(), SIGTERM);
    signals.wait();
    // Insists until it is heard.
    while (true) {
      ::kill(::getpid(), SIGINT);
      ::sched_yield();
    }
    return 1;
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
}

}  // namespace
}  // namespace weir::daemon
