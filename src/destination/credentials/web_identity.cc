#include "destination/credentials/web_identity.h"

#include "base/log.h"
#include "destination/credentials/answer.h"

#include <utility>

namespace weir::destination::credentials {
namespace {

Result<std::string> read_token(const std::string& file) {
  WEIR_TRY(std::string token, read_small_file(file, 20'000));
  while (!token.empty() && static_cast<unsigned char>(token.back()) <= ' ') token.pop_back();
  if (token.empty()) {
    return fail(Errc::kInvalidArgument, "the token file " + log::escaped(file) + " is empty");
  }
  return token;
}

// A file that is missing is the mistake of whoever named it, not the absence of a source.
Error named_file_error(Error error) {
  if (error.code == Errc::kNotFound) error.code = Errc::kIo;
  return error;
}

class WebIdentity final : public Source {
 public:
  explicit WebIdentity(SharedContext context) : context_(context), sts_(std::move(context)) {}

  Result<Fetched> fetch(const std::stop_token& stop) override {
    const std::string file = context_->variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    AssumedRole role;
    role.role_arn = context_->variable("AWS_ROLE_ARN");
    if (file.empty()) return fail(Errc::kNotFound, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (role.role_arn.empty()) {
      return fail(Errc::kInvalidArgument,
                  "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not; set both");
    }
    if (auto name = context_->variable("AWS_ROLE_SESSION_NAME"); !name.empty()) {
      role.session_name = std::move(name);
    }
    return exchange_web_identity(sts_, role, file, "web identity", stop);
  }

 private:
  const SharedContext context_;
  Sts sts_;
};

}  // namespace

Result<Fetched> exchange_web_identity(Sts& sts, const AssumedRole& role,
                                      const std::string& token_file, const std::string& what,
                                      const std::stop_token& stop) {
  if (auto why = role_problem(role); !why.empty()) {
    return fail(Errc::kInvalidArgument, what + ": " + why);
  }
  auto token = read_token(token_file);
  if (!token) return fail(with_context(what, named_file_error(std::move(token).error())));
  StsAnswer answer = sts.assume_with_token(role, *token, stop);
  if (answer.failure != exporter::FailureClass::kNone &&
      answer.failure != exporter::FailureClass::kTransient && !stop.stop_requested()) {
    // Somebody may have renewed it in between.
    auto again = read_token(token_file);
    if (again && *again != *token) answer = sts.assume_with_token(role, *again, stop);
  }
  wipe(*token);
  return fetched_from(std::move(answer), what + ", role " + role.role_arn + ", token file " +
                                             log::escaped(token_file));
}

std::unique_ptr<Source> web_identity_source(SharedContext context) {
  return std::make_unique<WebIdentity>(std::move(context));
}

}  // namespace weir::destination::credentials
