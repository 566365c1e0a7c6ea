#include "mqtt/transport.h"

#include <cerrno>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace weir::mqtt {
namespace {

/// An error of a connection: worth another try, whatever it is.
Error connection_error(std::string_view doing, int os_errno) {
  Error error = os_error(doing, os_errno);
  error.code = Errc::kUnavailable;
  if (os_errno == ECONNREFUSED) error.what += ": no broker listens there";
  return error;
}

bool try_again(int os_errno) { return os_errno == EAGAIN || os_errno == EINTR; }

}  // namespace

Transport::Transport(const Options& options, Resolver& resolver,
                     std::shared_ptr<TlsContext> context)
    : options_(options), resolver_(resolver), context_(std::move(context)), events_(POLLIN) {
  resolver_.start(options_.host, options_.port);
}

Transport::~Transport() { close_socket(); }

void Transport::close_socket() {
  tls_.reset();
  if (socket_ >= 0) close(std::exchange(socket_, -1));
}

int Transport::descriptor() const {
  return stage_ == Stage::kResolving ? resolver_.descriptor() : socket_;
}

std::string Transport::target() const {
  return fmt::format("connect to the MQTT broker {}:{}", options_.host, options_.port);
}

Result<bool> Transport::advance(Instant now) {
  switch (stage_) {
    case Stage::kResolving: {
      auto answer = resolver_.take();
      if (!answer) return false;
      if (!*answer) return fail(with_context(target(), std::move(*answer).error()));
      addresses_ = std::move(**answer);
      return begin_next(now, {});
    }
    case Stage::kConnecting: {
      int os_errno = 0;
      socklen_t bytes = sizeof os_errno;
      pollfd ready{socket_, POLLOUT, 0};
      if (poll(&ready, 1, 0) <= 0) {
        if (now < deadline_) return false;
        return begin_next(now, connection_error(target(), ETIMEDOUT));
      }
      if (getsockopt(socket_, SOL_SOCKET, SO_ERROR, &os_errno, &bytes) != 0) os_errno = errno;
      if (os_errno != 0) return begin_next(now, connection_error(target(), os_errno));
      WEIR_RETURN_IF_ERROR(connected());
      return stage_ == Stage::kOpen ? Result<bool>(true) : shake_hands();
    }
    case Stage::kHandshaking:
      return shake_hands();
    case Stage::kOpen:
      break;
  }
  return true;
}

/// Tries the addresses that are left; `last` is why the one before failed.
Result<bool> Transport::begin_next(Instant now, Error last) {
  close_socket();
  while (next_address_ < addresses_.size()) {
    const Address& address = addresses_[next_address_++];
    socket_ = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
      last = connection_error(target(), errno);
      continue;
    }
    const int yes = 1;
    (void)setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    (void)setsockopt(socket_, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    const int returned =
        connect(socket_, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes);
    if (returned == 0 || errno == EINPROGRESS || errno == EINTR) {
      stage_ = Stage::kConnecting;
      events_ = POLLOUT;
      // The last one may have all the time there is.
      const bool more = next_address_ < addresses_.size();
      const auto share = static_cast<std::int64_t>(addresses_.size());
      deadline_ = more ? now + options_.connect_timeout / share : Instant::max();
      return false;
    }
    last = connection_error(target(), errno);
    close_socket();
  }
  return fail(std::move(last));
}

Result<void> Transport::connected() {
  deadline_ = Instant::max();
  events_ = POLLIN;
  if (!context_) {
    stage_ = Stage::kOpen;
    return {};
  }
  stage_ = Stage::kHandshaking;
  auto made = TlsStream::make(context_, options_, socket_);
  if (!made) return fail(with_context(target(), std::move(made).error()));
  tls_ = std::move(*made);
  return {};
}

Result<bool> Transport::shake_hands() {
  const auto progress = tls_->handshake();
  if (!progress) {
    Error error = with_context(target(), progress.error());
    error.code = Errc::kUnavailable;
    return fail(std::move(error));
  }
  events_ = *progress == Progress::kWantsWrite ? POLLOUT : POLLIN;
  if (*progress == Progress::kDone) stage_ = Stage::kOpen;
  return stage_ == Stage::kOpen;
}

Result<Transport::Moved> Transport::read(MutableBytes into) {
  Moved moved;
  if (tls_) {
    WEIR_TRY(const Progress progress, tls_->read(into, moved.bytes));
    moved.closed = progress == Progress::kClosed;
    moved.more = progress == Progress::kDone;
    return moved;
  }
  const ssize_t count = recv(socket_, into.data(), into.size(), 0);
  if (count < 0) {
    if (try_again(errno)) return moved;
    return fail(connection_error("read", errno));
  }
  moved.bytes = static_cast<std::size_t>(count);
  moved.closed = count == 0;
  return moved;
}

Result<Transport::Moved> Transport::write(Bytes bytes) {
  Moved moved;
  if (tls_) {
    WEIR_TRY(const Progress progress, tls_->write(bytes, moved.bytes));
    moved.closed = progress == Progress::kClosed;
    return moved;
  }
  const ssize_t count = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count < 0) {
    if (try_again(errno)) return moved;
    return fail(connection_error("write", errno));
  }
  moved.bytes = static_cast<std::size_t>(count);
  return moved;
}

void Transport::finish() {
  if (tls_) tls_->say_end();
  if (socket_ >= 0) (void)shutdown(socket_, SHUT_WR);
}

}  // namespace weir::mqtt
