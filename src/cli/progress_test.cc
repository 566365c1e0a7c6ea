// What a progress line says.

#include "cli/progress.h"

#include "cli/screen_text.h"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

using Unit = Progress::Unit;

TEST(Progress, HasABarARateAndTheTimeThatIsLeft) {
  EXPECT_EQ(progress_text("publishing", 2500, 10'000, Unit::kMessages, 5, 100),
            "publishing [#####...............] 2,500 of 10,000 messages, 500/s, 15 s left");
  EXPECT_EQ(progress_text("publishing", 1024 * 1024, 4 * 1024 * 1024, Unit::kBytes, 1, 100),
            "publishing [#####...............] 1 MiB of 4 MiB, 1 MiB/s, 3 s left");
  EXPECT_EQ(progress_text("publishing", 10, 10, Unit::kFiles, 1, 100),
            "publishing [####################] 10 of 10 files, 10/s");
}

TEST(Progress, SaysWhatItKnowsWhereTheEndIsNotKnown) {
  EXPECT_EQ(progress_text("reading", 10, std::nullopt, Unit::kMessages, 2, 100),
            "reading 10 messages, 5/s");
  EXPECT_EQ(progress_text("reading", 0, 0, Unit::kMessages, 0, 100), "reading 0 messages");
}

TEST(Progress, FitsTheScreenAndStaysInIt) {
  for (std::size_t columns = 1; columns < 100; ++columns) {
    EXPECT_LE(columns_of(progress_text("reading", 5, 3, Unit::kMessages, 1, columns)), columns);
  }
}

}  // namespace
}  // namespace weir::cli
