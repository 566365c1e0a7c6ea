#include "daemon/nucleus.h"

#include "base/log.h"
#include "base/rng.h"
#include "daemon/refused_tokens.h"
#include "destination/metrics.h"
#include "exporter/metrics.h"
#include "greengrass/component.h"
#include "stream/metrics.h"

#include <utility>
#include <vector>

namespace weir::daemon {
namespace {

using greengrass::Figure;
using server::TokenVerdict;

// The names of the original, protocol.md §8.4. What was sent to S3 counts as sent, repeated parts
// included: the messages of those streams are tasks, their bytes say nothing about the files.
std::vector<Figure> figures_of(metrics::Registry& metrics) {
  const auto delivered = [&](const char* type) {
    return metrics.counter(exporter::metric::kDeliveredBytes, {type}).value();
  };
  return {
      {"BytesAppended", metrics.counter(stream::metric::kStoreAppendedBytes).value()},
      {"BytesUploadedToIoTAnalytics", delivered("iot_analytics")},
      {"BytesUploadedToKinesis", delivered("kinesis")},
      {"BytesUploadedToIoTSiteWise", delivered("iot_sitewise")},
      {"BytesUploadedToS3", metrics.counter(destination::kSentBytesTotal, {"s3"}).value()},
  };
}

class NucleusVerifier final : public server::Verifier {
 public:
  NucleusVerifier(greengrass::Component& nucleus, std::unique_ptr<server::Verifier> endpoint,
                  Clock& clock, Executor& core)
      : nucleus_(nucleus), endpoint_(std::move(endpoint)), clock_(clock), core_(core) {}

  void verify(std::string token, Done done) override {
    if (only_others_are_told_) return ask_endpoint(std::move(token), std::move(done));
    const std::size_t hash = RefusedTokens::hash_of(token);
    if (refused_.contains(hash, clock_.now())) {
      done(TokenVerdict::kBad, "the token is not known");
      return;
    }
    // The token is kept only for the case that the endpoint has to be asked instead.
    std::string kept = endpoint_ != nullptr ? token : std::string();
    nucleus_.judge(token, [this, hash, kept = std::move(kept), done = std::move(done)](
                              greengrass::TokenVerdict verdict, std::string why) {
      core_.post([this, hash, kept, done, verdict, why = std::move(why)] {
        judged(hash, kept, verdict, why, done);
      });
    });
  }

 private:
  void judged(std::size_t hash, const std::string& token, greengrass::TokenVerdict verdict,
              const std::string& why, const Done& done) {
    switch (verdict) {
      case greengrass::TokenVerdict::kGood:
        return done(TokenVerdict::kGood, {});
      case greengrass::TokenVerdict::kBad:
        refused_.add(hash, clock_.now());
        return done(TokenVerdict::kBad, why);
      case greengrass::TokenVerdict::kUnchecked:
        return done(TokenVerdict::kUnchecked, why);
      case greengrass::TokenVerdict::kNotOurs:
        break;
    }
    if (endpoint_ == nullptr) return done(TokenVerdict::kUnchecked, why);
    if (!std::exchange(only_others_are_told_, true)) {
      log::warn(
          "The nucleus does not tell weir about tokens; the token exchange endpoint is asked.",
          {{"why", why}});
    }
    ask_endpoint(token, done);
  }

  void ask_endpoint(std::string token, Done done) {
    endpoint_->verify(std::move(token), std::move(done));
  }

  greengrass::Component& nucleus_;
  const std::unique_ptr<server::Verifier> endpoint_;
  Clock& clock_;
  Executor& core_;
  RefusedTokens refused_;
  bool only_others_are_told_ = false;  ///< only with an endpoint
};

}  // namespace

std::unique_ptr<greengrass::Component> start_component(const greengrass::Options& options,
                                                       const Clock& clock,
                                                       metrics::Registry& metrics) {
  if (!options.present()) {
    if (!options.socket.empty()) {
      log::warn("There is a nucleus's socket, but no SVCUID to show there; weir runs without it.",
                {{"socket", options.socket}});
    }
    return nullptr;
  }
  return greengrass::Component::start(
      options, {metrics, clock, [&metrics] { return figures_of(metrics); }, Rng::random_seed()});
}

std::unique_ptr<server::Verifier> make_nucleus_verifier(greengrass::Component& nucleus,
                                                        std::unique_ptr<server::Verifier> endpoint,
                                                        Clock& clock, Executor& core) {
  return std::make_unique<NucleusVerifier>(nucleus, std::move(endpoint), clock, core);
}

}  // namespace weir::daemon
