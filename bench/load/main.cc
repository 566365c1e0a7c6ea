// wire_load: appends messages to a running server over its own protocol, or reads them back, checks
// every number and payload, and prints one line of JSON with the rate and the server's processor
// time.
//
// usage: wire_load TARGET PORT append|read [--clients N] [--window N] [--messages N] [--streams N]
//        [--batch N] [--bytes N] [--durable] [--existing] [--pid PID]
//
// --existing: the streams are there already and are appended to.

#include "load/target.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace weir::load {

void die(const std::string& why) {
  std::fprintf(stderr, "wire_load: %s\n", why.c_str());
  std::exit(1);
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) die(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string receive_some(int fd) {
  std::array<char, 65536> buffer{};
  const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
  if (n <= 0) die("the server closed the connection");
  return {buffer.data(), static_cast<std::size_t>(n)};
}

namespace {

using Factory = std::function<std::unique_ptr<Target>()>;

// A payload anyone can check: the message's number, then words derived from it.
void fill_payload(std::string& payload, std::int64_t number) {
  auto word = static_cast<std::uint64_t>(number);
  for (std::size_t at = 0; at + 8 <= payload.size(); at += 8) {
    std::memcpy(payload.data() + at, &word, 8);
    word += 0x9e3779b97f4a7c15ULL;
  }
}

std::int64_t checked_number(std::string_view payload, std::size_t bytes) {
  if (payload.size() != bytes) die("read: a payload has the wrong size");
  std::uint64_t word = 0;
  std::memcpy(&word, payload.data(), 8);
  const auto number = static_cast<std::int64_t>(word);
  std::uint64_t difference = 0;
  for (std::size_t at = 0; at + 8 <= payload.size(); at += 8) {
    std::uint64_t found = 0;
    std::memcpy(&found, payload.data() + at, 8);
    difference |= found ^ word;
    word += 0x9e3779b97f4a7c15ULL;
  }
  if (difference != 0) die("read: a payload is damaged");
  return number;
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    die("connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// User and system time of a process in seconds.
double processor_seconds(int pid) {
  // Exact to the nanosecond, where /proc/<pid>/stat counts hundredths of a second.
  clockid_t clock{};
  timespec used{};
  if (pid == 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
    return 0;
  }
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

// One connection with `window` messages in flight.
class Client {
 public:
  Client(int port, int index, const Work& work, const Factory& make)
      : fd_(connect_to(port)), work_(work), target_(make()) {
    target_->greet(fd_, index);
    payload_.resize(static_cast<std::size_t>(work.payload_bytes));
    in_.resize(256 * 1024);
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] Target& target() { return *target_; }

  void send_more(std::int64_t count, std::int64_t& next) {
    out_.clear();
    for (; count > 0 && next < work_.messages; --count, ++next) {
      fill_payload(payload_, next);
      target_->append(out_, next, static_cast<int>(next % work_.streams), payload_);
    }
    send_all(fd_, out_);
  }

  // Receives once; the acknowledgements that came, oldest first.
  const std::vector<Acknowledged>& receive() {
    if (in_.size() - filled_ < 64 * 1024) in_.resize(in_.size() * 2);
    const ssize_t n = recv(fd_, in_.data() + filled_, in_.size() - filled_, 0);
    if (n <= 0) die("the server closed the connection");
    filled_ += static_cast<std::size_t>(n);
    acknowledged_.clear();
    const std::size_t used = target_->parse_acknowledged({in_.data(), filled_}, acknowledged_);
    std::memmove(in_.data(), in_.data() + used, filled_ - used);
    filled_ -= used;
    return acknowledged_;
  }

  void read_batch(std::int64_t from, int count, std::vector<Stored>& stored) {
    out_.clear();
    target_->read(out_, from, count);
    send_all(fd_, out_);
    stored.clear();
    filled_ = 0;
    for (;;) {
      if (in_.size() - filled_ < 64 * 1024) in_.resize(in_.size() * 2);
      const ssize_t n = recv(fd_, in_.data() + filled_, in_.size() - filled_, 0);
      if (n <= 0) die("the server closed the connection");
      filled_ += static_cast<std::size_t>(n);
      if (target_->parse_read({in_.data(), filled_}, count, stored) > 0) return;
    }
  }

 private:
  int fd_;
  const Work& work_;
  std::unique_ptr<Target> target_;
  std::string payload_;
  std::string out_;
  std::string in_;
  std::size_t filled_ = 0;
  std::vector<Acknowledged> acknowledged_;
};

struct Figures {
  double seconds = 0;
  double processor = 0;
};

class Stopwatch {
 public:
  explicit Stopwatch(int pid) : pid_(pid), processor_(processor_seconds(pid)) {}
  [[nodiscard]] Figures read() const {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    return {passed.count(), processor_seconds(pid_) - processor_};
  }

 private:
  int pid_;
  double processor_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Checks that every message is acknowledged once, and that numbers of one stream never repeat.
class Ledger {
 public:
  explicit Ledger(const Work& work)
      : streams_(work.streams), seen_(static_cast<std::size_t>(work.messages)) {}
  void acknowledge(const Acknowledged& one) {
    ++count_;
    if (one.number < 0) return;
    auto& mark = seen_.at(static_cast<std::size_t>(one.number));
    if (mark != 0) die("a message was acknowledged twice");
    mark = one.sequence + 2;
  }
  [[nodiscard]] std::int64_t count() const { return count_; }
  void check_sequences() const {
    std::vector<std::vector<bool>> used(static_cast<std::size_t>(streams_));
    for (std::size_t number = 0; number < seen_.size(); ++number) {
      if (seen_[number] < 2) continue;
      auto& of_stream = used[number % static_cast<std::size_t>(streams_)];
      const auto sequence = static_cast<std::size_t>(seen_[number] - 2);
      if (of_stream.size() <= sequence) of_stream.resize(std::max(sequence + 1, sequence * 2));
      if (of_stream[sequence]) die("a sequence number was given twice");
      of_stream[sequence] = true;
    }
  }

 private:
  int streams_;
  std::vector<std::int64_t> seen_;
  std::int64_t count_ = 0;
};

Figures append_all(int port, int pid, const Work& work, const Factory& make) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < work.clients; ++i) {
    clients.push_back(std::make_unique<Client>(port, i, work, make));
  }
  if (!work.existing) clients[0]->target().create_streams(clients[0]->fd(), work);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < work.clients; ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, clients[static_cast<std::size_t>(i)]->fd(), &event);
  }
  Ledger ledger(work);
  std::int64_t next = 0;
  const Stopwatch watch(pid);
  for (auto& client : clients) client->send_more(work.window, next);
  std::array<epoll_event, 256> events{};
  events[0].data.u32 = 0;
  while (ledger.count() < work.messages) {
    // A lone client waits in recv, as every SDK program does.
    const int n = work.clients == 1 ? 1 : epoll_wait(epoll, events.data(), events.size(), -1);
    for (int i = 0; i < n; ++i) {
      Client& client = *clients[events[static_cast<std::size_t>(i)].data.u32];
      const auto& came = client.receive();
      for (const auto& one : came) ledger.acknowledge(one);
      client.send_more(static_cast<std::int64_t>(came.size()), next);
    }
  }
  const Figures figures = watch.read();
  close(epoll);
  ledger.check_sequences();
  return figures;
}

Figures read_all(int port, int pid, const Work& work, const Factory& make) {
  Client client(port, 0, work, make);
  if (!client.target().can_read()) die("this target has no way to read back");
  std::vector<Stored> stored;
  std::vector<bool> seen(static_cast<std::size_t>(work.messages));
  const Stopwatch watch(pid);
  for (std::int64_t from = 0; from < work.messages; from += work.read_batch) {
    client.read_batch(from, work.read_batch, stored);
    for (std::size_t i = 0; i < stored.size(); ++i) {
      const auto& one = stored[i];
      const std::int64_t number =
          checked_number(one.payload, static_cast<std::size_t>(work.payload_bytes));
      if (number < 0 || number >= work.messages) die("read: a number nobody sent");
      if (seen[static_cast<std::size_t>(number)]) die("read: a message came twice");
      seen[static_cast<std::size_t>(number)] = true;
      if (one.sequence >= 0 && one.sequence != from + static_cast<std::int64_t>(i)) {
        die("read: a sequence number is not the next one");
      }
    }
  }
  return watch.read();
}

Factory factory_of(const std::string& target) {
  if (target == "weir" || target == "ceiling") return make_weir_target;
  if (target == "redis") return make_redis_target;
  if (target == "nats") return make_nats_target;
  if (target == "mosquitto") return make_mqtt_target;
  die("unknown target '" + target + "'; one of weir, ceiling, redis, nats, mosquitto");
}

int run(int argc, char** argv) {
  if (argc < 4) die("usage: wire_load TARGET PORT append|read [options]");
  const std::string target = argv[1];
  const int port = std::atoi(argv[2]);
  const std::string mode = argv[3];
  Work work;
  int pid = 0;
  for (int i = 4; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--durable") {
      work.durable = true;
      continue;
    }
    if (option == "--existing") {
      work.existing = true;
      continue;
    }
    if (i + 1 >= argc) die(option + " wants a value");
    const int value = std::atoi(argv[++i]);
    if (option == "--clients")
      work.clients = value;
    else if (option == "--window")
      work.window = value;
    else if (option == "--messages")
      work.messages = value;
    else if (option == "--streams")
      work.streams = value;
    else if (option == "--batch")
      work.read_batch = value;
    else if (option == "--bytes")
      work.payload_bytes = value;
    else if (option == "--pid")
      pid = value;
    else
      die("unknown option " + option);
  }
  const Factory make = factory_of(target);
  const Figures figures =
      mode == "append" ? append_all(port, pid, work, make) : read_all(port, pid, work, make);
  const auto messages = static_cast<double>(work.messages);
  std::printf("{\"rate\": %.0f, \"processor_seconds_per_million\": %.3f, \"seconds\": %.3f}\n",
              messages / figures.seconds, figures.processor / messages * 1e6, figures.seconds);
  return 0;
}

}  // namespace
}  // namespace weir::load

int main(int argc, char** argv) { return weir::load::run(argc, argv); }
