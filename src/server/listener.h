#pragma once

#include "base/result.h"
#include "server/loop.h"

#include <cstdint>
#include <memory>
#include <string>

namespace weir::server {

/// The listening socket. Pauses by itself when no descriptor is free, and tries again a second
/// later (reliability.md R5): a listening socket stays readable, so polling it would spin.
///
/// Threads: core, `port` any.
class Listener final : public Loop::Handler {
 public:
  /// Takes over accepted sockets.
  class Acceptor {
   public:
    virtual ~Acceptor() = default;
    /// `socket` is the acceptor's to close. `source` is the client's address without the port.
    virtual void accepted(int socket, std::string source) = 0;
    virtual void accept_paused() = 0;
  };

  /// Errors: kInvalidArgument (address), kUnavailable (port in use), kIo.
  static Result<std::unique_ptr<Listener>> bind(const std::string& address, std::int64_t port,
                                                Loop& loop, Clock& clock);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start(Acceptor& acceptor);
  void close();
  [[nodiscard]] std::uint16_t port() const { return port_; }

  void ready(std::uint32_t events) override;

 private:
  Listener(int socket, std::uint16_t port, Loop& loop, Clock& clock)
      : loop_(loop), clock_(clock), socket_(socket), port_(port) {}
  void pause();

  Loop& loop_;
  Clock& clock_;
  Acceptor* acceptor_ = nullptr;
  int socket_;
  std::uint16_t port_;
  bool watched_ = false;
  Loop::TimerId resume_timer_ = 0;
};

}  // namespace weir::server
