#pragma once

#include "base/result.h"

#include <compare>
#include <string>
#include <string_view>

namespace weir::connector {

/// The ARN of a Firehose delivery stream, taken apart.
struct DeliveryStreamArn {
  std::string partition;  ///< "aws", "aws-cn" ...
  std::string region;
  std::string account;
  std::string name;

  [[nodiscard]] std::string text() const;
  friend auto operator<=>(const DeliveryStreamArn&, const DeliveryStreamArn&) = default;
};

/// The longest text that can be one.
inline constexpr std::size_t kArnBytesMax = 192;

/// Reads `arn:<partition>:firehose:<region>:<account>:deliverystream/<name>`, the documented
/// pattern (protocol.md §10.2) with every partition. Errors: kInvalidArgument, saying which part is
/// wrong. Pure.
Result<DeliveryStreamArn> parse_arn(std::string_view text);

}  // namespace weir::connector
