#pragma once

#include "base/testing.h"
#include "destination/credentials/answer.h"
#include "destination/credentials/source.h"
#include "destination/testing/scripted_transport.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// For the tests of this folder.
namespace weir::destination::credentials::testing {

inline constexpr std::int64_t kNowMs = 1'767'323'045'000;  // 2026-01-02T03:04:05Z
/// Every secret of the tests contains it, so that one look finds a leak.
inline constexpr const char* kSecret = "SECRETwJalrXUtnFEMI";

using weir::testing::TemporaryDirectory;

/// A context whose network is a script and whose waits are only written down.
struct Stage {
  Stage() {
    context->clock = &clock;
    context->connect = [this](const Link& link) {
      links.push_back(link);
      return std::make_unique<destination::testing::ScriptedTransport>(script);
    };
    context->pause = [this](Duration time, const std::stop_token&) { pauses.push_back(time); };
    context->aws.region = "eu-central-1";
  }
  std::map<std::string, std::string>& env() { return context->aws.environment; }

  ManualClock clock{kNowMs};
  std::shared_ptr<destination::testing::Script> script =
      std::make_shared<destination::testing::Script>();
  std::shared_ptr<Context> context = std::make_shared<Context>();
  std::vector<Link> links;
  std::vector<Duration> pauses;
};

inline std::string container_json(const std::string& id, const std::string& expiration) {
  return R"({"AccessKeyId":")" + id + R"(","SecretAccessKey":")" + kSecret +
         R"(","Token":"SECRETtoken","Expiration":")" + expiration + R"("})";
}

inline std::string sts_xml(const std::string& action, const std::string& id,
                           const std::string& expiration) {
  return "<" + action + "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" + action +
         "Result><Credentials><AccessKeyId>" + id + "</AccessKeyId><SecretAccessKey>" + kSecret +
         "</SecretAccessKey><SessionToken>SECRETtoken</SessionToken><Expiration>" + expiration +
         "</Expiration></Credentials></" + action + "Result></" + action + "Response>";
}

inline std::string sts_error(const std::string& code, const std::string& message) {
  return "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>" + message +
         "</Message></Error><RequestId>r</RequestId></ErrorResponse>";
}

}  // namespace weir::destination::credentials::testing
