#include "greengrass/client.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/poll_timeout.h"
#include "greengrass/metrics.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace weir::greengrass {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;

Instant now() { return std::chrono::steady_clock::now(); }

Result<int> connect_to(const std::string& path) {
  const std::string doing = fmt::format("connect to the nucleus at {}", log::escaped(path));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Errc::kInvalidArgument, fmt::format("{}: a socket's path has at most {} bytes",
                                                    doing, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return fail(os_error(doing, errno));
  // A local connect never takes time: it succeeds, fails, or the other side's queue is full.
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int os_errno = errno;
    ::close(descriptor);
    return fail(os_error(doing, os_errno));
  }
  return descriptor;
}

class SocketClient final : public Client {
 public:
  SocketClient(Options options, metrics::Registry& metrics)
      : options_(std::move(options)),
        metrics_(metrics),
        session_(options_.auth_token),
        backoff_({options_.backoff_first, options_.backoff_ceiling}, options_.seed),
        connected_(metrics.gauge(metric::kConnected)),
        accepted_(metrics.counter(metric::kConnections, {"accepted"})),
        failed_(metrics.counter(metric::kConnections, {"failed"})) {}

  ~SocketClient() override {
    stop(Duration::zero());
    if (event_ >= 0) ::close(event_);
  }
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  void start(Ticker ticker) override {
    ticker_ = std::move(ticker);
    // Signals are for the main thread.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  bool ask(std::string operation, std::string payload, Duration patience, Answered done) override {
    Answered counted = [this, operation, done = std::move(done)](const Answer& answer) {
      answered(operation, answer);
      done(answer);
    };
    if (enqueue({operation, std::move(payload), now() + patience, std::move(counted)})) {
      wake();
      return true;
    }
    metrics_.counter(metric::kRequests, {operation, "busy"}).add();
    return false;
  }

  [[nodiscard]] std::string trouble() const override {
    const MutexLock lock(mutex_);
    return trouble_;
  }

  void stop(Duration patience) override {
    std::call_once(stopped_, [this, patience] {
      {
        const MutexLock lock(mutex_);
        inbox_.stop = true;
        stop_deadline_ = now() + patience;
      }
      wake();
      if (thread_.joinable()) thread_.join();
    });
  }

 private:
  struct Inbox {
    std::vector<Request> requests;
    bool stop = false;
  };

  bool enqueue(Request request) {
    const MutexLock lock(mutex_);
    if (inbox_.stop || under_way_ >= kRequestsMax) return false;
    ++under_way_;
    inbox_.requests.push_back(std::move(request));
    return true;
  }

  void answered(const std::string& operation, const Answer& answer) {
    const char* result = answer.kind == Answer::Kind::kOk        ? "ok"
                         : answer.kind == Answer::Kind::kRefused ? "refused"
                                                                 : "unanswered";
    metrics_.counter(metric::kRequests, {operation, result}).add();
    const MutexLock lock(mutex_);
    --under_way_;
  }

  void set_trouble(const std::string& why) {
    const MutexLock lock(mutex_);
    trouble_ = why;
  }

  void wake() {
    const std::uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
  }

  void run();
  bool take_inbox();
  void connect();
  void send();
  void receive();
  void lost(const Error& why);
  void note_accepted();
  void wait(Instant until);

  const Options options_;
  Ticker ticker_;
  metrics::Registry& metrics_;
  const int event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::thread thread_;
  std::once_flag stopped_;

  mutable Mutex mutex_;
  Inbox inbox_ WEIR_GUARDED_BY(mutex_);
  std::size_t under_way_ WEIR_GUARDED_BY(mutex_) = 0;
  Instant stop_deadline_ WEIR_GUARDED_BY(mutex_);
  std::string trouble_ WEIR_GUARDED_BY(mutex_) = "the first connection is not made yet";

  // Of the thread.
  Session session_;
  Backoff backoff_;
  metrics::Gauge& connected_;
  metrics::Counter& accepted_;
  metrics::Counter& failed_;
  int socket_ = -1;
  bool was_accepted_ = false;  ///< this connection
  bool blocked_ = false;       ///< the socket takes no more for now
  Instant next_try_{};
  short ready_ = 0;  ///< what poll said of the socket
  std::array<char, kReadBytes> received_{};
};

void SocketClient::run() {
  while (take_inbox()) {
    if (const auto fine = session_.on_time(now()); !fine && socket_ >= 0) lost(fine.error());
    if (socket_ < 0 && next_try_ <= now()) connect();
    if (socket_ >= 0) send();
    wait(ticker_(now()));
    if (socket_ >= 0 && ready_ != 0) receive();
  }
  session_.stop("weir stops");
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  connected_.set(0);
}

// False: to stop.
bool SocketClient::take_inbox() {
  std::vector<Request> requests;
  bool stop = false;
  Instant deadline;
  {
    const MutexLock lock(mutex_);
    std::swap(requests, inbox_.requests);
    stop = inbox_.stop;
    deadline = stop_deadline_;
  }
  for (Request& request : requests) session_.ask(std::move(request));
  return !stop || (deadline > now() && session_.accepted() && !session_.quiet());
}

void SocketClient::connect() {
  auto opened = connect_to(options_.socket);
  if (!opened) return lost(opened.error());
  socket_ = *opened;
  was_accepted_ = blocked_ = false;
  session_.on_open(now());
}

void SocketClient::send() {
  std::string& output = session_.output();
  blocked_ = false;
  while (!output.empty()) {
    const ssize_t sent = ::send(socket_, output.data(), output.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN)) {
      blocked_ = true;
      return;
    }
    if (sent < 0) {
      // What the nucleus said before it closed explains more than that it cannot be written to.
      const int os_errno = errno;
      receive();
      if (socket_ >= 0) lost(os_error("send to the nucleus", os_errno));
      return;
    }
    output.erase(0, static_cast<std::size_t>(sent));
  }
}

void SocketClient::receive() {
  const ssize_t count = ::recv(socket_, received_.data(), received_.size(), 0);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count < 0) return lost(os_error("receive from the nucleus", errno));
  if (count == 0) {
    return lost({Errc::kUnavailable,
                 was_accepted_ ? "the nucleus closed the connection"
                               : "the nucleus closed the connection without letting weir in"});
  }
  const auto fine = session_.on_bytes(now(), {received_.data(), static_cast<std::size_t>(count)});
  if (session_.accepted() && !was_accepted_) note_accepted();
  if (!fine) lost(fine.error());
}

void SocketClient::note_accepted() {
  was_accepted_ = true;
  backoff_.reset();
  accepted_.add();
  connected_.set(1);
  set_trouble({});
  log::info("Connected to the Greengrass nucleus.", {{"socket", options_.socket}});
}

void SocketClient::lost(const Error& why) {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  connected_.set(0);
  if (!was_accepted_) failed_.add();
  const Duration pause = backoff_.next();
  next_try_ = now() + pause;
  log::warn(was_accepted_ ? "The connection to the Greengrass nucleus is lost, will connect again."
                          : "No connection to the Greengrass nucleus, will try again.",
            {{"error", why.what},
             {"wait_ms", std::chrono::duration_cast<std::chrono::milliseconds>(pause).count()}});
  was_accepted_ = false;
  set_trouble(why.what);
  session_.on_lost(why.what);
}

void SocketClient::wait(Instant until) {
  until = std::min(until, session_.next_event());
  {
    const MutexLock lock(mutex_);
    if (inbox_.stop) until = std::min(until, stop_deadline_);
  }
  if (socket_ < 0) until = std::min(until, next_try_);
  std::array<pollfd, 2> polled{{{event_, POLLIN, 0}, {-1, 0, 0}}};
  if (socket_ >= 0) {
    polled[1].fd = socket_;
    polled[1].events = static_cast<short>(POLLIN | (blocked_ ? POLLOUT : 0));
  }
  const int count = ::poll(polled.data(), polled.size(), poll_timeout_ms(until));
  ready_ =
      count > 0 ? static_cast<short>(polled[1].revents & (POLLIN | POLLERR | POLLHUP)) : short{0};
  if (count > 0 && polled[0].revents != 0) {
    std::uint64_t wakes = 0;
    (void)!::read(event_, &wakes, sizeof wakes);
  }
}

}  // namespace

std::unique_ptr<Client> Client::make(Options options, metrics::Registry& metrics) {
  return std::make_unique<SocketClient>(std::move(options), metrics);
}

}  // namespace weir::greengrass
