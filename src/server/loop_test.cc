#include "server/loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace weir::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(0, ::pipe(ends_)); }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] int reader() const { return ends_[0]; }
  void fill() { EXPECT_EQ(1, ::write(ends_[1], "x", 1)); }

 private:
  int ends_[2] = {-1, -1};
};

struct Recorder final : Loop::Handler {
  std::function<void()> on_ready;
  int calls = 0;
  void ready(std::uint32_t) override {
    ++calls;
    if (on_ready) on_ready();
  }
};

class LoopTest : public ::testing::Test {
 protected:
  ManualClock clock;
  std::unique_ptr<Loop> loop = *Loop::create(clock);
};

TEST_F(LoopTest, RunsPostedWorkInOrderAndNeverBeforePostReturns) {
  std::vector<int> order;
  loop->post([&] {
    order.push_back(1);
    loop->post([&] { order.push_back(3); });
    order.push_back(2);
  });
  EXPECT_TRUE(order.empty());
  EXPECT_TRUE(loop->run_once(Duration::zero()));
  EXPECT_EQ((std::vector<int>{1, 2}), order);
  EXPECT_TRUE(loop->run_once(Duration::zero()));
  EXPECT_EQ((std::vector<int>{1, 2, 3}), order);
  EXPECT_FALSE(loop->run_once(Duration::zero()));
}

TEST_F(LoopTest, RunsTimersInTheOrderOfTheirInstants) {
  std::vector<int> order;
  loop->call_at(clock.now() + seconds(2), [&] { order.push_back(2); });
  loop->call_at(clock.now() + seconds(1), [&] { order.push_back(1); });
  loop->call_at(clock.now() + seconds(2), [&] { order.push_back(3); });
  EXPECT_FALSE(loop->run_once(Duration::zero()));
  clock.advance(seconds(1));
  loop->run_once(Duration::zero());
  EXPECT_EQ((std::vector<int>{1}), order);
  clock.advance(seconds(1));
  loop->run_once(Duration::zero());
  EXPECT_EQ((std::vector<int>{1, 2, 3}), order);
}

TEST_F(LoopTest, ATimerThatSetsItselfAgainForNowDoesNotHoldTheTurn) {
  int calls = 0;
  std::function<void()> again = [&] {
    ++calls;
    loop->call_at(clock.now(), again);
  };
  loop->call_at(clock.now(), again);
  loop->run_once(Duration::zero());
  EXPECT_EQ(1, calls);
  loop->run_once(Duration::zero());
  EXPECT_EQ(2, calls);
}

TEST_F(LoopTest, ACancelledTimerNeverRuns) {
  int calls = 0;
  std::vector<Loop::TimerId> ids;
  for (int i = 0; i < 1'000; ++i) {
    ids.push_back(loop->call_at(clock.now() + seconds(i % 10), [&] { ++calls; }));
  }
  for (std::size_t i = 0; i < ids.size(); i += 2) loop->cancel(ids[i]);
  loop->cancel(ids[0]);
  clock.advance(seconds(10));
  loop->run_once(Duration::zero());
  EXPECT_EQ(500, calls);
}

TEST_F(LoopTest, ATimerOfTheRealClockEndsTheWait) {
  SystemClock real;
  auto real_loop = *Loop::create(real);
  bool rang = false;
  real_loop->call_at(real.now() + milliseconds(5), [&] { rang = true; });
  while (!rang) real_loop->run_once(seconds(10));
}

TEST_F(LoopTest, CallsTheHandlerOfAReadyDescriptorAndTheTurnEndAfterIt) {
  Pipe pipe;
  Recorder handler;
  std::vector<std::string> order;
  handler.on_ready = [&] { order.emplace_back("ready"); };
  loop->set_turn_end([&] { order.emplace_back("end"); });
  ASSERT_TRUE(loop->add(pipe.reader(), EPOLLIN, handler));
  EXPECT_FALSE(loop->run_once(Duration::zero()));
  EXPECT_TRUE(order.empty());
  pipe.fill();
  EXPECT_TRUE(loop->run_once(Duration::zero()));
  EXPECT_EQ((std::vector<std::string>{"ready", "end"}), order);
}

TEST_F(LoopTest, AHandlerRemovedByAnotherInTheSameTurnIsNotCalled) {
  Pipe a;
  Pipe b;
  Recorder first;
  Recorder second;
  // Whichever runs first removes the other one; the descriptor is even reused at once.
  first.on_ready = [&] { loop->remove(b.reader(), second); };
  second.on_ready = [&] { loop->remove(a.reader(), first); };
  ASSERT_TRUE(loop->add(a.reader(), EPOLLIN, first));
  ASSERT_TRUE(loop->add(b.reader(), EPOLLIN, second));
  a.fill();
  b.fill();
  loop->run_once(Duration::zero());
  EXPECT_EQ(1, first.calls + second.calls);
}

TEST_F(LoopTest, AnEventOfTheOldOwnerOfADescriptorIsNotGivenToTheNewOne) {
  Pipe a;
  Pipe b;
  Recorder first;
  Recorder second;
  Recorder newcomer;
  const auto replace = [&](Pipe& other, Recorder& old) {
    loop->remove(other.reader(), old);
    ASSERT_TRUE(loop->add(other.reader(), EPOLLIN, newcomer));
  };
  first.on_ready = [&] { replace(b, second); };
  second.on_ready = [&] { replace(a, first); };
  ASSERT_TRUE(loop->add(a.reader(), EPOLLIN, first));
  ASSERT_TRUE(loop->add(b.reader(), EPOLLIN, second));
  a.fill();
  b.fill();
  loop->run_once(Duration::zero());
  EXPECT_EQ(0, newcomer.calls);
}

TEST_F(LoopTest, PostsOfOtherThreadsWakeItAndStopEndsIt) {
  int sum = 0;
  std::vector<std::thread> threads;
  std::thread runner([&] { loop->run(); });
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1'000; ++i) loop->post([&] { ++sum; });
    });
  }
  for (auto& thread : threads) thread.join();
  loop->post([&] { loop->stop(); });
  runner.join();
  EXPECT_EQ(4'000, sum);
}

TEST_F(LoopTest, WorkPostedAfterTheStopIsDestroyedUnrun) {
  std::thread runner([&] { loop->run(); });
  loop->stop();
  runner.join();
  auto alive = std::make_shared<int>(0);
  loop->post([alive] { ++*alive; });
  EXPECT_EQ(1, alive.use_count());
  EXPECT_EQ(0, *alive);
}

}  // namespace
}  // namespace weir::server
