#include "protocol/cbor.h"

#include "base/check.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace weir::protocol::cbor {
namespace {

constexpr std::uint8_t kMajorTag = 6;
constexpr std::uint8_t kMajorSimple = 7;
constexpr std::byte kBreakByte{0xff};

double half_to_double(std::uint16_t half) {
  const int exponent = (half >> 10U) & 0x1f;
  const int fraction = half & 0x3ff;
  double value = 0;
  if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  } else {
    value = std::ldexp(fraction + 1024, exponent - 25);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

Kind simple_kind(std::uint64_t value) {
  switch (value) {
    case 20:
      return Kind::kFalse;
    case 21:
      return Kind::kTrue;
    case 22:
    case 23:
      return Kind::kNull;
    default:
      return Kind::kSimple;
  }
}

/// Turns the head of major type 7 into what it stands for.
bool resolve_simple(std::uint8_t info, Item& item) {
  switch (info) {
    case 24:
      if (item.argument < 32) return false;  // not well-formed (RFC 8949 §3.3)
      item.kind = Kind::kSimple;
      return true;
    case 25:
      item.kind = Kind::kFloat;
      item.argument =
          std::bit_cast<std::uint64_t>(half_to_double(static_cast<std::uint16_t>(item.argument)));
      return true;
    case 26:
      item.kind = Kind::kFloat;
      item.argument = std::bit_cast<std::uint64_t>(
          static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(item.argument))));
      return true;
    case 27:
      item.kind = Kind::kFloat;
      return true;
    case 31:
      item.kind = Kind::kBreak;
      return true;
    default:
      item.kind = simple_kind(item.argument);
      return true;
  }
}

}  // namespace

const char* verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSound:
      return "sound";
    case Verdict::kTruncated:
      return "the CBOR ends early or declares more than the frame holds";
    case Verdict::kMalformed:
      return "not well-formed CBOR";
    case Verdict::kTooDeep:
      return "nested deeper than 16 levels";
    case Verdict::kTooManyItems:
      return "more than 65536 items";
  }
  return "?";
}

/// One head, tags included: `major` and `item` say what it is. False: nothing was taken.
bool Reader::head(std::uint8_t& major, Item& item) {
  const std::byte* at = at_;
  if (at == end_) return false;
  const auto first = std::to_integer<std::uint8_t>(*at++);
  major = static_cast<std::uint8_t>(first >> 5U);
  const std::uint8_t info = first & 0x1fU;
  const auto left = static_cast<std::size_t>(end_ - at);
  item.indefinite = false;
  if (info < 24) {
    item.argument = info;
  } else if (info < 28) {
    const std::size_t width = std::size_t{1} << (info - 24U);
    if (left < width) return false;
    switch (width) {
      case 1:
        item.argument = std::to_integer<std::uint8_t>(*at);
        break;
      case 2:
        item.argument = load_big16(at);
        break;
      case 4:
        item.argument = load_big32(at);
        break;
      default:
        item.argument = load_big64(at);
        break;
    }
    at += width;
  } else if (info == 31 && major >= kMajorBytes && major != kMajorTag) {
    item.argument = 0;
    item.indefinite = true;
  } else {
    return false;
  }
  if (major == kMajorSimple) {
    item.indefinite = false;
    if (!resolve_simple(info, item)) return false;
  } else if (major < kMajorTag) {
    item.kind = static_cast<Kind>(major);
  }
  at_ = at;
  return true;
}

Item Reader::next() {
  const std::byte* begin = at_;
  std::uint8_t major = 0;
  Item item;
  bool tagged = false;
  for (;;) {
    if (!head(major, item) || (tagged && item.kind == Kind::kBreak)) {
      at_ = begin;
      return Item{};
    }
    if (major != kMajorTag) return item;
    tagged = true;
  }
}

Item Reader::peek() const {
  Reader copy = *this;
  return copy.next();
}

Verdict Reader::skip_string(std::uint8_t major, const Item& item) {
  if (!item.indefinite) {
    if (item.argument > static_cast<std::uint64_t>(end_ - at_)) return Verdict::kTruncated;
    at_ += item.argument;
    return Verdict::kSound;
  }
  for (;;) {
    if (at_ == end_) return Verdict::kTruncated;
    if (*at_ == kBreakByte) {
      ++at_;
      return Verdict::kSound;
    }
    std::uint8_t chunk_major = 0;
    Item chunk;
    if (std::to_integer<std::uint8_t>(*at_) >> 5U != major) return Verdict::kMalformed;
    if (!head(chunk_major, chunk)) return Verdict::kTruncated;
    if (chunk.indefinite) return Verdict::kMalformed;
    if (chunk.argument > static_cast<std::uint64_t>(end_ - at_)) return Verdict::kTruncated;
    at_ += chunk.argument;
  }
}

namespace {

/// The containers that are open while one item is skipped.
class OpenContainers {
 public:
  [[nodiscard]] bool empty() const { return depth_ == 0; }

  Verdict open(const Item& item, std::uint64_t bytes_left) {
    const bool map = item.kind == Kind::kMap;
    // One byte an entry at least: a larger count is a lie, whatever follows.
    if (!item.indefinite && item.argument > (map ? bytes_left / 2 : bytes_left)) {
      return Verdict::kTruncated;
    }
    if (depth_ == levels_.size()) return Verdict::kTooDeep;
    levels_[depth_++] = {map ? item.argument * 2 : item.argument, item.indefinite, map};
    return Verdict::kSound;
  }
  /// What was just opened holds nothing.
  void close_empty() { --depth_; }
  /// A break: ends the innermost container if that is allowed here.
  bool close_by_break() {
    if (depth_ == 0) return false;
    const Level& level = levels_[depth_ - 1];
    if (!level.indefinite || (level.map && level.left % 2 != 0)) return false;
    --depth_;
    return true;
  }
  /// One item is complete; closes every container that it completes.
  void completed() {
    while (depth_ > 0) {
      Level& level = levels_[depth_ - 1];
      if (level.indefinite) {
        ++level.left;  // only counts, to know key from value
        return;
      }
      if (--level.left > 0) return;
      --depth_;
    }
  }

 private:
  struct Level {
    std::uint64_t left = 0;
    bool indefinite = false;
    bool map = false;
  };
  std::array<Level, kNestingMax> levels_{};
  std::size_t depth_ = 0;
};

}  // namespace

Verdict Reader::skip(std::uint64_t items_max) {
  OpenContainers open;
  std::uint64_t items = 0;
  do {
    std::uint8_t major = kMajorTag;
    Item item;
    bool tagged = false;
    for (;; tagged = true) {
      const std::byte* const begin = at_;
      if (!head(major, item)) {
        const bool cut = begin == end_ || (std::to_integer<std::uint8_t>(*begin) & 0x1fU) < 28;
        return cut ? Verdict::kTruncated : Verdict::kMalformed;
      }
      if (major != kMajorTag) break;
    }
    if (item.kind == Kind::kBreak) {
      if (tagged || !open.close_by_break()) return Verdict::kMalformed;
      open.completed();
      continue;
    }
    if (++items > items_max) return Verdict::kTooManyItems;
    if (item.kind == Kind::kArray || item.kind == Kind::kMap) {
      const Verdict verdict = open.open(item, static_cast<std::uint64_t>(end_ - at_));
      if (verdict != Verdict::kSound) return verdict;
      if (item.indefinite || item.argument > 0) continue;
      open.close_empty();
    } else if (item.kind == Kind::kBytes || item.kind == Kind::kText) {
      const Verdict verdict = skip_string(major, item);
      if (verdict != Verdict::kSound) return verdict;
    }
    open.completed();
  } while (!open.empty());
  return Verdict::kSound;
}

bool Reader::content(const Item& item, DecodeScratch& scratch, Bytes& out) {
  if (!item.indefinite) {
    if (item.argument > static_cast<std::uint64_t>(end_ - at_)) return false;
    out = Bytes(at_, static_cast<std::size_t>(item.argument));
    at_ += item.argument;
    return true;
  }
  std::string& joined = scratch.add();
  for (;;) {
    if (at_ == end_) return false;
    if (*at_ == kBreakByte) {
      ++at_;
      out = as_bytes(joined);
      return true;
    }
    std::uint8_t major = 0;
    Item chunk;
    if (!head(major, chunk) || chunk.kind != item.kind || chunk.indefinite ||
        chunk.argument > static_cast<std::uint64_t>(end_ - at_)) {
      return false;
    }
    joined.append(as_text(Bytes(at_, static_cast<std::size_t>(chunk.argument))));
    at_ += chunk.argument;
  }
}

bool Entries::more(Reader& reader) {
  if (!indefinite_) {
    if (left_ == 0 || reader.at_end()) return false;
    --left_;
    return true;
  }
  const Kind kind = reader.peek().kind;
  if (kind == Kind::kBreak) reader.next();
  return kind != Kind::kBreak && kind != Kind::kNone;
}

Verdict check(Bytes document, std::uint64_t items_max) {
  Reader reader(document);
  const Verdict verdict = reader.skip(items_max);
  if (verdict != Verdict::kSound) return verdict;
  return reader.at_end() ? Verdict::kSound : Verdict::kMalformed;
}

bool valid_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  const auto follows = [&](std::ptrdiff_t i, unsigned low, unsigned high) {
    return end - at > i && at[i] >= low && at[i] <= high;
  };
  while (at != end) {
    if (end - at >= 8 && (load_little<std::uint64_t>(reinterpret_cast<const std::byte*>(at)) &
                          0x8080'8080'8080'8080U) == 0) {
      at += 8;
    } else if (*at < 0x80) {
      ++at;
    } else if (*at >= 0xc2 && *at <= 0xdf) {
      if (!follows(1, 0x80, 0xbf)) return false;
      at += 2;
    } else if (*at >= 0xe0 && *at <= 0xef) {
      const unsigned low = *at == 0xe0 ? 0xa0 : 0x80;   // not overlong
      const unsigned high = *at == 0xed ? 0x9f : 0xbf;  // not a surrogate
      if (!follows(1, low, high) || !follows(2, 0x80, 0xbf)) return false;
      at += 3;
    } else if (*at >= 0xf0 && *at <= 0xf4) {
      const unsigned low = *at == 0xf0 ? 0x90 : 0x80;
      const unsigned high = *at == 0xf4 ? 0x8f : 0xbf;  // not above U+10FFFF
      if (!follows(1, low, high) || !follows(2, 0x80, 0xbf) || !follows(3, 0x80, 0xbf)) {
        return false;
      }
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

IntegerVerdict integer_of(const Item& item, std::int64_t& out) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMaxUnsigned = static_cast<std::uint64_t>(kMax);
  constexpr double kTwo63 = 9223372036854775808.0;
  if (item.kind == Kind::kUnsigned) {
    if (item.argument > kMaxUnsigned) return IntegerVerdict::kTooLarge;
    out = static_cast<std::int64_t>(item.argument);
    return IntegerVerdict::kOk;
  }
  if (item.kind == Kind::kNegative) {
    if (item.argument > kMaxUnsigned) return IntegerVerdict::kTooSmall;
    out = -1 - static_cast<std::int64_t>(item.argument);
    return IntegerVerdict::kOk;
  }
  if (item.kind != Kind::kFloat) return IntegerVerdict::kNotNumber;
  const double value = std::bit_cast<double>(item.argument);
  if (!std::isfinite(value) || std::trunc(value) != value) return IntegerVerdict::kNotWhole;
  if (value > kTwo63) return IntegerVerdict::kTooLarge;
  if (value < -kTwo63) return IntegerVerdict::kTooSmall;
  out = value == kTwo63 ? kMax : static_cast<std::int64_t>(value);
  return IntegerVerdict::kOk;
}

void put_head(ByteBuffer& out, std::uint8_t major, std::uint64_t argument) {
  std::array<std::byte, kHeadBytesMax> bytes;
  const std::byte* const end = write_head(bytes.data(), major, argument);
  out.append(Bytes(bytes.data(), static_cast<std::size_t>(end - bytes.data())));
}

void put_integer(ByteBuffer& out, std::int64_t value) {
  std::array<std::byte, kHeadBytesMax> bytes;
  const std::byte* const end = write_integer(bytes.data(), value);
  out.append(Bytes(bytes.data(), static_cast<std::size_t>(end - bytes.data())));
}

void put_text(ByteBuffer& out, std::string_view text) {
  put_head(out, kMajorText, text.size());
  out.append(as_bytes(text));
}

void put_bytes(ByteBuffer& out, Bytes bytes) {
  put_head(out, kMajorBytes, bytes.size());
  out.append(bytes);
}

void put_boolean(ByteBuffer& out, bool value) {
  out.append(value ? std::byte{0xf5} : std::byte{0xf4});
}

void MapWriter::close() {
  WEIR_CHECK(count_ < 24, "a map of the protocol has fewer than 24 fields");
  out_.data()[head_] = static_cast<std::byte>((kMajorMap << 5U) | count_);
}

}  // namespace weir::protocol::cbor
