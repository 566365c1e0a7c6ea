#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <functional>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weir::destination::testing {

/// One accepted connection, read and written byte by byte.
class Peer {
 public:
  Peer(int fd, std::stop_token stop) : fd_(fd), stop_(std::move(stop)) {}
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Head and body of the next request; empty when the other side is gone.
  std::string request() {
    for (;;) {
      const auto head = buffer_.find("\r\n\r\n");
      if (head != std::string::npos) {
        const auto at = buffer_.find("Content-Length: ");
        const std::size_t body = at < head ? std::stoul(buffer_.substr(at + 16)) : 0;
        if (buffer_.size() >= head + 4 + body) {
          std::string whole = buffer_.substr(0, head + 4 + body);
          buffer_.erase(0, whole.size());
          return whole;
        }
      }
      if (!readable()) return {};
      char piece[65536];
      const ssize_t bytes = read(fd_, piece, sizeof piece);
      if (bytes <= 0) return {};
      buffer_.append(piece, static_cast<std::size_t>(bytes));
    }
  }
  void send(const std::string& text) {
    std::size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t bytes = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (bytes <= 0) return;
      sent += static_cast<std::size_t>(bytes);
    }
  }
  /// Ends with a reset instead of a farewell.
  void reset() {
    const linger hard{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }
  /// Says nothing until the test is over or the other side gives up.
  void hang() {
    while (!stop_.stop_requested()) {
      pollfd one{fd_, POLLRDHUP, 0};
      if (poll(&one, 1, 20) > 0) return;
    }
  }

 private:
  bool readable() {
    while (!stop_.stop_requested()) {
      pollfd one{fd_, POLLIN, 0};
      if (poll(&one, 1, 20) > 0) return true;
    }
    return false;
  }

  int fd_;
  std::stop_token stop_;
  std::string buffer_;
};

/// A server on a port of the system's choice that lets the test speak to each connection in turn.
class RawServer {
 public:
  using Talk = std::function<void(Peer&, int connection)>;

  explicit RawServer(Talk talk) : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, generic, &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this, talk = std::move(talk)](std::stop_token stop) {
      while (!stop.stop_requested()) {
        pollfd one{listener_, POLLIN, 0};
        if (poll(&one, 1, 20) <= 0) continue;
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        Peer peer(fd, stop);
        talk(peer, connections_++);
      }
    });
  }
  ~RawServer() {
    thread_.request_stop();
    thread_.join();
    close(listener_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::jthread thread_;
};

}  // namespace weir::destination::testing
