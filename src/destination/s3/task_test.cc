#include "destination/s3/task.h"

#include <gtest/gtest.h>

namespace weir::destination::s3 {
namespace {

std::string document(const std::string& url, const std::string& bucket, const std::string& key,
                     const std::string& more = {}) {
  return R"({"inputUrl":")" + url + R"(","bucket":")" + bucket + R"(","key":")" + key + '"' + more +
         '}';
}

std::string why_not(const std::string& text) {
  const auto read = read_task(as_bytes(text));
  return read.task ? "no error" : read.task.error().what;
}

std::string path_of(std::string_view url) {
  const auto path = path_of_url(url);
  return path ? *path : "refused: " + path.error().what;
}

std::string key_at(std::string_view key, std::int64_t wall_ms = 1'609'459'199'000) {
  const auto resolved = resolve_key(key, wall_ms);
  return resolved ? resolved->key : "refused: " + resolved.error().what;
}

TEST(Task, IsReadAsTheSdksWriteIt) {
  const std::string text =
      document("file:/data/a.bin", "my-bucket", "dir/a", R"(,"userMetadata":{"Site":"7","x":""})");
  const auto read = read_task(as_bytes(text));
  ASSERT_TRUE(read.task) << read.task.error().what;
  EXPECT_EQ(read.task->path, "/data/a.bin");
  EXPECT_EQ(read.task->bucket, "my-bucket");
  EXPECT_EQ(read.task->key, "dir/a");
  ASSERT_EQ(read.task->metadata.size(), 2U);
  EXPECT_EQ(read.task->metadata[0], (std::pair<std::string, std::string>("site", "7")));
  EXPECT_EQ(read.echo, text);
  EXPECT_EQ(read_task(as_bytes(" \n" + text + "\n")).echo, text);
}

TEST(Task, UnknownMembersAndNullMetadataDoNoHarm) {
  EXPECT_EQ(why_not(document("/a", "bucket", "k", R"(,"userMetadata":null,"later":[1])")),
            "no error");
}

TEST(Task, WhatCannotBeDoneSaysWhy) {
  const auto expect = [](const std::string& text, const std::string& why) {
    EXPECT_NE(why_not(text).find(why), std::string::npos) << text << ": " << why_not(text);
  };
  expect("", "not JSON");
  expect("{", "not JSON");
  expect("\xff\xfe", "not JSON");
  expect("[]", "not a JSON object");
  expect("{}", "no inputUrl");
  expect(R"({"inputUrl":1,"bucket":"b","key":"k"})", "inputUrl is not text");
  expect(document("file:/a", "", "k"), "bucket is empty");
  expect(document("file:/a", "B_ad", "k"), "not the name of a bucket");
  expect(document("file:/a", "bucket", std::string(1025, 'k')), "1024");
  expect(document("file:/a", "bucket", "a\\nb"), "control");
  expect(document("file:/a", "bucket", "k", R"(,"userMetadata":[])"), "not an object");
  expect(document("file:/a", "bucket", "k", R"(,"userMetadata":{"n":1})"), "'n' is not text");
  expect(document("file:/a", "bucket", "k", R"(,"userMetadata":{"$AWS-gg-x":"1"})"), "reserved");
  expect(document("file:/a", "bucket", "k", R"(,"userMetadata":{"a b":"1"})"), "header");
  expect(document("file:/a", "bucket", "k", R"(,"userMetadata":{"a":"1\r\nHost: x"})"), "ASCII");
  expect(document("file:/a", "bucket", "k", R"(,"userMetadata":{"a":"\u00e9"})"), "ASCII");
  expect(document("file:/a", "bucket", "k", R"(,"userMetadata":{"a":"1","A":"2"})"), "twice");
  expect(document("file:/a", "bucket", "k",
                  R"(,"userMetadata":{"a":")" + std::string(2048, 'v') + "\"}"),
         "2048");
  expect(document("file:/a", "bucket", "k") + std::string(kTaskBytesMax, ' '), "65536");
}

TEST(Task, OnlyWhatApplicationsCanReadIsEchoed) {
  EXPECT_EQ(read_task(as_bytes("nonsense")).echo, "");
  EXPECT_EQ(read_task(as_bytes(R"({"inputUrl":"file:/a"})")).echo, "");
  const std::string bad_bucket = document("file:/a", "B", "k");
  EXPECT_EQ(read_task(as_bytes(bad_bucket)).echo, bad_bucket);
}

// An application that cannot read one status reads none of those behind it either.
TEST(Task, ADocumentThatBreaksItsReaderIsNotEchoed) {
  const auto with = [](const std::string& more) { return document("/a", "bucket", "k", more); };
  for (const char* bad :
       {"5", "\"x\"", "[]", "true", R"({"a":1})", R"({"a":null})", R"({"a":"1","b":{"c":"2"}})"}) {
    const auto read = read_task(as_bytes(with(std::string(R"(,"userMetadata":)") + bad)));
    EXPECT_FALSE(read.task) << bad;
    EXPECT_EQ(read.echo, "") << bad;
  }
  for (const char* good : {"null", "{}", R"({"$aws-gg-x":"1"})"}) {
    EXPECT_NE(read_task(as_bytes(with(std::string(R"(,"userMetadata":)") + good))).echo, "")
        << good;
  }
}

TEST(Task, NestingHasABound) {
  const auto nested = [](int levels) {
    const auto count = static_cast<std::size_t>(levels);
    return document("/a", "bucket", "k",
                    R"(,"brackets":"[[[[[[[[[[[[[[[[[[\"[[","later":)" + std::string(count, '[') +
                        std::string(count, ']'));
  };
  EXPECT_EQ(why_not(nested(15)), "no error") << "brackets in texts are none";
  EXPECT_NE(read_task(as_bytes(nested(15))).echo, "");
  EXPECT_NE(why_not(nested(16)).find("16 levels"), std::string::npos);
  EXPECT_EQ(read_task(as_bytes(nested(16))).echo, "");
  EXPECT_NE(why_not(nested(30'000)).find("16 levels"), std::string::npos);
}

TEST(Task, ValuesOfMetadataHaveNoBlanksAroundThem) {
  const auto read = read_task(as_bytes(
      document("/a", "bucket", "k", R"(,"userMetadata":{"a":"","b":"  ","c":"  x  y ","d":"z"})")));
  ASSERT_TRUE(read.task) << read.task.error().what;
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"a", ""}, {"b", ""}, {"c", "x  y"}, {"d", "z"}};
  EXPECT_EQ(read.task->metadata, expected);
}

TEST(Task, UrlsInEveryFormThatProgramsWrite) {
  EXPECT_EQ(path_of("file:/a/b.txt"), "/a/b.txt");
  EXPECT_EQ(path_of("file:///a/b.txt"), "/a/b.txt");
  EXPECT_EQ(path_of("file://localhost/a"), "/a");
  EXPECT_EQ(path_of("FILE:/a"), "/a");
  EXPECT_EQ(path_of("/a/100%/%41"), "/a/100%/%41") << "a bare path is taken as it is";
  EXPECT_EQ(path_of("file:/a%20b/%C3%A9"), "/a b/\xC3\xA9");
  EXPECT_EQ(path_of("file:/100%/x%2"), "/100%/x%2");
  EXPECT_EQ(path_of("file:/a?b#c"), "/a?b#c");
  EXPECT_EQ(path_of("file:/a%252e"), "/a%2e") << "decoded once";
  for (const char* bad :
       {"", "a", "file:", "file:a", "file://", "file://elsewhere/a", "http://x/a", "s3://b/k",
        "file:/a/../b", "/..", "file:/%2e%2e/etc/passwd", "file:/a%2F%2E%2E/b", "file:/a%00b"}) {
    EXPECT_TRUE(path_of(bad).starts_with("refused: ")) << bad << " -> " << path_of(bad);
  }
  EXPECT_TRUE(path_of("/" + std::string(4095, 'a')).starts_with("refused: "));
  EXPECT_EQ(path_of("/..a/b.."), "/..a/b..");
}

TEST(Task, BucketNames) {
  for (const char* good : {"abc", "my-bucket", "a.b.c", "1-2", "1.2.3", "a--b"}) {
    EXPECT_TRUE(is_bucket_name(good)) << good;
  }
  for (const char* bad : {"", "ab", "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "a.-b",
                          "a-.b", "192.168.0.1", "a/b", "a b", "caf\xC3\xA9"}) {
    EXPECT_FALSE(is_bucket_name(bad)) << bad;
  }
  EXPECT_TRUE(is_bucket_name(std::string(63, 'a')));
  EXPECT_FALSE(is_bucket_name(std::string(64, 'a')));
}

TEST(Task, KeysGetTheTimeOfTheUpload) {
  EXPECT_EQ(key_at("plain/key"), "plain/key");
  EXPECT_EQ(key_at("a/!{timestamp:yyyy/MM/dd}/b"), "a/2020/12/31/b");
  EXPECT_EQ(key_at("!{timestamp:yyyy}-!{timestamp:MM}"), "2020-12");
  EXPECT_EQ(key_at("a!b{c}"), "a!b{c}");
  EXPECT_EQ(key_at("!{timestamp:SSS}", 1'609'459'199'042), "042");
  for (const char* bad : {"!{timestamp:yyyy", "!{date:yyyy}", "!{timestamp}", "!{}",
                          "!{timestamp:b}", "!{timestamp:}"}) {
    EXPECT_TRUE(key_at(bad).starts_with("refused: ")) << bad << " -> " << key_at(bad);
  }
  EXPECT_TRUE(key_at(std::string(1022, 'k') + "!{timestamp:yyyy}").starts_with("refused: "));
  EXPECT_TRUE(resolve_key("!{timestamp:YYYY}", 0)->used_week_year);
  EXPECT_FALSE(resolve_key("!{timestamp:yyyy}", 0)->used_week_year);
}

}  // namespace
}  // namespace weir::destination::s3
