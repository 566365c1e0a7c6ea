// The thread, the socket and the clock around `Session`.

#include "base/byte_buffer.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/poll_timeout.h"
#include "mqtt/client.h"
#include "mqtt/outgoing.h"
#include "mqtt/packets.h"
#include "mqtt/session.h"
#include "mqtt/transport.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weir::mqtt {
namespace {

/// Room for one read; a socket that has more is read again in the next turn.
constexpr std::size_t kReadBytes = std::size_t{128} * 1024;
/// A receive buffer that one large packet made larger than this is given back.
constexpr std::size_t kKeptBytesMax = std::size_t{512} * 1024;
/// How long a stop may wait until the broker has read the last words.
constexpr Duration kStopPatience = std::chrono::seconds(1);
constexpr std::size_t kPasswordBytesMax = 65'535;

Instant now() { return std::chrono::steady_clock::now(); }

/// The password file without the end of its line. Read each time, so that it can be replaced.
Result<std::string> read_password(const std::string& file) {
  const std::string doing = fmt::format("read the MQTT password file {}", file);
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return fail(os_error(doing, errno));
  std::string text(kPasswordBytesMax + 3, '\0');
  std::size_t bytes = 0;
  ssize_t count = 0;
  do {
    count = read(descriptor, text.data() + bytes, text.size() - bytes);
    if (count > 0) bytes += static_cast<std::size_t>(count);
  } while (bytes < text.size() && (count > 0 || (count < 0 && errno == EINTR)));
  const int os_errno = errno;
  close(descriptor);
  if (count < 0) return fail(os_error(doing, os_errno));
  text.resize(bytes);
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.size() > kPasswordBytesMax) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{}: more than {} bytes", doing, kPasswordBytesMax));
  }
  return text;
}

/// Why a broker may reset a connection that has just sent CONNECT. What it says of certificates
/// comes behind that, and can be lost by it.
std::string reset_hint(const Options& options) {
  if (!options.tls) return ": does the broker expect TLS on this port?";
  if (options.certificate_file.empty()) {
    return ": does it want a client certificate? None is configured";
  }
  return fmt::format(": perhaps it does not take our client certificate {}",
                     options.certificate_file);
}

class NetClient final : public Client {
 public:
  explicit NetClient(Options options) : options_(std::move(options)) {}
  ~NetClient() override {
    stop();
    if (event_ >= 0) close(event_);
  }
  NetClient(const NetClient&) = delete;
  NetClient& operator=(const NetClient&) = delete;

  void start(Listener& listener) override;
  void acknowledge(std::vector<Receipt> receipts) override;
  bool publish(std::uint64_t token, std::string topic, std::string payload) override;
  void stop() override;

 private:
  struct Inbox {
    std::vector<Receipt> receipts;
    std::vector<OutgoingMessage> messages;
    bool stop = false;
  };

  void wake();
  void run();
  /// Gives the session what others asked for; false: to stop.
  bool take_inbox();
  void begin_attempt();
  void go_on_opening();
  void receive();
  void send();
  void lost(Error why);
  void wait();
  void last_words();

  const Options options_;
  const int event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::unique_ptr<Session> session_;
  std::thread thread_;
  std::once_flag stopped_;

  Mutex mutex_;
  Inbox inbox_ WEIR_GUARDED_BY(mutex_);

  // Of the thread.
  Inbox taken_;
  Resolver resolver_;
  std::unique_ptr<Transport> transport_;
  std::optional<std::string> password_;
  ByteBuffer received_;
  bool more_ = false;     ///< TLS holds bytes the socket does not tell of
  bool blocked_ = false;  ///< the socket takes no more for now
  std::optional<Error> write_error_;
  short ready_ = 0;  ///< what poll said of the socket
};

void NetClient::start(Listener& listener) {
  session_ = std::make_unique<Session>(options_, listener, now());
  // Signals are for the main thread; SIGPIPE is for nobody.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void NetClient::wake() {
  const std::uint64_t one = 1;
  (void)!write(event_, &one, sizeof one);
}

void NetClient::acknowledge(std::vector<Receipt> receipts) {
  if (receipts.empty()) return;
  {
    const MutexLock lock(mutex_);
    if (inbox_.receipts.empty()) {
      inbox_.receipts = std::move(receipts);
    } else {
      inbox_.receipts.insert(inbox_.receipts.end(), receipts.begin(), receipts.end());
    }
  }
  wake();
}

bool NetClient::publish(std::uint64_t token, std::string topic, std::string payload) {
  if (!session_ || !session_->admit(topic, payload.size())) return false;
  {
    const MutexLock lock(mutex_);
    inbox_.messages.push_back({token, std::move(topic), std::move(payload), 0});
  }
  wake();
  return true;
}

void NetClient::stop() {
  std::call_once(stopped_, [this] {
    if (!thread_.joinable()) return;
    {
      const MutexLock lock(mutex_);
      inbox_.stop = true;
    }
    wake();
    thread_.join();
  });
}

void NetClient::run() {
  while (take_inbox()) {
    session_->on_time(now());
    const bool alive = session_->open() || session_->state() == Session::State::kOpening;
    if (transport_ && !alive) {
      if (transport_->open()) send();  // a DISCONNECT that says why, if it goes out at once
      transport_.reset();
    }
    if (session_->connection_due(now())) begin_attempt();
    if (transport_ && !transport_->open()) go_on_opening();
    if (transport_ && transport_->open()) send();
    if (write_error_) {
      // What the broker said before it closed explains more than that it cannot be written to.
      ready_ = POLLIN;
      receive();
      if (transport_) lost(*write_error_);
      write_error_.reset();
      continue;
    }
    wait();
    if (transport_ && transport_->open()) receive();
  }
  last_words();
}

bool NetClient::take_inbox() {
  taken_.receipts.clear();
  taken_.messages.clear();
  {
    const MutexLock lock(mutex_);
    std::swap(taken_, inbox_);
    inbox_.stop = taken_.stop;
  }
  session_->acknowledge(taken_.receipts);
  for (OutgoingMessage& message : taken_.messages) {
    session_->publish(message.token, std::move(message.topic), std::move(message.payload));
  }
  return !taken_.stop;
}

void NetClient::begin_attempt() {
  session_->begin(now());
  received_.clear();
  more_ = blocked_ = false;
  write_error_.reset();
  ready_ = 0;
  password_.reset();
  if (!options_.password_file.empty()) {
    auto password = read_password(options_.password_file);
    if (!password) return session_->on_lost(now(), password.error());
    password_ = std::move(*password);
  }
  std::shared_ptr<TlsContext> context;
  if (options_.tls) {
    // Read again each time: certificates are replaced while programs run.
    auto made = TlsContext::make(options_);
    if (!made) return session_->on_lost(now(), made.error());
    context = std::move(*made);
  }
  transport_ = std::make_unique<Transport>(options_, resolver_, std::move(context));
}

void NetClient::go_on_opening() {
  const auto open = transport_->advance(now());
  if (!open) return lost(open.error());
  if (*open) {
    session_->on_open(now(), password_);
    password_.reset();
  }
}

void NetClient::lost(Error why) {
  const bool greeting = session_->state() == Session::State::kGreeting;
  if (session_->open()) {
    why = with_context(fmt::format("MQTT broker {}:{}", options_.host, options_.port),
                       std::move(why));
    if (greeting && (why.os_errno == ECONNRESET || why.os_errno == EPIPE)) {
      why.what += reset_hint(options_);
    }
  }
  session_->on_lost(now(), why);
  transport_.reset();
}

void NetClient::send() {
  blocked_ = false;
  while (!session_->output().empty()) {
    const auto sent = transport_->write(session_->output());
    if (!sent) {
      write_error_ = sent.error();
      return;
    }
    if (sent->bytes == 0) {
      blocked_ = true;
      return;
    }
    session_->on_sent(now(), sent->bytes);
  }
}

void NetClient::wait() {
  Instant until = session_->next_event();
  std::array<pollfd, 2> polled{{{event_, POLLIN, 0}, {-1, 0, 0}}};
  if (transport_) {
    polled[1].fd = transport_->descriptor();
    if (transport_->open()) {
      polled[1].events =
          static_cast<short>((session_->reading_wanted() ? POLLIN : 0) | (blocked_ ? POLLOUT : 0));
      if (more_ && session_->reading_wanted()) until = now();
    } else {
      polled[1].events = transport_->events();
      until = std::min(until, transport_->deadline());
    }
  }
  const int count = poll(polled.data(), polled.size(), poll_timeout_ms(until));
  ready_ = count > 0 ? polled[1].revents : short{0};
  if (count > 0 && polled[0].revents != 0) {
    std::uint64_t wakes = 0;
    (void)!read(event_, &wakes, sizeof wakes);
  }
}

void NetClient::receive() {
  const bool wanted = session_->reading_wanted();
  if (!wanted && (ready_ & (POLLERR | POLLHUP | POLLRDHUP)) != 0) {
    // What was not read was not acknowledged either, and comes again.
    session_->on_closed(now());
    transport_.reset();
    return;
  }
  if (!wanted || (!more_ && (ready_ & (POLLIN | POLLERR | POLLHUP)) == 0)) return;
  more_ = false;
  std::size_t room = kReadBytes;
  while (room > 0) {
    const std::size_t before = received_.size();
    std::byte* into = received_.extend(room);
    const auto read = transport_->read({into, room});
    received_.truncate(before + (read ? read->bytes : 0));
    if (!read || read->closed) {
      // First what came before the end.
      if (!received_.empty()) (void)session_->on_bytes(now(), received_.bytes());
      if (!read) return lost(read.error());
      session_->on_closed(now());
      transport_.reset();
      return;
    }
    room -= read->bytes;
    more_ = read->more;
    if (!more_) break;
  }
  const std::size_t taken = session_->on_bytes(now(), received_.bytes());
  received_.consume(taken);
  if (received_.empty() && received_.capacity() > kKeptBytesMax) received_.release();
}

void NetClient::last_words() {
  const bool connected = session_->state() == Session::State::kConnected;
  session_->stop();
  if (!connected || !transport_ || !transport_->open()) {
    transport_.reset();
    return;
  }
  const Instant deadline = now() + kStopPatience;
  bool finished = false;
  std::array<std::byte, 4096> ignored{};
  while (now() < deadline) {
    send();
    if (write_error_) break;
    if (session_->output().empty() && !finished) {
      transport_->finish();
      finished = true;
    }
    // A socket that is closed with bytes unread resets the connection, and could take our last
    // acknowledgements with it. So we wait until the broker has closed its side.
    pollfd polled{transport_->descriptor(), static_cast<short>(POLLIN | (finished ? 0 : POLLOUT)),
                  0};
    if (poll(&polled, 1, poll_timeout_ms(deadline)) < 0 && errno != EINTR) break;
    const auto read = transport_->read(ignored);
    if (!read || read->closed) break;
  }
  transport_.reset();
}

Result<void> check(const Options& options) {
  const auto wrong = [](std::string what) { return fail(Errc::kInvalidArgument, std::move(what)); };
  if (options.host.empty()) return wrong("the MQTT broker has no address");
  if (options.port == 0) return wrong("the MQTT broker has no port");
  if (!is_text(options.client_id)) return wrong("the MQTT client id is not valid text");
  if (!is_text(options.user)) return wrong("the MQTT user name is not valid text");
  if (options.version == Version::k311) {
    if (options.client_id.empty()) return wrong("MQTT 3.1.1 needs a client id");
    if (options.user.empty() && !options.password_file.empty()) {
      return wrong("MQTT 3.1.1 takes a password only with a user name");
    }
  }
  for (const std::string& filter : options.filters) {
    if (!is_topic_filter(filter)) {
      return wrong(fmt::format("'{}' is not a topic filter", log::escaped(filter)));
    }
  }
  if (options.receive_maximum == 0) return wrong("receive_maximum must be at least 1");
  if (options.packet_bytes_max == 0) return wrong("packet_bytes_max must be at least 1");
  if (options.keep_alive < Duration{0} || options.keep_alive > std::chrono::seconds(65'535)) {
    return wrong("keep_alive must be from 0 to 65,535 seconds");
  }
  if (options.backoff_min <= Duration{0} || options.backoff_max < options.backoff_min) {
    return wrong("backoff_min must be more than 0 and at most backoff_max");
  }
  if (options.connect_timeout <= Duration{0}) return wrong("connect_timeout must be more than 0");
  if (!options.tls && !options.certificate_file.empty()) {
    return wrong("a client certificate needs TLS");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Client>> make_client(Options options) {
  WEIR_RETURN_IF_ERROR(check(options));
  if (!options.password_file.empty()) {
    auto password = read_password(options.password_file);
    if (!password) {
      Error error = std::move(password).error();
      error.code = Errc::kInvalidArgument;
      return fail(std::move(error));
    }
  }
  if (options.tls) {
    if (auto context = TlsContext::make(options); !context) {
      return fail(std::move(context).error());
    }
  }
  return std::make_unique<NetClient>(std::move(options));
}

}  // namespace weir::mqtt
