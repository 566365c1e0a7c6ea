#pragma once

#include "base/executor.h"
#include "base/result.h"
#include "daemon/config.h"
#include "server/server.h"

#include <memory>
#include <utility>

namespace weir::greengrass {
class Component;
}

namespace weir::daemon {

/// Makes what decides about clients' tokens (protocol.md §9.1): the tokens of a file, else the
/// nucleus that started weir (`nucleus`, may be null), else the token exchange endpoint; without
/// authentication, everybody is let in.
///
/// Lifetime: `core` and `nucleus` outlive the verifier. Errors: kInvalidArgument, saying what to
/// set, when authentication is on but nothing is configured to check tokens against; kIo.
Result<std::unique_ptr<server::Verifier>> make_verifier(const Config& config, Clock& clock,
                                                        Executor& core,
                                                        greengrass::Component* nucleus = nullptr);

/// A verifier that can be replaced by another. Checks that are under way end with the old one.
/// Threads: core.
class ReplaceableVerifier final : public server::Verifier {
 public:
  /// Returns the one before: its end may block.
  std::shared_ptr<server::Verifier> use(std::shared_ptr<server::Verifier> verifier) {
    return std::exchange(verifier_, std::move(verifier));
  }
  void verify(std::string token, Done done) override;

 private:
  std::shared_ptr<server::Verifier> verifier_;
};

}  // namespace weir::daemon
