// A position as it stands on the disk, of this version and of those before.

#include "stream/cursor_files.h"

#include <gtest/gtest.h>

namespace weir::stream {
namespace {

Cursor cursor(bool paused) {
  Cursor one;
  one.identifier = "to-cloud";
  one.type = model::ExportType::kKinesis;
  one.next = SequenceNumber(17);
  one.error_message = "throttled";
  one.paused = paused;
  return one;
}

TEST(CursorFormat, APauseIsKept) {
  for (const bool paused : {false, true}) {
    const auto read = decode_cursor(encode_cursor(cursor(paused)));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->paused, paused);
    EXPECT_EQ(read->next, SequenceNumber(17));
    EXPECT_EQ(read->error_message, "throttled");
  }
}

TEST(CursorFormat, WhatAnOlderVersionWroteIsNotPaused) {
  ByteVector bytes = encode_cursor(cursor(true));
  bytes.pop_back();
  const auto read = decode_cursor(bytes);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->paused);
  EXPECT_EQ(read->error_message, "throttled");
}

TEST(CursorFormat, WhatIsCutOffAnywhereElseIsNoCursor) {
  const ByteVector bytes = encode_cursor(cursor(true));
  for (std::size_t size = 0; size + 1 < bytes.size(); ++size) {
    EXPECT_FALSE(decode_cursor(Bytes(bytes).first(size))) << size;
  }
}

}  // namespace
}  // namespace weir::stream
