#include "destination/credentials/answer.h"
#include "destination/credentials/source.h"

#include <utility>

namespace weir::destination::credentials {
namespace {

class Environment final : public Source {
 public:
  explicit Environment(SharedContext context) : context_(std::move(context)) {}

  Result<Fetched> fetch(const std::stop_token&) override {
    const AwsOptions& aws = context_->aws;
    const bool has_id = !aws.access_key_id.empty();
    const bool has_secret = !aws.secret_access_key.empty();
    if (!has_id && !has_secret) return fail(Errc::kNotFound, "AWS_ACCESS_KEY_ID is not set");
    if (!has_id || !has_secret) {
      return fail(Errc::kInvalidArgument,
                  has_id ? "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not; set both"
                         : "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not; set both");
    }
    Fetched fetched;
    fetched.source = "environment";
    fetched.credentials.access_key_id = aws.access_key_id;
    fetched.credentials.secret_access_key = aws.secret_access_key;
    fetched.credentials.session_token = aws.session_token;
    if (const auto why = why_unusable(fetched.credentials); !why.empty()) {
      return fail(Errc::kInvalidArgument, "the environment's " + why +
                                              " (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
                                              "AWS_SESSION_TOKEN)");
    }
    const std::string expiration = context_->variable("AWS_CREDENTIAL_EXPIRATION");
    if (expiration.empty()) return fetched;
    const auto expires_ms = parse_iso_time(expiration);
    if (!expires_ms) {
      return fail(Errc::kInvalidArgument,
                  "AWS_CREDENTIAL_EXPIRATION is not a time such as 2026-01-02T03:04:05Z");
    }
    fetched.credentials.expires_ms = *expires_ms;
    return fetched;
  }

 private:
  const SharedContext context_;
};

}  // namespace

std::unique_ptr<Source> environment_source(SharedContext context) {
  return std::make_unique<Environment>(std::move(context));
}

}  // namespace weir::destination::credentials
