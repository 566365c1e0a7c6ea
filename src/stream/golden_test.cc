#include "stream/check.h"
#include "stream/test_store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

/// A store that an earlier version left behind, after an orderly stop, still opens. Whoever changes
/// a format keeps this one and adds another; `WEIR_WRITE_GOLDEN=<directory>` writes a new one.
namespace weir::stream {
namespace {

namespace fs = std::filesystem;

const fs::path kStore = fs::path(WEIR_SOURCE_ROOT) / "tests" / "golden" / "store-v1";

void make_parents(file::FaultyFileSystem& disk, const std::string& path) {
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const auto made = disk.make_directory(path.substr(0, slash));
    ASSERT_TRUE(made || made.error().code == Errc::kAlreadyExists);
  }
}

void load(file::FaultyFileSystem& disk) {
  for (const auto& entry : fs::recursive_directory_iterator(kStore)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    const std::string path = fs::relative(entry.path(), kStore).generic_string();
    make_parents(disk, path);
    disk.set_content(path, as_bytes(content));
  }
}

model::StreamDefinition golden_definition() {
  auto definition = flushing_stream("pumps, hall 2");
  definition.time_to_live_ms = 9'223'372'036'854;
  model::ExportConfig config;
  config.type = model::ExportType::kKinesis;
  config.identifier = "cloud";
  config.target = "telemetry";
  config.batch_size = 100;
  config.start_sequence_number = 2;
  definition.exports = {config};
  return definition;
}

void write(const fs::path& where) {
  file::FaultyFileSystem disk;
  TestStore store(disk);
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.create(golden_definition()));
  ASSERT_TRUE(store.create(memory_stream("cache")));
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(store.append("pumps, hall 2", "message " + std::to_string(i)));
    store.clock.advance(std::chrono::milliseconds(10));
  }
  Cursor cursor;
  cursor.identifier = "cloud";
  cursor.type = model::ExportType::kKinesis;
  cursor.next = SequenceNumber(17);
  cursor.exported_messages = 15;
  cursor.error_message = "it rained";
  ASSERT_TRUE(store.stream("pumps, hall 2").cursors()->save(cursor));
  store.close();
  for (const std::string& path : disk.files()) {
    fs::create_directories((where / path).parent_path());
    const ByteVector content = *disk.content(path);
    std::ofstream(where / path, std::ios::binary) << as_text(content);
  }
}

TEST(GoldenStore, OfVersionOneOpens) {
  if (const char* where = std::getenv("WEIR_WRITE_GOLDEN")) write(where);
  file::FaultyFileSystem disk;
  load(disk);
  const auto report = check_store(disk);
  ASSERT_TRUE(report) << report.error().what;
  EXPECT_EQ(report->worst(), Verdict::kSound);
  EXPECT_TRUE(report->clean);
  TestStore store(disk);
  const auto opened = store.open();
  ASSERT_TRUE(opened) << opened.error().what;
  ASSERT_EQ(store.opened, (std::vector<std::string>{"cache", "pumps, hall 2"}));
  Stream& stream = store.stream("pumps, hall 2");
  EXPECT_EQ(stream.definition(), golden_definition());
  const auto messages = store.read("pumps, hall 2");
  ASSERT_EQ(messages.size(), 40U);
  for (const StoredMessage& message : messages) {
    EXPECT_EQ(message.payload, "message " + std::to_string(message.number));
    EXPECT_EQ(message.append_ms, 1'700'000'000'000 + message.number * 10);
  }
  const auto cursors = stream.cursors()->load();
  ASSERT_EQ(cursors.size(), 1U);
  EXPECT_EQ(cursors[0].next, SequenceNumber(17));
  EXPECT_EQ(cursors[0].exported_messages, 15);
  EXPECT_EQ(cursors[0].error_message, "it rained");
  EXPECT_EQ(store.append("pumps, hall 2", "next"), SequenceNumber(40));
}

}  // namespace
}  // namespace weir::stream
