#include "destination/credentials/answer.h"
#include "destination/credentials/source.h"
#include "destination/credentials/sts.h"

#include <utility>

namespace weir::destination::credentials {
namespace {

class Role final : public Source {
 public:
  Role(SharedContext context, AssumedRole role, std::shared_ptr<CredentialsProvider> base)
      : role_(std::move(role)), base_(std::move(base)), sts_(std::move(context)) {}

  Result<Fetched> fetch(const std::stop_token& stop) override {
    if (auto why = role_problem(role_); !why.empty()) {
      return fail(Errc::kInvalidArgument, "assume a role: " + why);
    }
    const std::string what = "role " + role_.role_arn;
    auto own = base_->await(stop);
    if (!own) return fail(with_context(what, std::move(own).error()));
    StsAnswer answer = sts_.assume(role_, *own, stop);
    if (answer.failure == exporter::FailureClass::kCredentials && !stop.stop_requested()) {
      auto fresh = base_->refresh(*own, stop);
      if (fresh && !(*fresh == *own)) answer = sts_.assume(role_, *fresh, stop);
    }
    if (sts_.skew().offset_ms() != 0) base_->clock_is(sts_.skew());
    return fetched_from(std::move(answer), what);
  }

 private:
  const AssumedRole role_;
  const std::shared_ptr<CredentialsProvider> base_;
  Sts sts_;
};

}  // namespace

std::unique_ptr<Source> role_source(SharedContext context, AssumedRole role,
                                    std::shared_ptr<CredentialsProvider> base) {
  return std::make_unique<Role>(std::move(context), std::move(role), std::move(base));
}

}  // namespace weir::destination::credentials
