#include "server/loop.h"

#include "base/check.h"
#include "base/mutex.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir::server {
namespace {

// What epoll gives back for the loop's own two descriptors; no descriptor number reaches these.
constexpr std::uint64_t kWakeTag = ~std::uint64_t{0};
constexpr std::uint64_t kTimerTag = kWakeTag - 1;
// Ready descriptors taken per turn: bounds the time of a turn, and costs 3 KiB.
constexpr int kEventsPerTurn = 256;
// Cancelled timers are left in the heap until they are this many more than live ones.
constexpr std::size_t kStaleTimersMax = 64;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_ = -1;
};

struct TimerEntry {
  Instant when;
  Loop::TimerId id;
};
// Makes std::push_heap keep the earliest on top; equal instants run in the order they were set.
bool later(const TimerEntry& a, const TimerEntry& b) {
  return a.when != b.when ? a.when > b.when : a.id > b.id;
}

}  // namespace

struct Loop::State {
  explicit State(Clock& the_clock) : clock(the_clock) {}

  Clock& clock;
  Descriptor epoll;
  Descriptor wake;
  Descriptor timer;

  // Who handles which descriptor. The generation tells an event of this descriptor from one that
  // was fetched for an earlier owner of the same number.
  struct Slot {
    Handler* handler = nullptr;
    std::uint32_t generation = 0;
  };
  std::vector<Slot> slots;

  std::vector<TimerEntry> heap;
  std::unordered_map<TimerId, std::function<void()>> timers;
  TimerId next_timer = 1;
  Instant armed_for = Instant::max();  // what the timer descriptor is set to

  Mutex mutex;
  std::vector<std::function<void()>> posted WEIR_GUARDED_BY(mutex);
  bool closed WEIR_GUARDED_BY(mutex) = false;
  std::atomic<bool> has_posted{false};
  std::atomic<bool> stop{false};
  std::atomic<std::thread::id> thread{};

  std::vector<std::function<void()>> running;  // the last batch's memory, reused
  std::function<void()> turn_end;

  [[nodiscard]] std::uint64_t tag(int descriptor) const {
    const auto index = static_cast<std::size_t>(descriptor);
    return (std::uint64_t{slots[index].generation} << 32U) | static_cast<std::uint32_t>(descriptor);
  }

  void wake_up() {
    const std::uint64_t one = 1;
    // Cannot fail: the counter never comes near its limit, and its reader needs no reset.
    [[maybe_unused]] const auto written = ::write(wake.get(), &one, sizeof one);
  }

  // Drops entries whose timers were cancelled from the top of the heap.
  void drop_cancelled() {
    while (!heap.empty() && !timers.contains(heap.front().id)) {
      std::pop_heap(heap.begin(), heap.end(), later);
      heap.pop_back();
    }
  }

  // Sets the timer descriptor if the earliest timer became earlier than what it is set to. A
  // finite epoll timeout would set up a kernel timer in every turn; this does once per change.
  void arm() {
    drop_cancelled();
    if (heap.empty() || heap.front().when >= armed_for) return;
    armed_for = heap.front().when;
    const auto wait = std::max(armed_for - clock.now(), Duration(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    itimerspec spec{};
    spec.it_value.tv_sec = seconds.count();
    // Fewer than a second's, which fits whatever the processor calls a long.
    spec.it_value.tv_nsec = static_cast<long>((wait - seconds).count());
    ::timerfd_settime(timer.get(), 0, &spec, nullptr);
  }

  bool run_timers() {
    if (heap.empty()) return false;
    const Instant now = clock.now();
    const TimerId before = next_timer;  // timers set meanwhile wait for the next turn
    bool any = false;
    while (true) {
      drop_cancelled();
      if (heap.empty() || heap.front().when > now || heap.front().id >= before) return any;
      const TimerId id = heap.front().id;
      std::pop_heap(heap.begin(), heap.end(), later);
      heap.pop_back();
      auto work = std::move(timers.extract(id).mapped());
      work();
      any = true;
    }
  }

  bool run_posted() {
    if (!has_posted.load(std::memory_order_acquire)) return false;
    {
      MutexLock lock(mutex);
      running.swap(posted);
      has_posted.store(false, std::memory_order_relaxed);
    }
    for (auto& work : running) {
      work();
      work = nullptr;  // what it captured goes before the next one runs
    }
    const bool any = !running.empty();
    running.clear();
    return any;
  }

  // Hands out what epoll reported; false if only the loop's own descriptors were ready.
  bool run_events(const epoll_event* events, int count) {
    bool any = false;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t data = events[i].data.u64;
      if (data == kWakeTag) continue;
      if (data == kTimerTag) {
        armed_for = Instant::max();
        continue;
      }
      const auto index = static_cast<std::size_t>(data & 0xFFFFFFFFU);
      const auto& slot = slots[index];
      if (slot.handler == nullptr || slot.generation != data >> 32U) continue;
      slot.handler->ready(events[i].events);
      any = true;
    }
    return any;
  }
};

Loop::Loop(std::unique_ptr<State> state) : state_(std::move(state)) {}
Loop::~Loop() = default;

Result<std::unique_ptr<Loop>> Loop::create(Clock& clock) {
  auto state = std::make_unique<State>(clock);
  state->epoll = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (state->epoll.get() < 0) return fail(os_error("create the event loop", errno));
  state->wake = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (state->wake.get() < 0) return fail(os_error("create the event loop's wake-up", errno));
  state->timer = Descriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (state->timer.get() < 0) return fail(os_error("create the event loop's timer", errno));

  // Edge-triggered, so that neither has to be read to fall silent again.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeTag;
  if (::epoll_ctl(state->epoll.get(), EPOLL_CTL_ADD, state->wake.get(), &event) != 0) {
    return fail(os_error("watch the event loop's wake-up", errno));
  }
  event.data.u64 = kTimerTag;
  if (::epoll_ctl(state->epoll.get(), EPOLL_CTL_ADD, state->timer.get(), &event) != 0) {
    return fail(os_error("watch the event loop's timer", errno));
  }
  return std::unique_ptr<Loop>(new Loop(std::move(state)));
}

void Loop::post(std::function<void()> work) {
  bool first = false;
  {
    MutexLock lock(state_->mutex);
    if (state_->closed) return;
    first = state_->posted.empty();
    state_->posted.push_back(std::move(work));
    state_->has_posted.store(true, std::memory_order_release);
  }
  // The loop's own thread looks at the queue before it sleeps.
  if (first && state_->thread.load(std::memory_order_relaxed) != std::this_thread::get_id()) {
    state_->wake_up();
  }
}

Result<void> Loop::add(int descriptor, std::uint32_t events, Handler& handler) {
  const auto index = static_cast<std::size_t>(descriptor);
  if (index >= state_->slots.size()) state_->slots.resize(index + 1);
  auto& slot = state_->slots[index];
  WEIR_CHECK(slot.handler == nullptr, "a descriptor was added to the loop twice");
  ++slot.generation;
  epoll_event event{};
  event.events = events;
  event.data.u64 = state_->tag(descriptor);
  if (::epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return fail(os_error("watch a descriptor", errno));
  }
  slot.handler = &handler;
  return {};
}

void Loop::modify(int descriptor, std::uint32_t events, Handler& handler) {
  auto& slot = state_->slots[static_cast<std::size_t>(descriptor)];
  WEIR_CHECK(slot.handler == &handler, "the loop was asked to change what somebody else watches");
  epoll_event event{};
  event.events = events;
  event.data.u64 = state_->tag(descriptor);
  const int failed = ::epoll_ctl(state_->epoll.get(), EPOLL_CTL_MOD, descriptor, &event);
  WEIR_CHECK(failed == 0, "the loop lost a descriptor it was watching");
}

void Loop::remove(int descriptor, Handler& handler) {
  auto& slot = state_->slots[static_cast<std::size_t>(descriptor)];
  WEIR_CHECK(slot.handler == &handler, "the loop was asked to forget what somebody else watches");
  ::epoll_ctl(state_->epoll.get(), EPOLL_CTL_DEL, descriptor, nullptr);
  slot.handler = nullptr;
  ++slot.generation;
}

Loop::TimerId Loop::call_at(Instant when, std::function<void()> work) {
  const TimerId id = state_->next_timer++;
  state_->timers.emplace(id, std::move(work));
  state_->heap.push_back({when, id});
  std::push_heap(state_->heap.begin(), state_->heap.end(), later);
  return id;
}

void Loop::cancel(TimerId id) {
  if (state_->timers.erase(id) == 0) return;
  auto& heap = state_->heap;
  if (heap.size() < 2 * state_->timers.size() + kStaleTimersMax) return;
  std::erase_if(heap, [this](const TimerEntry& e) { return !state_->timers.contains(e.id); });
  std::make_heap(heap.begin(), heap.end(), later);
}

void Loop::set_turn_end(std::function<void()> hook) { state_->turn_end = std::move(hook); }

bool Loop::run_once(Duration wait_max) {
  auto& state = *state_;
  state.thread.store(std::this_thread::get_id(), std::memory_order_relaxed);
  state.arm();
  int timeout_ms = -1;
  if (state.has_posted.load(std::memory_order_acquire) || state.stop.load()) {
    timeout_ms = 0;
  } else if (wait_max != Duration::max()) {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(wait_max);
    timeout_ms = static_cast<int>(std::clamp<std::int64_t>(whole.count(), 0, 1'000'000'000));
  }
  std::array<epoll_event, kEventsPerTurn> events;
  const int count = ::epoll_wait(state.epoll.get(), events.data(), kEventsPerTurn, timeout_ms);
  bool any = state.run_events(events.data(), std::max(count, 0));
  any = state.run_posted() || any;
  any = state.run_timers() || any;
  if (any && state.turn_end) state.turn_end();
  return any;
}

void Loop::run() {
  while (!state_->stop.load(std::memory_order_relaxed)) run_once(Duration::max());
  std::vector<std::function<void()>> left;
  MutexLock lock(state_->mutex);
  state_->closed = true;
  left.swap(state_->posted);
}

void Loop::stop() {
  state_->stop.store(true);
  state_->wake_up();
}

}  // namespace weir::server
