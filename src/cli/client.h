#pragma once

#include "base/byte_buffer.h"
#include "base/clock.h"
#include "base/result.h"
#include "protocol/messages.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weir::cli {

class Interrupt;

/// Where a server is and how to be let in.
struct Endpoint {
  std::string host = "127.0.0.1";
  std::int64_t port = 8088;
  std::string token;  ///< never shown
};

/// A small client of the wire protocol: one connection, any number of requests in flight. Works
/// against any server of the protocol. Threads: one.
///
/// Errors carry what was being done, where, and what to do. kCancelled: interrupted by a signal.
class Client {
 public:
  static constexpr Duration kConnectTimeout = std::chrono::seconds(5);
  static constexpr Duration kAnswerTimeout = std::chrono::seconds(60);

  /// Connects and introduces itself. `interrupt`, if given, must outlive the client; once raised,
  /// every wait ends. Blocks up to `timeout`.
  static Result<std::unique_ptr<Client>> connect(const Endpoint& endpoint,
                                                 const Interrupt* interrupt = nullptr,
                                                 Duration timeout = kConnectTimeout);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends one request and waits for its answer, whatever its status. Not while others are in
  /// flight.
  Result<protocol::Response> call(protocol::Request request, Duration timeout = kAnswerTimeout);
  /// The same, with a status other than success turned into an error: "`doing`: <the server's
  /// text>". kNotFound if there is no such stream.
  Result<protocol::Response> request(std::string_view doing, protocol::Request request);

  // ---- many requests in flight --------------------------------------------------------------

  struct Answer {
    std::uint64_t ticket = 0;
    protocol::Response response;
  };
  /// Queues a request; its content is copied. Never blocks. The ticket comes back with the answer.
  std::uint64_t send(protocol::Request request);
  /// Moves what the socket takes and gives at this moment. Never blocks.
  Result<void> exchange();
  /// An answer that has arrived, if there is one.
  Result<std::optional<Answer>> next();
  /// Waits for the next answer. `also`, a descriptor or -1, ends the wait as kCancelled when its
  /// other end hangs up.
  Result<Answer> wait(Duration timeout, int also = -1);

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool wants_write() const { return sent_ < out_.size(); }
  [[nodiscard]] std::size_t unsent_bytes() const { return out_.size() - sent_; }
  /// "127.0.0.1:8088"
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  Client(int fd, std::string where, const Interrupt* interrupt)
      : fd_(fd), where_(std::move(where)), interrupt_(interrupt) {}
  Result<void> shake_hands(const std::string& token, Instant deadline);
  Result<void> await_handshake(Instant deadline);
  Result<void> wait_ready(Instant deadline, int also, std::string_view for_what);
  Result<void> read_some();
  Result<void> write_some();

  int fd_;
  std::string where_;
  const Interrupt* interrupt_;
  ByteBuffer out_;
  std::size_t sent_ = 0;
  ByteBuffer in_;
  std::size_t taken_ = 0;  // bytes of in_ that were answered already
  bool end_of_input_ = false;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace weir::cli
