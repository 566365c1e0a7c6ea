#include "base/log.h"
#include "destination/credentials/answer.h"
#include "destination/credentials/source.h"
#include "destination/url.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::destination::credentials {
namespace {

constexpr std::string_view kTokenPath = "/latest/api/token";
constexpr std::string_view kRolesPath = "/latest/meta-data/iam/security-credentials/";
constexpr std::string_view kRegionPath = "/latest/meta-data/placement/region";
constexpr const char* kTokenHeader = "X-aws-ec2-metadata-token";
constexpr int kHttpUnauthorized = 401;

int number(const std::string& text, int fallback, int max) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good = error == std::errc{} && end == text.data() + text.size() && value > 0;
  return good ? std::min(value, max) : fallback;
}

// One conversation with the metadata service: a token, then questions that show it.
class Metadata {
 public:
  explicit Metadata(const Context& context) : context_(context) {}

  Result<HttpResponse> get(const std::string& path, const std::stop_token& stop) {
    WEIR_TRY(const std::string base, endpoint());
    for (int i = 0; i < 2; ++i) {
      if (token_.empty()) WEIR_RETURN_IF_ERROR(take_token(base, stop));
      HttpRequest request;
      request.method = "GET";
      request.url = base + path;
      request.headers = {{kTokenHeader, token_}};
      HttpResponse response = send(request, stop);
      if (!response.complete()) return fail(Errc::kUnavailable, log::escaped(response.error));
      if (response.status != kHttpUnauthorized) return response;
      wipe(token_);  // it has expired
    }
    return fail(Errc::kUnavailable, "does not accept the token that it gave");
  }

  Result<std::string> endpoint() const {
    const std::string own = context_.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    std::string mode = context_.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    std::transform(mode.begin(), mode.end(), mode.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (own.empty()) {
      return std::string(mode == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254");
    }
    auto url = parse_url(own);
    if (!url) {
      return fail(with_context("AWS_EC2_METADATA_SERVICE_ENDPOINT", std::move(url).error()));
    }
    std::string text = url->text();
    while (text.ends_with('/')) text.pop_back();
    return text;
  }

 private:
  Result<void> take_token(const std::string& base, const std::stop_token& stop) {
    HttpRequest request;
    request.method = "PUT";
    request.url = base + std::string(kTokenPath);
    request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    HttpResponse response = send(request, stop);
    if (!response.complete()) return fail(Errc::kUnavailable, log::escaped(response.error));
    const bool clean = !response.body.empty() && response.body.size() <= 4096 &&
                       std::all_of(response.body.begin(), response.body.end(),
                                   [](char c) { return c > 0x20 && c < 0x7f; });
    if (response.status != 200 || !clean) {
      const bool refused = response.status >= 400 && response.status < 500;
      return fail(refused ? Errc::kNotFound : Errc::kUnavailable,
                  "gives no session token (HTTP " + std::to_string(response.status) + ")");
    }
    token_ = std::move(response.body);
    return {};
  }

  HttpResponse send(const HttpRequest& request, const std::stop_token& stop) {
    if (!transport_) {
      Link link;
      link.connect_timeout_ms =
          1'000 * number(context_.variable("AWS_METADATA_SERVICE_TIMEOUT"), 1, 60);
      link.total_timeout_ms = link.connect_timeout_ms;
      link.proxy = false;
      transport_ = context_.connect(link);
    }
    const int tries = number(context_.variable("AWS_METADATA_SERVICE_NUM_ATTEMPTS"), 1, 10);
    HttpResponse response;
    for (int i = 0; i < tries && !stop.stop_requested(); ++i) {
      if (i > 0) context_.pause(std::chrono::seconds(1), stop);
      response = transport_->send(request, stop);
      if (response.complete() && response.status < 500) break;
    }
    if (response.status == 0 && response.error.empty()) response.error = "interrupted";
    return response;
  }

  const Context& context_;
  std::unique_ptr<HttpTransport> transport_;
  std::string token_;
};

class Instance final : public Source {
 public:
  explicit Instance(SharedContext context) : context_(std::move(context)), metadata_(*context_) {}

  Result<Fetched> fetch(const std::stop_token& stop) override {
    if (context_->is_true("AWS_EC2_METADATA_DISABLED")) {
      return fail(Errc::kNotFound, "AWS_EC2_METADATA_DISABLED is true");
    }
    auto fetched = ask(stop);
    if (fetched) {
      answered_ = true;
      return fetched;
    }
    Error error = with_context("instance metadata", std::move(fetched).error());
    // Where nothing ever answered there is no instance.
    if (!answered_ && error.code == Errc::kUnavailable) error.code = Errc::kNotFound;
    return fail(std::move(error));
  }

 private:
  Result<Fetched> ask(const std::stop_token& stop) {
    WEIR_TRY(const HttpResponse roles, metadata_.get(std::string(kRolesPath), stop));
    std::string role = roles.body.substr(0, roles.body.find_first_of("\r\n"));
    if (roles.status == 404 || (roles.status == 200 && role.empty())) {
      return fail(Errc::kNotFound, "this instance has no role");
    }
    const bool clean = role.size() <= 256 && std::all_of(role.begin(), role.end(), [](char c) {
                         return c > 0x20 && c < 0x7f && c != '/' && c != '?' && c != '#';
                       });
    if (roles.status != 200 || !clean) {
      return fail(Errc::kUnavailable, "names no role (HTTP " + std::to_string(roles.status) + ")");
    }
    WEIR_TRY(HttpResponse response, metadata_.get(std::string(kRolesPath) + role, stop));
    auto fetched = read(response, role);
    wipe(response.body);
    return fetched;
  }

  static Result<Fetched> read(const HttpResponse& response, const std::string& role) {
    if (response.status != 200) {
      return fail(Errc::kUnavailable, "answers HTTP " + std::to_string(response.status));
    }
    const auto document = nlohmann::json::parse(response.body, nullptr, false);
    if (document.is_object()) {
      const auto code = document.find("Code");
      if (code != document.end() && code->is_string() && *code != "Success") {
        return fail(Errc::kUnavailable,
                    "has no credentials: " + log::escaped(code->get<std::string>(), 96));
      }
    }
    auto credentials = read_credentials(response.body, Form::kContainer);
    if (!credentials) {
      Error error = std::move(credentials).error();
      error.code = Errc::kUnavailable;
      return fail(std::move(error));
    }
    Fetched fetched;
    fetched.credentials = std::move(*credentials);
    fetched.source = "instance metadata, role " + log::escaped(role, 128);
    return fetched;
  }

  const SharedContext context_;
  Metadata metadata_;
  bool answered_ = false;
};

}  // namespace

std::unique_ptr<Source> instance_source(SharedContext context) {
  return std::make_unique<Instance>(std::move(context));
}

Result<std::string> instance_region(const Context& context, const std::stop_token& stop) {
  if (context.is_true("AWS_EC2_METADATA_DISABLED")) {
    return fail(Errc::kNotFound, "AWS_EC2_METADATA_DISABLED is true");
  }
  WEIR_TRY(const HttpResponse response, Metadata(context).get(std::string(kRegionPath), stop));
  const bool clean =
      response.status == 200 && !response.body.empty() && response.body.size() <= 63 &&
      response.body.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (!clean) return fail(Errc::kNotFound, "instance metadata names no region");
  return response.body;
}

}  // namespace weir::destination::credentials
