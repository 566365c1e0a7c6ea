#include "file/faulty_file_system.h"

#include <array>
#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>

namespace weir::file {
namespace {

using Times = FaultyFileSystem::Times;

constexpr std::uint64_t kSeeds = 300;

std::unique_ptr<File> create(FaultyFileSystem& disk, std::string_view path) {
  auto file = disk.open(path, OpenMode::kCreateNew);
  EXPECT_TRUE(file) << file.error().what;
  return std::move(*file);
}
Result<void> write(File& file, std::uint64_t offset, std::string_view content) {
  const std::array<Bytes, 1> pieces{as_bytes(content)};
  return file.write_at(offset, pieces);
}
std::string content(const FaultyFileSystem& disk, std::string_view path) {
  const auto bytes = disk.content(path);
  return bytes ? std::string(as_text(*bytes)) : "missing";
}

/// What all seeds together make of one situation.
template <class Prepare, class Look>
auto outcomes(Prepare prepare, Look look) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    FaultyFileSystem disk;
    prepare(disk);
    disk.crash(seed);
    seen.insert(look(disk));
  }
  return seen;
}

TEST(PowerCut, KeepsWhatWasSyncedWithItsName) {
  const auto seen = outcomes(
      [](FaultyFileSystem& disk) {
        const auto file = create(disk, "a");
        ASSERT_TRUE(write(*file, 0, "synced"));
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(disk.sync_directory(""));
      },
      [](const FaultyFileSystem& disk) { return content(disk, "a"); });
  EXPECT_EQ(seen, std::set<std::string>{"synced"});
}

TEST(PowerCut, KeepsEverythingBeforeASyncOfEverything) {
  const auto seen = outcomes(
      [](FaultyFileSystem& disk) {
        ASSERT_TRUE(disk.make_directory("d"));
        const auto file = create(disk, "d/a");
        ASSERT_TRUE(write(*file, 0, "synced"));
        ASSERT_TRUE(disk.sync_all());
      },
      [](const FaultyFileSystem& disk) { return content(disk, "d/a"); });
  EXPECT_EQ(seen, std::set<std::string>{"synced"});
}

TEST(PowerCut, MayForgetTheNameOfASyncedFile) {
  const auto seen = outcomes(
      [](FaultyFileSystem& disk) {
        const auto file = create(disk, "a");
        ASSERT_TRUE(write(*file, 0, "synced"));
        ASSERT_TRUE(file->sync());
      },
      [](const FaultyFileSystem& disk) { return content(disk, "a"); });
  EXPECT_EQ(seen, (std::set<std::string>{"missing", "synced"}));
}

TEST(PowerCut, LeavesAnyMixtureOfUnsyncedSectorsAndSizes) {
  std::set<std::string> seen = outcomes(
      [](FaultyFileSystem& disk) {
        const auto file = create(disk, "a");
        ASSERT_TRUE(disk.sync_directory(""));
        ASSERT_TRUE(write(*file, 0, std::string(512, 'a')));
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(write(*file, 512, std::string(512, 'b')));
        ASSERT_TRUE(write(*file, 1024, std::string(512, 'c')));
      },
      [](const FaultyFileSystem& disk) {
        const std::string all = content(disk, "a");
        std::string sectors;
        for (std::size_t i = 0; i < all.size(); i += 512) sectors += all[i] == 0 ? '0' : all[i];
        return sectors;
      });
  EXPECT_EQ(seen, (std::set<std::string>{"a", "ab", "abc", "a0", "a0c", "ab0", "a00"}));
}

TEST(PowerCut, TearsAWriteOnlyBetweenSectors) {
  const auto seen = outcomes(
      [](FaultyFileSystem& disk) {
        const auto file = create(disk, "a");
        ASSERT_TRUE(disk.sync_directory(""));
        ASSERT_TRUE(write(*file, 0, std::string(100, 'a')));
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(write(*file, 50, std::string(100, 'b')));
      },
      [](const FaultyFileSystem& disk) { return content(disk, "a"); });
  EXPECT_EQ(seen, (std::set<std::string>{
                      std::string(100, 'a'),                         // nothing
                      std::string(50, 'a') + std::string(100, 'b'),  // everything
                      std::string(50, 'a') + std::string(50, 'b'),   // data without size
                      std::string(100, 'a') + std::string(50, '\0')  // size without data
                  }));
}

TEST(PowerCut, MayBringBackBytesThatWereCutOffWithoutSync) {
  const auto seen = outcomes(
      [](FaultyFileSystem& disk) {
        const auto file = create(disk, "a");
        ASSERT_TRUE(disk.sync_directory(""));
        ASSERT_TRUE(write(*file, 0, std::string(1024, 'o')));
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(file->truncate(0));
        ASSERT_TRUE(write(*file, 0, std::string(512, 'n')));
      },
      [](const FaultyFileSystem& disk) {
        const std::string all = content(disk, "a");
        std::string sectors;
        for (std::size_t i = 0; i < all.size(); i += 512) sectors += all[i] == 0 ? '0' : all[i];
        return sectors;
      });
  EXPECT_TRUE(seen.contains("no")) << "new bytes in front of old ones";
  EXPECT_TRUE(seen.contains("n"));
  EXPECT_TRUE(seen.contains("oo"));
  EXPECT_TRUE(seen.contains(""));
}

TEST(PowerCut, KeepsAnySubsetOfUnsyncedNames) {
  const auto seen = outcomes(
      [](FaultyFileSystem& disk) {
        create(disk, "a");
        ASSERT_TRUE(disk.sync_directory(""));
        create(disk, "b");
        ASSERT_TRUE(disk.remove_file("a"));
      },
      [](const FaultyFileSystem& disk) {
        std::string all;
        for (const std::string& name : disk.files()) all += name;
        return all;
      });
  EXPECT_EQ(seen, (std::set<std::string>{"", "a", "b", "ab"}));
}

TEST(PowerCut, NeverShowsHalfARename) {
  const auto prepare = [](FaultyFileSystem& disk) {
    ASSERT_TRUE(disk.make_directory("d"));
    disk.set_content("old", as_bytes("x"));
    ASSERT_TRUE(disk.sync_directory(""));
    ASSERT_TRUE(disk.rename("old", "d/new"));
  };
  const auto look = [](const FaultyFileSystem& disk) {
    std::string all;
    for (const std::string& name : disk.files()) all += name + " ";
    return all;
  };
  EXPECT_EQ(outcomes(prepare, look), (std::set<std::string>{"old ", "d/new "}));
  // It is durable when both directories are.
  const auto prepare_synced = [&](FaultyFileSystem& disk) {
    prepare(disk);
    ASSERT_TRUE(disk.sync_directory("d"));
    ASSERT_TRUE(disk.sync_directory(""));
  };
  EXPECT_EQ(outcomes(prepare_synced, look), (std::set<std::string>{"d/new "}));
}

TEST(PowerCut, ReplacingAFileIsAllOrNothing) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    for (std::uint64_t nth = 1;; ++nth) {
      FaultyFileSystem disk;
      ASSERT_TRUE(replace_file(disk, "a", as_bytes("old")));
      disk.cut_power_before_change(nth);
      const bool replaced = replace_file(disk, "a", as_bytes("new")).has_value();
      disk.crash(seed);
      const std::string found = content(disk, "a");
      EXPECT_TRUE(found == "new" || (found == "old" && !replaced)) << found << " seed " << seed;
      seen.insert(found);
      if (replaced) break;
    }
  }
  EXPECT_EQ(seen, (std::set<std::string>{"old", "new"}));
}

TEST(PowerCut, StopsEverythingUntilThePowerReturns) {
  FaultyFileSystem disk;
  const auto file = create(disk, "a");
  ASSERT_TRUE(disk.sync_directory(""));
  disk.cut_power_before_change(2);
  EXPECT_TRUE(write(*file, 0, "x"));
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(disk.power_is_off());
  EXPECT_FALSE(disk.list(""));
  disk.crash(1);
  EXPECT_TRUE(disk.list(""));
  EXPECT_FALSE(file->size()) << "a file of the process that died";
}

TEST(KillingTheProcess, LosesNothingThatWasWritten) {
  FaultyFileSystem disk;
  const auto held = disk.lock("LOCK");
  ASSERT_TRUE(held);
  const auto file = create(disk, "a");
  ASSERT_TRUE(write(*file, 0, "unsynced"));
  disk.kill_process();
  EXPECT_EQ(content(disk, "a"), "unsynced");
  EXPECT_FALSE(write(*file, 0, "ghost"));
  EXPECT_TRUE(disk.lock("LOCK"));
  EXPECT_GT(disk.unsynced_changes("a"), 0U);
}

TEST(Faults, FailTheCallThatWasAskedForAndNoOther) {
  FaultyFileSystem disk;
  const auto file = create(disk, "a");
  disk.fail_call(Call::kWrite, 2, ENOSPC);
  EXPECT_TRUE(write(*file, 0, "one"));
  const auto refused = write(*file, 3, "two");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().os_errno, ENOSPC);
  EXPECT_EQ(std::string("onetwo").find(content(disk, "a")), 0U) << "a part may have been written";
  EXPECT_TRUE(write(*file, 3, "two"));
  EXPECT_EQ(content(disk, "a"), "onetwo");

  disk.fail_call(Call::kRead, 1, EIO, Times::kFromThenOn);
  ByteVector into(3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(file->read_at(0, into).error().os_errno, EIO);
  disk.clear_faults();
  EXPECT_TRUE(file->read_at(0, into));
  EXPECT_EQ(disk.calls(Call::kRead), 4U);
}

TEST(Faults, AFailedSyncLosesDataThatLaterSyncsDoNotBringBack) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    FaultyFileSystem disk(seed);
    const auto file = create(disk, "a");
    ASSERT_TRUE(disk.sync_directory(""));
    ASSERT_TRUE(write(*file, 0, std::string(512, 'a') + std::string(512, 'b')));
    disk.fail_call(Call::kSync, 1, EIO);
    ASSERT_FALSE(file->sync());
    ASSERT_TRUE(write(*file, 1024, "c"));
    ASSERT_TRUE(file->sync()) << "the second one lies";
    disk.crash(seed);
    const std::string all = content(disk, "a");
    ASSERT_EQ(all.size(), 1025U);
    EXPECT_EQ(all[1024], 'c');
    seen.insert({all[0] == 0 ? '0' : all[0], all[512] == 0 ? '0' : all[512]});
  }
  EXPECT_EQ(seen, (std::set<std::string>{"00", "a0", "0b", "ab"}));
}

TEST(Faults, AFailedSyncOfEverythingIsToldOnceByEachFileItConcerns) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    FaultyFileSystem disk(seed);
    const auto one = create(disk, "one");
    const auto two = create(disk, "two");
    ASSERT_TRUE(write(*one, 0, "1"));
    ASSERT_TRUE(write(*two, 0, "2"));
    disk.fail_call(Call::kSyncAll, 1, EIO);
    ASSERT_FALSE(disk.sync_all());
    std::string told;
    for (File* const file : {one.get(), two.get()}) {
      const bool good = file->sync().has_value();
      told += good ? '+' : '-';
      EXPECT_TRUE(file->sync()) << "told once";
    }
    ASSERT_TRUE(disk.sync_directory(""));
    disk.crash(seed);
    EXPECT_TRUE(told[0] == '-' || content(disk, "one") == "1");
    EXPECT_TRUE(told[1] == '-' || content(disk, "two") == "2");
    seen.insert(told);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"++", "+-", "-+", "--"}));
}

TEST(Faults, AFullDiskTakesWhatFits) {
  FaultyFileSystem disk;
  const auto file = create(disk, "a");
  disk.set_capacity(5);
  const auto refused = write(*file, 0, "12345678");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().os_errno, ENOSPC);
  EXPECT_EQ(content(disk, "a"), "12345");
  EXPECT_TRUE(write(*file, 0, "abcde")) << "overwriting needs no space";
  EXPECT_EQ(disk.space()->free_bytes, 0U);
  ASSERT_TRUE(file->truncate(0));
  EXPECT_TRUE(write(*file, 0, "123"));
}

TEST(Faults, FlipOneBitOfARead) {
  FaultyFileSystem disk;
  const auto file = create(disk, "a");
  ASSERT_TRUE(write(*file, 0, "hello"));
  disk.flip_bits_on_read(1);
  ByteVector into(5);
  ASSERT_TRUE(file->read_at(0, into));
  int different = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    different += __builtin_popcount(static_cast<unsigned>(into[i] ^ as_bytes("hello")[i]));
  }
  EXPECT_EQ(different, 1);
  disk.refuse_cached_reads(1);
  const auto cached = file->try_read_at(0, into);
  ASSERT_TRUE(cached);
  EXPECT_FALSE(cached->has_value());
}

TEST(Faults, AreTheSameForTheSameSeed) {
  const auto run = [](std::uint64_t seed) {
    FaultyFileSystem disk;
    for (int i = 0; i < 10; ++i) {
      const auto file = create(disk, std::to_string(i));
      static_cast<void>(write(*file, 0, std::string(2'000, 'x')));
    }
    disk.crash(seed);
    std::map<std::string, std::string> all;
    for (const std::string& name : disk.files()) all[name] = content(disk, name);
    return all;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace weir::file
