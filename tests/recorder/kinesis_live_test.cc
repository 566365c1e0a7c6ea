#include "base/clock.h"
#include "base/metrics.h"
#include "destination/curl_transport.h"
#include "destination/http_transport.h"
#include "destination/options.h"
#include "exporter/bandwidth.h"
#include "exporter/destination.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

/// weir's Kinesis destination, made by the factory as the daemon does, against the recorder: real
/// sockets, real curl, and a judge of every byte that shares no code with weir.
namespace weir::destination {
namespace {

using exporter::Batch;
using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;
using Json = nlohmann::json;

// The recorder as a process of its own, ended with the test.
class Recorder {
 public:
  explicit Recorder(std::vector<std::string> arguments = {}) {
    std::array<int, 2> out{};
    EXPECT_EQ(pipe(out.data()), 0);
    arguments.insert(arguments.begin(), {WEIR_PYTHON, WEIR_RECORDER});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, out[0]);
    EXPECT_EQ(posix_spawn(&pid_, WEIR_PYTHON, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    FILE* lines = fdopen(out[0], "r");
    EXPECT_EQ(std::fscanf(lines, "port %d", &port_), 1) << "the recorder did not start";
    std::fclose(lines);
  }
  ~Recorder() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  [[nodiscard]] std::string url(const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_);
  }

  Json order(const std::string& name, const Json& content = nullptr) {
    SystemClock clock;
    CurlSettings settings;
    settings.response_bytes_max = 64 << 20;
    auto transport = make_curl_transport(
        settings, make_curl_pool(), std::make_shared<exporter::BandwidthLimiter>(0, clock), clock);
    const std::string body = content.dump();
    HttpRequest request;
    request.url = url() + "/" + name;
    request.body = as_bytes(body);
    const HttpResponse response = transport->send(request, {});
    EXPECT_EQ(response.status, 200) << response.error;
    return Json::parse(response.body);
  }

 private:
  pid_t pid_ = 0;
  int port_ = 0;
};

class KinesisLive : public ::testing::Test {
 protected:
  void make(std::vector<std::string> arguments = {}, KinesisOptions kinesis = {}) {
    recorder = std::make_unique<Recorder>(std::move(arguments));
    AwsOptions aws;
    aws.region = "us-east-1";
    aws.access_key_id = access_key;
    aws.secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    aws.session_token = session_token;
    aws.endpoint_url = recorder->url(scheme);
    aws.ca_bundle_file = ca_bundle_file;
    TransportOptions transport;
    transport.stall_timeout_ms = stall_timeout_ms;
    auto factory = make_factory(
        aws, transport,
        [kinesis](const auto&) {
          ExportOptions options;
          options.kinesis = kinesis;
          return options;
        },
        clock, metrics, 1);
    ASSERT_TRUE(factory) << factory.error().what;
    exporter::ExportSpec spec;
    spec.stream_name = "pumps";
    spec.config.type = model::ExportType::kKinesis;
    spec.config.identifier = "cloud";
    spec.config.target = "telemetry";
    auto made = (*factory)(spec);
    ASSERT_TRUE(made) << made.error().what;
    destination = std::move(*made);
  }

  Outcome deliver(const std::vector<std::string>& payloads, std::stop_token stop = {}) {
    Batch batch("pumps", "cloud");
    for (const std::string& payload : payloads) {
      batch.add(SequenceNumber(next_sequence++), 1, as_bytes(payload));
    }
    return destination->deliver(batch, std::move(stop));
  }

  // Every request so far was beyond reproach.
  std::vector<Json> clean_log() {
    std::vector<Json> lines = recorder->order("_log").get<std::vector<Json>>();
    for (const Json& line : lines) EXPECT_EQ(line.at("problems"), Json::array()) << line.dump(1);
    return lines;
  }
  std::size_t stored() { return recorder->order("_records").size(); }

  std::string access_key = "AKIDEXAMPLE";
  std::string session_token;
  std::string scheme = "http";
  std::string ca_bundle_file;
  std::int64_t stall_timeout_ms = 30'000;
  SystemClock clock;
  metrics::Registry metrics;
  std::unique_ptr<Recorder> recorder;
  std::unique_ptr<exporter::Destination> destination;
  std::int64_t next_sequence = 0;
};

TEST_F(KinesisLive, BatchesOfEverySizeAndContentAreBeyondReproach) {
  make();
  std::vector<std::string> every_byte;
  for (int i = 0; i < 256; ++i)
    every_byte.emplace_back(static_cast<std::size_t>(i % 7 + 1), static_cast<char>(i));
  EXPECT_EQ(deliver({"one"}).verdict, Verdict::kDelivered);
  EXPECT_EQ(deliver(every_byte).verdict, Verdict::kDelivered);
  EXPECT_EQ(deliver(std::vector<std::string>(500, "m")).verdict, Verdict::kDelivered);
  EXPECT_EQ(deliver(std::vector<std::string>(5, std::string((1 << 20) - 36, 'x'))).verdict,
            Verdict::kDelivered);
  EXPECT_EQ(clean_log().size(), 4U);
  EXPECT_EQ(stored(), 1U + 256U + 500U + 5U);
}

TEST_F(KinesisLive, KeysFromThePayloadOfAnyKindAreAccepted) {
  KinesisOptions options;
  options.partition_key = {PartitionKey::Kind::kField, "/k"};
  make({}, options);
  const std::vector<std::string> payloads = {R"({"k":"é\u0001\"\\"})", R"({"k":1.5})", "not json",
                                             R"({"k":")" + std::string(300, 'k') + "\"}"};
  EXPECT_EQ(deliver(payloads).verdict, Verdict::kDelivered);
  clean_log();
  EXPECT_EQ(recorder->order("_records")[0].at("key"), "é\u0001\"\\");
}

TEST_F(KinesisLive, SessionTokensAreSentAndSigned) {
  session_token = "IQoJb3JpZ2luX2VjE/+==";
  make({"--key", "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:IQoJb3JpZ2luX2VjE/+=="});
  EXPECT_EQ(deliver({"a"}).verdict, Verdict::kDelivered);
  clean_log();
}

TEST_F(KinesisLive, StrictOrderingChainsItsRecords) {
  KinesisOptions options;
  options.partition_key = {PartitionKey::Kind::kStream, ""};
  options.ordering = Ordering::kStrict;
  make({}, options);
  EXPECT_EQ(deliver({"a", "b", "c"}).verdict, Verdict::kDelivered);
  clean_log();
  const Json records = recorder->order("_records");
  EXPECT_TRUE(records[0].at("after").is_null());
  EXPECT_EQ(records[1].at("after"), records[0].at("sequence"));
  EXPECT_EQ(records[2].at("after"), records[1].at("sequence"));
}

TEST_F(KinesisLive, ARecordTheServiceRefusesIsIsolated) {
  make({"--record-limit", "1000"});
  std::vector<std::string> payloads(20, "m");
  payloads[13] = std::string(2000, 'x');
  const Outcome outcome = deliver(payloads);
  ASSERT_EQ(outcome.records.size(), 20U);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(outcome.records[i].verdict, i == 13 ? Verdict::kRejected : Verdict::kDelivered) << i;
  }
  clean_log();
  EXPECT_EQ(stored(), 19U);
}

TEST_F(KinesisLive, AnswersThatAreNotWholeAreNotBelieved) {
  make();
  // The drops come first, each on a fresh connection: on a kept one curl sends once more.
  const std::vector<Json> faults = {{{"drop", "before"}},
                                    {{"drop", "after"}},
                                    {{"half", true}},
                                    {{"html", true}},
                                    {{"count", 1}},
                                    {{"count", -1}},
                                    {{"status", 500}, {"body", ""}}};
  for (const Json& fault : faults) {
    recorder->order("_fault", Json::array({fault}));
    const Outcome outcome = deliver({"a", "b"});
    EXPECT_EQ(outcome.verdict, Verdict::kRetry) << fault;
    EXPECT_EQ(outcome.failure, FailureClass::kTransient) << fault;
    EXPECT_EQ(outcome.connection_failed, fault.contains("drop")) << outcome.error;
  }
  EXPECT_EQ(deliver({"a"}).verdict, Verdict::kDelivered);
  clean_log();
}

TEST_F(KinesisLive, AConnectionThatDiedWhileIdleCostsNoFailure) {
  make();
  EXPECT_EQ(deliver({"a"}).verdict, Verdict::kDelivered);
  recorder->order("_fault", Json::array({{{"drop", "after"}}}));
  // The request goes over the kept connection, which ends without a byte of an answer: curl sends
  // it once more over a new one, as a duplicate at worst.
  const Outcome outcome = deliver({"b"});
  EXPECT_EQ(outcome.verdict, Verdict::kDelivered) << outcome.error;
  clean_log();
  EXPECT_EQ(stored(), 3U);
}

TEST_F(KinesisLive, ThrottledRecordsAndHintsComeThrough) {
  make();
  recorder->order("_fault", Json::array({{{"fail", {1, 3}}},
                                         {{"status", 503}, {"headers", {{"Retry-After", "7"}}}}}));
  const Outcome partial = deliver({"a", "b", "c", "d"});
  ASSERT_EQ(partial.records.size(), 4U);
  EXPECT_EQ(partial.failure, FailureClass::kThrottle);
  EXPECT_EQ(partial.records[2].verdict, Verdict::kDelivered);
  EXPECT_EQ(partial.records[3].verdict, Verdict::kRetry);
  EXPECT_EQ(deliver({"e"}).retry_after, std::chrono::seconds(7));
}

TEST_F(KinesisLive, AWrongClockCostsOneRequestNotTheExport) {
  make();
  recorder->order("_fault", Json::array({{{"date_offset", 3600}}}));
  EXPECT_EQ(deliver({"a"}).verdict, Verdict::kDelivered);
  EXPECT_EQ(deliver({"b"}).verdict, Verdict::kDelivered);
  EXPECT_EQ(clean_log().size(), 3U);
}

TEST_F(KinesisLive, UnknownKeysAndStreamsAreForAPersonAndLoseNothing) {
  access_key = "AKIDOTHER";
  make();
  EXPECT_EQ(deliver({"a"}).failure, FailureClass::kCredentials);
  access_key = "AKIDEXAMPLE";
  make({"--stream", "other"});
  const Outcome outcome = deliver({"a"});
  EXPECT_EQ(outcome.failure, FailureClass::kOperator);
  EXPECT_NE(outcome.error.find("ResourceNotFoundException: Stream telemetry"), std::string::npos);
}

TEST_F(KinesisLive, AServiceThatHangsIsLeftAfterTheStallTimeout) {
  stall_timeout_ms = 200;
  make();
  recorder->order("_fault", Json::array({{{"delay", 30}}}));
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = deliver({"a"});
  EXPECT_EQ(outcome.failure, FailureClass::kTransient);
  EXPECT_NE(outcome.error.find("stall"), std::string::npos) << outcome.error;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(KinesisLive, StopInterruptsARequestThatHangs) {
  make();
  recorder->order("_fault", Json::array({{{"delay", 30}}}));
  std::stop_source source;
  std::jthread stopper([&] {
    while (recorder->order("_log").empty()) std::this_thread::yield();
    source.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(deliver({"a"}, source.get_token()).verdict, Verdict::kRetry);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

// --- TLS -----------------------------------------------------------------------------------------

// A certificate that vouches for itself, and its key, in files.
class Certificate {
 public:
  Certificate(const std::string& address, std::int64_t valid_from_s)
      : path_(::testing::TempDir() + "weir-certificate-" + std::to_string(getpid()) + ".pem") {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048});
    X509* x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), static_cast<long>(valid_from_s));
    X509_gmtime_adj(X509_getm_notAfter(x509), static_cast<long>(valid_from_s) + 7200);
    X509_set_pubkey(x509, key);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("weir test"), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    const std::string names = "IP:" + address;
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    EXPECT_GT(X509_sign(x509, key, EVP_sha256()), 0);
    FILE* file = std::fopen(path_.c_str(), "w");
    EXPECT_EQ(PEM_write_X509(file, x509), 1);
    EXPECT_EQ(PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(file);
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  ~Certificate() { unlink(path_.c_str()); }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class KinesisTls : public KinesisLive {
 protected:
  Outcome deliver_to(const Certificate& certificate, bool trusted) {
    scheme = "https";
    ca_bundle_file = trusted ? certificate.path() : "";
    make({"--certificate", certificate.path(), "--certificate-key", certificate.path()});
    return deliver({"a"});
  }
};

TEST_F(KinesisTls, ATrustedServerIsBelieved) {
  const Certificate certificate("127.0.0.1", -3600);
  const Outcome outcome = deliver_to(certificate, true);
  EXPECT_EQ(outcome.verdict, Verdict::kDelivered) << outcome.error;
}

TEST_F(KinesisTls, AnUnknownServerGetsNothing) {
  const Certificate certificate("127.0.0.1", -3600);
  const Outcome outcome = deliver_to(certificate, false);
  EXPECT_TRUE(outcome.connection_failed);
  EXPECT_NE(outcome.error.find("certificate"), std::string::npos) << outcome.error;
}

TEST_F(KinesisTls, AServerOfAnotherNameGetsNothing) {
  const Certificate certificate("127.0.0.2", -3600);
  const Outcome outcome = deliver_to(certificate, true);
  EXPECT_TRUE(outcome.connection_failed);
  EXPECT_NE(outcome.error.find("127.0.0.1"), std::string::npos) << outcome.error;
}

TEST_F(KinesisTls, AClockInThePastIsNamedAsAPossibleCause) {
  const Certificate certificate("127.0.0.1", 86'400);
  const Outcome outcome = deliver_to(certificate, true);
  EXPECT_TRUE(outcome.connection_failed);
  EXPECT_NE(outcome.error.find("is the clock set?"), std::string::npos) << outcome.error;
}

}  // namespace
}  // namespace weir::destination
