#pragma once

#include "destination/credentials/answer.h"
#include "destination/credentials/source.h"
#include "destination/testing/scripted_transport.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

/// For the tests of this folder.
namespace weir::destination::credentials::testing {

inline constexpr std::int64_t kNowMs = 1'767'323'045'000;  // 2026-01-02T03:04:05Z
/// Every secret of the tests contains it, so that one look finds a leak.
inline constexpr const char* kSecret = "SECRETwJalrXUtnFEMI";

/// A directory of its own, gone at the end.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-keys-XXXXXX").string();
    path_ = ::mkdtemp(name.data()) == nullptr ? std::string() : name;
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(file(name)) << content;
    return file(name);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

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
