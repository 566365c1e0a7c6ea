#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace weir::server {

/// The core thread's event loop: sockets (level-triggered epoll), timers, posted work, and one
/// hook at the end of every turn, where everything the turn collected is written at once. Asio was
/// measured and costs a system call and a scheduler pass more per request, and has no such hook.
///
/// Threads: `post` and `stop` from any; everything else on the thread that runs it.
class Loop final : public Executor {
 public:
  static Result<std::unique_ptr<Loop>> create(Clock& clock);
  ~Loop() override;

  void post(std::function<void()> work) override;

  /// Called with the epoll events of a ready descriptor.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void ready(std::uint32_t events) = 0;
  };
  /// `handler` must stay valid until `remove`; it may be removed (and destroyed) in any callback.
  Result<void> add(int descriptor, std::uint32_t events, Handler& handler);
  void modify(int descriptor, std::uint32_t events, Handler& handler);
  void remove(int descriptor, Handler& handler);

  using TimerId = std::uint64_t;
  TimerId call_at(Instant when, std::function<void()> work);
  void cancel(TimerId id);

  /// Runs at the end of every turn in which anything happened.
  void set_turn_end(std::function<void()> hook);

  /// Runs turns until `stop`.
  void run();
  /// One turn; waits at most `wait_max` for something to happen. For tests.
  bool run_once(Duration wait_max);
  void stop();

 private:
  struct State;
  explicit Loop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weir::server
