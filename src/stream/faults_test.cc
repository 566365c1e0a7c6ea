#include "base/log.h"
#include "stream/check.h"
#include "stream/test_store.h"

#include <array>
#include <cerrno>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <vector>

/// One scripted life of a store, with a power cut before each of its changes, a crash in each
/// recovery from it, and each single call failing (reliability.md 6.1).
namespace weir::stream {
namespace {

/// What the script was told while it ran.
struct Told {
  std::map<std::string, std::map<std::int64_t, std::string>> durable;  ///< acknowledged for good
  std::map<std::string, std::map<std::int64_t, std::string>> acknowledged;
  std::map<std::string, std::int64_t> next;  ///< numbers below were given
  std::vector<std::string> created;
  std::vector<std::string> removed;
};

constexpr const char* kPlain = "plain";
constexpr const char* kFlush = "flush";
constexpr const char* kRing = "ring";

void append(TestStore& store, Told& told, const std::string& name, int count) {
  for (int i = 0; i < count; ++i) {
    if (store.catalog->find(name) == nullptr) return;
    const bool flushing = store.stream(name).definition().durable_before_answer();
    const std::string payload =
        name + std::to_string(told.next[name]) + std::string(static_cast<std::size_t>(200), 'x');
    const auto outcome = store.append(name, payload);
    if (!outcome) continue;
    told.acknowledged[name][outcome->value()] = payload;
    told.next[name] = std::max(told.next[name], outcome->value() + 1);
    if (flushing) told.durable[name][outcome->value()] = payload;
  }
}

void save_cursor(TestStore& store, const std::string& name) {
  Stream* const stream = store.catalog->find(name);
  if (stream == nullptr) return;
  Cursor cursor;
  cursor.identifier = "cloud";
  cursor.next = stream->log()->durable_end();
  if (!stream->cursors()->save(cursor)) return;
}

/// Create, append, roll, overwrite, update, delete, re-create, save positions, stop, start.
void run_script(TestStore& store, Told& told) {
  if (!store.open()) return;
  for (const auto& definition : {file_stream(kPlain), flushing_stream(kFlush)}) {
    if (store.create(definition)) told.created.push_back(definition.name);
  }
  auto ring = flushing_stream(kRing);
  ring.max_size = 2'048;
  ring.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  if (store.create(ring)) told.created.push_back(kRing);
  append(store, told, kPlain, 7);
  append(store, told, kFlush, 7);
  append(store, told, kRing, 15);
  save_cursor(store, kFlush);
  store.clock.advance(std::chrono::seconds(2));
  store.catalog->tick();
  store.settle();
  if (store.catalog->find(kPlain) != nullptr) {
    auto wider = file_stream(kPlain);
    wider.max_size = 128 * 1024;
    const auto updated = store.update(wider);
    static_cast<void>(updated);
  }
  // From here on it may be there or not, until the removal is confirmed.
  std::erase(told.created, kRing);
  told.durable.erase(kRing);
  told.acknowledged.erase(kRing);
  told.next.erase(kRing);
  if (store.remove(kRing)) {
    told.created.emplace_back(kRing);
    told.removed.emplace_back(kRing);
  }
  save_cursor(store, kFlush);
  append(store, told, kFlush, 3);
  store.close();
  if (!store.open()) return;
  append(store, told, kPlain, 3);
  append(store, told, kFlush, 3);
}

class FaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_level(log::Level::kError);
    log::capture([](log::Level, const std::string&) {});
  }
  void TearDown() override {
    log::capture(nullptr);
    log::set_level(log::Level::kInfo);
  }

  /// Everything that must be there is there, and nothing else; the store works.
  static void check(TestStore& store, const Told& told, bool power_cut) {
    for (const auto& [name, messages] : told.durable) check_stream(store, name, messages);
    if (!power_cut) {
      for (const auto& [name, messages] : told.acknowledged) check_stream(store, name, messages);
    }
    for (const auto& [name, next] : told.next) {
      if (store.catalog->find(name) == nullptr) continue;
      const auto outcome = store.append(name, "afterwards");
      ASSERT_TRUE(outcome) << name << ": " << outcome.error().what;
      ASSERT_GE(outcome->value(), next) << name << ": a number was given twice";
    }
    for (const std::string& name : told.created) {
      const bool is_removed =
          std::find(told.removed.begin(), told.removed.end(), name) != told.removed.end();
      ASSERT_EQ(store.catalog->find(name) == nullptr, is_removed) << name;
    }
    const auto report = check_store(store.disk);
    ASSERT_TRUE(report);
    for (const StreamReport& stream : report->streams) {
      for (const FileReport& file : stream.segments) {
        ASSERT_LE(file.verdict, Verdict::kTorn) << file.path << ": " << file.text;
      }
      ASSERT_EQ(stream.definition.verdict, Verdict::kSound) << stream.definition.text;
      ASSERT_EQ(stream.state.verdict, Verdict::kSound) << stream.state.text;
    }
    ASSERT_LE(report->worst(), Verdict::kTorn);
  }

  static void check_stream(TestStore& store, const std::string& name,
                           const std::map<std::int64_t, std::string>& messages) {
    ASSERT_NE(store.catalog->find(name), nullptr) << name;
    std::map<std::int64_t, std::string> found;
    for (StoredMessage& message : store.read(name)) {
      ASSERT_TRUE(found.emplace(message.number, message.payload).second);
    }
    const std::int64_t oldest = store.stream(name).log()->oldest().value();
    for (const auto& [number, payload] : messages) {
      if (number < oldest) continue;
      ASSERT_TRUE(found.contains(number)) << name << " " << number << " is lost";
      ASSERT_EQ(found[number], payload);
    }
  }
};

TEST_F(FaultsTest, APowerCutBeforeEveryChangeLosesNothingThatWasPromised) {
  std::uint64_t point = 1;
  for (bool reached = true; reached; ++point) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE("power cut before change " + std::to_string(point) + ", seed " +
                   std::to_string(seed));
      file::FaultyFileSystem disk(seed);
      TestStore store(disk);
      Told told;
      disk.cut_power_before_change(point);
      run_script(store, told);
      reached = disk.power_is_off();
      store.forget();
      disk.crash(point * 7 + seed);
      store.boot_id = "boot-2";
      const auto opened = store.open();
      ASSERT_TRUE(opened) << opened.error().what;
      check(store, told, true);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(point, 100U);
}

TEST_F(FaultsTest, APowerCutInEveryStepOfARecoveryChangesNothing) {
  // A store as a power cut in the middle left it, recovered with a cut at every change.
  for (const std::uint64_t first : {60U, 95U, 130U, 160U}) {
    for (std::uint64_t point = 1; point < 200; ++point) {
      SCOPED_TRACE("cut at " + std::to_string(first) + ", in recovery at " + std::to_string(point));
      file::FaultyFileSystem disk(first);
      TestStore store(disk);
      Told told;
      disk.cut_power_before_change(first);
      run_script(store, told);
      store.forget();
      disk.crash(first);
      store.boot_id = "boot-2";
      disk.cut_power_before_change(point);
      const auto half = store.open();
      const bool reached = disk.power_is_off();
      store.forget();
      disk.crash(point);
      store.boot_id = "boot-3";
      const auto opened = store.open();
      ASSERT_TRUE(opened) << opened.error().what;
      check(store, told, true);
      if (HasFatalFailure()) return;
      if (!reached) break;
    }
  }
}

TEST_F(FaultsTest, EverySingleFailingCallIsSurvived) {
  constexpr std::array kCallsToFail{file::Call::kOpen,       file::Call::kCreate,
                                    file::Call::kRead,       file::Call::kWrite,
                                    file::Call::kSync,       file::Call::kTruncate,
                                    file::Call::kSize,       file::Call::kMakeDirectory,
                                    file::Call::kRemoveFile, file::Call::kRemoveDirectory,
                                    file::Call::kRename,     file::Call::kSyncDirectory,
                                    file::Call::kList,       file::Call::kSpace};
  for (const file::Call call : kCallsToFail) {
    for (const int error : {EIO, ENOSPC}) {
      for (std::uint64_t nth = 1;; ++nth) {
        SCOPED_TRACE("call kind " + std::to_string(static_cast<int>(call)) + ", number " +
                     std::to_string(nth) + ", errno " + std::to_string(error));
        file::FaultyFileSystem disk(nth);
        TestStore store(disk);
        Told told;
        const std::uint64_t before = disk.calls(call);
        disk.fail_call(call, nth, error);
        run_script(store, told);
        const bool reached = disk.calls(call) - before >= nth;
        store.forget();
        disk.clear_faults();
        disk.kill_process();
        const auto opened = store.open();
        ASSERT_TRUE(opened) << opened.error().what;
        // A failing sync may drop what was acknowledged before the sync interval.
        check(store, told, call == file::Call::kSync);
        if (HasFatalFailure()) return;
        if (!reached) break;
      }
    }
  }
}

}  // namespace
}  // namespace weir::stream
