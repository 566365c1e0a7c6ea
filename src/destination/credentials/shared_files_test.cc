#include "destination/credentials/shared_files.h"

#include "destination/credentials/fakes.h"
#include "destination/credentials/hub.h"

#include <gtest/gtest.h>

namespace weir::destination::credentials {
namespace {

std::string value(const SharedFile& file, const std::string& section, const std::string& key) {
  const auto found = file.sections.find(section);
  if (found == file.sections.end()) return "no section";
  const auto at = found->second.find(key);
  return at == found->second.end() ? "no key" : at->second.text;
}

TEST(SharedFile, ReadsWhatTheAwsToolsWrite) {
  const auto file = parse_shared_file(
      "\xef\xbb\xbf# made by a tool\r\n"
      "[default]\r\n"
      "region = eu-west-1   # where the plant is\r\n"
      "aws_secret_access_key=a/b+c#d=e==\n"
      "; another comment\n"
      "\n"
      "[ profile   \"my edge\" ]\n"
      "  role_arn = arn:aws:iam::1:role/x\n"
      "s3 =\n"
      "  max_concurrent_requests = 20\n"
      "output = json\n"
      "[services local]\n"
      "kinesis =\n"
      "\tendpoint_url = http://127.0.0.1:4567\n"
      "[default]\n"
      "output = text",
      "config");
  ASSERT_TRUE(file) << file.error().what;
  EXPECT_EQ(value(*file, "default", "region"), "eu-west-1");
  EXPECT_EQ(value(*file, "default", "aws_secret_access_key"), "a/b+c#d=e==");
  EXPECT_EQ(value(*file, "default", "output"), "text") << "a section may be written in two parts";
  EXPECT_EQ(value(*file, "profile my edge", "role_arn"), "arn:aws:iam::1:role/x");
  EXPECT_EQ(value(*file, "profile my edge", "output"), "json");
  EXPECT_EQ(file->sections.at("profile my edge").at("s3").nested.at("max_concurrent_requests"),
            "20");
  EXPECT_EQ(file->sections.at("services local").at("kinesis").nested.at("endpoint_url"),
            "http://127.0.0.1:4567");
  EXPECT_EQ(file->sections.at("default").at("region").where, "config:3");
}

TEST(SharedFile, MistakesNameTheLineAndNeverRepeatIt) {
  const std::pair<const char*, const char*> rows[] = {
      {"[default]\nSECRETabc", "keys:2: is neither [section] nor key = value"},
      {"[default\nx=SECRET", "keys:1: has '[' without ']'"},
      {"aws_secret_access_key = SECRET", "keys:1: stands before the first [section]"},
      {"[a]\n\n= SECRET", "keys:3: has no key before '='"},
      {"[]\nSECRET=1", "keys:1: is a section without a name"},
  };
  for (const auto& [text, expected] : rows) {
    const auto file = parse_shared_file(text, "keys");
    ASSERT_FALSE(file) << text;
    EXPECT_EQ(file.error().what, expected);
    EXPECT_EQ(file.error().what.find("SECRET"), std::string::npos);
  }
}

// Whatever the bytes: an answer, never a crash and never a hang.
TEST(SharedFile, AnyBytesAreReadOrRefused) {
  std::string text = "[default]\nkey = value\n [x]\n\t= \\ \0 ; # \xff";
  std::uint64_t state = 20260102;
  for (int round = 0; round < 20'000; ++round) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    text[(state >> 33U) % text.size()] = "[]=\n\r \t#;ax\0\xff"[(state >> 20U) % 13];
    const auto file = parse_shared_file(text, "f");
    if (!file) {
      EXPECT_FALSE(file.error().what.empty());
    }
  }
}

class ProfilesTest : public ::testing::Test {
 protected:
  std::map<std::string, std::string> environment() {
    return {{"HOME", directory.path()},
            {"AWS_CONFIG_FILE", directory.path("config")},
            {"AWS_SHARED_CREDENTIALS_FILE", directory.path("credentials")}};
  }
  testing::TemporaryDirectory directory;
};

TEST_F(ProfilesTest, TheCredentialsFileWinsAndMissingFilesAreEmpty) {
  EXPECT_TRUE(Profiles::load(environment()));
  EXPECT_TRUE(Profiles::load({}));
  directory.write("config", "[profile edge]\nregion = a\naws_access_key_id = old\n[edge]\nx = 1\n");
  directory.write("credentials", "[edge]\naws_access_key_id = new\n");
  const auto profiles = Profiles::load(environment());
  ASSERT_TRUE(profiles);
  const auto* edge = profiles->find("edge");
  ASSERT_NE(edge, nullptr);
  EXPECT_EQ(edge->at("aws_access_key_id").text, "new");
  EXPECT_EQ(edge->at("region").text, "a");
  EXPECT_FALSE(edge->contains("x")) << "in the config file only [profile edge] counts";
}

TEST_F(ProfilesTest, WhatIsNoFileSaysSo) {
  auto variables = environment();
  variables["AWS_CONFIG_FILE"] = directory.path();
  const auto profiles = Profiles::load(variables);
  ASSERT_FALSE(profiles);
  EXPECT_NE(profiles.error().what.find("not a regular file"), std::string::npos);
}

TEST_F(ProfilesTest, AProfileFillsInWhatNothingElseSet) {
  directory.write("ca.pem", "");
  directory.write("config",
                  "[default]\nregion = eu-west-1\nca_bundle = " + directory.path("ca.pem") +
                      "\nuse_fips_endpoint = true\n"
                      "[profile local]\nregion = us-east-1\nservices = here\n"
                      "endpoint_url = http://127.0.0.1:1\n"
                      "[services here]\nkinesis =\n  endpoint_url = http://127.0.0.1:2\n");
  AwsOptions aws;
  aws.environment = environment();
  auto whole = with_profile(aws);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->region, "eu-west-1");
  EXPECT_EQ(whole->ca_bundle_file, directory.path("ca.pem"));
  EXPECT_EQ(whole->use_fips, true);

  aws.environment["AWS_PROFILE"] = "local";
  aws.region = "sa-east-1";
  whole = with_profile(aws);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->region, "sa-east-1");
  EXPECT_EQ(whole->endpoint_url, "http://127.0.0.1:1");
  EXPECT_EQ(whole->service_endpoint_urls.at("kinesis"), "http://127.0.0.1:2");

  aws.environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "TRUE";
  EXPECT_EQ(with_profile(aws)->endpoint_url, "");

  aws.environment.erase("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
  aws.endpoint_url = "http://127.0.0.1:9";
  EXPECT_TRUE(with_profile(aws)->service_endpoint_urls.empty())
      << "an address set for weir is stronger than any of a file";
}

TEST_F(ProfilesTest, ACaBundleOfAProfileIsFoundInTheHomeAndMissedAloud) {
  directory.write("config", "[default]\nca_bundle = ~/ca.pem\n");
  AwsOptions aws;
  aws.environment = environment();
  aws.environment["HOME"] = directory.path();
  const auto without = with_profile(aws);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().what, "read ca_bundle " + directory.path("ca.pem") +
                                      " of profile 'default': No such file or directory");
  directory.write("ca.pem", "");
  EXPECT_EQ(with_profile(aws)->ca_bundle_file, directory.path("ca.pem"));
  aws.ca_bundle_file = "/own.pem";
  EXPECT_EQ(with_profile(aws)->ca_bundle_file, "/own.pem") << "weir's own counts";
}

TEST_F(ProfilesTest, AProfileThatTheConfigurationNamesMustBeThere) {
  directory.write("config", "[profile edge]\nregion = eu-west-1\n");
  AwsOptions aws;
  aws.environment = environment();
  aws.environment["AWS_PROFILE"] = "gone";
  EXPECT_TRUE(with_profile(aws)) << "perhaps it is for other programs";
  aws.profile = "gone";
  const auto whole = with_profile(aws);
  ASSERT_FALSE(whole);
  EXPECT_NE(whole.error().what.find("there is no profile 'gone' in "), std::string::npos);
  aws.credential_source = CredentialSource::kInstance;
  EXPECT_TRUE(with_profile(aws)) << "nobody reads it";
  aws.credential_source = CredentialSource::kChain;
  aws.profile = "edge";
  EXPECT_EQ(with_profile(aws)->region, "eu-west-1");
}

}  // namespace
}  // namespace weir::destination::credentials
