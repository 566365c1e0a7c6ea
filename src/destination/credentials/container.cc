#include "base/log.h"
#include "base/rng.h"
#include "destination/credentials/answer.h"
#include "destination/credentials/source.h"
#include "destination/plain_host.h"
#include "destination/url.h"

#include <algorithm>
#include <utility>

namespace weir::destination::credentials {
namespace {

constexpr const char* kRelative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
constexpr const char* kFull = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
constexpr const char* kToken = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
constexpr const char* kTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
constexpr std::int64_t kTimeoutMs = 2'000;
constexpr int kTries = 3;
constexpr auto kBetweenTries = std::chrono::seconds(1);
// The token exchange service keeps a set until 5 minutes before its end; asking earlier gives the
// same one again (destinations.md §21.2).
constexpr auto kLead = std::chrono::minutes(5);
constexpr int kJitterSeconds = 60;

class Container final : public Source {
 public:
  explicit Container(SharedContext context)
      : context_(std::move(context)), rng_(context_->random_seed) {}

  Result<Fetched> fetch(const std::stop_token& stop) override {
    WEIR_TRY(const Url url, address());
    const std::string what = "container endpoint " + url.origin();
    WEIR_TRY(std::string token, authorization());
    HttpResponse response = ask(url, token, stop);
    wipe(token);
    auto fetched = read(response, what);
    wipe(response.body);
    return fetched;
  }

 private:
  Result<Url> address() const {
    const std::string relative = context_->variable(kRelative);
    const std::string full = context_->variable(kFull);
    if (relative.empty() && full.empty()) {
      return fail(Errc::kNotFound, std::string(kFull) + " is not set");
    }
    const char* name = relative.empty() ? kFull : kRelative;
    auto url = parse_url(relative.empty() ? full : "http://169.254.170.2" + relative);
    if (!url) return fail(with_context(name, std::move(url).error()));
    if (url->scheme == "http" && !is_plain_credentials_host(url->host)) {
      return fail(Errc::kInvalidArgument, std::string(name) +
                                              ": credentials are not fetched in the clear from " +
                                              log::escaped(url->host, 128) +
                                              "; use https, or http on this machine (localhost)");
    }
    return url;
  }

  Result<std::string> authorization() const {
    const std::string file = context_->variable(kTokenFile);
    std::string token = context_->variable(kToken);
    if (!file.empty()) {
      auto content = read_small_file(file, 16'384);
      if (!content) {
        Error error = std::move(content).error();
        if (error.code == Errc::kNotFound) error.code = Errc::kIo;
        return fail(with_context(kTokenFile, std::move(error)));
      }
      token = std::move(*content);
      while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    }
    const bool clean =
        std::all_of(token.begin(), token.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (!clean) {
      return fail(Errc::kInvalidArgument, std::string(file.empty() ? kToken : kTokenFile) +
                                              ": the token contains a line break or a control "
                                              "character");
    }
    return token;
  }

  HttpResponse ask(const Url& url, const std::string& token, const std::stop_token& stop) {
    if (!transport_) {
      Link link;
      link.connect_timeout_ms = kTimeoutMs;
      link.total_timeout_ms = kTimeoutMs;
      link.proxy = false;
      link.ca_file = context_->aws.ca_bundle_file;
      transport_ = context_->connect(link);
    }
    HttpRequest request;
    request.method = "GET";
    request.url = url.text();
    request.headers = {{"Host", url.authority()},
                       {"Accept", "application/json"},
                       {"User-Agent", "weir/" WEIR_VERSION}};
    if (!token.empty()) request.headers.push_back({"Authorization", token});
    HttpResponse response;
    for (int i = 0; i < kTries && !stop.stop_requested(); ++i) {
      if (i > 0) context_->pause(kBetweenTries, stop);
      response = transport_->send(request, stop);
      // The endpoint remembers its refusals for a minute and more: asking again is of no use.
      if (response.status != 0) break;
    }
    for (HttpHeader& header : request.headers) {
      if (header.name == "Authorization") wipe(header.value);
    }
    return response;
  }

  Result<Fetched> read(const HttpResponse& response, const std::string& what) {
    if (!response.complete()) {
      return fail(
          Errc::kUnavailable,
          what + ": " + (response.error.empty() ? "interrupted" : log::escaped(response.error)));
    }
    const std::string status = "HTTP " + std::to_string(response.status);
    if (response.status >= 300 && response.status < 400) {
      return fail(Errc::kUnavailable, what + " answers with a redirect, which is not followed");
    }
    if (response.status == 401 || response.status == 403) {
      return fail(Errc::kInvalidArgument,
                  what + " refuses the token (" + status + plain_reason(response.body) +
                      "); weir must run as a component that may use the token exchange service, "
                      "with the token in " +
                      kToken + " or " + kTokenFile);
    }
    if (response.status != 200) {
      const bool own = response.status < 500 && response.status != 429;
      return fail(own ? Errc::kInvalidArgument : Errc::kUnavailable,
                  what + " answers " + status + plain_reason(response.body));
    }
    auto credentials = read_credentials(response.body, Form::kContainer);
    if (!credentials) {
      Error error = with_context(what, std::move(credentials).error());
      error.code = Errc::kUnavailable;  // the endpoint's fault; it may come to its senses
      return fail(std::move(error));
    }
    Fetched fetched;
    fetched.credentials = std::move(*credentials);
    fetched.source = what;
    fetched.lead = kLead + std::chrono::seconds(rng_.next() % (kJitterSeconds + 1));
    return fetched;
  }

  const SharedContext context_;
  Rng rng_;
  std::unique_ptr<HttpTransport> transport_;
};

}  // namespace

std::unique_ptr<Source> container_source(SharedContext context) {
  return std::make_unique<Container>(std::move(context));
}

}  // namespace weir::destination::credentials
