#pragma once

#include "base/result.h"
#include "protocol/messages.h"

#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

/// How `sub` prints one message.
class MessageFormat {
 public:
  /// %p payload, %s sequence number, %t time in milliseconds, %T time as ISO 8601, %n stream,
  /// %b payload in base64, %l payload length, %% a percent sign; \n and \t as in delimiters.
  /// Errors: kInvalidArgument naming what is not known.
  static Result<MessageFormat> from_template(std::string_view text, const std::string& delimiter);
  /// One JSON object a line; the payload as text if it is UTF-8, else as payloadBase64.
  static MessageFormat json_lines();

  [[nodiscard]] std::string text_of(const protocol::StoredMessage& message) const;

 private:
  struct Part {
    char field = 0;  ///< 0: `text` as it is
    std::string text;
  };
  bool json_ = false;
  std::vector<Part> parts_;
};

}  // namespace weir::cli
