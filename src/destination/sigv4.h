#pragma once

#include "base/bytes.h"
#include "destination/credentials.h"
#include "destination/http_transport.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination {

/// Lower-case hexadecimal SHA-256.
std::string sha256_hex(Bytes content);

/// Stands in place of the body's hash where S3 allows an unsigned body.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

/// What a signature covers, as it goes over the wire.
struct SigningInput {
  std::string_view method;
  std::string_view path;   ///< percent-encoded, at least "/"
  std::string_view query;  ///< percent-encoded, without '?'
  /// Every header of the request including Host. Those that a proxy may change are left out of
  /// the signature (destinations.md §19).
  const std::vector<HttpHeader>* headers = nullptr;
  std::string_view payload_hash;  ///< `sha256_hex` of the body or `kUnsignedPayload`
};

/// Signs requests with AWS Signature Version 4 for one service in one region.
///
/// Threads: one at a time. The derived key is kept for the day it is good for.
class SigV4Signer {
 public:
  SigV4Signer(std::string region, std::string service);
  ~SigV4Signer();
  SigV4Signer(const SigV4Signer&) = delete;
  SigV4Signer& operator=(const SigV4Signer&) = delete;

  /// The headers to add to the request: X-Amz-Date, X-Amz-Security-Token for temporary keys,
  /// x-amz-content-sha256 for S3, and Authorization. `wall_ms` is the time at the destination.
  std::vector<HttpHeader> sign(const SigningInput& input, const Credentials& credentials,
                               std::int64_t wall_ms);

  /// The texts of the last `sign`, for tests and for nobody else.
  [[nodiscard]] const std::string& canonical_request() const { return canonical_request_; }
  [[nodiscard]] const std::string& string_to_sign() const { return string_to_sign_; }

 private:
  [[nodiscard]] const std::string& key_of_the_day(const Credentials& credentials,
                                                  std::string_view day);
  void forget_key();

  std::string region_;
  std::string service_;
  std::string key_;
  std::string key_day_;
  std::string key_id_;
  std::string key_secret_;
  std::string canonical_request_;
  std::string string_to_sign_;
};

}  // namespace weir::destination
