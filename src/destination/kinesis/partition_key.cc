#include "destination/kinesis/partition_key.h"

#include "base/log.h"

#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace weir::destination::kinesis {
namespace {

constexpr auto kHexPairs = [] {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kDigits[i >> 4], kDigits[i & 15]};
  return pairs;
}();

// `key` cut behind `kKeyCharactersMax` characters of UTF-8.
std::string cut(std::string key) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const bool starts_character = (static_cast<unsigned char>(key[i]) & 0xc0U) != 0x80U;
    if (starts_character && ++characters > kKeyCharactersMax) {
      key.resize(i);
      break;
    }
  }
  return key;
}

}  // namespace

KeyMaker::KeyMaker(PartitionKey::Kind kind, std::string stream_name, std::uint64_t seed,
                   metrics::Counter& fallbacks)
    : kind_(kind), stream_name_(std::move(stream_name)), rng_(seed), fallbacks_(&fallbacks) {}

Result<KeyMaker> KeyMaker::create(const PartitionKey& options, std::string stream_name,
                                  std::uint64_t seed, metrics::Counter& fallbacks) {
  KeyMaker maker(options.kind, std::move(stream_name), seed, fallbacks);
  if (options.kind == PartitionKey::Kind::kField) {
    WEIR_RETURN_IF_ERROR(maker.add_pointer(options.text));
  } else if (options.kind == PartitionKey::Kind::kTemplate) {
    WEIR_RETURN_IF_ERROR(maker.read_template(options.text));
  }
  return maker;
}

Result<void> KeyMaker::add_pointer(const std::string& pointer) {
  WEIR_TRY(JsonField field, JsonField::create(pointer));
  pieces_.push_back({Piece::Kind::kPointer, {}, std::move(field)});
  return {};
}

Result<void> KeyMaker::read_template(const std::string& text) {
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) pieces_.push_back({Piece::Kind::kText, std::exchange(literal, {})});
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool doubled = i + 1 < text.size() && text[i + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      literal += c;
      ++i;
    } else if (c == '{') {
      const auto close = text.find('}', i);
      if (close == std::string::npos) {
        return fail(Errc::kInvalidArgument,
                    "the partition key template has '{' without '}'; write {{ for a brace");
      }
      const std::string name = text.substr(i + 1, close - i - 1);
      flush();
      if (name == "stream") {
        pieces_.push_back({Piece::Kind::kStream, {}});
      } else if (name == "sequence") {
        pieces_.push_back({Piece::Kind::kSequence, {}});
      } else if (name.starts_with("/")) {
        WEIR_RETURN_IF_ERROR(add_pointer(name));
      } else {
        return fail(Errc::kInvalidArgument,
                    "the partition key template names {" + log::escaped(name, 80) +
                        "}; there are {stream}, {sequence} and {/json/pointer}");
      }
      i = close;
    } else {
      literal += c;
    }
  }
  flush();
  if (pieces_.empty()) return fail(Errc::kInvalidArgument, "the partition key template is empty");
  return {};
}

void KeyMaker::uuid(std::string& text) {
  // Version 4, variant 1.
  const std::uint64_t high = (rng_.next() & ~0xf000ULL) | 0x4000ULL;
  const std::uint64_t low = (rng_.next() & ~(3ULL << 62U)) | (2ULL << 62U);
  text.assign(36, '-');
  // Where the two digits of each byte stand; in between are the hyphens.
  constexpr std::array<std::uint8_t, 16> kPlaces = {0,  2,  4,  6,  9,  11, 14, 16,
                                                    19, 21, 24, 26, 28, 30, 32, 34};
  for (unsigned i = 0; i < 16; ++i) {
    const std::uint64_t half = i < 8 ? high : low;
    const auto byte = static_cast<std::uint8_t>(half >> (56U - 8U * (i % 8U)));
    std::memcpy(text.data() + kPlaces[i], kHexPairs[byte].data(), 2);
  }
}

void KeyMaker::make(const exporter::Message& message, std::string& key) {
  if (kind_ == PartitionKey::Kind::kRandom) {
    uuid(key);
  } else {
    key = make(message);
  }
}

std::string KeyMaker::make(const exporter::Message& message) {
  if (kind_ == PartitionKey::Kind::kRandom) {
    std::string text;
    uuid(text);
    return text;
  }
  if (kind_ == PartitionKey::Kind::kStream) return cut(stream_name_);
  std::string key;
  for (const Piece& piece : pieces_) {
    if (piece.kind == Piece::Kind::kText) key += piece.text;
    if (piece.kind == Piece::Kind::kStream) key += stream_name_;
    if (piece.kind == Piece::Kind::kSequence) key += std::to_string(message.sequence.value());
    if (piece.kind != Piece::Kind::kPointer) continue;
    const auto value = piece.field.read(as_text(message.payload));
    if (!value) {
      fallbacks_->add();
      return cut(stream_name_);
    }
    key += *value;
  }
  if (key.empty()) {
    fallbacks_->add();
    return cut(stream_name_);
  }
  return cut(std::move(key));
}

std::size_t KeyMaker::bytes_max() const {
  if (kind_ == PartitionKey::Kind::kRandom) return 36;
  if (kind_ == PartitionKey::Kind::kStream) return stream_name_.size();
  return kKeyCharactersMax * 4;
}

}  // namespace weir::destination::kinesis
