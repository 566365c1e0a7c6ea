#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "greengrass/event_stream.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace weir::greengrass {

/// What became of a request to the nucleus.
struct Answer {
  enum class Kind : std::uint8_t {
    kOk,
    kRefused,     ///< the nucleus answered with an error
    kUnanswered,  ///< it did not answer: not there, gone, or too slow. It may have heard the
                  ///< request
  };
  Kind kind = Kind::kUnanswered;
  std::string text;   ///< kOk: the payload, JSON; else why, in words
  std::string error;  ///< kRefused: its name without the namespace, "InvalidTokenError"
};
using Answered = std::function<void(const Answer&)>;

struct Request {
  std::string operation;  ///< without the namespace, "UpdateState"
  std::string payload;    ///< JSON
  Instant deadline;
  Answered done;  ///< called exactly once
};

/// Requests that are on their way at the same time; further ones wait. A nucleus serves one
/// component's requests one after the other anyway.
inline constexpr std::size_t kInFlightMax = 32;

/// One component's conversation with the nucleus (protocol.md §9.2), without socket, thread or
/// clock: bytes and times go in, bytes and answers come out. It outlives connections: requests that
/// were not sent yet wait for the next one until their deadline.
///
/// An error of `on_bytes` or `on_time` means that the connection is of no use any more: close it
/// and call `on_lost`. Threads: one at a time. `Request::done` is called from within any method
/// and may call `ask`, nothing else.
class Session {
 public:
  static constexpr Duration kGreetingPatience = std::chrono::seconds(5);

  /// `auth_token`: the SVCUID that the nucleus gave to this component.
  explicit Session(std::string auth_token) : auth_token_(std::move(auth_token)) {}

  void on_open(Instant now);
  Result<void> on_bytes(Instant now, std::string_view bytes);
  Result<void> on_time(Instant now);
  /// Fails what was sent and not answered. Idempotent.
  void on_lost(const std::string& why);
  /// Fails everything; nothing is asked any more.
  void stop(const std::string& why);

  void ask(Request request);

  /// What to send; the owner removes what it sent.
  std::string& output() { return output_; }
  /// Whether the nucleus accepted this connection.
  [[nodiscard]] bool accepted() const { return state_ == State::kAccepted; }
  /// Nothing is sent and unanswered, and nothing waits.
  [[nodiscard]] bool quiet() const { return waiting_.empty() && sent_.empty(); }
  /// When `on_time` has something to do.
  [[nodiscard]] Instant next_event() const;

 private:
  enum class State : std::uint8_t { kClosed, kGreeting, kAccepted };
  struct Sent {
    Request request;
    Instant at;
  };

  Result<void> take(Message message);
  Result<void> take_greeting(const Message& message, std::int32_t type, std::int32_t flags);
  void take_answer(std::int32_t stream, std::int32_t type, Message message);
  void put(const Message& message);
  void pump();

  const std::string auth_token_;
  State state_ = State::kClosed;
  Decoder decoder_;
  std::string output_;
  std::deque<Request> waiting_;
  std::map<std::int32_t, Sent> sent_;  ///< by stream id
  std::int32_t next_stream_ = 1;
  Instant now_{};
  Instant greeting_deadline_{};
  Instant heard_{};
};

}  // namespace weir::greengrass
