#include "admin/feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::admin {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Streams as the daemon would tell of them, in the test's hands.
class FeedTest : public ::testing::Test {
 protected:
  void make(Feed::Terms terms = {}) {
    FigureSources sources;
    sources.weir = [this] { return weir_; };
    sources.next_stream = [this](std::uint64_t after) -> std::optional<StreamFigures> {
      ++asked_;
      const auto found = streams_.upper_bound(after);
      if (found == streams_.end()) return std::nullopt;
      return found->second;
    };
    sources.warnings = [this](std::uint64_t after) {
      std::vector<WarningFigures> fresh;
      for (const auto& one : warnings_) {
        if (one.number > after) fresh.push_back(one);
      }
      return fresh;
    };
    feed_ = std::make_unique<Feed>(std::move(sources), terms, clock_);
  }
  void SetUp() override { make(); }

  StreamFigures& add(std::uint64_t id, const std::string& name) {
    StreamFigures& stream = streams_[id];
    stream.id = id;
    stream.name = name;
    stream.bytes_max = 1'000'000;
    return stream;
  }
  static ExportFigures& add_export(StreamFigures& stream, const std::string& name) {
    ExportFigures& one = stream.exports.emplace_back();
    one.identifier = name;
    one.type = "http";
    one.state = "idle";
    return one;
  }
  // What a reader is told, taking all pieces there are.
  static std::string told(EventSource& reader, std::size_t bytes_max = 64 * 1024) {
    std::string all;
    do {
      std::string piece;
      EXPECT_TRUE(reader.more(piece, bytes_max));
      if (piece.empty()) return all;
      all += piece;
    } while (reader.pause() == Duration::zero());
    return all;
  }
  std::string a_second_later(EventSource& reader) {
    clock_.advance(seconds(1));
    return told(reader);
  }

  ManualClock clock_;
  WeirFigures weir_;
  std::map<std::uint64_t, StreamFigures> streams_;
  std::vector<WarningFigures> warnings_;
  int asked_ = 0;
  std::unique_ptr<Feed> feed_;
};

TEST_F(FeedTest, a_new_reader_hears_everything_and_then_nothing) {
  add_export(add(1, "pumps"), "cloud");
  add(2, "valves");
  weir_.version = "9.9";
  warnings_.push_back({1, 5, true, "It broke."});
  const auto reader = feed_->reader();
  const std::string first = told(*reader);
  EXPECT_THAT(first, HasSubstr("event: begin\n"));
  EXPECT_THAT(first, HasSubstr("\"version\":\"9.9\""));
  EXPECT_THAT(first, HasSubstr("\"name\":\"pumps\""));
  EXPECT_THAT(first, HasSubstr("\"name\":\"cloud\""));
  EXPECT_THAT(first, HasSubstr("\"name\":\"valves\""));
  EXPECT_THAT(first, HasSubstr("\"complete\":true"));
  EXPECT_THAT(first, HasSubstr("It broke."));
  for (int i = 0; i < 9; ++i) EXPECT_THAT(a_second_later(*reader), IsEmpty()) << i;
  EXPECT_THAT(a_second_later(*reader), HasSubstr("event: beat\n")) << "weir is still there";
}

TEST_F(FeedTest, only_what_has_changed_is_told_again) {
  add(1, "pumps");
  add(2, "valves");
  const auto reader = feed_->reader();
  told(*reader);
  streams_[2].next = 50;
  const std::string news = a_second_later(*reader);
  EXPECT_THAT(news, HasSubstr("\"name\":\"valves\""));
  EXPECT_THAT(news, Not(HasSubstr("pumps")));
  EXPECT_THAT(news, Not(HasSubstr("event: weir")));
  weir_.connections = 3;
  EXPECT_THAT(a_second_later(*reader), HasSubstr("\"connections\":3"));
  warnings_.push_back({7, 5, false, "Slow."});
  EXPECT_THAT(a_second_later(*reader), HasSubstr("\"number\":7"));
}

TEST_F(FeedTest, a_rate_falls_to_nothing_and_then_nothing_is_told) {
  add(1, "pumps").next = 0;
  const auto reader = feed_->reader();
  told(*reader);
  for (int i = 0; i < 60; ++i) {
    streams_[1].next += 40;
    streams_[1].bytes += 4'000;
    a_second_later(*reader);
  }
  streams_[1].next += 40;
  const std::string busy = a_second_later(*reader);
  EXPECT_THAT(busy, ::testing::ContainsRegex("\"in\":(39\\.[0-9]|40),"));
  std::string last = busy;
  for (int i = 0; i < 400; ++i) {
    const std::string news = a_second_later(*reader);
    if (news.find("event: rows") != std::string::npos) last = news;
  }
  EXPECT_THAT(last, HasSubstr("\"in\":0,"));
  EXPECT_THAT(a_second_later(*reader) + a_second_later(*reader), Not(HasSubstr("rows")));
}

TEST_F(FeedTest, says_when_an_export_has_drained_and_a_stream_is_full) {
  auto& one = add_export(add(1, "pumps"), "cloud");
  one.waiting_messages = 10'000;
  constexpr int kSeconds = 600;
  streams_[1].bytes_max = 1'400'000;
  streams_[1].bytes = 1'000'000 - kSeconds * 1'000;
  const auto reader = feed_->reader();
  told(*reader);
  std::string news;
  for (int i = 0; i < kSeconds; ++i) {
    streams_[1].next += 10;
    streams_[1].bytes += 1'000;
    streams_[1].exports[0].exported_messages += 30;
    streams_[1].exports[0].waiting_messages = 10'000;
    news = a_second_later(*reader);
  }
  // 20 a second more leave than come; 400,000 bytes of room, 1,000 a second.
  EXPECT_THAT(news, HasSubstr("\"drain_s\":500"));
  EXPECT_THAT(news, HasSubstr("\"full_s\":400"));
  EXPECT_EQ(seconds_until_gone(10, 0), 0);
  EXPECT_EQ(seconds_until_gone(10, -3), 0);
  EXPECT_EQ(seconds_until_gone(10, 4), 2.5);
}

TEST_F(FeedTest, a_try_that_failed_sent_nothing) {
  auto& one = add_export(add(1, "pumps"), "cloud");
  one.exported_messages = 5;
  one.last_export_ms = 1'000;
  const auto reader = feed_->reader();
  EXPECT_THAT(told(*reader), HasSubstr("\"last_ms\":1000"));
  streams_[1].exports[0].failures_in_a_row = 1;
  streams_[1].exports[0].last_export_ms = 99'000;
  EXPECT_THAT(a_second_later(*reader), HasSubstr("\"last_ms\":1000"));
  // A part was taken, the rest refused.
  streams_[1].exports[0].exported_messages = 6;
  const std::string news = a_second_later(*reader);
  EXPECT_THAT(news, HasSubstr("\"last_ms\":" + std::to_string(clock_.wall_ms())));
}

TEST_F(FeedTest, a_disk_is_said_to_fill_up_only_when_that_lasts) {
  weir_.disk_free_bytes = std::int64_t{100} << 30;
  const auto reader = feed_->reader();
  std::string all = told(*reader);
  for (int i = 0; i < 240; ++i) {
    weir_.disk_free_bytes -= std::int64_t{50} << 20;
    all += a_second_later(*reader);
  }
  EXPECT_THAT(all, Not(::testing::ContainsRegex("\"disk_full_s\":[1-9]"))) << "too early";
  for (int i = 0; i < 4'000 && weir_.disk_free_bytes > std::int64_t{60} << 30; ++i) {
    weir_.disk_free_bytes -= std::int64_t{10} << 20;
    all = a_second_later(*reader);
  }
  EXPECT_THAT(all, ::testing::ContainsRegex("\"disk_full_s\":[1-9]"));
}

TEST_F(FeedTest, a_countdown_that_trembles_is_no_news) {
  auto& one = add_export(add(1, "pumps"), "cloud");
  one.state = "backoff";
  one.next_try_ms = 1'000'000;
  const auto reader = feed_->reader();
  told(*reader);
  for (const std::int64_t tremble : {1, -1, 400, -400}) {
    streams_[1].exports[0].next_try_ms = 1'000'000 + tremble;
    EXPECT_THAT(a_second_later(*reader), IsEmpty()) << tremble;
  }
  streams_[1].exports[0].next_try_ms = 1'060'000;
  EXPECT_THAT(a_second_later(*reader), HasSubstr("\"next_try_ms\":1060000"));
}

TEST_F(FeedTest, what_went_away_is_told) {
  add(1, "pumps");
  add(2, "valves");
  const auto reader = feed_->reader();
  told(*reader);
  streams_.erase(1);
  EXPECT_THAT(a_second_later(*reader), HasSubstr("\"gone\":[1]"));
  EXPECT_THAT(told(*feed_->reader()), Not(HasSubstr("gone"))) << "a new one never knew it";
}

TEST_F(FeedTest, a_reader_that_slept_through_too_many_removals_begins_anew) {
  add(1, "pumps");
  const auto sleeper = feed_->reader();
  told(*sleeper);
  const auto awake = feed_->reader();
  told(*awake);
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < 500; ++i) add(10 + round * 1'000 + i, "short-lived");
    a_second_later(*awake);
    streams_.erase(streams_.upper_bound(1), streams_.end());
    a_second_later(*awake);
  }
  const std::string news = told(*sleeper);
  EXPECT_THAT(news, HasSubstr("event: begin"));
  EXPECT_THAT(news, HasSubstr("pumps"));
}

TEST_F(FeedTest, many_streams_come_in_pieces_and_each_once) {
  constexpr int kStreams = 1'000;
  for (int i = 1; i <= kStreams; ++i) {
    add_export(add(static_cast<std::uint64_t>(i), "stream-" + std::to_string(i)), "cloud");
  }
  const auto reader = feed_->reader();
  std::string all;
  std::size_t pieces = 0;
  constexpr std::size_t kPiece = 10'000;
  do {
    std::string piece;
    reader->more(piece, kPiece);
    EXPECT_LT(piece.size(), kPiece + 2'000);
    all += piece;
    ++pieces;
  } while (reader->pause() == Duration::zero());
  EXPECT_GT(pieces, 10U);
  for (int i = 1; i <= kStreams; ++i) {
    const std::string name = "\"name\":\"stream-" + std::to_string(i) + "\"";
    const auto at = all.find(name);
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_EQ(all.find(name, at + 1), std::string::npos) << name;
  }
  EXPECT_EQ(a_second_later(*reader), "");
}

TEST_F(FeedTest, changes_during_the_pieces_are_not_missed) {
  for (std::uint64_t i = 1; i <= 100; ++i) add(i, "stream-" + std::to_string(i));
  const auto reader = feed_->reader();
  std::string piece;
  reader->more(piece, 1'000);
  ASSERT_EQ(reader->pause(), Duration::zero());
  streams_[1].fault = "broken meanwhile";
  clock_.advance(seconds(1));
  std::string rest = told(*reader);
  for (int i = 0; i < 3; ++i) rest += a_second_later(*reader);
  EXPECT_THAT(rest, HasSubstr("broken meanwhile"));
}

TEST_F(FeedTest, several_readers_cost_one_look) {
  add(1, "pumps");
  const auto one = feed_->reader();
  const auto other = feed_->reader();
  told(*one);
  told(*other);
  clock_.advance(seconds(1));
  asked_ = 0;
  told(*one);
  const int for_one = asked_;
  told(*other);
  EXPECT_EQ(asked_, for_one);
}

TEST_F(FeedTest, a_history_has_both_resolutions_of_stream_and_exports) {
  add_export(add(1, "pumps"), "cloud");
  for (int step = 0; step < 40; ++step) {
    clock_.advance(seconds(10));
    streams_[1].next += step < 20 ? 100 : 0;
    streams_[1].exports[0].waiting_messages = step;
    feed_->step();
  }
  const std::string history = feed_->history("1", false);
  EXPECT_THAT(history, HasSubstr("\"in\":[0,10,10"));
  EXPECT_THAT(history, HasSubstr("\"in_long\":["));
  EXPECT_THAT(history, HasSubstr("\"waiting_long\":[19,39]"));
  EXPECT_THAT(history, HasSubstr("\"bytes\":0"));
  EXPECT_THAT(feed_->history("1", true), Not(HasSubstr("_long")));
  EXPECT_THAT(feed_->history("7,x,,1", true), HasSubstr("\"id\":1"));
  EXPECT_THAT(feed_->history("", true), HasSubstr("\"streams\":[]"));
}

TEST_F(FeedTest, a_page_hears_what_it_may) {
  make({true, true});
  const std::string first = told(*feed_->reader());
  EXPECT_THAT(first, HasSubstr("\"actions\":true"));
  EXPECT_THAT(first, HasSubstr("\"payloads_need_token\":true"));
  make();
  EXPECT_THAT(told(*feed_->reader()), Not(HasSubstr("actions")));
}

TEST_F(FeedTest, hostile_names_stay_texts) {
  add_export(add(1, "a\"},{\"x\":\"\n\nevent: gone"), "</script>\xff").last_error = "\r\ndata: x";
  const std::string first = told(*feed_->reader());
  EXPECT_THAT(first, Not(HasSubstr("\nevent: gone")));
  EXPECT_THAT(first, Not(HasSubstr("\ndata: x")));
  EXPECT_THAT(first, Not(HasSubstr("\r")));
}

}  // namespace
}  // namespace weir::admin
