#include "base/metrics.h"
#include "destination/options.h"
#include "destination/testing/raw_server.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

namespace weir::destination {
namespace {

using exporter::Batch;
using exporter::ExportSpec;
using exporter::Verdict;
using testing::Peer;
using testing::RawServer;

class Factory : public ::testing::Test {
 protected:
  // This machine may be an instance, or its network may swallow what is sent to the service.
  Factory() { aws.environment["AWS_EC2_METADATA_DISABLED"] = "true"; }
  void TearDown() override { std::filesystem::remove_all(directory); }

  Result<std::unique_ptr<exporter::Destination>> make(model::ExportType type,
                                                      const std::string& target) {
    auto factory = make_factory(
        aws, transport, [this](const ExportSpec&) { return options; }, clock, metrics, 1);
    if (!factory) return fail(factory.error());
    ExportSpec spec;
    spec.stream_name = "pumps";
    spec.config.type = type;
    spec.config.identifier = "out";
    spec.config.target = target;
    return (*factory)(spec);
  }
  std::string error_of(model::ExportType type, const std::string& target) {
    const auto made = make(type, target);
    return made ? "no error" : made.error().what;
  }
  static Batch one(const std::string& payload) {
    Batch batch("pumps", "out");
    batch.add(SequenceNumber(0), 1, as_bytes(payload));
    return batch;
  }

  SystemClock clock;
  metrics::Registry metrics;
  AwsOptions aws;
  TransportOptions transport;
  ExportOptions options;
  const std::string directory = ::testing::TempDir() + "weir-factory-" + std::to_string(getpid());
};

TEST_F(Factory, SaysWhatIsMissingForKinesis) {
  EXPECT_NE(error_of(model::ExportType::kKinesis, "s").find("AWS_REGION"), std::string::npos);
  aws.region = "eu-central-1";
  EXPECT_NE(error_of(model::ExportType::kKinesis, "no good").find("kinesisStreamName"),
            std::string::npos);
  options.kinesis.partition_key = {PartitionKey::Kind::kField, "id"};
  EXPECT_NE(error_of(model::ExportType::kKinesis, "s").find("JSON pointer"), std::string::npos);
  options.kinesis.partition_key = {};
  const auto made = make(model::ExportType::kKinesis, "s");
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ((*made)->host(), "https://kinesis.eu-central-1.amazonaws.com:443");
  const auto outcome = (*made)->deliver(one("x"), {});
  EXPECT_EQ(outcome.failure, exporter::FailureClass::kCredentials);
  EXPECT_NE(outcome.error.find("AWS_ACCESS_KEY_ID"), std::string::npos);
}

TEST_F(Factory, RefusesWhatItCannotReachBeforeAnythingRuns) {
  aws.ca_bundle_file = directory + "/missing.pem";
  const std::string text = error_of(model::ExportType::kFile, directory);
  EXPECT_NE(text.find("AWS_CA_BUNDLE"), std::string::npos) << text;
  EXPECT_NE(text.find("No such file"), std::string::npos) << text;
}

TEST_F(Factory, FilesOfAnHttpExportThatCannotBeReadAreNamed) {
  for (auto member : {&HttpOptions::ca_file, &HttpOptions::client_certificate_file,
                      &HttpOptions::client_key_file}) {
    options = {};
    options.http.*member = directory + "/missing.pem";
    const std::string text = error_of(model::ExportType::kHttp, "https://127.0.0.1/");
    EXPECT_NE(text.find("/missing.pem: No such file"), std::string::npos) << text;
  }
}

TEST_F(Factory, SitewiseHasAHostPrefixWhereNobodyNamedTheHost) {
  aws.region = "eu-west-1";
  const auto host = [this] {
    const auto made = make(model::ExportType::kIotSitewise, "");
    return made ? (*made)->host() : made.error().what;
  };
  EXPECT_EQ(host(), "https://data.iotsitewise.eu-west-1.amazonaws.com:443");
  aws.environment["AWS_DISABLE_HOST_PREFIX_INJECTION"] = "true";
  EXPECT_EQ(host(), "https://iotsitewise.eu-west-1.amazonaws.com:443");
  aws.environment.erase("AWS_DISABLE_HOST_PREFIX_INJECTION");
  aws.service_endpoint_urls["iotsitewise"] = "http://127.0.0.1:9901";
  EXPECT_EQ(host(), "http://127.0.0.1:9901");
}

TEST_F(Factory, IotAnalyticsIsRetiredUnlessSomebodyNamesAnEndpoint) {
  aws.region = "eu-west-1";
  EXPECT_TRUE(error_of(model::ExportType::kIotAnalytics, "ch").starts_with("service retired"))
      << error_of(model::ExportType::kIotAnalytics, "ch");
  aws.service_endpoint_urls["iotanalytics"] = "http://127.0.0.1:9901";
  EXPECT_EQ(error_of(model::ExportType::kIotAnalytics, "ch"), "no error");
  EXPECT_NE(error_of(model::ExportType::kIotAnalytics, "not a channel").find("iotChannel"),
            std::string::npos);
  aws.service_endpoint_urls.clear();
  aws.endpoint_url = "http://127.0.0.1:9901";
  EXPECT_EQ(error_of(model::ExportType::kIotAnalytics, "ch"), "no error");
}

TEST_F(Factory, FirehoseWantsTheNameOfAStream) {
  aws.region = "eu-west-1";
  EXPECT_EQ(error_of(model::ExportType::kFirehose, "lake"), "no error");
  EXPECT_NE(error_of(model::ExportType::kFirehose, "no name").find("Firehose"), std::string::npos);
}

TEST_F(Factory, HttpTargetsAreChecked) {
  transport.own_ports = {8088};
  EXPECT_NE(error_of(model::ExportType::kHttp, "http://169.254.169.254/").find("link-local"),
            std::string::npos);
  EXPECT_NE(error_of(model::ExportType::kHttp, "http://localhost.:x/").find("port"),
            std::string::npos);
  EXPECT_NE(error_of(model::ExportType::kHttp, "http://127.0.0.1:8088/").find("own ports"),
            std::string::npos);
}

TEST_F(Factory, HttpGoesOverTheRealTransport) {
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send("HTTP/1.1 204 No Content\r\n\r\n");
  });
  auto made = make(model::ExportType::kHttp, server.url("/in"));
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ((*made)->deliver(one("payload"), {}).verdict, Verdict::kDelivered);
  EXPECT_TRUE(seen.ends_with("\r\n\r\npayload"));
  EXPECT_EQ(seen.find("Authorization"), std::string::npos);
}

TEST_F(Factory, FilesGoToTheirDirectoryWhichIsMadeWhenNeeded) {
  options.file.directory = directory + "/a/b";
  auto made = make(model::ExportType::kFile, "");
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_FALSE(std::filesystem::exists(directory)) << "not before the first delivery";
  EXPECT_EQ((*made)->deliver(one("x"), {}).verdict, Verdict::kDelivered);
  std::filesystem::remove_all(directory);
  // Somebody cleaned up: the first try notices, the next one makes everything anew.
  EXPECT_EQ((*made)->deliver(one("y"), {}).verdict, Verdict::kRetry);
  EXPECT_EQ((*made)->deliver(one("y"), {}).verdict, Verdict::kDelivered);
}

TEST_F(Factory, AnUnusableDirectoryIsATransientFailureThatNamesIt) {
  options.file.directory = "/proc/weir-cannot-write-here";
  auto made = make(model::ExportType::kFile, "");
  ASSERT_TRUE(made) << made.error().what;
  const auto outcome = (*made)->deliver(one("x"), {});
  EXPECT_EQ(outcome.verdict, Verdict::kRetry);
  EXPECT_NE(outcome.error.find("/proc/weir-cannot-write-here"), std::string::npos);
  options.file.directory.clear();
  EXPECT_NE(error_of(model::ExportType::kFile, "").find("directory"), std::string::npos);
}

}  // namespace
}  // namespace weir::destination
