#pragma once

#include "base/rng.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cstdlib>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace weir::mqtt::testing {

/// A way to a broker that breaks: each of the first `cuts` connections ends after a number of bytes
/// that the dice give, counted in both directions, wherever in a packet that is.
class Gate {
 public:
  Gate(std::uint16_t broker, std::uint64_t seed, int cuts, std::uint64_t bytes_max)
      : broker_(broker), bytes_max_(bytes_max), rng_(seed), cuts_left_(cuts) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, generic, &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        pollfd one{listener_, POLLIN, 0};
        if (poll(&one, 1, 20) <= 0) continue;
        const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client >= 0) forward(client, stop);
      }
    });
  }
  ~Gate() {
    thread_.request_stop();
    thread_.join();
    close(listener_);
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int cuts_left() const { return cuts_left_; }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void forward(int client, const std::stop_token& stop) {
    const int broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(broker_);
    const bool there =
        connect(broker, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const bool cuts = cuts_left_ > 0;
    std::uint64_t left = cuts ? rng_.below(bytes_max_) : UINT64_MAX;
    bool open = there;
    while (open && left > 0 && !stop.stop_requested()) {
      std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {broker, POLLIN, 0}}};
      if (poll(ends.data(), ends.size(), 20) <= 0) continue;
      for (std::size_t i = 0; i < ends.size() && left > 0; ++i) {
        if (ends[i].revents != 0) open = open && pass(ends[i].fd, ends[1 - i].fd, left);
      }
    }
    if (cuts && left == 0) --cuts_left_;
    close(client);
    close(broker);
  }
  static bool pass(int from, int to, std::uint64_t& left) {
    std::array<char, 4096> piece{};
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size()));
    const ssize_t count = read(from, piece.data(), room);
    if (count <= 0) return false;
    left -= static_cast<std::uint64_t>(count);
    for (ssize_t sent = 0; sent < count;) {
      const ssize_t now =
          send(to, piece.data() + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
      if (now <= 0) return false;
      sent += now;
    }
    return true;
  }

  std::uint16_t broker_;
  std::uint64_t bytes_max_;
  Rng rng_;
  std::atomic<int> cuts_left_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

}  // namespace weir::mqtt::testing
