#pragma once

#include "protocol/cbor.h"

#include <bit>
#include <nlohmann/json.hpp>
#include <string>

/// The reader's view of a document as JSON, to compare with what nlohmann::json reads. For tests
/// and fuzzers.
namespace weir::protocol::testing {

/// Takes one item of a document that `cbor::check` found sound. `comparable` becomes false for
/// what nlohmann cannot hold: keys that are not text, simple values, integers below -2^63.
inline nlohmann::json read_json(cbor::Reader& reader, DecodeScratch& scratch, bool& comparable) {
  using nlohmann::json;
  const cbor::Item item = reader.next();
  Bytes content;
  std::int64_t integer = 0;
  switch (item.kind) {
    case cbor::Kind::kUnsigned:
      return item.argument;
    case cbor::Kind::kNegative:
      comparable = cbor::integer_of(item, integer) == cbor::IntegerVerdict::kOk && comparable;
      return integer;
    case cbor::Kind::kBytes:
      comparable = reader.content(item, scratch, content) && comparable;
      return json::binary({reinterpret_cast<const std::uint8_t*>(content.data()),
                           reinterpret_cast<const std::uint8_t*>(content.data()) + content.size()});
    case cbor::Kind::kText:
      comparable = reader.content(item, scratch, content) && comparable;
      return std::string(as_text(content));
    case cbor::Kind::kArray: {
      json array = json::array();
      for (cbor::Entries entries(item); entries.more(reader);) {
        array.push_back(read_json(reader, scratch, comparable));
      }
      return array;
    }
    case cbor::Kind::kMap: {
      json map = json::object();
      for (cbor::Entries entries(item); entries.more(reader);) {
        const json key = read_json(reader, scratch, comparable);
        json value = read_json(reader, scratch, comparable);
        if (key.is_string()) map[key.get<std::string>()] = std::move(value);
        comparable = comparable && key.is_string();
      }
      return map;
    }
    case cbor::Kind::kFalse:
      return false;
    case cbor::Kind::kTrue:
      return true;
    case cbor::Kind::kNull:
      return nullptr;
    case cbor::Kind::kFloat:
      return std::bit_cast<double>(item.argument);
    default:
      comparable = false;
      return nullptr;
  }
}

/// Text by which two documents are equal; not-a-number and invalid UTF-8 included.
inline std::string comparison_text(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace weir::protocol::testing
