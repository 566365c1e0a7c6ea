#include "daemon/service_notifier.h"

#include "daemon/start_patience.h"
#include "daemon/testing.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace weir::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// Plays the service manager: a datagram socket at a path, or at an abstract name.
class Manager {
 public:
  explicit Manager(std::string name) : name_(std::move(name)) { open(); }
  ~Manager() { ::close(descriptor_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // One message; waits for it.
  std::string message() { return next(weir::testing::kPatience).value_or("nothing came"); }
  bool heard_within(milliseconds time) { return next(time).has_value(); }
  bool silent() {
    char text[1];
    return ::recv(descriptor_, text, sizeof text, MSG_DONTWAIT | MSG_PEEK) < 0;
  }
  // As a manager that is updated does.
  void open_again() {
    ::close(descriptor_);
    ::unlink(name_.c_str());
    open();
  }

 private:
  std::optional<std::string> next(milliseconds wait_max) {
    const auto whole = std::chrono::duration_cast<seconds>(wait_max);
    const timeval limit{whole.count(), (wait_max - whole).count() * 1'000};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char text[4096];
    const ssize_t n = ::recv(descriptor_, text, sizeof text, 0);
    if (n < 0) return std::nullopt;
    return std::string(text, static_cast<std::size_t>(n));
  }
  void open() {
    descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name_[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), length), 0) << name_;
  }

  std::string name_;
  int descriptor_ = -1;
};

class ServiceNotifierTest : public ::testing::Test {
 protected:
  ~ServiceNotifierTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  const testing::TemporaryDirectory directory_;
  const std::string path_ = directory_.path("notify");
};

TEST_F(ServiceNotifierTest, tells_the_life_of_a_service_in_one_message_each) {
  Manager manager(path_);
  const ServiceNotifier notifier(path_, {});
  notifier.extend(seconds(20), "Starting: reading the store");
  EXPECT_EQ(manager.message(), "EXTEND_TIMEOUT_USEC=20000000\nSTATUS=Starting: reading the store");
  notifier.ready("Listening on 127.0.0.1:8088");
  EXPECT_EQ(manager.message(), "READY=1\nSTATUS=Listening on 127.0.0.1:8088");
  notifier.alive();
  EXPECT_EQ(manager.message(), "WATCHDOG=1");
  notifier.reloading();
  EXPECT_THAT(manager.message(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+"));
  notifier.ready();
  EXPECT_EQ(manager.message(), "READY=1");
  notifier.stopping(seconds(12));
  EXPECT_EQ(manager.message(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=12000000\nSTATUS=Stopping");
}

TEST_F(ServiceNotifierTest, a_status_cannot_smuggle_in_another_message) {
  Manager manager(path_);
  ServiceNotifier(path_, {}).ready("a stream called\nSTOPPING=1");
  EXPECT_EQ(manager.message(), "READY=1\nSTATUS=a stream called STOPPING=1");
}

TEST_F(ServiceNotifierTest, reaches_an_abstract_socket) {
  const std::string name = fmt::format("@weir-test-{}", ::getpid());
  Manager manager(name);
  ServiceNotifier(name, {}).ready();
  EXPECT_EQ(manager.message(), "READY=1");
}

TEST_F(ServiceNotifierTest, takes_everything_from_the_environment) {
  Manager manager(path_);
  ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  EXPECT_EQ(ServiceNotifier::from_environment().watchdog_interval(), Duration::zero());
  ::setenv("WATCHDOG_USEC", "90000000", 1);
  EXPECT_EQ(ServiceNotifier::from_environment().watchdog_interval(), milliseconds(22'500));
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const ServiceNotifier notifier = ServiceNotifier::from_environment();
  EXPECT_EQ(notifier.watchdog_interval(), milliseconds(22'500));
  notifier.alive();
  EXPECT_EQ(manager.message(), "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, is_not_watched_in_place_of_another_process_nor_by_nonsense) {
  const Manager manager(path_);
  ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "90000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(ServiceNotifier::from_environment().watchdog_interval(), Duration::zero());
  ::unsetenv("WATCHDOG_PID");
  for (const char* nonsense : {"", "0", "-5", "90s", "99999999999999999999", " 1"}) {
    ::setenv("WATCHDOG_USEC", nonsense, 1);
    EXPECT_EQ(ServiceNotifier::from_environment().watchdog_interval(), Duration::zero())
        << nonsense;
  }
  ::setenv("WATCHDOG_USEC", "9223372036854775807", 1);
  EXPECT_GT(ServiceNotifier::from_environment().watchdog_interval(), seconds(1));
}

TEST_F(ServiceNotifierTest, says_nothing_where_nobody_listens) {
  EXPECT_FALSE(ServiceNotifier::from_environment().listening());
  for (const std::string& name : {std::string(), std::string("/"), std::string("relative"),
                                  std::string("vsock:2:1234"), "/" + std::string(200, 'x')}) {
    const ServiceNotifier notifier(name, seconds(90));
    EXPECT_FALSE(notifier.listening()) << name;
    EXPECT_EQ(notifier.watchdog_interval(), Duration::zero());
    notifier.ready("to nobody");
  }
  // A socket that is gone is no reason to fail either.
  const ServiceNotifier notifier(path_, {});
  notifier.ready();
  notifier.alive();
}

TEST_F(ServiceNotifierTest, finds_a_manager_that_was_updated_meanwhile) {
  Manager manager(path_);
  const ServiceNotifier notifier(path_, {});
  notifier.ready();
  manager.open_again();
  notifier.alive();
  EXPECT_EQ(manager.message(), "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, lives_on_when_the_manager_does_not_read) {
  Manager manager(path_);
  const ServiceNotifier notifier(path_, {});
  for (int i = 0; i < 10'000; ++i) notifier.alive();
  EXPECT_EQ(manager.message(), "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, gives_signs_of_life_without_a_free_descriptor) {
  Manager manager(path_);
  const ServiceNotifier notifier(path_, {});
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  EXPECT_LT(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  notifier.alive();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(manager.message(), "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, a_long_start_is_given_time_while_it_goes_on) {
  Manager manager(path_);
  const ServiceNotifier notifier(path_, {});
  std::atomic<bool> heard{false};
  std::thread recovery([&] {
    while (!heard) {
    }
  });
  {
    const StartPatience patience(notifier, milliseconds(20));
    EXPECT_THAT(manager.message(), HasSubstr("EXTEND_TIMEOUT_USEC=80000\n"));
  }
  heard = true;
  recovery.join();
}

// This thread hangs in recv. Anything that still went on when it began may be heard of before.
TEST_F(ServiceNotifierTest, a_start_that_hangs_is_given_none) {
  Manager manager(path_);
  const ServiceNotifier notifier(path_, {});
  const StartPatience patience(notifier, milliseconds(20));
  const auto deadline = std::chrono::steady_clock::now() + weir::testing::kPatience;
  while (manager.heard_within(milliseconds(200))) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline)
        << "was asked for more time again and again";
  }
}

TEST_F(ServiceNotifierTest, a_short_start_needs_no_time) {
  Manager manager(path_);
  const ServiceNotifier notifier(path_, {});
  { const StartPatience patience(notifier); }
  EXPECT_TRUE(manager.silent());
}

}  // namespace
}  // namespace weir::daemon
