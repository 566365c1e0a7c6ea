#include "destination/file/destination.h"

#include "base/log.h"
#include "base/rng.h"
#include "destination/file/names.h"
#include "file/faulty_file_system.h"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <set>
#include <zlib.h>
#include <zstd.h>

namespace weir::destination::file_export {
namespace {

using namespace std::chrono_literals;
using exporter::Batch;
using exporter::Outcome;
using exporter::Verdict;
using weir::file::Call;
using weir::file::FaultyFileSystem;

// --- independent readers of the output ---------------------------------------------------------

std::string gunzip(const std::string& packed) {
  std::string plain;
  std::size_t at = 0;
  while (at < packed.size()) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string member(1 << 20, '\0');
    std::string in = packed.substr(at);
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(member.data());
    stream.avail_out = static_cast<uInt>(member.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    plain += member.substr(0, member.size() - stream.avail_out);
    at += in.size() - stream.avail_in;
    inflateEnd(&stream);
  }
  return plain;
}

std::string unzstd(const std::string& packed) {
  std::string plain(1 << 20, '\0');
  const std::size_t size =
      ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size());
  EXPECT_EQ(ZSTD_isError(size), 0U);
  plain.resize(size);
  return plain;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = text.find('\n', at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "half a line at the end: " << log::escaped(text.substr(at));
      break;
    }
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::vector<std::string> frames(const std::string& text) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = [&](std::size_t i) {
      return static_cast<std::size_t>(static_cast<unsigned char>(text[at + i]));
    };
    if (text.size() - at < 4) {
      ADD_FAILURE() << "half a frame head at the end";
      break;
    }
    const std::size_t length = (byte(0) << 24U) | (byte(1) << 16U) | (byte(2) << 8U) | byte(3);
    if (text.size() - at - 4 < length) {
      ADD_FAILURE() << "half a frame at the end";
      break;
    }
    out.push_back(text.substr(at + 4, length));
    at += 4 + length;
  }
  return out;
}

std::vector<std::string> messages_of(const std::string& name, std::string content) {
  if (name.find(".gz") != std::string::npos) content = gunzip(content);
  if (name.find(".zst") != std::string::npos) content = unzstd(content);
  return name.find(".lines") != std::string::npos ? lines(content) : frames(content);
}

// --- the fixture -------------------------------------------------------------------------------

class Files : public ::testing::Test {
 protected:
  // As after a start of weir.
  void start() {
    made = std::make_unique<FileDestination>(
        FileDestination::Setup{
            "pumps", "archive", options,
            [this](bool) -> Result<std::shared_ptr<weir::file::FileSystem>> { return disk; }},
        clock, metrics);
  }
  Outcome deliver(const std::vector<std::string>& payloads) {
    Batch batch("pumps", "archive");
    for (const std::string& payload : payloads) {
      batch.add(SequenceNumber(next++), 1, as_bytes(payload));
    }
    return made->deliver(batch, {});
  }
  bool delivered(const std::vector<std::string>& payloads) {
    const Outcome outcome = deliver(payloads);
    EXPECT_TRUE(outcome.records.empty());
    return outcome.verdict == Verdict::kDelivered;
  }
  std::string content(const std::string& name) {
    return std::string(as_text(*disk->content(name)));
  }
  std::vector<std::string> outputs() {
    std::vector<std::string> names;
    for (const std::string& name : disk->files()) {
      if (name.front() != '.') names.push_back(name);
    }
    return names;
  }
  // Every message in every output file, in the order of their names.
  std::vector<std::string> all() {
    std::vector<std::string> out;
    for (const std::string& name : outputs()) {
      const auto some = messages_of(name, content(name));
      out.insert(out.end(), some.begin(), some.end());
    }
    return out;
  }

  FileOptions options;
  ManualClock clock{1'767'323'045'678};  // 2026-01-02T03:04:05.678Z
  metrics::Registry metrics;
  std::shared_ptr<FaultyFileSystem> disk = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<FileDestination> made;
  std::int64_t next = 4711;
};

TEST_F(Files, ANewFileIsNamedAfterStreamExportNumberAndTime) {
  start();
  EXPECT_TRUE(delivered({"a", "b"}));
  EXPECT_EQ(outputs(), std::vector<std::string>{
                           "pumps.archive.00000000000000004711.20260102T030405.678Z.lines.part"});
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Files, NothingIsOpenedBeforeTheFirstDelivery) {
  start();
  EXPECT_EQ(disk->changes(), 0U);
}

TEST_F(Files, EveryFormatAndCompressionReadsBack) {
  const std::vector<std::string> wanted = {"a", "", std::string("\0\xff", 2),
                                           std::string(5000, 'x')};
  for (const auto format : {FileOptions::Format::kNewline, FileOptions::Format::kLength}) {
    for (const auto compression : {FileOptions::Compression::kNone, FileOptions::Compression::kGzip,
                                   FileOptions::Compression::kZstd}) {
      disk = std::make_shared<FaultyFileSystem>();
      options.format = format;
      options.compression = compression;
      start();
      EXPECT_TRUE(delivered(wanted));
      EXPECT_TRUE(delivered({"second batch"}));
      auto expected = wanted;
      expected.emplace_back("second batch");
      EXPECT_EQ(all(), expected);
    }
  }
}

TEST_F(Files, LineFeedsNeverSplitAMessage) {
  start();
  EXPECT_TRUE(delivered({"{\n  \"a\": [1,\n2]\n}", "two\nlines", "c:\\new", "plain"}));
  EXPECT_EQ(all(),
            (std::vector<std::string>{"{   \"a\": [1, 2] }", "two\\nlines", "c:\\new", "plain"}));
  EXPECT_NE(metrics.text().find("weir_destination_file_escaped_messages_total 1"),
            std::string::npos);
}

TEST_F(Files, AMessageMayBringTheEndOfItsLine) {
  start();
  EXPECT_TRUE(delivered({"of a log\n", "\n", "two ends\n\n", "{\"a\": 1}\n"}));
  EXPECT_EQ(all(), (std::vector<std::string>{"of a log", "", "two ends\\n", "{\"a\": 1}"}));
}

TEST_F(Files, LengthFramesKeepLineFeeds) {
  options.format = FileOptions::Format::kLength;
  start();
  EXPECT_TRUE(delivered({"two\nlines\n"}));
  EXPECT_EQ(all(), std::vector<std::string>{"two\nlines\n"});
}

TEST_F(Files, AFullFileGetsItsFinalNameAtOnce) {
  options.roll_bytes = 4;
  start();
  EXPECT_TRUE(delivered({"a"}));
  EXPECT_TRUE(outputs().back().ends_with(".part"));
  EXPECT_TRUE(delivered({"b"}));
  EXPECT_TRUE(outputs().back().ends_with(".lines"));
  EXPECT_TRUE(delivered({"c"}));
  EXPECT_EQ(outputs().size(), 2U);
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(Files, AnOldFileIsFinishedByTheNextBatch) {
  options.roll_interval_ms = 60'000;
  start();
  EXPECT_TRUE(delivered({"a"}));
  clock.advance(std::chrono::seconds(59));
  EXPECT_TRUE(delivered({"b"}));
  clock.advance(std::chrono::seconds(1));
  EXPECT_TRUE(delivered({"c"}));
  ASSERT_EQ(outputs().size(), 2U);
  EXPECT_EQ(messages_of(outputs()[0], content(outputs()[0])), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Files, AWallClockThatJumpsNeitherRollsNorHoldsAFile) {
  options.roll_interval_ms = 60'000;
  start();
  EXPECT_TRUE(delivered({"a"}));
  clock.step_wall_ms(1'000'000'000);
  EXPECT_TRUE(delivered({"b"}));
  EXPECT_EQ(outputs().size(), 1U);
}

TEST_F(Files, AfterARestartTheActiveFileGoesOn) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  start();
  EXPECT_TRUE(delivered({"b"}));
  EXPECT_EQ(outputs().size(), 1U);
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Files, AfterALongStopTheOldFileIsFinished) {
  options.roll_interval_ms = 60'000;
  start();
  EXPECT_TRUE(delivered({"a"}));
  clock.advance(std::chrono::hours(1));
  start();
  EXPECT_TRUE(delivered({"b"}));
  EXPECT_EQ(outputs().size(), 2U);
}

TEST_F(Files, AFinishedFileIsNeverReplaced) {
  options.roll_bytes = 1;
  start();
  EXPECT_TRUE(delivered({"a"}));
  next = 4711;  // the same batch again, in the same millisecond
  EXPECT_TRUE(delivered({"a"}));
  EXPECT_EQ(outputs().size(), 2U);
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "a"}));
}

TEST_F(Files, TwoExportsInOneDirectoryDoNotMeet) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  FileDestination other(
      {"pumps", "archive2", options,
       [this](bool) { return Result<std::shared_ptr<weir::file::FileSystem>>(disk); }},
      clock, metrics);
  Batch batch("pumps", "archive2");
  batch.add(SequenceNumber(1), 1, as_bytes("x"));
  EXPECT_EQ(other.deliver(batch, {}).verdict, Verdict::kDelivered);
  start();
  EXPECT_TRUE(delivered({"b"}));
  EXPECT_EQ(outputs().size(), 2U);
}

// --- when no batch comes -----------------------------------------------------------------------

class IdleFiles : public Files {
 protected:
  IdleFiles() { options.roll_interval_ms = 60'000; }
  // As the engine: visits when it is time, until there is no more to do by then.
  int visit_until(Instant time) {
    int visits = 0;
    while (made->idle_deadline() <= time) {
      if (made->idle_deadline() > clock.now()) clock.advance(made->idle_deadline() - clock.now());
      made->on_idle({});
      if (++visits > 100) {
        ADD_FAILURE() << "it would spin";
        break;
      }
    }
    return visits;
  }
  [[nodiscard]] bool finished() {
    return outputs().size() == 1 && outputs()[0].ends_with(".lines");
  }
};

TEST_F(IdleFiles, AFileGetsItsFinalNameWhenItsTimeIsUpThoughNoBatchComes) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  EXPECT_EQ(made->idle_deadline(), clock.now() + 60s);
  clock.advance(20s);
  EXPECT_TRUE(delivered({"b"}));
  EXPECT_EQ(made->idle_deadline(), clock.now() + 40s) << "the age of the file counts";
  visit_until(clock.now() + 39s);
  EXPECT_FALSE(finished());
  visit_until(clock.now() + 40s);
  EXPECT_TRUE(finished());
  EXPECT_EQ(made->idle_deadline(), Instant::max()) << "nothing is open";
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(delivered({"c"}));
  EXPECT_EQ(outputs().size(), 2U);
}

TEST_F(IdleFiles, AFileOfAnEarlierRunIsFinishedWithoutABatch) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  clock.advance(45s);
  start();
  visit_until(clock.now() + 14s);
  EXPECT_FALSE(finished());
  visit_until(clock.now() + 15s);
  EXPECT_TRUE(finished());
}

TEST_F(IdleFiles, AnExportThatNeverWroteLeavesNoTrace) {
  start();
  EXPECT_EQ(visit_until(clock.now() + std::chrono::hours(24)), 1) << "one look after the start";
  EXPECT_EQ(disk->changes(), 0U);
  EXPECT_TRUE(delivered({"a"}));
  visit_until(clock.now() + 60s);
  EXPECT_TRUE(finished());
}

TEST_F(IdleFiles, AFailureIsTriedAgainLaterWithoutSpinningAndLosesNothing) {
  for (const Call call : {Call::kOpen, Call::kRename, Call::kSyncDirectory}) {
    for (const bool restarted : {false, true}) {
      SCOPED_TRACE("call " + std::to_string(static_cast<int>(call)));
      disk = std::make_shared<FaultyFileSystem>();
      start();
      EXPECT_TRUE(delivered({"a"}));
      if (restarted) start();
      disk->fail_call(call, 1, EIO, FaultyFileSystem::Times::kFromThenOn);
      EXPECT_LE(visit_until(clock.now() + 10min), 22) << "twice a minute";
      disk->clear_faults();
      visit_until(clock.now() + 30s);
      EXPECT_TRUE(finished());
      EXPECT_EQ(all(), std::vector<std::string>{"a"});
    }
  }
}

TEST_F(IdleFiles, WhatAFailedWriteLeftIsCutOffBeforeTheFileGetsItsName) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  disk->fail_call(Call::kSync, 1, EIO);
  EXPECT_FALSE(delivered({"did not make it"}));
  visit_until(clock.now() + 60s);
  EXPECT_TRUE(finished());
  EXPECT_EQ(all(), std::vector<std::string>{"a"});
  EXPECT_TRUE(delivered({"did not make it"}));
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "did not make it"}));
}

// --- trouble -----------------------------------------------------------------------------------

TEST_F(Files, AFullDiskIsSaidAndLeavesOnlyWholeBatches) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  disk->fail_call(Call::kWrite, 1, ENOSPC);
  const Outcome outcome = deliver({std::string(4000, 'b')});
  EXPECT_EQ(outcome.verdict, Verdict::kRetry);
  EXPECT_EQ(outcome.failure, exporter::FailureClass::kTransient);
  EXPECT_NE(outcome.error.find("No space left"), std::string::npos);
  EXPECT_NE(outcome.error.find("make room"), std::string::npos);
  EXPECT_EQ(all(), std::vector<std::string>{"a"});
  EXPECT_TRUE(delivered({"c"}));
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "c"}));
}

TEST_F(Files, AShorterBatchAfterAFailedSyncLeavesNothingOfTheLongOne) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  disk->fail_call(Call::kSync, 1, EIO);
  EXPECT_FALSE(delivered({"a long message that did not make it"}));
  EXPECT_TRUE(delivered({"c"}));
  EXPECT_EQ(outputs().size(), 2U) << "a file whose sync failed is left alone";
  EXPECT_EQ(all(), (std::vector<std::string>{"a", "c"}));
}

// Any call may fail once: what was delivered stays, what was not comes with the next try.
TEST_F(Files, EverySingleFailureIsSurvived) {
  for (const Call call :
       {Call::kOpen, Call::kCreate, Call::kRead, Call::kWrite, Call::kSync, Call::kTruncate,
        Call::kSize, Call::kRename, Call::kSyncDirectory, Call::kList, Call::kRemoveFile}) {
    for (std::uint64_t nth = 1; nth < 12; ++nth) {
      SCOPED_TRACE("call " + std::to_string(static_cast<int>(call)) + ", number " +
                   std::to_string(nth));
      disk = std::make_shared<FaultyFileSystem>(nth);
      next = 0;
      options.roll_bytes = 12;
      start();
      disk->fail_call(call, nth, EIO);
      std::vector<std::string> acknowledged;
      for (int i = 0; i < 6; ++i) {
        if (i == 3) start();
        const std::string message = "message " + std::to_string(i);
        bool done = false;
        for (int tries = 0; tries < 3 && !done; ++tries) done = delivered({message});
        EXPECT_TRUE(done);
        acknowledged.push_back(message);
      }
      EXPECT_EQ(all(), acknowledged);
    }
  }
}

// A call that fails some time before the power does.
struct Fault {
  Call call = Call::kSync;
  std::uint64_t nth = 0;  // 0 = none
};

// The power fails before every single change in turn. Afterwards weir starts again and sends what
// was not acknowledged (and, as a late cursor may, the last acknowledged batch once more).
void crash_everywhere(const FileOptions& options, std::uint64_t seed, Fault fault = {}) {
  SCOPED_TRACE("seed " + std::to_string(seed) + ", failing call " +
               std::to_string(static_cast<int>(fault.call)) + " number " +
               std::to_string(fault.nth));
  for (std::uint64_t at = 1;; ++at) {
    SCOPED_TRACE("power cut before change " + std::to_string(at));
    auto disk = std::make_shared<FaultyFileSystem>(seed);
    ManualClock clock;
    metrics::Registry metrics;
    const auto open = [&](bool) -> Result<std::shared_ptr<weir::file::FileSystem>> { return disk; };
    const auto start = [&] {
      return std::make_unique<FileDestination>(
          FileDestination::Setup{"pumps", "archive", options, open}, clock, metrics);
    };
    Rng rng(seed);
    std::vector<std::vector<std::string>> batches;
    for (int i = 0; i < 8; ++i) {
      batches.emplace_back();
      for (std::uint64_t j = 0; j < 1 + rng.below(3); ++j) {
        batches.back().push_back(std::to_string(i) + "." + std::to_string(j) +
                                 std::string(rng.below(700), 'x'));
      }
    }
    const auto deliver = [&](FileDestination& destination, std::size_t i) {
      Batch batch("pumps", "archive");
      auto sequence = static_cast<std::int64_t>(i * 10);
      for (const auto& payload : batches[i]) {
        batch.add(SequenceNumber(sequence++), 1, as_bytes(payload));
      }
      clock.advance(std::chrono::milliseconds(1));
      return destination.deliver(batch, {}).verdict == Verdict::kDelivered;
    };

    disk->cut_power_before_change(at);
    if (fault.nth > 0) disk->fail_call(fault.call, fault.nth, EIO);
    auto destination = start();
    std::size_t acknowledged = 0;
    while (acknowledged < batches.size() && !disk->power_is_off()) {
      if (deliver(*destination, acknowledged)) ++acknowledged;
    }
    const bool crashed = disk->power_is_off();
    disk->crash(seed * 1000 + at);
    destination = start();
    const std::size_t repeated = acknowledged == 0 ? 0 : acknowledged - 1;
    for (std::size_t i = repeated; i < batches.size(); ++i) {
      ASSERT_TRUE(deliver(*destination, i));
    }

    std::vector<std::string> found;
    for (const std::string& name : disk->files()) {
      if (name.front() == '.') continue;
      ASSERT_FALSE(name.ends_with(kRecoveredSuffix)) << name;
      const auto some = messages_of(name, std::string(as_text(*disk->content(name))));
      found.insert(found.end(), some.begin(), some.end());
    }
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < acknowledged; ++i) {
      expected.insert(expected.end(), batches[i].begin(), batches[i].end());
    }
    for (std::size_t i = repeated; i < batches.size(); ++i) {
      expected.insert(expected.end(), batches[i].begin(), batches[i].end());
    }
    // A batch whose acknowledgement the crash swallowed may be there twice; nothing else differs.
    if (found != expected && acknowledged < batches.size()) {
      auto twice = expected;
      std::size_t behind = 0;
      for (std::size_t i = 0; i < acknowledged; ++i) behind += batches[i].size();
      twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(behind),
                   batches[acknowledged].begin(), batches[acknowledged].end());
      ASSERT_EQ(found, twice);
    } else {
      ASSERT_EQ(found, expected);
    }
    if (!crashed) break;  // the whole story fitted before the cut
  }
}

TEST(FilesAfterACrash, HoldWholeBatchesInOrderWhereverThePowerFailed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    FileOptions options;
    options.roll_bytes = 2500;
    options.format = seed % 2 == 0 ? FileOptions::Format::kNewline : FileOptions::Format::kLength;
    options.compression = static_cast<FileOptions::Compression>(seed % 3);
    crash_everywhere(options, seed);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(FilesAfterACrash, HoldWholeBatchesEvenWhenACallFailedBefore) {
  for (const Call call : {Call::kSync, Call::kWrite, Call::kTruncate}) {
    for (std::uint64_t nth = 1; nth <= 10; ++nth) {
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        FileOptions options;
        options.roll_bytes = 2500;
        options.format = FileOptions::Format::kLength;
        crash_everywhere(options, seed * 100 + nth, {call, nth});
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(Files, WithoutItsPositionAnUnfinishedFileIsSetAsideNotLost) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  const std::string position = position_name(file_prefix("pumps", "archive"));
  disk->flip_bit(position, 3, 1);
  disk->flip_bit(position, 515, 1);
  start();
  EXPECT_TRUE(delivered({"b"}));
  ASSERT_EQ(outputs().size(), 2U);
  EXPECT_TRUE(outputs()[0].ends_with(".recovered"));
  EXPECT_EQ(content(outputs()[0]), "a\n");
}

TEST_F(Files, OneDamagedSlotCostsAtMostTheLastBatchesPosition) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  EXPECT_TRUE(delivered({"b"}));
  const std::string position = position_name(file_prefix("pumps", "archive"));
  for (const std::uint64_t slot : {0U, 512U}) {
    disk->flip_bit(position, slot + 3, 1);
    start();
    EXPECT_TRUE(delivered({"c"}));
    for (const std::string& message : all()) EXPECT_EQ(message.size(), 1U);
    disk->flip_bit(position, slot + 3, 1);
  }
}

TEST_F(Files, AFileThatSomebodyRemovedIsStartedAnew) {
  start();
  EXPECT_TRUE(delivered({"a"}));
  ASSERT_TRUE(disk->remove_file(outputs()[0]));
  EXPECT_EQ(deliver({"b"}).verdict, Verdict::kRetry);
  EXPECT_TRUE(delivered({"b"}));
  EXPECT_EQ(all(), std::vector<std::string>{"b"});
}

TEST(FileNames, NoNameFromAClientBecomesAPath) {
  EXPECT_EQ(file_prefix("pumps", "a_b-1"), "pumps.a_b-1.");
  EXPECT_EQ(file_prefix("..", "../x/y"), "%2E%2E.%2E%2E%2Fx%2Fy.");
  EXPECT_EQ(file_prefix(" ", "a.b"), "%20.a%2Eb.");
  EXPECT_NE(file_prefix("a.b", "c"), file_prefix("a", "b.c"));
  const std::string a = file_prefix(std::string(255, '/'), "x");
  const std::string b = file_prefix(std::string(254, '/') + "\\", "x");
  EXPECT_NE(a, b);
  FileOptions options;
  options.compression = FileOptions::Compression::kZstd;
  const auto longest = file_name(file_prefix(std::string(255, '.'), std::string(255, '.')),
                                 SequenceNumber(INT64_MAX), 253402300799999, options);
  EXPECT_LT(longest.size() + kRecoveredSuffix.size(), 255U);
}

TEST(FileValidation, SaysWhatIsMissing) {
  EXPECT_FALSE(validate({}));
  FileOptions options;
  options.directory = "out";
  EXPECT_TRUE(validate(options));
  options.roll_bytes = 0;
  EXPECT_FALSE(validate(options));
}

}  // namespace
}  // namespace weir::destination::file_export
