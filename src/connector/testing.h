#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "connector/appends.h"
#include "connector/options.h"
#include "file/faulty_file_system.h"
#include "mqtt/client.h"
#include "stream/catalog.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// A core thread with a store in memory, and a broker that does what the test says. For tests.
namespace weir::connector::testing {

inline constexpr const char* kLakeArn =
    "arn:aws:firehose:us-east-1:123456789012:deliverystream/lake";

inline Options options_for_test() {
  Options options;
  options.default_target = *parse_arn(kLakeArn);
  options.broker_url = "mqtt://broker";
  return options;
}

/// The core thread, the syncer's work and the passing of time in one: everything that is posted is
/// carried out, then everything that would happen in the next seconds.
class Core final : public Executor, public stream::Observer, public stream::AppendSink {
 public:
  static constexpr std::uint32_t kLane = 0xFFFFFF00;

  Core() : appends(*this, kLane) {
    stream::Options store;
    store.min_free_bytes = 0;
    store.zeros_ahead_bytes = 0;
    store.inline_sync_us = 0;
    catalog = std::move(*stream::Catalog::open(
        store, {disk, clock_, metrics, *this, *this, *this, "boot", 7, false}));
    appends.serve(*catalog);
    thread_ = std::thread([this] { work(); });
  }
  ~Core() override { stop(); }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void stop() {
    if (!thread_.joinable()) return;
    run([this] {
      appends.close();
      catalog->close();
      stopping_ = true;
    });
    thread_.join();
  }

  void post(std::function<void()> work) override {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    wake_.notify_all();
  }
  /// Runs it on the core thread and waits.
  void run(const std::function<void()>& work) {
    std::promise<void> done;
    post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  /// Waits until nothing is left to do.
  void settle() {
    std::unique_lock lock(mutex_);
    ++asked_;
    const auto mine = asked_;
    wake_.notify_all();
    idle_.wait(lock, [&] { return settled_ >= mine; });
  }
  std::function<void(Duration, std::function<void()>)> later() {
    return [this](Duration, std::function<void()> work) { waiting_.push_back(std::move(work)); };
  }
  /// Everything that waited for a later time happens.
  void pass_time() {
    run([this] {
      for (auto& work : std::exchange(waiting_, {})) work();
    });
    settle();
  }
  /// While true, nothing reaches stable storage.
  void hold_syncer(bool hold) {
    held_ = hold;
    post([] {});
  }

  std::vector<std::string> payloads(const std::string& name) {
    std::vector<std::string> found;
    run([&] {
      stream::Stream* stream = catalog->find(name);
      if (stream == nullptr) return;
      struct Sink final : stream::RecordSink {
        std::vector<std::string>* to = nullptr;
        bool record(SequenceNumber, std::int64_t, Bytes payload) override {
          to->emplace_back(as_text(payload));
          return true;
        }
      } sink;
      sink.to = &found;
      const auto& log = *stream->log();
      const auto read = stream->log()->read(log.oldest(), log.visible_end(), 1'000'000,
                                            stream::ReadMode::kMayBlock, sink);
      if (!read) found = {"cannot be read: " + read.error().what};
    });
    return found;
  }

  void stream_opened(stream::Stream&) override {}
  void stream_updated(stream::Stream&) override {}
  void stream_removed(StreamId, const std::string&) override {}
  void visible_moved(stream::Stream&) override {}
  void durable_moved(stream::Stream&) override {}
  void append_done(std::uint64_t token, const Result<SequenceNumber>& outcome) override {
    appends.append_done(static_cast<std::uint32_t>(token >> 32U), outcome);
  }

  file::FaultyFileSystem disk;
  metrics::Registry metrics;
  std::unique_ptr<stream::Catalog> catalog;
  Appends appends;

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (!queue_.empty()) {
        auto next = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        next();
        next = nullptr;
        lock.lock();
        continue;
      }
      const auto asked = asked_;
      lock.unlock();
      const bool busy = !held_ && sync();
      lock.lock();
      if (busy || !queue_.empty()) continue;
      settled_ = asked;
      idle_.notify_all();
      if (asked_ == asked) wake_.wait(lock);
    }
  }
  bool sync() {
    if (stopping_) return false;
    clock_.advance(std::chrono::seconds(2));
    catalog->tick();
    bool any = false;
    while (catalog->run_syncer_once()) any = true;
    return any;
  }

  ManualClock clock_;  // the core thread's
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<std::function<void()>> queue_;
  std::vector<std::function<void()>> waiting_;  // the core thread's
  std::uint64_t asked_ = 0;
  std::uint64_t settled_ = 0;
  std::atomic<bool> held_{false};
  std::atomic<bool> stopping_{false};
};

/// What a client was asked to do. Threads: any.
class FakeClient final : public mqtt::Client {
 public:
  struct Sent {
    std::uint64_t token = 0;
    std::string topic;
    std::string payload;
  };

  void start(mqtt::Listener& to) override { listener = &to; }
  void acknowledge(std::vector<mqtt::Receipt> receipts) override {
    const MutexLock lock(mutex_);
    for (const auto& receipt : receipts) acknowledged_.push_back(receipt.packet);
  }
  bool publish(std::uint64_t token, std::string topic, std::string payload) override {
    if (payload.size() > takes_bytes) return false;
    {
      const MutexLock lock(mutex_);
      sent_.push_back({token, std::move(topic), std::move(payload)});
    }
    if (answer) answer(token);
    return true;
  }
  void stop() override {}

  std::vector<std::uint16_t> acknowledged() const {
    const MutexLock lock(mutex_);
    return acknowledged_;
  }
  std::vector<Sent> sent() const {
    const MutexLock lock(mutex_);
    return sent_;
  }

  std::atomic<mqtt::Listener*> listener{nullptr};
  std::function<void(std::uint64_t token)> answer;  ///< called for each publish
  std::size_t takes_bytes = 1 << 20;

 private:
  mutable Mutex mutex_;
  std::vector<std::uint16_t> acknowledged_ WEIR_GUARDED_BY(mutex_);
  std::vector<Sent> sent_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::connector::testing
