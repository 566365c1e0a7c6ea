#pragma once

#include "base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// Messages of AWS's event stream format: what the nucleus speaks on its socket (protocol.md §9.2).
namespace weir::greengrass {

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};
struct Timestamp {
  std::int64_t ms = 0;  ///< since 1970 UTC
  bool operator==(const Timestamp&) const = default;
};
using Uuid = std::array<std::uint8_t, 16>;

/// In the order of the codes on the wire: true and false are 0 and 1, then each has one code.
using HeaderValue = std::variant<bool, std::int8_t, std::int16_t, std::int32_t, std::int64_t, Blob,
                                 std::string, Timestamp, Uuid>;

struct Header {
  std::string name;  ///< 1 to 255 bytes
  HeaderValue value;
  bool operator==(const Header&) const = default;
};

struct Message {
  std::vector<Header> headers;
  std::string payload;

  /// The first header of this name if it has the type asked for, else null or none.
  [[nodiscard]] const std::string* text(std::string_view name) const;
  [[nodiscard]] std::optional<std::int32_t> int32(std::string_view name) const;

  bool operator==(const Message&) const = default;
};

/// What nuclei send is a few hundred bytes. The bounds keep one that went mad from taking memory.
inline constexpr std::size_t kMessageBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kHeadersBytesMax = std::size_t{128} << 10;
inline constexpr std::size_t kHeadersMax = 64;

/// The bytes of a message. Errors: kInvalidArgument for what the format or the bounds do not allow.
Result<std::string> encode(const Message& message);

/// Finds messages in a run of bytes, however it is cut into pieces. Its memory grows with the bytes
/// received, never with what a length says. Threads: one at a time.
class Decoder {
 public:
  void append(std::string_view bytes) { buffer_.append(bytes); }

  /// The next whole message; none: more bytes are needed. Errors: kCorrupt, what is wrong; from
  /// then on nothing can be found any more.
  Result<std::optional<Message>> next();

  [[nodiscard]] std::size_t buffered() const { return buffer_.size() - begin_; }

 private:
  std::string buffer_;
  std::size_t begin_ = 0;
};

}  // namespace weir::greengrass
