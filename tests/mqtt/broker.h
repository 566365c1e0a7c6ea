#pragma once

#include "base/testing.h"
#include "mqtt/client.h"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <spawn.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace weir::mqtt::testing {

using namespace std::chrono_literals;

/// How long a test waits for something that must happen, on a machine that is busy.
inline constexpr auto kPatience = 60s;

using Directory = weir::testing::TemporaryDirectory;

/// A program of the system; killed with the test if it still runs.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments, const std::string& input = {}) {
    std::array<int, 2> out{};
    std::array<int, 2> in{};
    if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(in.data(), O_CLOEXEC) != 0) std::abort();
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
    if (posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) pid_ = 0;
    EXPECT_NE(pid_, 0) << "cannot start " << arguments[0];
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(in[0]);
    output_ = fdopen(out[0], "r");
    const ssize_t written = input.empty() ? 0 : write(in[1], input.data(), input.size());
    EXPECT_EQ(static_cast<std::size_t>(written), input.size());
    close(in[1]);
  }
  ~Program() {
    if (pid_ > 0) {
      kill(SIGKILL);
      (void)wait();
    }
    std::fclose(output_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void kill(int signal) const { ::kill(pid_, signal); }
  int wait() {
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// The next line it writes; none at its end.
  bool line(std::string& line) {
    std::array<char, 4096> text{};
    if (std::fgets(text.data(), text.size(), output_) == nullptr) return false;
    line = text.data();
    while (!line.empty() && line.back() == '\n') line.pop_back();
    return true;
  }
  /// Everything it writes until its end.
  std::vector<std::string> lines() {
    std::vector<std::string> all;
    for (std::string one; line(one);) all.push_back(one);
    return all;
  }

 private:
  pid_t pid_ = 0;
  std::FILE* output_ = nullptr;
};

/// Runs a shell script to its end; its output if it fails.
inline void run_script(const std::string& script, const std::string& directory) {
  Program shell({"/bin/sh", "-ec", "cd \"$0\"\n" + script, directory});
  std::string output;
  for (const std::string& line : shell.lines()) output += line + "\n";
  ASSERT_EQ(shell.wait(), 0) << output;
}

/// A port nobody listens on just now.
inline std::uint16_t free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(probe, generic, size) != 0 || getsockname(probe, generic, &size) != 0) std::abort();
  close(probe);
  return ntohs(address.sin_port);
}

/// A mosquitto of the test's own.
class Broker {
 public:
  /// `lines` are of its configuration; %D stands for its directory.
  explicit Broker(std::string lines = "allow_anonymous true\n", std::string listener = {})
      : lines_(std::move(lines)), listener_(std::move(listener)) {}

  Directory directory;

  void start() {
    // Another program may have the port for a moment; a broker that has no clients yet takes
    // another.
    for (int tries = 0; tries < 200; ++tries) {
      if (port_ == 0) port_ = free_port();
      std::string text =
          "listener " + std::to_string(port_) + " 127.0.0.1\n" + listener_ +
          "user root\nlog_dest stderr\nlog_type information\nlog_type notice\nlog_type error\n" +
          lines_;
      for (auto at = text.find("%D"); at != std::string::npos; at = text.find("%D")) {
        text.replace(at, 2, directory.path());
      }
      directory.write("mosquitto.conf", text);
      program_ = std::make_unique<Program>(std::vector<std::string>{
          "setpriv", "--pdeathsig", "KILL", program(), "-c", directory.path("mosquitto.conf")});
      std::string all;
      for (std::string line; program_->line(line); all += line + "\n") {
        if (line.find(" running") != std::string::npos) return;
      }
      ASSERT_NE(all.find("Address already in use"), std::string::npos) << all;
      if (!was_running_) port_ = 0;
    }
    FAIL() << "no free port";
  }
  void kill() { end(SIGKILL); }
  /// Saves what it knows, if it is to persist.
  void stop() { end(SIGTERM); }
  void signal(int signal) { program_->kill(signal); }

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Publishes one message for each line, with QoS 1, and waits until the broker has them.
  void publish(const std::string& topic, const std::vector<std::string>& payloads,
               const std::vector<std::string>& more = {}) const {
    std::string input;
    for (const std::string& payload : payloads) input += payload + "\n";
    std::vector<std::string> arguments{
        "mosquitto_pub", "-h", "127.0.0.1", "-p", std::to_string(port_), "-q", "1", "-t",
        topic,           "-l"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Program publisher(arguments, input);
    const auto output = publisher.lines();
    EXPECT_EQ(publisher.wait(), 0) << (output.empty() ? "" : output[0]);
  }

 private:
  /// Debian has it where only root's PATH looks.
  static std::string program() {
    return std::filesystem::exists("/usr/sbin/mosquitto") ? "/usr/sbin/mosquitto" : "mosquitto";
  }
  void end(int signal) {
    was_running_ = true;
    program_->kill(signal);
    (void)program_->wait();
  }

  std::string lines_;
  std::string listener_;
  std::uint16_t port_ = 0;
  bool was_running_ = false;
  std::unique_ptr<Program> program_;
};

/// Owns a client and remembers what it was told.
class Owner final : public Listener {
 public:
  struct Message {
    std::string topic;
    std::string payload;
    bool retained;
    bool duplicate;
  };
  struct Seen {
    int connected = 0;
    int with_session = 0;
    std::vector<std::string> losses;
    std::vector<Message> messages;
    std::vector<Published> published;
    std::vector<std::string> refused;
    std::vector<std::uint64_t> too_large;
  };

  explicit Owner(Options options) {
    auto made = make_client(std::move(options));
    EXPECT_TRUE(made) << made.error().what;
    client = std::move(*made);
  }
  ~Owner() override { client->stop(); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  void start() { client->start(*this); }
  /// False: messages are kept without an acknowledgement.
  std::atomic<bool> acknowledges{true};

  /// Waits until what was seen satisfies `enough`; false after a long time.
  bool wait(const std::function<bool(const Seen&)>& enough) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return enough(seen_); });
  }
  bool wait_connected(int times = 1) {
    return wait([times](const Seen& seen) { return seen.connected >= times; });
  }
  bool wait_messages(std::size_t count) {
    return wait([count](const Seen& seen) { return seen.messages.size() >= count; });
  }
  bool wait_published(std::size_t count) {
    return wait([count](const Seen& seen) { return seen.published.size() >= count; });
  }
  /// The reason of the first loss, or an empty text after a long time.
  std::string first_loss() {
    (void)wait([](const Seen& seen) { return !seen.losses.empty(); });
    const Seen all = seen();
    return all.losses.empty() ? "" : all.losses[0];
  }
  Seen seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  std::vector<std::string> payloads() {
    std::vector<std::string> all;
    for (const Message& message : seen().messages) all.push_back(message.payload);
    return all;
  }
  void acknowledge_all() {
    std::vector<Receipt> receipts;
    {
      const std::lock_guard lock(mutex_);
      receipts = std::exchange(kept_, {});
    }
    client->acknowledge(std::move(receipts));
  }

  void on_connected(bool session_present) override {
    note([&] {
      ++seen_.connected;
      seen_.with_session += session_present ? 1 : 0;
    });
  }
  void on_disconnected(const Error& why, Duration /*next_try*/) override {
    note([&] { seen_.losses.push_back(why.what); });
  }
  void on_filter_refused(std::string_view filter, std::uint8_t /*reason*/) override {
    note([&] { seen_.refused.emplace_back(filter); });
  }
  void on_arrival(const Arrival& arrival) override {
    const std::lock_guard lock(mutex_);
    kept_.push_back(arrival.receipt);
    seen_.messages.push_back({std::string(arrival.topic), std::string(as_text(arrival.payload)),
                              arrival.retained, arrival.duplicate});
  }
  void on_arrivals_end() override {
    if (acknowledges) acknowledge_all();
    changed_.notify_all();
  }
  void on_published(const Published& published) override {
    note([&] { seen_.published.push_back(published); });
  }
  void on_too_large(std::string_view /*topic*/, std::uint64_t packet_bytes) override {
    note([&] { seen_.too_large.push_back(packet_bytes); });
  }

  std::unique_ptr<Client> client;

 private:
  template <class Change>
  void note(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Seen seen_;
  std::vector<Receipt> kept_;
};

/// Options for a broker of the test: quick to come back.
inline Options options_for(const Broker& broker, Version version = Version::k5) {
  Options options;
  options.port = broker.port();
  options.version = version;
  options.client_id = "weir-test";
  options.filters = {"in/#"};
  options.backoff_min = 20ms;
  options.backoff_max = 100ms;
  options.connect_timeout = 30s;
  options.seed = 1;
  return options;
}

/// Publishes to "in/x" as much as may wait while the broker stands still, then lets it go on. What
/// went wrong, or nothing.
inline std::string publish_to_a_stopped_broker(Owner& owner, Broker& broker) {
  const auto payload = [](std::uint64_t number) {
    return std::to_string(number) + std::string(30'000 + number * 37, 'x');
  };
  broker.signal(SIGSTOP);
  std::uint64_t token = 0;
  while (owner.client->publish(token + 1, "in/x", payload(token + 1))) ++token;
  broker.signal(SIGCONT);
  if (token < 50) return "only " + std::to_string(token) + " may wait";
  if (!owner.wait_published(token)) return "not everything was answered";
  if (!owner.wait_messages(token)) return "not everything came back";
  const Owner::Seen seen = owner.seen();
  for (std::uint64_t i = 0; i < token; ++i) {
    if (seen.published[i].token != i + 1) return "an answer is out of order";
    if (seen.messages[i].payload != payload(i + 1)) return "a message is not what was sent";
  }
  if (!owner.client->publish(token + 1, "in/x", "more")) return "nothing more may wait";
  return seen.losses.empty() ? "" : "the connection was lost";
}

inline std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i <= to; ++i) all.push_back(std::to_string(i));
  return all;
}

}  // namespace weir::mqtt::testing
