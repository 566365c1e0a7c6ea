// The configuration read again: what it means for a running weir, and who reads it when.

#include "base/rng.h"
#include "daemon/daemon.h"
#include "daemon/reload_plan.h"
#include "daemon/reloader.h"
#include "daemon/schema.h"
#include "daemon/settings.h"
#include "daemon/testing.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

namespace weir::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

LoadedConfig read(const std::string& yaml) { return parse_config(yaml, "weir.yaml"); }

ReloadPlan plan(const std::string& before, const std::string& after) {
  auto running = read(before);
  EXPECT_THAT(running.problems, IsEmpty());
  return plan_reload(running.config, read(after));
}

std::map<std::string, std::string> in_force(const Config& config) {
  std::map<std::string, std::string> values;
  for (const auto& [path, shown] : shown_settings(config, true)) values[path] = shown.value;
  return values;
}

TEST(ReloadPlan, NothingHasChangedWhenOnlyTheWordingHas) {
  const auto same = plan("log:\n  level: debug\nserver: {port: 9000}\n",
                         "# moved\nserver:\n  port: 9000\nlog: {level: debug}\nadmin: {}\n");
  EXPECT_THAT(same.refused, IsEmpty());
  EXPECT_THAT(same.changed, IsEmpty());
  EXPECT_THAT(same.needs_restart, IsEmpty());
}

TEST(ReloadPlan, AValueThatIsTheDefaultIsNoChange) {
  EXPECT_THAT(plan("", "server: {port: 8088}\nexport: {max_bandwidth_kbps: 0}\n").changed,
              IsEmpty());
}

TEST(ReloadPlan, WhatIsNotWrittenAnyMoreGoesBackToItsDefault) {
  const auto back =
      plan("export: {backoff_first_ms: 77}\nserver: {frame_bytes_max: 65536}\n", "\n#\n");
  EXPECT_THAT(back.changed, ElementsAre("export.backoff_first_ms"));
  EXPECT_EQ(back.next.exporter.backoff_first_ms, Config().exporter.backoff_first_ms);
  EXPECT_THAT(back.needs_restart, ElementsAre("server.frame_bytes_max"));
  EXPECT_EQ(back.next.server.frame_bytes_max, 65'536) << "until the restart";
}

TEST(ReloadPlan, ListsAreNamedAsAWhole) {
  const auto more = plan("streams:\n- name: a\n",
                         "streams:\n- name: a\n- name: b\nredirects:\n- match: {stream: a}\n"
                         "  to: {type: http, uri: 'http://127.0.0.1:9/'}\n");
  EXPECT_THAT(more.changed, ElementsAre("redirects", "streams"));
  EXPECT_THAT(more.next.streams, SizeIs(2));
}

TEST(ReloadPlan, ConnectorsStayAsTheyAreUntilTheRestart) {
  const std::string connector =
      "connectors:\n- type: firehose\n  broker: mqtt://127.0.0.1:1\n  default_delivery_stream_arn: "
      "arn:aws:firehose:eu-west-1:123456789012:deliverystream/m\n  queue_records_max: ";
  const auto changed = plan(connector + "10\n", connector + "20\n");
  EXPECT_THAT(changed.needs_restart, ElementsAre("connectors"));
  ASSERT_THAT(changed.next.connectors, SizeIs(1));
  EXPECT_EQ(changed.next.connectors[0].options.queue_records_max, 10);
  EXPECT_EQ(in_force(changed.next).at("connectors[0].queue_records_max"), "10");
  const auto again = plan_reload(changed.next, read(connector + "20\n"));
  EXPECT_THAT(again.needs_restart, ElementsAre("connectors")) << "it still waits";
}

TEST(ReloadPlan, WhatBelongsTogetherWaitsTogether) {
  const std::string open = "server: {bind_address: 0.0.0.0, authenticate_client: true}\n";
  const auto closed = plan(open, "server: {authenticate_client: false}\nlog: {level: debug}\n");
  EXPECT_THAT(closed.refused, IsEmpty());
  EXPECT_TRUE(closed.next.server.authenticate_client) << "while it listens to everybody";
  EXPECT_EQ(closed.next.server.bind_address, "0.0.0.0");
  EXPECT_THAT(closed.changed, ElementsAre("log.level"));
}

TEST(ReloadPlan, AMixtureThatMakesNoSenseIsRefusedAsAWhole) {
  const auto mixed = plan("store: {streams_max: 1}\nstreams:\n- name: a\n",
                          "store: {streams_max: 2}\nstreams:\n- name: a\n- name: b\n"
                          "log: {level: debug}\n");
  ASSERT_EQ(mixed.refused.size(), 1U);
  EXPECT_THAT(mixed.refused[0], HasSubstr("while store.streams_max needs a restart"));
  EXPECT_THAT(mixed.changed, IsEmpty());
  EXPECT_THAT(mixed.needs_restart, IsEmpty());
}

// Another good value for a key; none if there is none that this test can think of.
std::optional<std::string> other_value(const Key& key) {
  const std::string& now = key.default_text;
  switch (key.kind) {
    case Kind::kFlag:
      return now == "true" ? "false" : "true";
    case Kind::kInteger: {
      const std::int64_t number = now.empty() ? key.min : std::stoll(now);
      return std::to_string(number < key.max ? number + 1 : number - 1);
    }
    case Kind::kChoice:
      return *std::find_if(key.choices.begin(), key.choices.end(),
                           [&](const std::string& choice) { return choice != now; });
    case Kind::kText:
      return key.name == "bind_address" ? "127.0.0.2" : key.sample.empty() ? "/x/y" : key.sample;
    default:
      return std::nullopt;
  }
}

// "a.b.c" with a value, as YAML on one line.
std::string yaml_of(const std::string& path, const std::string& value) {
  std::string text = value;
  std::string rest = path;
  while (!rest.empty()) {
    const auto dot = rest.rfind('.');
    text = fmt::format("{{{}: {}}}", dot == std::string::npos ? rest : rest.substr(dot + 1), text);
    rest = dot == std::string::npos ? "" : rest.substr(0, dot);
  }
  return text + "\n";
}

// The table says of each key whether it needs a restart; this is what happens.
TEST(ReloadPlan, EveryKeyDoesWhatTheReferenceSaysOfIt) {
  int live = 0;
  int restart = 0;
  const auto before = read("");
  for_each_key([&](const std::string& path, const Key& key) {
    if (find_key(path) == nullptr) return;
    const auto value = other_value(key);
    if (!value) return;
    auto loaded = read(yaml_of(path, *value));
    if (!loaded.problems.empty()) return;  // it goes only together with another one
    const auto wanted = in_force(loaded.config);
    const auto planned = plan_reload(before.config, std::move(loaded));
    EXPECT_THAT(planned.refused, IsEmpty()) << path;
    if (key.change == Change::kLive) {
      ++live;
      EXPECT_THAT(planned.changed, ElementsAre(path));
      EXPECT_THAT(planned.needs_restart, IsEmpty()) << path;
      EXPECT_EQ(in_force(planned.next), wanted) << path;
    } else {
      ++restart;
      EXPECT_THAT(planned.needs_restart, ElementsAre(path));
      EXPECT_THAT(planned.changed, IsEmpty()) << path;
      EXPECT_EQ(in_force(planned.next), in_force(before.config)) << path;
    }
  });
  EXPECT_GT(live, 15);
  EXPECT_GT(restart, 25);
}

TEST(ReloadPlan, AFileThatIsCutOffAnywhereIsRefused) {
  const std::string whole =
      "log:\n  level: debug\nexport:\n  max_bandwidth_kbps: 4000\n  backoff_first_ms: 500\n"
      "streams:\n- name: one\n  max_size_bytes: 1000000\n- name: two\n...\n";
  const auto running = read(whole);
  ASSERT_THAT(running.problems, IsEmpty());
  for (std::size_t bytes = 0; bytes + 1 < whole.size(); ++bytes) {
    const auto cut = plan_reload(running.config, read(whole.substr(0, bytes)));
    EXPECT_THAT(cut.refused, Not(IsEmpty())) << whole.substr(0, bytes);
  }
  EXPECT_THAT(plan_reload(running.config, read(whole)).refused, IsEmpty());
}

// Without the mark, a cut at the end of a line is a shorter file; inside of a line it is seen.
TEST(ReloadPlan, AFileWithoutTheMarkIsRefusedIfItsLastLineHasNoEnd) {
  const std::string whole = "log:\n  level: debug\nexport:\n  max_bandwidth_kbps: 4000\n";
  const auto running = read(whole);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    const bool at_a_line = bytes > 0 && whole[bytes - 1] == '\n';
    const auto cut = plan_reload(running.config, read(whole.substr(0, bytes)));
    EXPECT_TRUE(at_a_line || !cut.refused.empty()) << whole.substr(0, bytes);
  }
}

TEST(ReloadPlan, JsonNeedsNoEndOfItsLastLineButAllItsBrackets) {
  const std::string whole = R"({"log": {"level": "debug"}, "server": {"port": 9000}})";
  const auto running = read(whole + "\n");
  EXPECT_THAT(plan_reload(running.config, read(whole)).refused, IsEmpty());
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_THAT(plan_reload(running.config, read(whole.substr(0, bytes))).refused, Not(IsEmpty()))
        << bytes;
  }
}

// ---- random sequences against a model ---------------------------------------------------------

struct ModelKey {
  const char* path;
  bool live;
  std::vector<std::string> values;  // the first is the default
};
const std::vector<ModelKey>& model_keys() {
  static const std::vector<ModelKey> keys = {
      {"log.level", true, {"info", "debug", "warn", "error"}},
      {"export.max_bandwidth_kbps", true, {"0", "1", "5000"}},
      {"export.backoff_first_ms", true, {"1000", "10", "20"}},
      {"export.stall_timeout_ms", true, {"30000", "100", "5000"}},
      {"export.aws.region", true, {"", "eu-central-1", "us-east-1"}},
      {"store.min_free_bytes", true, {"16777216", "0", "4096"}},
      {"export.worker_count", false, {"5", "1", "7"}},
      {"server.port", false, {"8088", "9000", "0"}},
      {"server.connections_max", false, {"", "10", "20"}},
      {"store.sync_interval_ms", false, {"1000", "1", "77"}},
      {"admin.header_bytes_max", false, {"16384", "2048"}},
  };
  return keys;
}

class Model {
 public:
  explicit Model(std::uint64_t seed) : rng_(seed), running_(read("").config) {
    for (const auto& key : model_keys()) {
      const auto values = in_force(running_);
      const auto found = values.find(key.path);
      in_force_[key.path] = found == values.end() ? "" : found->second;
    }
  }

  void step() {
    std::map<std::string, std::string> file;
    std::string text;
    for (const auto& key : model_keys()) {
      if (rng_.below(3) == 0) continue;  // not in the file: the default
      const std::string& value = key.values[rng_.below(key.values.size())];
      if (value.empty()) continue;
      file[key.path] = value;
    }
    text = document(file);
    const bool bad = rng_.below(3) == 0;
    if (bad) spoil(text);
    const auto planned = plan_reload(running_, read(text));
    if (bad) {
      ASSERT_THAT(planned.refused, Not(IsEmpty())) << text;
      ASSERT_THAT(planned.changed, IsEmpty());
      return;  // everything stays as it is
    }
    ASSERT_THAT(planned.refused, IsEmpty()) << text;
    expect(planned, file);
    running_ = planned.next;
  }

 private:
  // Every section at its place, so that a section appears once.
  static std::string document(const std::map<std::string, std::string>& file) {
    std::map<std::string, std::string> sections;
    for (const auto& [path, value] : file) {
      const auto dot = path.find('.');
      const std::string section = path.substr(0, dot);
      const std::string name = path.substr(dot + 1);
      const auto inner = name.find('.');
      sections[section] += inner == std::string::npos
                               ? fmt::format("  {}: {}\n", name, value)
                               : fmt::format("  {}: {{{}: {}}}\n", name.substr(0, inner),
                                             name.substr(inner + 1), value);
    }
    std::string text = "# a file\n";
    for (const auto& [section, lines] : sections) text += fmt::format("{}:\n{}", section, lines);
    return text;
  }

  void spoil(std::string& text) {
    switch (rng_.below(5)) {
      case 0:
        text += "lgo: {level: info}\n";
        break;
      case 1:
        text += "redirects:\n- match: {stream: a}\n";  // leads nowhere
        break;
      case 2:
        text += "connectors: [\n";
        break;
      case 3:
        text += "streams:\n- name: s\n  max_size_bytes: much\n";
        break;
      default:
        text += "additions:\n- {type: http, identifier: a, uri: 'http://h/'}";  // no end of line
        break;
    }
  }

  void expect(const ReloadPlan& planned, const std::map<std::string, std::string>& file) {
    std::vector<std::string> changed;
    std::vector<std::string> waiting;
    const auto first = in_force(read("").config);
    for (const auto& key : model_keys()) {
      const auto written = file.find(key.path);
      const auto fallback = first.find(key.path);
      const std::string wanted = written != file.end()     ? written->second
                                 : fallback == first.end() ? ""
                                                           : fallback->second;
      if (wanted == in_force_[key.path]) continue;
      (key.live ? changed : waiting).emplace_back(key.path);
      if (key.live) in_force_[key.path] = wanted;
    }
    std::sort(changed.begin(), changed.end());
    std::sort(waiting.begin(), waiting.end());
    ASSERT_EQ(planned.changed, changed);
    ASSERT_EQ(planned.needs_restart, waiting);
    const auto now = in_force(planned.next);
    for (const auto& [path, value] : in_force_) {
      const auto found = now.find(path);
      ASSERT_EQ(found == now.end() ? "" : found->second, value) << path;
    }
    ASSERT_EQ(planned.next.exporter.backoff_first_ms,
              std::stoll(in_force_["export.backoff_first_ms"]));
    ASSERT_EQ(planned.next.server.port, std::stoll(in_force_["server.port"]));
    ASSERT_EQ(planned.next.aws.region, in_force_["export.aws.region"]);
  }

  Rng rng_;
  Config running_;
  std::map<std::string, std::string> in_force_;
};

TEST(ReloadPlan, RandomSequencesOfGoodAndBadFilesDoWhatTheModelSays) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Model model(seed);
    for (int i = 0; i < 50; ++i) {
      model.step();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

// ---- the running weir against a model -----------------------------------------------------------

class RunningReload : public ::testing::Test {
 protected:
  void SetUp() override {
    sources_.file = directory_.path("weir.yaml");
    sources_.environment = {{"WEIR_STORE_DIRECTORY", directory_.path("store")},
                            {"STREAM_MANAGER_AUTHENTICATE_CLIENT", "false"}};
    sources_.options = {{"--port", "server.port", "0"}, {"--admin-port", "admin.port", "0"}};
    write("");
    auto loaded = load_config(sources_);
    ASSERT_THAT(loaded.problems, IsEmpty());
    auto started = Daemon::start(std::move(loaded.config));
    ASSERT_TRUE(started) << started.error().what;
    daemon_ = std::move(*started);
    daemon_->reload_from(sources_);
  }
  // As if it had been there for a while, so that nobody waits for its writer.
  void write(const std::string& text) {
    std::ofstream(sources_.file) << text;
    static int age = 0;
    std::filesystem::last_write_time(sources_.file, std::filesystem::file_time_type::clock::now() -
                                                        std::chrono::hours(1 + age++));
  }
  ReloadAnswer reload() {
    std::promise<ReloadAnswer> answered;
    daemon_->reload([&](const ReloadAnswer& answer) { answered.set_value(answer); });
    return answered.get_future().get();
  }
  [[nodiscard]] nlohmann::json values() const {
    const std::string answer = testing::http_get(daemon_->admin_port(), "/config");
    return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n")))["values"];
  }
  [[nodiscard]] bool has_stream(const std::string& name) const {
    const auto status = nlohmann::json::parse(daemon_->status());
    for (const auto& stream : status["streams"]) {
      if (stream["name"] == name) return true;
    }
    return false;
  }

  testing::LogCapture log_;
  testing::TemporaryDirectory directory_;
  ConfigSources sources_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(RunningReload, RandomSequencesOfGoodAndBadFilesAreInForceAsTheModelSays) {
  constexpr std::uint64_t kSeed = 20261120;
  const std::string threads_at_start = std::to_string(Config().server.reader_threads);
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  Rng rng(kSeed);
  const std::vector<std::string> levels = {"error", "info", "debug"};
  std::string level = "info";
  std::string bandwidth = "0";
  int streams = 0;
  for (int step = 0; step < 40; ++step) {
    const std::string& new_level = levels[rng.below(levels.size())];
    const std::string new_bandwidth = std::to_string(rng.below(3) * 1'000);
    const bool more = rng.below(3) == 0;
    const std::string threads = std::to_string(1 + rng.below(2));
    std::string text = fmt::format(
        "log: {{level: {}}}\nexport: {{max_bandwidth_kbps: {}}}\nserver: {{reader_threads: {}}}\n",
        new_level, new_bandwidth, threads);
    text += "streams:\n- name: s\n";
    for (int i = 0; i < streams + (more ? 1 : 0); ++i) text += fmt::format("- name: s{}\n", i);
    const bool bad = rng.below(3) == 0;
    if (bad) text += rng.below(2) == 0 ? "nonsense: 1\n" : "- name: cut";
    write(text);
    const ReloadAnswer answer = reload();
    ASSERT_EQ(answer.refused.empty(), !bad) << text;
    if (!bad) {
      level = new_level;
      bandwidth = new_bandwidth;
      streams += more ? 1 : 0;
      ASSERT_THAT(answer.failed, IsEmpty());
      ASSERT_EQ(answer.needs_restart.empty(), threads == threads_at_start) << text;
    }
    const auto now = values();
    ASSERT_EQ(now["log.level"]["value"], level) << step;
    ASSERT_EQ(log::enabled(log::Level::kDebug), level == "debug") << step;
    ASSERT_EQ(now["export.max_bandwidth_kbps"]["value"], bandwidth) << step;
    ASSERT_EQ(now["server.reader_threads"]["value"], threads_at_start) << "until a restart";
    for (int i = 0; i < streams; ++i) ASSERT_TRUE(has_stream(fmt::format("s{}", i))) << step;
    ASSERT_FALSE(has_stream(fmt::format("s{}", streams))) << step;
  }
  log::set_level(log::Level::kInfo);
}

// ---- who reads it when ------------------------------------------------------------------------

// Each load waits until the test lets it go on.
class ReloaderTest : public ::testing::Test {
 protected:
  Reloader::Hands hands() {
    return {[this](const std::stop_token& stop) {
              ++loads_;
              began_.release();
              while (!go_on_.try_acquire_for(std::chrono::milliseconds(1))) {
                if (stop.stop_requested()) break;
              }
              return LoadedConfig();
            },
            [this](const LoadedConfig&, const std::stop_token&) {
              ReloadAnswer answer;
              if (bad_) answer.refused.emplace_back("weir.yaml:1:1: nonsense");
              answer.needs_restart = {"server.port"};
              return answer;
            },
            [this](bool busy) { told_ += busy ? '(' : ')'; }};
  }
  void ask(Reloader& reloader) {
    reloader.request([this](const ReloadAnswer& answer) {
      refused_ = answer.refused.empty() ? "" : answer.refused.front();
      answered_.release();
    });
  }

  testing::LogCapture log_;
  std::atomic<int> loads_{0};
  std::atomic<bool> bad_{false};
  std::counting_semaphore<> began_{0};
  std::counting_semaphore<> go_on_{0};
  std::counting_semaphore<> answered_{0};
  std::string refused_;
  std::string told_;
};

TEST_F(ReloaderTest, WhoAsksWhileOneIsUnderWayGetsTheNextAndSharesIt) {
  Reloader reloader;
  reloader.use(hands());
  ask(reloader);
  began_.acquire();
  for (int i = 0; i < 5; ++i) ask(reloader);
  go_on_.release();
  answered_.acquire();
  began_.acquire();
  EXPECT_FALSE(answered_.try_acquire()) << "the files may have been read before they asked";
  go_on_.release();
  for (int i = 0; i < 5; ++i) answered_.acquire();
  reloader.stop();
  EXPECT_EQ(loads_, 2);
  EXPECT_EQ(told_, "()()");
}

TEST_F(ReloaderTest, BeforeWeirIsReadyAndWhenItStopsItSaysSo) {
  Reloader reloader;
  ask(reloader);
  answered_.acquire();
  EXPECT_THAT(refused_, HasSubstr("still starting"));
  reloader.use(hands());
  ask(reloader);
  began_.acquire();
  ask(reloader);
  reloader.stop();  // nobody lets the load go on
  answered_.acquire();
  answered_.acquire();
  EXPECT_THAT(refused_, HasSubstr("stopping"));
  ask(reloader);
  answered_.acquire();
  EXPECT_THAT(refused_, HasSubstr("stopping"));
}

TEST_F(ReloaderTest, TooManyAtOnceAreRefused) {
  Reloader reloader;
  reloader.use(hands());
  ask(reloader);
  began_.acquire();
  for (std::size_t i = 0; i < Reloader::kWaitingMax; ++i) ask(reloader);
  EXPECT_FALSE(answered_.try_acquire());
  ask(reloader);
  answered_.acquire();
  EXPECT_THAT(refused_, HasSubstr("too many"));
  reloader.stop();
}

TEST_F(ReloaderTest, ARefusalIsKnownUntilAGoodOneAndWhatWaitsStays) {
  Reloader reloader;
  reloader.use(hands());
  const auto once = [&](bool bad) {
    bad_ = bad;
    go_on_.release();
    ask(reloader);
    answered_.acquire();
    ask(reloader);  // behind the note of the first
    go_on_.release();
    answered_.acquire();
  };
  once(false);
  EXPECT_THAT(reloader.state().needs_restart, ElementsAre("server.port"));
  once(true);
  EXPECT_THAT(reloader.state().refused, ElementsAre("weir.yaml:1:1: nonsense"));
  EXPECT_GT(reloader.state().refused_ms, 0);
  EXPECT_THAT(reloader.state().needs_restart, ElementsAre("server.port"));
  once(false);
  EXPECT_THAT(reloader.state().refused, IsEmpty());
  EXPECT_EQ(reloader.state().refused_ms, 0);
}

}  // namespace
}  // namespace weir::daemon
