// Every source against a scripted network: what is asked, what is read, what is said when it fails.

#include "destination/credentials/fakes.h"
#include "destination/credentials/hub.h"
#include "destination/credentials/source.h"
#include "destination/credentials/sts.h"

#include <gtest/gtest.h>

namespace weir::destination::credentials {
namespace {

using destination::testing::answer;
using destination::testing::no_answer;
using destination::testing::SeenRequest;
using testing::container_json;
using testing::kNowMs;
using testing::kSecret;
using testing::sts_error;
using testing::sts_xml;

constexpr const char* kLater = "2026-01-02T04:04:05Z";
constexpr const char* kRole = "arn:aws:iam::123456789012:role/gateway";

class Sources : public ::testing::Test {
 protected:
  ~Sources() override {
    const std::string name = "AWS_SECRET_ACCESS_KEY";
    for (auto at = said.find(name); at != std::string::npos; at = said.find(name)) {
      said.erase(at, name.size());
    }
    EXPECT_EQ(said.find("SECRET"), std::string::npos) << "a secret was shown: " << said;
  }
  Result<Fetched> fetch(std::unique_ptr<Source> source) {
    auto fetched = source->fetch({});
    said += fetched ? fetched->source + "\n" : fetched.error().what + "\n";
    return fetched;
  }
  std::string id_from(std::unique_ptr<Source> source) {
    auto fetched = fetch(std::move(source));
    return fetched ? fetched->credentials.access_key_id : "error: " + fetched.error().what;
  }
  std::string error_of(std::unique_ptr<Source> source, Errc code) {
    auto fetched = fetch(std::move(source));
    if (fetched) return "no error";
    EXPECT_EQ(fetched.error().code, code) << fetched.error().what;
    return fetched.error().what;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  void use_files() {
    stage.env()["AWS_CONFIG_FILE"] = directory.path("config");
    stage.env()["AWS_SHARED_CREDENTIALS_FILE"] = directory.path("credentials");
  }

  testing::Stage stage;
  testing::TemporaryDirectory directory;
  std::string said;
};

// ---- environment

TEST_F(Sources, EnvironmentNeedsBothKeys) {
  EXPECT_EQ(error_of(environment_source(stage.context), Errc::kNotFound),
            "AWS_ACCESS_KEY_ID is not set");
  stage.context->aws.access_key_id = "AKID";
  EXPECT_TRUE(has(error_of(environment_source(stage.context), Errc::kInvalidArgument),
                  "AWS_SECRET_ACCESS_KEY is not; set both"));
  stage.context->aws.secret_access_key = kSecret;
  stage.env()["AWS_CREDENTIAL_EXPIRATION"] = kLater;
  const auto fetched = fetch(environment_source(stage.context));
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->credentials.expires_ms, kNowMs + 3'600'000);
  stage.env()["AWS_CREDENTIAL_EXPIRATION"] = "tomorrow SECRET";
  EXPECT_TRUE(has(error_of(environment_source(stage.context), Errc::kInvalidArgument),
                  "AWS_CREDENTIAL_EXPIRATION is not a time"));
  stage.context->aws.secret_access_key = "SECRET\r\nX-Evil: 1";
  EXPECT_TRUE(has(error_of(environment_source(stage.context), Errc::kInvalidArgument),
                  "characters that no key has"));
}

// ---- shared files

TEST_F(Sources, TheDefaultProfileMayBeMissingButANamedOneMayNot) {
  use_files();
  EXPECT_TRUE(
      has(error_of(profile_source(stage.context), Errc::kNotFound), "no profile 'default'"));
  stage.env()["AWS_PROFILE"] = "edge";
  const std::string text = error_of(profile_source(stage.context), Errc::kInvalidArgument);
  EXPECT_EQ(text, "there is no profile 'edge' in " + directory.path("credentials") + " or " +
                      directory.path("config") + "; it is named by AWS_PROFILE");
  stage.context->aws.profile = "other";
  EXPECT_TRUE(has(error_of(profile_source(stage.context), Errc::kInvalidArgument),
                  "named by export.aws.profile"));
}

TEST_F(Sources, KeysOfAProfileAreReadAnewEachTime) {
  use_files();
  directory.write("credentials", std::string("[default]\naws_access_key_id = A\n") +
                                     "aws_secret_access_key = " + kSecret +
                                     "\naws_session_token = SECRETt\naws_expiration = " + kLater);
  const auto source = profile_source(stage.context);
  auto first = source->fetch({});
  ASSERT_TRUE(first) << first.error().what;
  EXPECT_EQ(first->credentials.access_key_id, "A");
  EXPECT_EQ(first->credentials.session_token, "SECRETt");
  EXPECT_EQ(first->credentials.expires_ms, kNowMs + 3'600'000);
  EXPECT_EQ(first->source, "profile 'default' (" + directory.path("credentials") + ":2)");
  directory.write("credentials", std::string("[default]\naws_access_key_id = B\n") +
                                     "aws_secret_access_key = " + kSecret);
  EXPECT_EQ(source->fetch({})->credentials.access_key_id, "B");
}

TEST_F(Sources, MistakesInTheFilesNameTheLine) {
  use_files();
  const auto file = directory.path("credentials");
  directory.write("credentials", "[default]\naws_access_key_id = A\nSECRET\n");
  EXPECT_EQ(error_of(profile_source(stage.context), Errc::kInvalidArgument),
            file + ":3: is neither [section] nor key = value");
  directory.write("credentials", "[default]\n\naws_secret_access_key = SECRET\n");
  EXPECT_EQ(error_of(profile_source(stage.context), Errc::kInvalidArgument),
            file + ":3: profile 'default' has no aws_access_key_id");
  directory.write(
      "credentials",
      "[default]\naws_access_key_id=A\naws_secret_access_key=SECRET\nexpiration=SECRET");
  EXPECT_EQ(error_of(profile_source(stage.context), Errc::kInvalidArgument),
            file + ":4: 'expiration' is not a time such as 2026-01-02T03:04:05Z");
}

TEST_F(Sources, ARoleOfAProfileIsAssumedWithTheKeysOfItsSource) {
  use_files();
  directory.write("config", std::string("[profile edge]\nrole_arn = ") + kRole +
                                "\nsource_profile = base\nexternal_id = plant/7\n"
                                "role_session_name = gw-1\nduration_seconds = 900\n"
                                "[profile base]\naws_access_key_id = BASE\n"
                                "aws_secret_access_key = " +
                                kSecret + "\n");
  stage.env()["AWS_PROFILE"] = "edge";
  stage.script->answers = {answer(200, sts_xml("AssumeRole", "ROLE", kLater))};
  const auto fetched = fetch(profile_source(stage.context));
  ASSERT_TRUE(fetched) << fetched.error().what;
  EXPECT_EQ(fetched->credentials.access_key_id, "ROLE");
  EXPECT_EQ(fetched->credentials.session_token, "SECRETtoken");
  EXPECT_EQ(fetched->credentials.expires_ms, kNowMs + 3'600'000);
  ASSERT_EQ(stage.script->seen.size(), 1U);
  const SeenRequest& seen = stage.script->seen[0];
  EXPECT_EQ(seen.url, "https://sts.eu-central-1.amazonaws.com/");
  EXPECT_EQ(seen.body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole"
            "%2Fgateway&RoleSessionName=gw-1&DurationSeconds=900&ExternalId=plant%2F7");
  EXPECT_TRUE(has(seen.header("Authorization"), "Credential=BASE/20260102/eu-central-1/sts/"));
  EXPECT_TRUE(stage.links.at(0).proxy) << "the token service is on the internet";
}

TEST_F(Sources, RolesWithoutASourceOrInARingAreExplained) {
  use_files();
  const auto with = [&](const std::string& rest) {
    directory.write("config", std::string("[default]\nrole_arn = ") + kRole + "\n" + rest);
    return error_of(profile_source(stage.context), Errc::kInvalidArgument);
  };
  EXPECT_TRUE(has(with(""), "neither source_profile nor credential_source"));
  EXPECT_TRUE(has(with("source_profile = gone"), "config:3: source_profile: there is no profile"));
  EXPECT_TRUE(has(with("credential_source = Moon"), "config:3: credential_source is not one of"));
  EXPECT_TRUE(has(with(std::string("source_profile = b\n[profile b]\nrole_arn = ") + kRole +
                       "\nsource_profile = default"),
                  "in a ring"));
  EXPECT_TRUE(has(with("credential_source = Environment"), "AWS_ACCESS_KEY_ID is not set"));
  EXPECT_TRUE(has(with("source_profile = default"), "has no credentials"));
  EXPECT_TRUE(has(with("duration_seconds = SECRET"), "duration_seconds is no number"));
  directory.write("config", "[default]\nrole_arn = gateway\nsource_profile = x");
  EXPECT_TRUE(has(error_of(profile_source(stage.context), Errc::kInvalidArgument),
                  "config:2: role_arn: 'gateway' is not the ARN of a role"));
  EXPECT_TRUE(stage.script->seen.empty());
}

TEST_F(Sources, ACredentialProcessIsRunAndItsMistakesAreItsOwn) {
  use_files();
  const auto with = [&](const std::string& script) {
    const auto path = directory.write("tool.sh", script);
    directory.write("config",
                    "[default]\n\ncredential_process = /bin/sh \"" + path + "\" --secret SECRET");
    return profile_source(stage.context);
  };
  EXPECT_EQ(id_from(with(std::string("echo '{\"Version\":1,\"AccessKeyId\":\"P\",") +
                         "\"SecretAccessKey\":\"" + kSecret + "\"}'")),
            "P");
  EXPECT_TRUE(has(error_of(with("echo SECRET garbage"), Errc::kInvalidArgument),
                  "config:3: credential_process of profile 'default': the answer is not a JSON "
                  "object; it must print {\"Version\":1"));
  EXPECT_TRUE(has(error_of(with("echo '{\"AccessKeyId\":\"SECRET\"}'"), Errc::kInvalidArgument),
                  "no text 'SecretAccessKey'"));
  EXPECT_TRUE(has(error_of(with("echo SECRET; exit 9"), Errc::kUnavailable), "status 9"));
}

// ---- web identity

TEST_F(Sources, WebIdentityExchangesTheTokenUnsigned) {
  EXPECT_EQ(error_of(web_identity_source(stage.context), Errc::kNotFound),
            "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
  stage.env()["AWS_WEB_IDENTITY_TOKEN_FILE"] = directory.path("token");
  EXPECT_TRUE(has(error_of(web_identity_source(stage.context), Errc::kInvalidArgument),
                  "AWS_ROLE_ARN is not"));
  stage.env()["AWS_ROLE_ARN"] = kRole;
  EXPECT_TRUE(has(error_of(web_identity_source(stage.context), Errc::kIo), "token: No such file"));
  directory.write("token", "SECRET.jwt\n");
  stage.script->answers = {answer(200, sts_xml("AssumeRoleWithWebIdentity", "WEB", kLater))};
  EXPECT_EQ(id_from(web_identity_source(stage.context)), "WEB");
  const SeenRequest& seen = stage.script->seen.at(0);
  EXPECT_TRUE(has(seen.body, "Action=AssumeRoleWithWebIdentity&"));
  EXPECT_TRUE(has(seen.body, "&WebIdentityToken=SECRET.jwt"));
  EXPECT_EQ(seen.header("Authorization"), "");
}

TEST_F(Sources, ARefusedTokenIsReadAgainOnceAndThenAPersonIsNeeded) {
  stage.env()["AWS_WEB_IDENTITY_TOKEN_FILE"] = directory.write("token", "SECRETold");
  stage.env()["AWS_ROLE_ARN"] = kRole;
  stage.script->answer = [&](const SeenRequest& seen) {
    directory.write("token", "SECRETnew");
    return has(seen.body, "SECRETnew")
               ? answer(200, sts_xml("AssumeRoleWithWebIdentity", "WEB", kLater))
               : answer(400, sts_error("ExpiredTokenException", "Token expired: current date"));
  };
  EXPECT_EQ(id_from(web_identity_source(stage.context)), "WEB");
  EXPECT_EQ(stage.script->seen.size(), 2U);
  for (const char* code :
       {"ExpiredTokenException", "InvalidIdentityToken", "IDPRejectedClaim", "AccessDenied"}) {
    stage.script->answer = [&](const auto&) {
      return answer(400, sts_error(code, "no &lt;way&gt;"));
    };
    EXPECT_TRUE(has(error_of(web_identity_source(stage.context), Errc::kInvalidArgument),
                    std::string("(STS) refuses: ") + code + ": no <way>"));
  }
  stage.script->answer = [](const auto&) {
    return answer(400, sts_error("IDPCommunicationError", "later"));
  };
  error_of(web_identity_source(stage.context), Errc::kUnavailable);
}

// ---- assumed roles

class Fixed final : public CredentialsProvider {
 public:
  Result<Credentials> current(std::stop_token) override { return set; }
  Result<Credentials> refresh(const Credentials&, std::stop_token) override {
    ++refreshes;
    set.access_key_id = "FRESH";
    return set;
  }
  void clock_is(const ClockSkew& skew) override { offset_ms = skew.offset_ms(); }
  Credentials set;
  int refreshes = 0;
  std::int64_t offset_ms = 0;
};

TEST_F(Sources, AWrongClockIsMeasuredFromTheTokenServiceToo) {
  auto base = std::make_shared<Fixed>();
  base->set.access_key_id = "BASE";
  base->set.secret_access_key = kSecret;
  AssumedRole role;
  role.role_arn = kRole;
  stage.script->answers = {answer(403, sts_error("SignatureDoesNotMatch", "Signature expired"),
                                  {{"date", "Fri, 02 Jan 2026 05:04:05 GMT"}}),
                           answer(200, sts_xml("AssumeRole", "ROLE", "2026-01-02T06:00:00Z"),
                                  {{"date", "Fri, 02 Jan 2026 05:04:05 GMT"}})};
  EXPECT_EQ(id_from(role_source(stage.context, role, base)), "ROLE");
  EXPECT_EQ(stage.script->seen.at(0).header("X-Amz-Date"), "20260102T030405Z");
  EXPECT_EQ(stage.script->seen.at(1).header("X-Amz-Date"), "20260102T050405Z");
  EXPECT_EQ(base->refreshes, 0);
  EXPECT_EQ(base->offset_ms, 7'200'000) << "expiry is judged by that clock, too";
}

TEST_F(Sources, RefusedKeysAreRefreshedOnceBeforeARoleIsGivenUp) {
  auto base = std::make_shared<Fixed>();
  base->set.access_key_id = "BASE";
  base->set.secret_access_key = kSecret;
  AssumedRole role;
  role.role_arn = kRole;
  stage.script->answers = {answer(403, sts_error("ExpiredToken", "old")),
                           answer(200, sts_xml("AssumeRole", "ROLE", kLater))};
  EXPECT_EQ(id_from(role_source(stage.context, role, base)), "ROLE");
  EXPECT_TRUE(has(stage.script->seen.at(1).header("Authorization"), "Credential=FRESH/"));

  stage.script->answers = {answer(403, sts_error("AccessDenied", "not authorized to assume"))};
  EXPECT_TRUE(has(error_of(role_source(stage.context, role, base), Errc::kInvalidArgument),
                  "AccessDenied: not authorized to assume"));
  stage.script->answers = {answer(503, "")};
  EXPECT_TRUE(
      has(error_of(role_source(stage.context, role, base), Errc::kUnavailable), "HTTP 503"));
  stage.script->answers = {answer(200, "<html>a captive portal SECRET</html>")};
  EXPECT_TRUE(has(error_of(role_source(stage.context, role, base), Errc::kUnavailable),
                  "the answer has no complete credentials"));
  role.role_arn = "nonsense";
  EXPECT_TRUE(has(error_of(role_source(stage.context, role, base), Errc::kInvalidArgument),
                  "'nonsense' is not the ARN of a role"));
}

// ---- container endpoint

TEST_F(Sources, TheContainerEndpointIsAskedWithItsToken) {
  EXPECT_EQ(error_of(container_source(stage.context), Errc::kNotFound),
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set");
  stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] =
      "http://localhost:1441/2016-11-01/credentialprovider/";
  stage.env()["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "SECRET svcuid";
  stage.script->answers = {answer(200, container_json("TES", kLater))};
  const auto fetched = fetch(container_source(stage.context));
  ASSERT_TRUE(fetched) << fetched.error().what;
  EXPECT_EQ(fetched->credentials.access_key_id, "TES");
  EXPECT_EQ(fetched->credentials.session_token, "SECRETtoken");
  EXPECT_EQ(fetched->source, "container endpoint http://localhost:1441");
  EXPECT_GE(fetched->lead, std::chrono::seconds(300));
  EXPECT_LE(fetched->lead, std::chrono::seconds(360));
  const SeenRequest& seen = stage.script->seen.at(0);
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.url, "http://localhost:1441/2016-11-01/credentialprovider/");
  EXPECT_EQ(seen.header("Authorization"), "SECRET svcuid") << "verbatim";
  EXPECT_EQ(seen.header("Accept"), "application/json");
  EXPECT_FALSE(stage.links.at(0).proxy);
  EXPECT_EQ(stage.links.at(0).total_timeout_ms, 2'000);
}

TEST_F(Sources, TheTokenFileWinsAndIsReadAgainEachTimeAndRelativeWinsOverFull) {
  stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:9/full";
  stage.env()["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/x";
  stage.env()["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "SECRETvariable";
  stage.env()["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = directory.write("token", "SECRETone\n");
  const auto source = container_source(stage.context);
  stage.script->answers = {answer(200, container_json("A", kLater)),
                           answer(200, container_json("B", kLater))};
  ASSERT_TRUE(source->fetch({}));
  directory.write("token", "SECRETtwo");
  ASSERT_TRUE(source->fetch({}));
  EXPECT_EQ(stage.script->seen.at(0).url, "http://169.254.170.2/v2/credentials/x");
  EXPECT_EQ(stage.script->seen.at(0).header("Authorization"), "SECRETone");
  EXPECT_EQ(stage.script->seen.at(1).header("Authorization"), "SECRETtwo");
}

TEST_F(Sources, CredentialsAreFetchedInTheClearFromThisMachineOnly) {
  for (const char* good : {"http://127.0.0.1/", "http://127.9.9.9/", "http://localhost/",
                           "http://[::1]/", "http://169.254.170.2/x", "http://169.254.170.23/",
                           "http://[fd00:ec2::23]/", "https://anywhere.example/"}) {
    stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = good;
    stage.script->answers = {answer(200, container_json("A", kLater))};
    EXPECT_EQ(id_from(container_source(stage.context)), "A") << good;
  }
  stage.script->seen.clear();
  for (const char* bad : {"http://anywhere.example/", "http://10.0.0.1/", "http://169.254.169.254/",
                          "http://localhost.example/", "http://127.example/",
                          "http://127.0.0.1.example/", "ftp://localhost/", "nonsense"}) {
    stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = bad;
    EXPECT_TRUE(has(error_of(container_source(stage.context), Errc::kInvalidArgument),
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        << bad;
  }
  stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://localhost/";
  stage.env()["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "SECRET\r\nX-Evil: 1";
  EXPECT_TRUE(has(error_of(container_source(stage.context), Errc::kInvalidArgument),
                  "AWS_CONTAINER_AUTHORIZATION_TOKEN: the token contains a line break"));
  EXPECT_TRUE(stage.script->seen.empty());
}

TEST_F(Sources, RefusalsOfTheContainerEndpointAreExplained) {
  stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://localhost:1441/";
  struct Row {
    HttpResponse response;
    Errc code;
    const char* text;
  };
  const Row rows[] = {
      {answer(403, "Bad token"), Errc::kInvalidArgument, "refuses the token (HTTP 403: Bad token)"},
      {answer(405), Errc::kInvalidArgument, "answers HTTP 405"},
      {answer(400, "bad path"), Errc::kInvalidArgument, "answers HTTP 400: bad path"},
      {answer(500, "Failed to get connection"), Errc::kUnavailable,
       "answers HTTP 500: Failed to get connection"},
      {answer(500, R"({"SecretAccessKey":"SECRET"})"), Errc::kUnavailable, "answers HTTP 500"},
      {answer(302, "", {{"location", "http://evil.example/"}}), Errc::kUnavailable,
       "answers with a redirect, which is not followed"},
      {answer(200, "SECRET"), Errc::kUnavailable, "the answer is not a JSON object"},
      {answer(200, R"({"AccessKeyId":"A","SecretAccessKey":"SECRET","Token":"SECRET"})"),
       Errc::kUnavailable, "no text 'Expiration'"},
      {answer(200, container_json("A", "SECRET")), Errc::kUnavailable,
       "'Expiration' of the answer"},
      {answer(200, container_json("A\\nB", kLater)), Errc::kUnavailable,
       "characters that no key has"},
  };
  for (const Row& row : rows) {
    stage.script->seen.clear();
    stage.script->answers = {row.response};
    EXPECT_TRUE(has(error_of(container_source(stage.context), row.code), row.text)) << row.text;
    EXPECT_EQ(stage.script->seen.size(), 1U) << "it remembers refusals; asking again is useless";
  }
  stage.script->answers.clear();
  stage.script->seen.clear();
  EXPECT_TRUE(
      has(error_of(container_source(stage.context), Errc::kUnavailable), "http://localhost:1441"));
  EXPECT_EQ(stage.script->seen.size(), 3U);
  EXPECT_EQ(stage.pauses,
            (std::vector<Duration>{std::chrono::seconds(1), std::chrono::seconds(1)}));
}

// ---- instance metadata

// The service as a small state machine: tokens are handed out and demanded.
struct MetadataService {
  HttpResponse operator()(const SeenRequest& seen) {
    if (seen.method == "PUT") {
      EXPECT_EQ(seen.header("X-aws-ec2-metadata-token-ttl-seconds"), "21600");
      return answer(200, "TOKEN" + std::to_string(++tokens));
    }
    if (seen.header("X-aws-ec2-metadata-token") != "TOKEN" + std::to_string(good)) {
      return answer(401);
    }
    if (seen.url.ends_with("/placement/region")) return answer(200, "eu-north-1");
    if (seen.url.ends_with("/security-credentials/")) return answer(role_status, role);
    return answer(200, body);
  }
  int tokens = 0;
  int good = 1;
  int role_status = 200;
  std::string role = "gateway-role\n";
  std::string body =
      std::string(R"({"Code":"Success",)") + container_json("IMDS", kLater).substr(1);
};

TEST_F(Sources, TheInstanceIsAskedWithASessionTokenOnly) {
  MetadataService service;
  stage.script->answer = std::ref(service);
  auto source = instance_source(stage.context);
  auto fetched = source->fetch({});
  ASSERT_TRUE(fetched) << fetched.error().what;
  EXPECT_EQ(fetched->credentials.access_key_id, "IMDS");
  EXPECT_EQ(fetched->source, "instance metadata, role gateway-role");
  ASSERT_EQ(stage.script->seen.size(), 3U);
  EXPECT_EQ(stage.script->seen[0].url, "http://169.254.169.254/latest/api/token");
  EXPECT_EQ(stage.script->seen[2].url,
            "http://169.254.169.254/latest/meta-data/iam/security-credentials/gateway-role");
  EXPECT_FALSE(stage.links.at(0).proxy);
  EXPECT_EQ(stage.links.at(0).total_timeout_ms, 1'000);

  service.good = 2;  // the first token has expired
  fetched = source->fetch({});
  ASSERT_TRUE(fetched) << fetched.error().what;
  EXPECT_EQ(service.tokens, 2);

  service.good = 99;
  fetched = source->fetch({});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::kUnavailable) << "there was an instance a moment ago";
}

TEST_F(Sources, WhereNoMetadataServiceAnswersThereIsNoInstance) {
  EXPECT_TRUE(has(error_of(instance_source(stage.context), Errc::kNotFound), "instance metadata"));
  EXPECT_EQ(stage.script->seen.size(), 1U) << "one try";
  stage.env()["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  stage.script->seen.clear();
  EXPECT_TRUE(
      has(error_of(instance_source(stage.context), Errc::kNotFound), "AWS_EC2_METADATA_DISABLED"));
  EXPECT_FALSE(instance_region(*stage.context, {}));
  EXPECT_TRUE(stage.script->seen.empty());
}

TEST_F(Sources, TheInstanceHasItsOwnVariables) {
  MetadataService service;
  stage.script->answer = std::ref(service);
  stage.env()["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv6";
  stage.env()["AWS_METADATA_SERVICE_TIMEOUT"] = "3";
  EXPECT_EQ(id_from(instance_source(stage.context)), "IMDS");
  EXPECT_EQ(stage.script->seen.at(0).url, "http://[fd00:ec2::254]/latest/api/token");
  EXPECT_EQ(stage.links.at(0).total_timeout_ms, 3'000);
  stage.env()["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1338/";
  stage.script->seen.clear();
  service = {};
  EXPECT_EQ(id_from(instance_source(stage.context)), "IMDS");
  EXPECT_EQ(stage.script->seen.at(0).url, "http://127.0.0.1:1338/latest/api/token");
  stage.env()["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "metadata";
  EXPECT_TRUE(has(error_of(instance_source(stage.context), Errc::kInvalidArgument),
                  "AWS_EC2_METADATA_SERVICE_ENDPOINT"));
}

TEST_F(Sources, AnInstanceWithoutARoleOrWithATroubledOneSaysSo) {
  MetadataService service;
  stage.script->answer = std::ref(service);
  service.role_status = 404;
  EXPECT_TRUE(has(error_of(instance_source(stage.context), Errc::kNotFound), "has no role"));
  service = {};
  service.body = R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"SECRET"})";
  EXPECT_TRUE(has(error_of(instance_source(stage.context), Errc::kNotFound),
                  "AssumeRoleUnauthorizedAccess"));
  service = {};
  service.role = "../../evil";
  EXPECT_TRUE(has(error_of(instance_source(stage.context), Errc::kNotFound), "names no role"));
}

TEST_F(Sources, TheRegionComesFromTheInstanceWhereNothingElseNamesOne) {
  MetadataService service;
  stage.script->answer = std::ref(service);
  metrics::Registry metrics;
  AwsOptions aws;
  Hub hub(aws, stage.context->connect, stage.clock, metrics, 1);
  EXPECT_EQ(*hub.region({}), "eu-north-1");
  EXPECT_EQ(*hub.region({}), "eu-north-1");
  EXPECT_EQ(stage.script->seen.size(), 2U) << "asked once";
  Hub deaf(
      aws,
      [](const Link&) {
        return std::make_unique<destination::testing::ScriptedTransport>(
            std::make_shared<destination::testing::Script>());
      },
      stage.clock, metrics, 1);
  EXPECT_TRUE(has(deaf.region({}).error().what, "no AWS region; set AWS_REGION"));
}

// ---- AWS IoT

TEST_F(Sources, TheIotProviderIsAskedWithTheCertificate) {
  EXPECT_TRUE(has(error_of(iot_source(stage.context), Errc::kNotFound), "endpoint is not set"));
  auto& iot = stage.context->aws.iot;
  iot.endpoint = "abc.credentials.iot.eu-central-1.amazonaws.com";
  EXPECT_TRUE(
      has(error_of(iot_source(stage.context), Errc::kInvalidArgument), "role_alias is not set"));
  iot.role_alias = "GatewayAlias";
  iot.thing_name = "gw-1";
  iot.certificate_file = directory.write("cert.pem", "x");
  iot.private_key_file = directory.path("key.pem");
  EXPECT_TRUE(has(error_of(iot_source(stage.context), Errc::kIo),
                  "export.aws.iot_credentials.private_key_file: read"));
  directory.write("key.pem", "SECRET");
  stage.script->answers = {answer(
      200, std::string(R"({"credentials":{"accessKeyId":"IOT","secretAccessKey":")") + kSecret +
               R"(","sessionToken":"SECRETt","expiration":"2026-01-02T04:04:05Z"}})")};
  EXPECT_EQ(id_from(iot_source(stage.context)), "IOT");
  const SeenRequest& seen = stage.script->seen.at(0);
  EXPECT_EQ(seen.url,
            "https://abc.credentials.iot.eu-central-1.amazonaws.com/role-aliases/GatewayAlias/"
            "credentials");
  EXPECT_EQ(seen.header("x-amzn-iot-thingname"), "gw-1");
  EXPECT_EQ(stage.links.at(0).certificate_file, iot.certificate_file);
  EXPECT_EQ(stage.links.at(0).key_file, iot.private_key_file);

  stage.script->answers = {answer(403, R"({"message":"Access Denied"})")};
  EXPECT_TRUE(has(error_of(iot_source(stage.context), Errc::kInvalidArgument),
                  "iot:AssumeRoleWithCertificate"));
  stage.script->answers = {answer(200, R"({"accessKeyId":"flat"})")};
  EXPECT_TRUE(has(error_of(iot_source(stage.context), Errc::kUnavailable), "with 'credentials'"));
  stage.script->answers = {no_answer("reset"), answer(500), no_answer("reset")};
  stage.pauses.clear();
  error_of(iot_source(stage.context), Errc::kUnavailable);
  EXPECT_EQ(stage.pauses.size(), 2U);
  EXPECT_EQ(stage.pauses.at(0), std::chrono::milliseconds(200));
  iot.endpoint = "http://plain.example";
  EXPECT_TRUE(has(error_of(iot_source(stage.context), Errc::kInvalidArgument), "https"));
  iot.endpoint = "x.example";
  iot.role_alias = "a/../b";
  EXPECT_TRUE(has(error_of(iot_source(stage.context), Errc::kInvalidArgument), "role_alias"));
}

// ---- the order

TEST_F(Sources, TheFirstSourceThatIsConfiguredWins) {
  use_files();
  MetadataService service;
  stage.script->answer = [&](const SeenRequest& seen) {
    if (has(seen.url, "localhost")) return answer(200, container_json("CONTAINER", kLater));
    if (has(seen.url, "iot.example")) {
      return answer(200, std::string(R"({"credentials":{"accessKeyId":"IOT","secretAccessKey":")") +
                             kSecret + R"(","expiration":"2026-01-02T04:04:05Z"}})");
    }
    if (has(seen.body, "WebIdentity")) {
      return answer(200, sts_xml("AssumeRoleWithWebIdentity", "WEB", kLater));
    }
    return service(seen);
  };
  const auto id = [&] { return id_from(chain(stage.context)); };
  EXPECT_EQ(id(), "IMDS");
  stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://localhost/";
  EXPECT_EQ(id(), "CONTAINER");
  auto& iot = stage.context->aws.iot;
  iot.endpoint = "iot.example";
  iot.role_alias = "a";
  iot.certificate_file = iot.private_key_file = directory.write("pem", "x");
  EXPECT_EQ(id(), "IOT");
  directory.write("credentials", std::string("[default]\naws_access_key_id=FILE\n") +
                                     "aws_secret_access_key=" + kSecret);
  EXPECT_EQ(id(), "FILE");
  stage.env()["AWS_WEB_IDENTITY_TOKEN_FILE"] = directory.write("token", "SECRET");
  stage.env()["AWS_ROLE_ARN"] = kRole;
  EXPECT_EQ(id(), "WEB");
  stage.context->aws.access_key_id = "ENV";
  stage.context->aws.secret_access_key = kSecret;
  EXPECT_EQ(id(), "ENV");
  stage.context->aws.profile = "default";
  EXPECT_EQ(id(), "FILE") << "the configuration names a profile";
  stage.context->aws.profile.clear();
  stage.context->aws.credential_source = CredentialSource::kContainer;
  EXPECT_EQ(id(), "CONTAINER") << "the configuration names a source";
}

TEST_F(Sources, AConfiguredSourceThatFailsEndsTheSearch) {
  use_files();
  MetadataService service;
  stage.script->answer = [&](const SeenRequest& seen) {
    return has(seen.url, "localhost") ? no_answer("connection refused") : service(seen);
  };
  stage.env()["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://localhost/";
  EXPECT_TRUE(has(error_of(chain(stage.context), Errc::kUnavailable), "container endpoint"))
      << "the nucleus is starting; the instance's role is not the component's";
}

TEST_F(Sources, WithoutAnySourceTheTextSaysWhatToSetAndWhereItLooked) {
  const std::string text = error_of(chain(stage.context), Errc::kNotFound);
  for (const char* part : {"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "docs/credentials.md",
                           "AWS_WEB_IDENTITY_TOKEN_FILE", "profile 'default'", "iot_credentials",
                           "AWS_CONTAINER_CREDENTIALS_FULL_URI", "instance metadata"}) {
    EXPECT_TRUE(has(text, part)) << part << "\n" << text;
  }
}

TEST_F(Sources, AHubGoesOnWithTheSetsOfTheOneBeforeIfTheyComeFromTheSameSource) {
  metrics::Registry metrics;
  AwsOptions aws = stage.context->aws;
  aws.access_key_id = "ENV";
  aws.secret_access_key = kSecret;
  AssumedRole role;
  role.role_arn = kRole;
  Hub first(aws, stage.context->connect, stage.clock, metrics, 1);
  stage.script->answers = {answer(200, sts_xml("AssumeRole", "ROLE", kLater))};
  EXPECT_EQ((*first.for_role(role))->current({})->access_key_id, "ROLE");
  stage.script->answer = [](const auto&) { return no_answer("the token service is away"); };

  aws.service_endpoint_urls["firehose"] = "http://127.0.0.1:1";
  {
    Hub second(aws, stage.context->connect, stage.clock, metrics, 1);
    second.keep_from(first);
    Hub third(aws, stage.context->connect, stage.clock, metrics, 1);
    third.keep_from(second);
    const auto set = (*third.for_role(role))->current({});
    EXPECT_EQ(set ? set->access_key_id : set.error().what, "ROLE");
  }

  aws.service_endpoint_urls["sts"] = "http://127.0.0.1:1";
  Hub elsewhere(aws, stage.context->connect, stage.clock, metrics, 1);
  elsewhere.keep_from(first);
  EXPECT_FALSE((*elsewhere.for_role(role))->current({}));
}

TEST_F(Sources, TheHubKeepsOneSetForEachRole) {
  metrics::Registry metrics;
  AwsOptions aws = stage.context->aws;
  aws.access_key_id = "ENV";
  aws.secret_access_key = kSecret;
  Hub hub(aws, stage.context->connect, stage.clock, metrics, 1);
  AssumedRole role;
  role.role_arn = kRole;
  const auto own = *hub.for_role({});
  const auto other = *hub.for_role(role);
  EXPECT_EQ(other, *hub.for_role(role));
  EXPECT_NE(own, other);
  stage.script->answers = {answer(200, sts_xml("AssumeRole", "ROLE", kLater))};
  EXPECT_EQ(other->current({})->access_key_id, "ROLE");
  const auto views = hub.views();
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].source, "environment");
  EXPECT_EQ(views[1].role, kRole);
  EXPECT_EQ(views[1].expires_ms, kNowMs + 3'600'000);
  for (int i = 1; i < 64; ++i) {
    role.external_id = std::to_string(i);
    EXPECT_TRUE(hub.for_role(role));
  }
  role.external_id = "one too many";
  EXPECT_FALSE(hub.for_role(role));
  role.role_arn = "x";
  EXPECT_TRUE(has(hub.for_role(role).error().what, "not the ARN of a role"));
}

TEST(IsoTime, ReadsZonesAndFractionsAndNothingElse) {
  using credentials::parse_iso_time;
  EXPECT_EQ(parse_iso_time("2026-01-02T03:04:05Z"), kNowMs);
  EXPECT_EQ(parse_iso_time("2026-01-02T03:04:05.678Z"), kNowMs + 678);
  EXPECT_EQ(parse_iso_time("2026-01-02T03:04:05.123456789Z"), kNowMs + 123);
  EXPECT_EQ(parse_iso_time("2026-01-02T04:04:05+01:00"), kNowMs);
  EXPECT_EQ(parse_iso_time("2026-01-01T22:04:05-0500"), kNowMs);
  EXPECT_EQ(parse_iso_time("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(iso_time(kNowMs), "2026-01-02T03:04:05Z");
  for (const char* text : {"", "2026-01-02", "2026-01-02T03:04:05", "2026-02-30T03:04:05Z",
                           "2026-01-02T25:04:05Z", "2026-01-02T03:04:05.Z", "1767323045",
                           "2026-01-02T03:04:05+1:00", "2026-01-02T03:04:05Zx"}) {
    EXPECT_EQ(parse_iso_time(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace weir::destination::credentials
