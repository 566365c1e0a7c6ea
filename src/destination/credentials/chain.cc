#include "base/log.h"
#include "destination/credentials/source.h"

#include <utility>
#include <vector>

namespace weir::destination::credentials {
namespace {

class Chain final : public Source {
 public:
  explicit Chain(std::vector<std::unique_ptr<Source>> sources) : sources_(std::move(sources)) {}

  Result<Fetched> fetch(const std::stop_token& stop) override {
    std::string looked;
    for (const auto& source : sources_) {
      if (stop.stop_requested()) return fail(Errc::kCancelled, "interrupted");
      auto fetched = source->fetch(stop);
      if (fetched || fetched.error().code != Errc::kNotFound) return fetched;
      looked += (looked.empty() ? "" : "; ") + fetched.error().what;
    }
    return fail(Errc::kNotFound,
                "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for weir, or "
                "another source (docs/credentials.md). Looked at: " +
                    looked);
  }

 private:
  const std::vector<std::unique_ptr<Source>> sources_;
};

}  // namespace

std::unique_ptr<Source> chain(const SharedContext& context) {
  using Make = std::unique_ptr<Source> (*)(SharedContext);
  struct Row {
    CredentialSource name;
    Make make;
  };
  constexpr Row kOrder[] = {
      {CredentialSource::kEnvironment, environment_source},
      {CredentialSource::kWebIdentity, web_identity_source},
      {CredentialSource::kProfile, profile_source},
      {CredentialSource::kIot, iot_source},
      {CredentialSource::kContainer, container_source},
      {CredentialSource::kInstance, instance_source},
  };
  const CredentialSource wanted = context->aws.credential_source;
  std::vector<std::unique_ptr<Source>> sources;
  for (const Row& row : kOrder) {
    if (wanted != CredentialSource::kChain && wanted != row.name) continue;
    const bool profile_named = !context->aws.profile.empty() && wanted == CredentialSource::kChain;
    const bool before_profiles =
        row.name == CredentialSource::kEnvironment || row.name == CredentialSource::kWebIdentity;
    if (profile_named && before_profiles) continue;
    sources.push_back(row.make(context));
  }
  return std::make_unique<Chain>(std::move(sources));
}

}  // namespace weir::destination::credentials
