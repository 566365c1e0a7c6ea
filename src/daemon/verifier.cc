#include "daemon/verifier.h"

#include "daemon/nucleus.h"
#include "daemon/token_exchange.h"
#include "daemon/token_file.h"

#include <optional>
#include <utility>

namespace weir::daemon {
namespace {

using server::TokenVerdict;

class LetEverybodyIn final : public server::Verifier {
 public:
  void verify(std::string, Done done) override { done(TokenVerdict::kGood, {}); }
};

// The list first: it costs nothing.
class ListThenEndpoint final : public server::Verifier {
 public:
  ListThenEndpoint(std::optional<TokenList> list, std::unique_ptr<server::Verifier> endpoint)
      : list_(std::move(list)), endpoint_(std::move(endpoint)) {}

  void verify(std::string token, Done done) override {
    if (token.empty()) {
      done(TokenVerdict::kBad, "no token");
    } else if (list_ && list_->contains(token)) {
      done(TokenVerdict::kGood, {});
    } else if (endpoint_ != nullptr) {
      endpoint_->verify(std::move(token), std::move(done));
    } else {
      done(TokenVerdict::kBad, "the token is not known");
    }
  }

 private:
  std::optional<TokenList> list_;
  std::unique_ptr<server::Verifier> endpoint_;
};

}  // namespace

Result<std::unique_ptr<server::Verifier>> make_verifier(const Config& config, Clock& clock,
                                                        Executor& core,
                                                        greengrass::Component* nucleus) {
  if (!config.server.authenticate_client) {
    return std::unique_ptr<server::Verifier>(std::make_unique<LetEverybodyIn>());
  }
  std::optional<TokenList> list;
  if (!config.tokens_file.empty()) {
    auto loaded = TokenList::load(config.tokens_file);
    if (!loaded) return fail(std::move(loaded).error());
    list = std::move(*loaded);
  }
  std::unique_ptr<server::Verifier> endpoint;
  if (!config.token_exchange_url.empty()) {
    endpoint = make_token_exchange(config.token_exchange_url, clock, core);
  }
  if (nucleus != nullptr) {
    endpoint = make_nucleus_verifier(*nucleus, std::move(endpoint), clock, core);
  }
  if (!list && endpoint == nullptr) {
    return fail(Errc::kInvalidArgument,
                "clients must authenticate, but there is nothing to check their tokens against; "
                "set server.tokens_file, or AWS_CONTAINER_CREDENTIALS_FULL_URI, or let every "
                "program on this machine in with server.authenticate_client: false "
                "(STREAM_MANAGER_AUTHENTICATE_CLIENT=false)");
  }
  return std::unique_ptr<server::Verifier>(
      std::make_unique<ListThenEndpoint>(std::move(list), std::move(endpoint)));
}

void ReplaceableVerifier::verify(std::string token, Done done) {
  const auto present = verifier_;
  present->verify(std::move(token),
                  [present, done = std::move(done)](TokenVerdict verdict, std::string why) {
                    done(verdict, std::move(why));
                  });
}

}  // namespace weir::daemon
