#include "exporter/exporter_bench.h"

#include <gtest/gtest.h>

namespace weir::exporter {
namespace {

using namespace bench;
using Result = Exporter::Result;

stream::Cursor saved_at(std::int64_t next, std::int64_t start) {
  stream::Cursor cursor;
  cursor.identifier = "cloud";
  cursor.type = model::ExportType::kKinesis;
  cursor.next = seq(next);
  cursor.start_sequence_number = start;
  cursor.exported_messages = 77;
  cursor.exported_bytes = 7700;
  cursor.last_export_ms = 5;
  cursor.error_message = "before";
  return cursor;
}

TEST(Positioning, AFreshExportStartsAtItsStartOrTheOldest) {
  auto definition = config("cloud");
  definition.start_sequence_number = 30;
  Exporter later(definition, {}, {}, 1);
  EXPECT_EQ(later.log_moved(seq(10), seq(20), kStart), 0);
  EXPECT_EQ(later.next(), seq(30));
  EXPECT_EQ(later.status().last_exported_sequence_number, 29);
  EXPECT_FALSE(later.worth_saving()) << "would move the stream's numbers";
  Exporter first(config("cloud"), {}, {}, 1);
  EXPECT_EQ(first.log_moved(seq(10), seq(20), kStart), 0) << "never its to lose";
  EXPECT_EQ(first.next(), seq(10));
}

TEST(Positioning, MessagesBelowAStartBeyondTheEndAreNeverExported) {
  auto definition = config("cloud");
  definition.start_sequence_number = 30;
  Bench bench(definition);
  bench.log(0, 29);
  EXPECT_EQ(bench.exporter.state(), State::kIdle);
  EXPECT_EQ(bench.exporter.wake_end(), seq(31));
  bench.log(0, 31);
  EXPECT_EQ(bench.take().from, seq(30));
}

TEST(Positioning, ASavedPositionGoesOnWithItsCounters) {
  Bench bench(config("cloud"), saved_at(50, 0));
  bench.log(0, 60);
  EXPECT_EQ(bench.exporter.status().last_exported_sequence_number, 49);
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 77);
  EXPECT_EQ(bench.exporter.status().error_message, "before");
  EXPECT_EQ(bench.take().from, seq(50));
}

TEST(Positioning, AStartThatChangedWhileItWasAwayRepositionsIt) {
  auto definition = config("cloud");
  definition.start_sequence_number = 20;
  Bench bench(definition, saved_at(50, 0));
  bench.log(0, 60);
  EXPECT_EQ(bench.exporter.next(), seq(20));
  EXPECT_GT(bench.exporter.revision(), 0U) << "to be saved";
}

TEST(Positioning, APositionOfAnotherTypeIsNotItsOwn) {
  Bench bench(config("cloud", model::ExportType::kHttp), saved_at(50, 0));
  EXPECT_EQ(bench.exporter.next(), seq(0));
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 0);
}

TEST(Positioning, AnUpdateWithTheSameStartGoesOnWhereItWas) {
  Bench bench;
  bench.log(0, 60);
  bench.deliver(Outcome::delivered(), 50);
  auto same = config("cloud");
  same.start_sequence_number = 0;  // explicit, as a describe-change-update round trip sends it
  const auto redefined = bench.exporter.redefine(same, bench.now);
  EXPECT_FALSE(redefined.repositioned);
  EXPECT_FALSE(redefined.other_destination);
  EXPECT_EQ(bench.exporter.next(), seq(50));
}

TEST(Positioning, AnUpdateWithAnotherStartMovesItForwardsOrBackwards) {
  Bench bench;
  bench.log(0, 60);
  bench.deliver(Outcome::delivered(), 50);
  for (const std::int64_t start : {10, 55, 0}) {
    auto moved = config("cloud");
    moved.start_sequence_number = start;
    EXPECT_TRUE(bench.exporter.redefine(moved, bench.now).repositioned);
    EXPECT_EQ(bench.exporter.next(), seq(start));
    EXPECT_EQ(bench.exporter.cursor().start_sequence_number, start);
  }
  EXPECT_EQ(bench.exporter.lost_messages(), 0);
}

TEST(Positioning, ARepositionBelowTheOldestGoesToTheOldestWithoutLoss) {
  Bench bench;
  bench.log(0, 60);
  bench.log(40, 60);
  ASSERT_EQ(bench.exporter.lost_messages(), 40);
  auto moved = config("cloud");
  moved.start_sequence_number = 5;
  bench.exporter.redefine(moved, bench.now);
  EXPECT_EQ(bench.log(40, 60), 0);
  EXPECT_EQ(bench.exporter.next(), seq(40));
  EXPECT_EQ(bench.exporter.lost_messages(), 40);
}

TEST(Positioning, AnAnswerThatWasUnderWayDoesNotMoveARepositionedExport) {
  Bench bench;
  bench.log(0, 60);
  bench.take();
  auto moved = config("cloud");
  moved.start_sequence_number = 3;
  bench.exporter.redefine(moved, bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kInFlight);
  const auto settled = bench.finish(bench.answer(Outcome::delivered(), 50));
  EXPECT_EQ(settled.result, Result::kSuperseded);
  EXPECT_EQ(bench.exporter.next(), seq(3));
  EXPECT_EQ(bench.take().from, seq(3));
}

TEST(Positioning, AnotherDestinationKeepsThePositionAndGetsAllThatIsBehindIt) {
  Bench bench;
  bench.log(0, 10);
  bench.deliver(mixed({kYes, kAgain, kYes, kYes}), 4);
  auto moved = config("cloud");
  moved.target = "elsewhere";
  EXPECT_TRUE(bench.exporter.redefine(moved, bench.now).other_destination);
  EXPECT_EQ(bench.exporter.state(), State::kReady) << "the new one need not wait for the old one";
  const Grant grant = bench.take();
  EXPECT_EQ(grant.from, seq(1)) << "2 and 3 went to the old destination";
  EXPECT_TRUE(grant.only.empty());
}

TEST(Positioning, PausingFinishesWhatIsUnderWayAndResumesThere) {
  Bench bench;
  bench.log(0, 10);
  bench.take();
  bench.exporter.redefine(disabled(), bench.now);
  bench.finish(bench.answer(Outcome::delivered(), 6));
  EXPECT_EQ(bench.exporter.state(), State::kStopped);
  EXPECT_EQ(bench.exporter.next(), seq(6));
  bench.exporter.redefine(config("cloud"), bench.now);
  EXPECT_EQ(bench.take().from, seq(6));
}

}  // namespace
}  // namespace weir::exporter
