#include "daemon/dashboard.h"

#include "admin/event_source.h"
#include "daemon/tail.h"
#include "daemon/tap.h"
#include "exporter/fakes.h"
#include "server/testing_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weir::daemon {
namespace {

using server::testing::FakeStream;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::size_t kPiece = 64 * 1024;

model::StreamDefinition definition(const std::string& name) {
  model::StreamDefinition made;
  made.name = name;
  return made;
}

std::string piece_of(admin::EventSource& source, std::size_t bytes_max = kPiece) {
  std::string piece;
  source.more(piece, bytes_max);
  return piece;
}

class TailTest : public ::testing::Test {
 protected:
  void SetUp() override { board_.stream_changed(stream_); }
  void add(const std::string& payload) {
    stream_.fake->show(stream_.fake->add(payload).value() + 1);
  }
  std::unique_ptr<admin::EventSource> open(const std::string& query) {
    auto opened = open_tail(query, board_, readers_);
    EXPECT_TRUE(opened) << opened.error().what;
    return opened ? std::move(*opened) : nullptr;
  }

  StatusBoard board_;
  server::ReaderPool readers_{1};
  FakeStream stream_{StreamId(7), definition("pumps")};
};

TEST_F(TailTest, shows_what_comes_from_now_on) {
  add("old");
  const auto tail = open("stream=pumps");
  EXPECT_THAT(piece_of(*tail), IsEmpty());
  add("new");
  const std::string told = piece_of(*tail);
  EXPECT_THAT(told, HasSubstr("event: message\ndata: {\"sequence\":1,"));
  EXPECT_THAT(told, HasSubstr("\"payload_base64\":\"bmV3\",\"payload_bytes\":3}"));
  EXPECT_THAT(piece_of(*tail), IsEmpty());
}

TEST_F(TailTest, begins_where_it_is_told_to) {
  for (int i = 0; i < 10; ++i) add(std::to_string(i));
  stream_.fake->forget_below(2);
  const auto first_of = [&](const std::string& from) {
    const std::string told = piece_of(*open("stream=pumps&from=" + from));
    const auto at = told.find("\"sequence\":");
    return at == std::string::npos ? -1 : std::stoi(told.substr(at + 11));
  };
  EXPECT_EQ(first_of("oldest"), 2);
  EXPECT_EQ(first_of("0"), 2);
  EXPECT_EQ(first_of("5"), 5);
  EXPECT_EQ(first_of("-3"), 7);
  EXPECT_EQ(first_of("-300"), 2);
  EXPECT_EQ(first_of("-9223372036854775808"), 2);
  EXPECT_EQ(first_of("9223372036854775807"), -1) << "waits for the next one";
  EXPECT_EQ(first_of("newest"), -1);
}

TEST_F(TailTest, refuses_what_it_does_not_know) {
  EXPECT_EQ(open_tail("", board_, readers_).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(open_tail("stream=valves", board_, readers_).error().code, Errc::kNotFound);
  EXPECT_EQ(open_tail("stream=pumps&from=x", board_, readers_).error().code,
            Errc::kInvalidArgument);
}

TEST_F(TailTest, a_large_payload_is_cut_and_pieces_stay_small) {
  for (int i = 0; i < 20; ++i) add(std::string(100'000, 'x'));
  const auto tail = open("stream=pumps&from=oldest");
  std::string all;
  for (int pieces = 0; pieces < 20 && all.find("\"sequence\":19,") == std::string::npos; ++pieces) {
    const std::string piece = piece_of(*tail);
    EXPECT_LT(piece.size(), kPiece + 30'000);
    all += piece;
  }
  EXPECT_THAT(all, HasSubstr("\"sequence\":19,"));
  EXPECT_THAT(all, HasSubstr("\"payload_bytes\":100000"));
}

TEST_F(TailTest, who_follows_is_not_shown_more_than_can_be_read_and_hears_how_much_was_left_out) {
  const auto tail = open("stream=pumps");
  piece_of(*tail);
  for (int i = 0; i < 2'000; ++i) add("x");
  const std::string told = piece_of(*tail);
  EXPECT_THAT(told, HasSubstr("event: skipped\ndata: {\"messages\":1950}"));
  EXPECT_THAT(told, HasSubstr("\"sequence\":1950,"));
  EXPECT_THAT(told, HasSubstr("\"sequence\":1999,"));
}

TEST_F(TailTest, what_is_not_in_the_cache_is_read_by_another_thread) {
  add("cold");
  stream_.fake->set_cold(true);
  const auto tail = open("stream=pumps&from=oldest");
  std::string told = piece_of(*tail);
  EXPECT_THAT(told, IsEmpty()) << "the admin thread does not wait";
  while (told.empty()) {
    told = piece_of(*tail);
    std::this_thread::yield();
  }
  EXPECT_THAT(told, HasSubstr("\"payload_base64\":\"Y29sZA==\""));
}

TEST_F(TailTest, ends_when_the_stream_is_deleted_or_cannot_be_read) {
  const auto tail = open("stream=pumps");
  board_.stream_removed(stream_.id());
  std::string told;
  EXPECT_FALSE(tail->more(told, kPiece));
  EXPECT_THAT(told, HasSubstr("event: gone"));

  FakeStream again(StreamId(8), definition("pumps"));
  board_.stream_changed(again);
  again.fake->show(again.fake->add("x").value() + 1);
  again.fake->set_damaged(true);
  const auto damaged = open("stream=pumps&from=oldest");
  told.clear();
  EXPECT_FALSE(damaged->more(told, kPiece));
  EXPECT_THAT(told, HasSubstr("event: failed"));
}

// A destination that answers as it is told.
class Answering final : public exporter::Destination {
 public:
  explicit Answering(exporter::Outcome& outcome) : outcome_(outcome) {}
  [[nodiscard]] Limits limits() const override { return {7, 8, 9}; }
  exporter::Outcome deliver(const exporter::Batch&, std::stop_token) override { return outcome_; }
  [[nodiscard]] bool prepares() const override { return true; }
  [[nodiscard]] Instant idle_deadline() const override { return Instant(Duration(5)); }
  [[nodiscard]] bool wants_farewell() const override { return true; }
  [[nodiscard]] std::string host() const override { return "there"; }

 private:
  exporter::Outcome& outcome_;
};

class TapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto factory = taps_.in_front_of(
        [this](const exporter::ExportSpec&) -> Result<std::unique_ptr<exporter::Destination>> {
          return std::unique_ptr<exporter::Destination>(std::make_unique<Answering>(outcome_));
        });
    exporter::ExportSpec spec;
    spec.stream_name = "pumps";
    spec.config.identifier = "cloud";
    spec.config.target = "https://example.org/in";
    destination_ = *factory(spec);
  }
  void deliver(std::int64_t first, std::int64_t count, std::size_t bytes = 5) {
    exporter::Batch batch("pumps", "cloud");
    const std::string payload(bytes, 'p');
    for (std::int64_t i = 0; i < count; ++i) {
      batch.add(SequenceNumber(first + i), 1, as_bytes(payload));
    }
    destination_->deliver(batch, {});
  }

  ManualClock clock_;
  Taps taps_{clock_};
  exporter::Outcome outcome_ = exporter::Outcome::delivered();
  std::unique_ptr<exporter::Destination> destination_;
};

TEST_F(TapTest, passes_everything_else_on) {
  EXPECT_EQ(destination_->limits().messages_max, 7);
  EXPECT_TRUE(destination_->prepares());
  EXPECT_EQ(destination_->idle_deadline(), Instant(Duration(5)));
  EXPECT_TRUE(destination_->wants_farewell());
  EXPECT_EQ(destination_->host(), "there");
}

TEST_F(TapTest, shows_batches_of_one_export_while_somebody_looks) {
  deliver(0, 1);
  const auto listener = taps_.listen("pumps", "cloud");
  const auto other = taps_.listen("pumps", "elsewhere");
  TappedBatch batch;
  std::int64_t missed = 0;
  EXPECT_FALSE(listener->take(batch, missed)) << "that was before";
  deliver(1, 3);
  ASSERT_TRUE(listener->take(batch, missed));
  EXPECT_FALSE(other->take(batch, missed));
  EXPECT_EQ(batch.first, 1);
  EXPECT_EQ(batch.last, 3);
  EXPECT_EQ(batch.messages, 3);
  EXPECT_EQ(batch.bytes, 15);
  EXPECT_TRUE(batch.sent);
  EXPECT_EQ(batch.destination, "http https://example.org/in");
  EXPECT_EQ(batch.time_ms, clock_.wall_ms());
  ASSERT_EQ(batch.sample.size(), 3U);
  EXPECT_EQ(batch.sample[2].sequence, 3);
  EXPECT_EQ(batch.sample[2].payload, "ppppp");
}

TEST_F(TapTest, says_what_failed) {
  const auto listener = taps_.listen("pumps", "cloud");
  TappedBatch batch;
  std::int64_t missed = 0;
  outcome_ = exporter::Outcome::retry(exporter::FailureClass::kTransient, "no answer");
  deliver(0, 1);
  ASSERT_TRUE(listener->take(batch, missed));
  EXPECT_FALSE(batch.sent);
  EXPECT_EQ(batch.error, "no answer");
  outcome_ = exporter::Outcome::delivered();
  outcome_.records = {{exporter::Verdict::kDelivered, {}, {}, false},
                      {exporter::Verdict::kRejected, {}, "too long", false}};
  deliver(0, 2);
  ASSERT_TRUE(listener->take(batch, missed));
  EXPECT_FALSE(batch.sent);
  EXPECT_EQ(batch.error, "too long");
}

TEST_F(TapTest, keeps_little_and_counts_what_was_missed) {
  const auto listener = taps_.listen("pumps", "cloud");
  for (int i = 0; i < 50; ++i) deliver(i * 100, 100, 20'000);
  TappedBatch batch;
  std::int64_t missed = 0;
  std::size_t waited = 0;
  std::int64_t all_missed = 0;
  while (listener->take(batch, missed)) {
    ++waited;
    all_missed += missed;
    std::size_t bytes = 0;
    for (const auto& one : batch.sample) {
      EXPECT_LE(one.payload.size(), Taps::kSampleBytesMax);
      EXPECT_EQ(one.payload_bytes, 20'000);
      bytes += one.payload.size();
    }
    EXPECT_LE(bytes, Taps::kBatchBytesMax);
  }
  EXPECT_EQ(waited, Taps::kWaitingMax);
  EXPECT_EQ(all_missed, 50 - static_cast<std::int64_t>(Taps::kWaitingMax));
}

TEST_F(TapTest, is_quiet_again_when_nobody_looks_any_more) {
  auto listener = taps_.listen("pumps", "cloud");
  listener.reset();
  deliver(0, 1);
  const auto late = taps_.listen("pumps", "cloud");
  TappedBatch batch;
  std::int64_t missed = 0;
  EXPECT_FALSE(late->take(batch, missed));
}

// Everything behind the dashboard's callbacks, by hand.
class DashboardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Dashboard::Environment environment{clock_, board_, taps_, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    environment.exports = [this](StreamId) { return exports_; };
    environment.redirected_to = [](const std::string&, const model::ExportConfig&) {
      return std::string();
    };
    environment.credentials = [this] { return credentials_; };
    environment.connectors = [] { return std::vector<connector::ConnectorView>(); };
    environment.unavailable = [] { return std::vector<stream::UnavailableStream>(); };
    environment.process = [] { return admin::WeirFigures(); };
    environment.on_core = [this](std::function<void()> work) {
      posted_.push_back(std::move(work));
    };
    environment.refresh_faults = [this] { ++refreshed_; };
    environment.remove_stream = [this](const std::string& name, auto done) {
      removed_ = name;
      done({});
    };
    dashboard_ = std::make_unique<Dashboard>(std::move(environment));
    dashboard_->add_to(sources_);
    board_.stream_changed(stream_);
    stream_.fake->show(stream_.fake->add("hello").value() + 1);
  }
  std::string order(const std::string& body) {
    std::string answer = "(none)";
    for (const auto& page : sources_.orders) {
      if (page.path != "/streams") continue;
      page.take(body, [&](unsigned status, const std::string& json) {
        answer = std::to_string(status) + " " + json;
      });
    }
    for (auto& work : std::exchange(posted_, {})) work();
    return answer;
  }

  ManualClock clock_;
  StatusBoard board_;
  Taps taps_{clock_};
  FakeStream stream_{StreamId(7), definition("pumps")};
  std::vector<exporter::ExportView> exports_;
  std::vector<destination::CredentialsView> credentials_;
  std::vector<std::function<void()>> posted_;
  int refreshed_ = 0;
  std::string removed_;
  admin::Sources sources_;
  std::unique_ptr<Dashboard> dashboard_;
};

TEST_F(DashboardTest, tells_of_each_stream_and_its_exports) {
  exporter::ExportView view;
  view.config.identifier = "cloud";
  view.state = exporter::State::kBackoff;
  view.last_failure = exporter::FailureClass::kOperator;
  view.next_try_in_ms = 5'000;
  exports_ = {view};
  const auto found = sources_.figures.next_stream(0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "pumps");
  EXPECT_EQ(found->next, 1);
  EXPECT_EQ(found->bytes, 5);
  EXPECT_EQ(found->newest_ms, 1'700'000'000'000) << "as the record says";
  ASSERT_EQ(found->exports.size(), 1U);
  EXPECT_EQ(found->exports[0].state, "backoff");
  EXPECT_EQ(found->exports[0].failure_class, "operator");
  EXPECT_EQ(found->exports[0].next_try_ms, clock_.wall_ms() + 5'000);
  EXPECT_FALSE(sources_.figures.next_stream(7));
}

TEST_F(DashboardTest, the_time_of_a_record_on_disk_comes_later) {
  stream_.fake->set_cold(true);
  auto found = sources_.figures.next_stream(0);
  EXPECT_EQ(found->newest_ms, 0);
  while (found->newest_ms == 0) {
    found = sources_.figures.next_stream(0);
    std::this_thread::yield();
  }
  EXPECT_EQ(found->newest_ms, 1'700'000'000'000);
}

TEST_F(DashboardTest, does_not_ask_a_stuck_core_thread_again_and_again) {
  for (int i = 0; i < 5; ++i) sources_.figures.weir();
  EXPECT_EQ(posted_.size(), 1U);
  for (auto& work : std::exchange(posted_, {})) work();
  EXPECT_EQ(refreshed_, 1);
  sources_.figures.weir();
  EXPECT_EQ(posted_.size(), 1U);
}

TEST_F(DashboardTest, shows_credentials_that_somebody_needed_and_never_what_they_are) {
  credentials_ = {{"", "", 0, "", false}, {"arn:role", "file", 9, "", true}};
  const auto figures = sources_.figures.weir();
  ASSERT_EQ(figures.credentials.size(), 1U);
  EXPECT_EQ(figures.credentials[0].role, "arn:role");
}

TEST_F(DashboardTest, deletes_a_stream_only_when_that_is_confirmed) {
  const std::string doubt = order(R"({"stream":"pumps","order":"delete"})");
  EXPECT_THAT(doubt, HasSubstr("409 "));
  EXPECT_THAT(doubt, HasSubstr("1 stored message"));
  EXPECT_THAT(doubt, HasSubstr("\"needs_confirmation\":true"));
  for (const char* bad :
       {"", "[]", "{}", R"({"stream":"pumps"})", R"({"stream":7,"order":"delete"})",
        R"({"stream":"pumps","order":"empty","confirmed":true})"}) {
    EXPECT_THAT(order(bad), HasSubstr("400 ")) << bad;
  }
  EXPECT_THAT(order(R"({"stream":"pumps","order":"delete","confirmed":"yes"})"), HasSubstr("409 "));
  EXPECT_THAT(order(R"({"stream":"x","order":"delete","confirmed":true})"), HasSubstr("404 "));
  EXPECT_EQ(removed_, "");
  EXPECT_THAT(order(R"({"stream":"pumps","order":"delete","confirmed":true})"), HasSubstr("200 "));
  EXPECT_EQ(removed_, "pumps");
}

TEST_F(DashboardTest, taps_only_exports_that_there_are) {
  exporter::ExportView view;
  view.config.identifier = "cloud";
  exports_ = {view};
  for (const auto& page : sources_.events) {
    if (page.path != "/tap") continue;
    EXPECT_TRUE(page.shows_payloads);
    EXPECT_TRUE(page.open("export=pumps/cloud"));
    EXPECT_TRUE(page.open("stream=pumps&export=cloud"));
    EXPECT_EQ(page.open("export=pumps/other").error().code, Errc::kNotFound);
    EXPECT_EQ(page.open("export=x/cloud").error().code, Errc::kNotFound);
    EXPECT_EQ(page.open("export=cloud").error().code, Errc::kInvalidArgument);
  }
}

}  // namespace
}  // namespace weir::daemon
