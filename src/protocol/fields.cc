#include "protocol/fields.h"

#include <algorithm>
#include <string>
#include <vector>

namespace weir::protocol {

using cbor::Item;
using cbor::Kind;

bool FieldReader::text(const Path& path, std::string_view& out) {
  if (reader_.peek().kind != Kind::kText) {
    reader_.skip();
    violations.add(path, "must be text");
    return false;
  }
  Bytes content;
  if (!reader_.content(reader_.next(), scratch_, content)) return false;
  if (!cbor::valid_utf8(as_text(content))) {
    violations.add(path, "must be valid UTF-8");
    return false;
  }
  out = as_text(content);
  return true;
}

bool FieldReader::bytes(const Path& path, Bytes& out) {
  if (reader_.peek().kind != Kind::kBytes) {
    reader_.skip();
    violations.add(path, "must be a byte string");
    return false;
  }
  return reader_.content(reader_.next(), scratch_, out);
}

bool FieldReader::integer(const Path& path, std::int64_t& out) {
  const Item item = reader_.peek();
  reader_.skip();
  switch (cbor::integer_of(item, out)) {
    case cbor::IntegerVerdict::kOk:
      return true;
    case cbor::IntegerVerdict::kNotNumber:
      violations.add(path, "must be an integer");
      return false;
    case cbor::IntegerVerdict::kNotWhole:
      violations.add(path, "must be a whole number");
      return false;
    case cbor::IntegerVerdict::kTooLarge:
      violations.add(path, "must be at most 9223372036854775807");
      return false;
    case cbor::IntegerVerdict::kTooSmall:
      violations.add(path, "must not be less than -9223372036854775808");
      return false;
  }
  return false;
}

bool FieldReader::boolean(const Path& path, bool& out) {
  const Kind kind = reader_.peek().kind;
  reader_.skip();
  if (kind != Kind::kTrue && kind != Kind::kFalse) {
    violations.add(path, "must be true or false");
    return false;
  }
  out = kind == Kind::kTrue;
  return true;
}

bool FieldReader::enumeration(const Path& path, std::int64_t last, std::string_view meaning,
                              std::int64_t& out) {
  std::int64_t value = 0;
  if (!integer(path, value)) return false;
  if (value < 0 || value > last) {
    violations.add(path, std::string("must be ").append(meaning));
    return false;
  }
  out = value;
  return true;
}

bool FieldReader::open(const Path& path, Kind kind, std::string_view reason) {
  if (reader_.peek().kind != kind) {
    reader_.skip();
    violations.add(path, reason);
    return false;
  }
  opened_ = reader_.next();
  return true;
}

/// Takes keys and unknown fields up to the next known field that has a value.
bool FieldReader::next_field(const Path& path, std::span<const std::string_view> keys,
                             MapProgress& progress, std::size_t& found) {
  while (progress.entries.more(reader_)) {
    std::string_view key;
    if (!next_key(path, key)) {
      reader_.skip();
      continue;
    }
    const auto known = std::find(keys.begin(), keys.end(), key);
    if (known == keys.end()) {
      progress.unknown_keys.push_back(key);
      reader_.skip();
      continue;
    }
    found = static_cast<std::size_t>(known - keys.begin());
    const std::uint32_t bit = 1U << found;
    if ((progress.seen & bit) != 0) {
      violations.add(Path{&path, *known}, "is given twice");
      reader_.skip();
      continue;
    }
    progress.seen |= bit;
    if (reader_.peek().kind != Kind::kNull) return true;
    reader_.skip();
  }
  check_unknown_keys(path, progress);
  return false;
}

/// Takes a key. False for one that no field has: not text, or not valid.
bool FieldReader::next_key(const Path& path, std::string_view& key) {
  if (reader_.peek().kind != Kind::kText) {
    reader_.skip();
    return false;
  }
  Bytes content;
  if (!reader_.content(reader_.next(), scratch_, content)) return false;
  key = as_text(content);
  if (cbor::valid_utf8(key)) return true;
  violations.add(path, "has a key that is not valid UTF-8");
  return false;
}

void FieldReader::check_unknown_keys(const Path& path, MapProgress& progress) {
  auto& keys = progress.unknown_keys;
  if (keys.size() < 2) return;
  std::sort(keys.begin(), keys.end());
  if (std::adjacent_find(keys.begin(), keys.end()) != keys.end()) {
    violations.add(path, "has an unknown key twice");
  }
}

}  // namespace weir::protocol
