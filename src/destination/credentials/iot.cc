#include "base/log.h"
#include "destination/credentials/answer.h"
#include "destination/credentials/source.h"
#include "destination/url.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <utility>

namespace weir::destination::credentials {
namespace {

constexpr int kTries = 3;
constexpr auto kBetweenTries = std::chrono::milliseconds(200);

class Iot final : public Source {
 public:
  explicit Iot(SharedContext context) : context_(std::move(context)) {}

  Result<Fetched> fetch(const std::stop_token& stop) override {
    const IotCredentialOptions& iot = context_->aws.iot;
    if (iot.endpoint.empty()) {
      return fail(Errc::kNotFound, "export.aws.iot_credentials.endpoint is not set");
    }
    WEIR_TRY(const Url url, address());
    HttpResponse response = ask(url, stop);
    auto fetched = read(response, "AWS IoT role alias " + iot.role_alias + " at " + url.host);
    wipe(response.body);
    return fetched;
  }

 private:
  Result<Url> address() const {
    const IotCredentialOptions& iot = context_->aws.iot;
    const std::string at = "export.aws.iot_credentials.";
    for (const auto& [name, text] : {std::pair{"role_alias", &iot.role_alias},
                                     std::pair{"certificate_file", &iot.certificate_file},
                                     std::pair{"private_key_file", &iot.private_key_file}}) {
      if (text->empty()) return fail(Errc::kInvalidArgument, at + name + " is not set");
    }
    for (const auto& [name, file] : {std::pair{"certificate_file", &iot.certificate_file},
                                     std::pair{"private_key_file", &iot.private_key_file},
                                     std::pair{"ca_file", &iot.ca_file}}) {
      if (file->empty() || ::access(file->c_str(), R_OK) == 0) continue;
      return fail(with_context(at + name, os_error("read " + log::escaped(*file), errno)));
    }
    const bool plain = iot.role_alias.size() <= 128 &&
                       std::all_of(iot.role_alias.begin(), iot.role_alias.end(), [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '=' || c == ',' || c == '@' ||
                                c == '-' || c == '_';
                       });
    if (!plain) {
      return fail(Errc::kInvalidArgument, at + "role_alias '" + log::escaped(iot.role_alias, 80) +
                                              "' is not 1 to 128 letters, digits or =,@-_");
    }
    const std::string base =
        iot.endpoint.find("://") == std::string::npos ? "https://" + iot.endpoint : iot.endpoint;
    auto url = parse_url(base);
    if (!url) return fail(with_context(at + "endpoint", std::move(url).error()));
    if (url->scheme != "https") {
      return fail(Errc::kInvalidArgument, at + "endpoint must be reached with https");
    }
    url->path = "/role-aliases/" + iot.role_alias + "/credentials";
    return url;
  }

  HttpResponse ask(const Url& url, const std::stop_token& stop) {
    const IotCredentialOptions& iot = context_->aws.iot;
    Link link;
    link.certificate_file = iot.certificate_file;
    link.key_file = iot.private_key_file;
    link.ca_file = iot.ca_file.empty() ? context_->aws.ca_bundle_file : iot.ca_file;
    // A new connection each time: a renewed certificate is used at once.
    const auto transport = context_->connect(link);
    HttpRequest request;
    request.method = "GET";
    request.url = url.text();
    request.headers = {{"Host", url.authority()}, {"User-Agent", "weir/" WEIR_VERSION}};
    if (!iot.thing_name.empty()) {
      request.headers.push_back({"x-amzn-iot-thingname", iot.thing_name});
    }
    HttpResponse response;
    for (int i = 0; i < kTries && !stop.stop_requested(); ++i) {
      if (i > 0) context_->pause(kBetweenTries, stop);
      response = transport->send(request, stop);
      if (response.complete() && response.status < 500) break;
    }
    return response;
  }

  static Result<Fetched> read(const HttpResponse& response, const std::string& what) {
    if (!response.complete()) {
      return fail(
          Errc::kUnavailable,
          what + ": " + (response.error.empty() ? "interrupted" : log::escaped(response.error)));
    }
    const std::string status = "HTTP " + std::to_string(response.status);
    if (response.status == 403 || response.status == 404) {
      return fail(Errc::kInvalidArgument,
                  what + " refuses (" + status +
                      "); is the certificate active, does its policy allow "
                      "iot:AssumeRoleWithCertificate, and does the role alias exist?");
    }
    if (response.status != 200) {
      return fail(response.status < 500 && response.status != 429 ? Errc::kInvalidArgument
                                                                  : Errc::kUnavailable,
                  what + " answers " + status);
    }
    auto credentials = read_credentials(response.body, Form::kIot);
    if (!credentials) {
      Error error = with_context(what, std::move(credentials).error());
      error.code = Errc::kUnavailable;
      return fail(std::move(error));
    }
    Fetched fetched;
    fetched.credentials = std::move(*credentials);
    fetched.source = what;
    return fetched;
  }

  const SharedContext context_;
};

}  // namespace

std::unique_ptr<Source> iot_source(SharedContext context) {
  return std::make_unique<Iot>(std::move(context));
}

}  // namespace weir::destination::credentials
