#include "server/listener.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace weir::server {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr auto kPause = std::chrono::seconds(1);
// Dead peers are found out within two minutes, also when nothing is sent (reliability.md §5.2).
constexpr int kKeepaliveIdleSeconds = 60;
constexpr int kKeepaliveIntervalSeconds = 15;
constexpr int kKeepaliveProbes = 4;
constexpr int kUserTimeoutMs = 120'000;

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

Result<socklen_t> parse_address(const std::string& text, std::uint16_t port, Address& address) {
  std::memset(&address, 0, sizeof address);
  if (::inet_pton(AF_INET, text == "localhost" ? "127.0.0.1" : text.c_str(),
                  &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    return socklen_t{sizeof address.v4};
  }
  if (::inet_pton(AF_INET6, text.c_str(), &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port);
    return socklen_t{sizeof address.v6};
  }
  return fail(Errc::kInvalidArgument,
              "bind address '" + text + "' is neither an IPv4 nor an IPv6 address");
}

// Accepted sockets inherit all of these, which saves a handful of calls per connection.
void set_options(int socket) {
  const auto set = [socket](int level, int name, int value) {
    ::setsockopt(socket, level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_REUSEADDR, 1);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
}

std::string source_text(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* from = address.any.sa_family == AF_INET6
                         ? static_cast<const void*>(&address.v6.sin6_addr)
                         : static_cast<const void*>(&address.v4.sin_addr);
  if (::inet_ntop(address.any.sa_family, from, text.data(), text.size()) == nullptr) return "?";
  return text.data();
}

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::bind(const std::string& address, std::int64_t port,
                                                 Loop& loop, Clock& clock) {
  Address local{};
  WEIR_TRY(const socklen_t length, parse_address(address, static_cast<std::uint16_t>(port), local));
  const std::string where = "listen on " + address + ", port " + std::to_string(port);
  const int socket =
      ::socket(local.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (socket < 0) return fail(os_error(where, errno));
  set_options(socket);
  // From here on the listener closes the socket.
  auto listener = std::unique_ptr<Listener>(new Listener(socket, 0, loop, clock));
  if (::bind(socket, &local.any, length) != 0 || ::listen(socket, SOMAXCONN) != 0) {
    Error error = os_error(where, errno);
    if (error.os_errno == EADDRINUSE) {
      error.code = Errc::kUnavailable;
      error.what += "; stop the program that uses the port or choose another one";
    } else if (error.os_errno == EADDRNOTAVAIL) {
      error.code = Errc::kInvalidArgument;
      error.what += "; no interface of this machine has the address";
    } else if (error.os_errno == EACCES) {
      error.what += "; choose a port above 1023";
    }
    return fail(std::move(error));
  }
  socklen_t bound_length = sizeof local;
  if (::getsockname(socket, &local.any, &bound_length) != 0) return fail(os_error(where, errno));
  listener->port_ = ntohs(local.any.sa_family == AF_INET6 ? local.v6.sin6_port : local.v4.sin_port);
  return listener;
}

Listener::~Listener() { close(); }

void Listener::start(Acceptor& acceptor) {
  acceptor_ = &acceptor;
  if (const auto added = loop_.add(socket_, EPOLLIN, *this); !added) {
    log::error("Cannot watch the listening socket; no client can connect.",
               {{"why", added.error().what}});
    return;
  }
  watched_ = true;
}

void Listener::close() {
  if (socket_ < 0) return;
  if (watched_) loop_.remove(socket_, *this);
  watched_ = false;
  if (resume_timer_ != 0) loop_.cancel(resume_timer_);
  resume_timer_ = 0;
  ::close(std::exchange(socket_, -1));
}

void Listener::ready(std::uint32_t /*events*/) {
  for (int i = 0; i < kAcceptsPerTurn && watched_; ++i) {
    Address from{};
    socklen_t length = sizeof from;
    const int socket = ::accept4(socket_, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      acceptor_->accepted(socket, source_text(from));
      continue;
    }
    if (out_of_resources(errno)) pause();
    // Anything else concerns the one connection that went away, or means "no more".
    if (errno == EAGAIN) return;
  }
}

void Listener::pause() {
  loop_.remove(socket_, *this);
  watched_ = false;
  acceptor_->accept_paused();
  log::warn("No file descriptor is free; accepting no clients for a second.");
  resume_timer_ = loop_.call_at(clock_.now() + kPause, [this] {
    resume_timer_ = 0;
    start(*acceptor_);
  });
}

}  // namespace weir::server
