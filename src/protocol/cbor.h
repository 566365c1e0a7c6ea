#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "protocol/messages.h"

#include <cstdint>
#include <string_view>

/// The part of CBOR (RFC 8949) that the protocol needs, without a document in memory.
namespace weir::protocol::cbor {

/// What one item is, tags in front of it skipped.
enum class Kind : std::uint8_t {
  kUnsigned,
  kNegative,  ///< value is -1 - argument
  kBytes,
  kText,
  kArray,
  kMap,
  kFalse,
  kTrue,
  kNull,    ///< null and undefined
  kFloat,   ///< argument holds the bits of a double
  kSimple,  ///< any other simple value
  kBreak,
  kNone,  ///< nothing readable here: the end, or not CBOR
};

struct Item {
  Kind kind = Kind::kNone;
  bool indefinite = false;
  std::uint64_t argument = 0;  ///< value, length or count, by kind
};

/// What is wrong with an encoded document.
enum class Verdict : std::uint8_t {
  kSound,
  kTruncated,  ///< ends early, or declares more than is left
  kMalformed,
  kTooDeep,       ///< nested deeper than kNestingMax
  kTooManyItems,  ///< more than kItemsMax items
};
const char* verdict_text(Verdict verdict);

/// Reads items in place, front to back. Never allocates except to join chunks into `scratch`,
/// never recurses, never reads outside `from`. Threads: one at a time.
class Reader {
 public:
  explicit Reader(Bytes from) : at_(from.data()), end_(from.data() + from.size()) {}

  [[nodiscard]] bool at_end() const { return at_ == end_; }
  /// Where the next item starts; `rewind` goes back to such a place.
  [[nodiscard]] const std::byte* position() const { return at_; }
  void rewind(const std::byte* position) { at_ = position; }

  /// Takes the head of the next item. Kind::kNone, and nothing taken, if there is none.
  Item next();
  [[nodiscard]] Item peek() const;
  /// Takes the next item whole, whatever it is, checking that it is well-formed and within limits.
  Verdict skip(std::uint64_t items_max = kItemsMax);

  /// Takes what follows the head `item` of kind kBytes or kText. Chunks are joined in `scratch`;
  /// otherwise the view points into the input. False if the input does not hold it.
  bool content(const Item& item, DecodeScratch& scratch, Bytes& out);

 private:
  bool head(std::uint8_t& major, Item& item);
  Verdict skip_string(std::uint8_t major, const Item& item);

  const std::byte* at_;
  const std::byte* end_;
};

/// Walks over the entries of an array or map whose head was taken: `while (entries.more(reader))`.
class Entries {
 public:
  explicit Entries(const Item& container)
      : left_(container.argument), indefinite_(container.indefinite) {}
  /// True if one more entry follows; takes the break that ends an indefinite container.
  bool more(Reader& reader);

 private:
  std::uint64_t left_;
  bool indefinite_;
};

/// For answers, which hold as many messages as were asked for.
inline constexpr std::uint64_t kAnyNumberOfItems = ~std::uint64_t{0};

/// Whether `document` is exactly one well-formed item within the limits.
Verdict check(Bytes document, std::uint64_t items_max = kItemsMax);

bool valid_utf8(std::string_view text);

enum class IntegerVerdict : std::uint8_t { kOk, kNotNumber, kNotWhole, kTooLarge, kTooSmall };
/// The value of a number; floats with a whole value count, and the float 2^63, which is how
/// Node.js writes the largest allowed value, is read as 2^63 - 1 (protocol.md §1.4).
IntegerVerdict integer_of(const Item& item, std::int64_t& out);

// ---- writing: shortest form, definite lengths -------------------------------------------------

inline constexpr std::size_t kHeadBytesMax = 9;
inline constexpr std::uint8_t kMajorUnsigned = 0;
inline constexpr std::uint8_t kMajorNegative = 1;
inline constexpr std::uint8_t kMajorBytes = 2;
inline constexpr std::uint8_t kMajorText = 3;
inline constexpr std::uint8_t kMajorArray = 4;
inline constexpr std::uint8_t kMajorMap = 5;

/// Writes a head at `to`, which has room for kHeadBytesMax, and returns where it ends.
inline std::byte* write_head(std::byte* to, std::uint8_t major, std::uint64_t argument) {
  const auto first = static_cast<std::uint8_t>(major << 5U);
  if (argument < 24) {
    *to = static_cast<std::byte>(first | argument);
    return to + 1;
  }
  if (argument <= 0xff) {
    to[0] = static_cast<std::byte>(first | 24U);
    to[1] = static_cast<std::byte>(argument);
    return to + 2;
  }
  if (argument <= 0xffff) {
    to[0] = static_cast<std::byte>(first | 25U);
    store_big16(to + 1, static_cast<std::uint16_t>(argument));
    return to + 3;
  }
  if (argument <= 0xffff'ffff) {
    to[0] = static_cast<std::byte>(first | 26U);
    store_big32(to + 1, static_cast<std::uint32_t>(argument));
    return to + 5;
  }
  to[0] = static_cast<std::byte>(first | 27U);
  store_big64(to + 1, argument);
  return to + 9;
}
inline std::byte* write_integer(std::byte* to, std::int64_t value) {
  if (value >= 0) return write_head(to, kMajorUnsigned, static_cast<std::uint64_t>(value));
  return write_head(to, kMajorNegative, ~static_cast<std::uint64_t>(value));
}
/// Bytes of a head for `argument`.
constexpr std::size_t head_bytes(std::uint64_t argument) {
  return argument < 24             ? 1
         : argument <= 0xff        ? 2
         : argument <= 0xffff      ? 3
         : argument <= 0xffff'ffff ? 5
                                   : 9;
}

void put_head(ByteBuffer& out, std::uint8_t major, std::uint64_t argument);
void put_integer(ByteBuffer& out, std::int64_t value);
void put_text(ByteBuffer& out, std::string_view text);
void put_bytes(ByteBuffer& out, Bytes bytes);
void put_boolean(ByteBuffer& out, bool value);

/// Writes a map whose entries are counted while they are written; at most 23. `close` sets the
/// head. Nothing else may shorten `out` meanwhile.
class MapWriter {
 public:
  explicit MapWriter(ByteBuffer& out) : out_(out), head_(out.size()) { out.append(std::byte{0}); }
  void key(std::string_view name) {
    put_text(out_, name);
    ++count_;
  }
  void text(std::string_view name, std::string_view value) {
    key(name);
    put_text(out_, value);
  }
  void integer(std::string_view name, std::int64_t value) {
    key(name);
    put_integer(out_, value);
  }
  void boolean(std::string_view name, bool value) {
    key(name);
    put_boolean(out_, value);
  }
  void close();

 private:
  ByteBuffer& out_;
  std::size_t head_;
  unsigned count_ = 0;
};

}  // namespace weir::protocol::cbor
