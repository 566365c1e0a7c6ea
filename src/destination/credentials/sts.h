#pragma once

#include "destination/clock_skew.h"
#include "destination/credentials/source.h"
#include "exporter/destination.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::destination::credentials {

/// What the token service said.
struct StsAnswer {
  exporter::FailureClass failure = exporter::FailureClass::kNone;
  std::string code;         ///< of a refusal
  std::string error;        ///< for people; "" when `credentials` are good
  Credentials credentials;  ///< when `failure` is kNone
};

/// Calls the AWS token service. Threads: one call at a time.
class Sts {
 public:
  explicit Sts(SharedContext context) : context_(std::move(context)) {}

  /// AssumeRole, signed with `signer`. Blocks.
  StsAnswer assume(const AssumedRole& role, const Credentials& signer, const std::stop_token& stop);
  /// AssumeRoleWithWebIdentity: the token itself is the proof. Blocks.
  StsAnswer assume_with_token(const AssumedRole& role, const std::string& token,
                              const std::stop_token& stop);

  /// The token service's time, once an answer told it.
  [[nodiscard]] const ClockSkew& skew() const { return skew_; }

 private:
  using Parameters = std::vector<std::pair<std::string, std::string>>;
  StsAnswer call(const Parameters& parameters, const Credentials* signer,
                 const std::stop_token& stop);
  HttpResponse send(const std::string& body, const std::string& region, const Credentials* signer,
                    const std::stop_token& stop);

  const SharedContext context_;
  std::unique_ptr<HttpTransport> transport_;
  ClockSkew skew_;
  bool signed_wrong_ = false;
};

/// The result of a source for what `Sts` answered: an error named after `what`, or a set.
Result<Fetched> fetched_from(StsAnswer answer, const std::string& what);

/// Why a role cannot be assumed as it is written, or "".
std::string role_problem(const AssumedRole& role);

}  // namespace weir::destination::credentials
