#include "file/memory_file_system.h"
#include "stream/cursor_files.h"
#include "stream/layout.h"

#include <gtest/gtest.h>

namespace weir::stream {
namespace {

class Notes : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(disk->make_directory("s"));
    open();
  }
  // A new process.
  void open() {
    files = std::make_unique<CursorFiles>(*disk, "s");
    files->open();
  }
  std::unique_ptr<file::FileSystem> disk = file::make_memory();
  std::unique_ptr<CursorFiles> files;
};

TEST_F(Notes, ReplaceEachOtherAndOutliveTheProcess) {
  EXPECT_EQ(files->note("s3"), "");
  for (const char* text : {"first", "second", "third"}) {
    ASSERT_TRUE(files->save_note("s3", text));
    EXPECT_EQ(files->note("s3"), text);
    open();
    EXPECT_EQ(files->note("s3"), text);
  }
  EXPECT_EQ(files->note("other"), "");
}

TEST_F(Notes, StandBesidePositionsAndGoWithThem) {
  Cursor cursor;
  cursor.identifier = "s3";
  cursor.next = SequenceNumber(7);
  ASSERT_TRUE(files->save(cursor));
  ASSERT_TRUE(files->save_note("s3", "note"));
  open();
  ASSERT_EQ(files->load().size(), 1U);
  EXPECT_EQ(files->load()[0].next, SequenceNumber(7));
  ASSERT_TRUE(files->remove("s3"));
  EXPECT_EQ(files->note("s3"), "");
  open();
  EXPECT_EQ(files->note("s3"), "");
  EXPECT_TRUE(files->load().empty());
}

TEST_F(Notes, AnEmptyOneIsNone) {
  ASSERT_TRUE(files->save_note("s3", "note"));
  ASSERT_TRUE(files->save_note("s3", ""));
  EXPECT_EQ(files->note("s3"), "");
  open();
  EXPECT_EQ(files->note("s3"), "");
}

TEST_F(Notes, AreBounded) {
  EXPECT_TRUE(files->save_note("s3", std::string(kNoteBytesMax, 'n')));
  EXPECT_EQ(files->save_note("s3", std::string(kNoteBytesMax + 1, 'n')).error().code,
            Errc::kInvalidArgument);
  open();
  EXPECT_EQ(files->note("s3").size(), kNoteBytesMax);
}

TEST_F(Notes, OneThatIsDamagedIsForgotten) {
  ASSERT_TRUE(files->save_note("s3", "note"));
  const std::string path = layout::join("s/cursors", layout::note_name(1));
  const auto file = disk->open(path, file::OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  const std::string rubbish(2 * kNoteSlotBytes, 'x');
  const Bytes pieces[] = {as_bytes(rubbish)};
  ASSERT_TRUE((*file)->write_at(0, pieces));
  open();
  EXPECT_EQ(files->note("s3"), "");
  EXPECT_TRUE(files->save_note("s3", "again"));
}

TEST_F(Notes, OfADeletedStreamAreRefused) {
  files->mark_deleted();
  EXPECT_EQ(files->save_note("s3", "note").error().code, Errc::kNotFound);
}

TEST(NotesInMemory, LiveAsLongAsTheStream) {
  CursorsInMemory cursors;
  ASSERT_TRUE(cursors.save_note("s3", "note"));
  EXPECT_EQ(cursors.note("s3"), "note");
  ASSERT_TRUE(cursors.remove("s3"));
  EXPECT_EQ(cursors.note("s3"), "");
}

}  // namespace
}  // namespace weir::stream
