#include "base/thread_load.h"

#include <future>
#include <gtest/gtest.h>
#include <thread>

namespace weir {
namespace {

TEST(ThreadLoad, IsTheShareOfTheTimeSinceItWasLastWorkedOut) {
  using std::chrono::milliseconds;
  const Instant start{std::chrono::hours(5)};
  const auto at = [&](int ms) { return start + milliseconds(ms); };
  Duration used = std::chrono::seconds(100);
  ThreadLoad load;
  EXPECT_EQ(load.share(start), 0) << "nobody is watched";
  load.watch([&] { return used; }, start);
  used += milliseconds(3);
  EXPECT_EQ(load.share(at(4)), 0) << "too early";
  EXPECT_DOUBLE_EQ(load.share(at(6)), 0.5);
  used += milliseconds(5);
  EXPECT_DOUBLE_EQ(load.share(at(10)), 0.5) << "too early";
  EXPECT_DOUBLE_EQ(load.share(at(11)), 1);
  EXPECT_DOUBLE_EQ(load.share(at(1'011)), 0);
  used += milliseconds(9);  // clocks of different grain
  EXPECT_DOUBLE_EQ(load.share(at(1'017)), 1);
  used = Duration{0};  // it has ended
  EXPECT_DOUBLE_EQ(load.share(at(1'030)), 0);
}

TEST(ThreadLoad, AThreadThatWaitsUsesNothingAndOneThatEndedHasUsedNothing) {
  std::promise<void> go;
  std::thread thread([waits = go.get_future()]() mutable { waits.wait(); });
  const auto used = processor_time_of(thread.native_handle());
  const Duration before = processor_time_of_this_thread();
  Duration own{0};
  while (own == Duration{0}) own = processor_time_of_this_thread() - before;  // some work
  EXPECT_GT(own, Duration{0});
  EXPECT_LT(used(), std::chrono::seconds(1));
  go.set_value();
  thread.join();
  EXPECT_EQ(used(), Duration{0});
}

}  // namespace
}  // namespace weir
