#pragma once

#include "base/log.h"
#include "base/mutex.h"
#include "base/testing.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/// Help for the tests of this folder.
namespace weir::daemon::testing {

using weir::testing::TemporaryDirectory;

/// Everything that is logged while it exists.
class LogCapture {
 public:
  LogCapture() {
    const MutexLock lock(mutex());
    text().clear();
    log::capture([](log::Level, const std::string& line) {
      const MutexLock inner(mutex());
      text() += line + "\n";
    });
  }
  ~LogCapture() { log::capture(nullptr); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  [[nodiscard]] static std::string all() {
    const MutexLock lock(mutex());
    return text();
  }

 private:
  static Mutex& mutex() {
    static Mutex instance;
    return instance;
  }
  static std::string& text() {
    static std::string instance;
    return instance;
  }
};

inline int connect_to(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{30, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(0, ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address));
  return socket;
}

/// The whole answer, head and body, of a GET.
inline std::string http_get(int port, const std::string& path) {
  const int socket = connect_to(static_cast<std::uint16_t>(port));
  const std::string request = "GET " + path +
                              " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                              "\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(static_cast<ssize_t>(request.size()),
            ::send(socket, request.data(), request.size(), MSG_NOSIGNAL));
  std::string answer;
  char chunk[4096];
  for (ssize_t n = 0; (n = ::recv(socket, chunk, sizeof chunk, 0)) > 0;) {
    answer.append(chunk, static_cast<std::size_t>(n));
  }
  ::close(socket);
  return answer;
}

}  // namespace weir::daemon::testing
