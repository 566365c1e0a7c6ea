#include "base/log.h"
#include "base/rng.h"
#include "stream/check.h"
#include "stream/test_store.h"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <iostream>
#include <set>

/// Random operations, crashes and restarts against a plain model of what weir promises
/// (reliability.md 6.1, 6.5). `WEIR_MODEL_SEEDS` and `WEIR_MODEL_SEED` choose how many and where
/// to begin; a failure prints the seed that shows it.
namespace weir::stream {
namespace {

/// What the outside knows of one stream.
struct ModelStream {
  model::StreamDefinition definition;
  /// Payloads by number: acknowledged ones, and those sent but never answered.
  std::map<std::int64_t, std::string> acknowledged;
  std::set<std::string> unanswered;
  /// By number, what a reader or an exporter was shown; never anything else afterwards.
  std::map<std::int64_t, std::string> shown;
  std::int64_t shown_end = 0;    ///< numbers below were shown or acknowledged
  std::int64_t end = 0;          ///< of what is stored, as far as is known
  std::int64_t durable_end = 0;  ///< as reported
  std::int64_t oldest = 0;
  std::map<std::string, std::int64_t> cursors;
  bool kernel_crashed = false;  ///< since the last append: a gap may follow
};

class Model {
 public:
  explicit Model(std::uint64_t seed) : rng_(seed), disk_(seed), store_(disk_) {
    store_.options.sync_bytes = 4'096;
    store_.options.sync_together_min = seed % 2 == 0 ? 16 : 1;
    store_.options.open_files_max = 8;
  }

  void run(int steps) {
    open();
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) {
      step();
      check_all();
    }
  }

 private:
  void open() {
    const auto opened = store_.open();
    ASSERT_TRUE(opened) << opened.error().what;
  }

  std::string name() { return std::string(1, static_cast<char>('a' + rng_.below(3))); }

  ModelStream* random_stream(std::string& chosen) {
    if (streams_.empty()) return nullptr;
    auto at = streams_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(rng_.below(streams_.size())));
    chosen = at->first;
    return &at->second;
  }

  model::StreamDefinition random_definition(const std::string& stream) {
    model::StreamDefinition definition;
    definition.name = stream;
    // Large enough for zeros ahead in some worlds, see `Writer::expect_small_groups`.
    definition.max_size =
        static_cast<std::int64_t>(1'024 + rng_.below(rng_.chance(0.2) ? 40'000 : 8'192));
    definition.stream_segment_size = static_cast<std::int64_t>(
        1'024 + rng_.below(static_cast<std::uint64_t>(*definition.max_size - 1'023)));
    if (rng_.chance(0.6)) {
      definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
    }
    definition.flush_on_write = rng_.chance(0.5);
    if (rng_.chance(0.1)) definition.persistence = model::Persistence::kMemory;
    return definition;
  }

  void step() {
    const std::uint64_t choice = rng_.below(100);
    log::debug("Step.", {{"choice", choice}});
    if (choice < 50) return append();
    if (choice < 60) return save_cursor();
    if (choice < 64) return create();
    if (choice < 67) return update();
    if (choice < 69) return remove();
    if (choice < 78) return some_background_work();
    if (choice < 84) return pass_time();
    if (choice < 90) return restart();
    if (choice < 96) return kill();
    return cut_power();
  }

  void create() {
    const std::string stream = name();
    const auto definition = random_definition(stream);
    const auto created = store_.create(definition);
    if (streams_.contains(stream)) {
      ASSERT_FALSE(created);
      ASSERT_EQ(created.error().what, "the message stream already exists");
      return;
    }
    ASSERT_TRUE(created) << created.error().what;
    streams_[stream].definition = definition;
  }

  void update() {
    std::string stream;
    ModelStream* model = random_stream(stream);
    if (model == nullptr) return;
    auto definition = random_definition(stream);
    definition.persistence.reset();
    settle();
    const auto status = store_.stream(stream).storage_status();
    const auto updated = store_.update(definition);
    if (*definition.max_size < status.total_bytes) {
      ASSERT_FALSE(updated);
      ASSERT_EQ(updated.error().code, Errc::kConflict);
      return;
    }
    ASSERT_TRUE(updated) << updated.error().what;
    definition.persistence = model->definition.persistence;
    model->definition = definition;
  }

  void remove() {
    std::string stream;
    if (random_stream(stream) == nullptr) return;
    settle();
    ASSERT_TRUE(store_.remove(stream));
    streams_.erase(stream);
  }

  void append() {
    std::string stream;
    if (random_stream(stream) == nullptr) return;
    const std::uint64_t count = 1 + rng_.below(6);
    std::vector<std::string> payloads;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string payload = stream + "-" + std::to_string(++payload_number_) + "-";
      payload.resize(payload.size() + rng_.below(400), 'x');
      payloads.push_back(std::move(payload));
    }
    for (const std::string& payload : payloads) {
      waiting_[store_.stage(stream, payload)] = {stream, payload};
    }
    store_.catalog->commit();
    if (rng_.chance(0.7)) settle();
    take_outcomes();
  }

  void take_outcomes() {
    for (auto& [token, outcome] : store_.outcomes) {
      const auto at = waiting_.find(token);
      if (at == waiting_.end()) continue;
      const auto [stream, payload] = at->second;
      waiting_.erase(at);
      const auto model = streams_.find(stream);
      if (model == streams_.end()) continue;
      if (outcome) {
        acknowledged(model->second, outcome->value(), payload);
      } else {
        ASSERT_EQ(outcome.error().what, "the message stream is full");
      }
    }
    store_.outcomes.clear();
    ASSERT_FALSE(store_.answered_twice);
  }

  void acknowledged(ModelStream& model, std::int64_t number, const std::string& payload) {
    ASSERT_GE(number, model.shown_end) << "number given twice";
    if (!model.kernel_crashed) {
      ASSERT_EQ(number, next_after(model)) << "gap without a cause";
    }
    model.kernel_crashed = false;
    log::debug("Acknowledged.", {{"number", number}, {"payload", payload.substr(0, 10)}});
    model.acknowledged[number] = payload;
    model.shown_end = model.end = number + 1;
    if (model.definition.durable_before_answer()) {
      model.durable_end = std::max(model.durable_end, number + 1);
    }
  }

  /// The number the next message must get if nothing was lost.
  std::int64_t next_after(const ModelStream& model) { return model.shown_end; }

  void settle() {
    store_.settle();
    take_outcomes();
  }

  void some_background_work() {
    for (std::uint64_t i = rng_.below(4); i > 0; --i) {
      store_.catalog->run_syncer_once();
      if (rng_.chance(0.5)) store_.core.run_once();
    }
    take_outcomes();
  }

  void pass_time() {
    store_.clock.advance(std::chrono::milliseconds(rng_.below(3'000)));
    store_.catalog->tick();
    if (rng_.chance(0.5)) settle();
    take_outcomes();
  }

  void save_cursor() {
    std::string stream;
    ModelStream* model = random_stream(stream);
    if (model == nullptr) return;
    Stream& real = store_.stream(stream);
    Cursor cursor;
    cursor.identifier = rng_.chance(0.5) ? "cloud" : "other";
    cursor.next = real.log()->durable_end();
    ASSERT_TRUE(real.cursors()->save(cursor));
    model->cursors[cursor.identifier] = cursor.next.value();
  }

  void restart() {
    settle();
    store_.catalog->close();
    take_outcomes();
    ASSERT_TRUE(waiting_.empty());
    store_.forget();
    reopen(/*power_cut=*/false, /*orderly=*/true);
  }

  void kill() {
    take_outcomes();
    store_.forget();
    disk_.kill_process();
    reopen(false, false);
  }

  void cut_power() {
    take_outcomes();
    store_.forget();
    disk_.crash(rng_.next());
    store_.boot_id = "boot-" + std::to_string(rng_.next());
    reopen(true, false);
  }

  void reopen(bool power_cut, bool orderly) {
    for (const auto& [token, sent] : waiting_) {
      const auto at = streams_.find(sent.first);
      if (at != streams_.end()) at->second.unanswered.insert(sent.second);
    }
    waiting_.clear();
    // Recovery itself may be cut off, and begins again.
    for (std::uint64_t i = rng_.chance(0.2) ? 1 + rng_.below(3) : 0; i > 0; --i) {
      disk_.cut_power_before_change(1 + rng_.below(30));
      const auto opened = store_.open();
      store_.forget();
      disk_.crash(rng_.next());
      if (opened && orderly) orderly = false;
      power_cut = true;
      store_.boot_id = "boot-" + std::to_string(rng_.next());
    }
    open();
    if (::testing::Test::HasFatalFailure()) return;
    for (auto& [stream, model] : streams_) after_restart(stream, model, power_cut);
  }

  void after_restart(const std::string& stream, ModelStream& model, bool power_cut) {
    SCOPED_TRACE(stream);
    ASSERT_NE(store_.catalog->find(stream), nullptr);
    Stream& real = store_.stream(stream);
    log::debug("Restarted.", {{"stream", stream},
                              {"power_cut", power_cut},
                              {"oldest", real.log()->oldest().value()},
                              {"durable", real.log()->durable_end().value()},
                              {"visible", real.log()->visible_end().value()},
                              {"must", power_cut ? model.durable_end : model.shown_end}});
    ASSERT_EQ(real.definition(), model.definition);
    if (model.definition.persistence == model::Persistence::kMemory) {
      ModelStream fresh;
      fresh.definition = model.definition;
      model = fresh;
      return;
    }
    model.kernel_crashed = model.kernel_crashed || power_cut;
    const auto messages = store_.read(stream);
    const std::int64_t end = real.log()->visible_end().value();
    const std::int64_t oldest = real.log()->oldest().value();
    std::set<std::int64_t> present;
    for (const StoredMessage& message : messages) present.insert(message.number);
    const std::int64_t must_survive = power_cut ? model.durable_end : model.end;
    for (const auto& [number, payload] : model.acknowledged) {
      if (number < std::max(oldest, model.oldest) || number >= must_survive) continue;
      ASSERT_TRUE(present.contains(number)) << "acknowledged message " << number << " is lost";
    }
    // What is lost is a suffix; an unanswered message may be there or not.
    if (!power_cut) {
      ASSERT_GE(end, model.end);
    }
    model.end = end;
    model.acknowledged.erase(model.acknowledged.lower_bound(end), model.acknowledged.end());
    for (const StoredMessage& message : messages) {
      if (message.number < model.shown_end) continue;
      ASSERT_TRUE(model.unanswered.contains(message.payload)) << "message out of nowhere";
      model.acknowledged[message.number] = message.payload;
    }
    model.shown_end = std::max(model.shown_end, end);
    model.oldest = oldest;
    for (const Cursor& cursor : real.cursors()->load()) {
      ASSERT_EQ(cursor.next.value(), model.cursors[cursor.identifier]);
    }
    ASSERT_EQ(real.cursors()->load().size(), model.cursors.size());
  }

  void check_all() {
    if (::testing::Test::HasFatalFailure()) return;
    ASSERT_EQ(store_.catalog->streams().size(), streams_.size());
    for (auto& [stream, model] : streams_) check(stream, model);
  }

  void check(const std::string& stream, ModelStream& model) {
    SCOPED_TRACE(stream);
    Stream& real = store_.stream(stream);
    const LogReader& log = *real.log();
    ASSERT_LE(log.oldest(), log.durable_end());
    ASSERT_LE(log.durable_end(), log.visible_end());
    ASSERT_LE(real.storage_status().total_bytes, *model.definition.max_size);
    ASSERT_EQ(real.fault(), "");
    ASSERT_EQ(real.lost_messages(), 0);
    ASSERT_GE(log.oldest().value(), model.oldest);
    model.oldest = log.oldest().value();
    model.durable_end = std::max(model.durable_end, log.durable_end().value());
    if (rng_.chance(0.8)) return;
    std::int64_t last = -1;
    for (const StoredMessage& message : store_.read(stream)) {
      ASSERT_GT(message.number, last);
      last = message.number;
      const auto shown = model.shown.emplace(message.number, message.payload).first;
      ASSERT_EQ(shown->second, message.payload) << "number " << message.number << " changed";
      const auto known = model.acknowledged.find(message.number);
      if (known != model.acknowledged.end()) {
        ASSERT_EQ(known->second, message.payload);
      }
    }
    ASSERT_TRUE(store_.read_result);
    for (auto at = model.acknowledged.lower_bound(model.oldest); at != model.acknowledged.end();
         ++at) {
      if (at->first >= log.visible_end().value()) break;
      ASSERT_TRUE(model.shown.contains(at->first)) << "message " << at->first << " is missing";
    }
  }

  Rng rng_;
  file::FaultyFileSystem disk_;
  TestStore store_;
  std::map<std::string, ModelStream> streams_;
  std::map<std::uint64_t, std::pair<std::string, std::string>> waiting_;
  std::uint64_t payload_number_ = 0;
};

// A sanitizer makes each world thirty times slower and finds what it finds in fewer.
#ifdef WEIR_SANITIZED
constexpr std::uint64_t kSeeds = 500;
#else
constexpr std::uint64_t kSeeds = 2'000;
#endif

std::uint64_t from_environment(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(StreamModel, KeepsItsPromisesThroughAnything) {
  // Every line, without the rate limit, or none.
  const bool trace = std::getenv("WEIR_MODEL_TRACE") != nullptr;
  log::set_level(trace ? log::Level::kDebug : log::Level::kError);
  log::capture(trace ? [](log::Level, const std::string& line) { std::cerr << line << '\n'; }
                     : [](log::Level, const std::string&) {});
  const std::uint64_t first = from_environment("WEIR_MODEL_SEED", 1);
  const std::uint64_t count = from_environment("WEIR_MODEL_SEEDS", kSeeds);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("WEIR_MODEL_SEEDS=1 WEIR_MODEL_SEED=" + std::to_string(seed));
    Model(seed).run(120);
    if (::testing::Test::HasFatalFailure()) break;
  }
  log::capture(nullptr);
  log::set_level(log::Level::kInfo);
}

}  // namespace
}  // namespace weir::stream
