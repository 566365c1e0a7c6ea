#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/result.h"

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

/// What clients append for IoT SiteWise: one PutAssetPropertyValueEntry a message, as JSON
/// (protocol.md §6.3).
namespace weir::destination::sitewise {

struct Timestamp {
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

/// An entry that the service may accept.
struct Entry {
  std::string id;
  std::string property;  ///< names the property it belongs to, for comparing only
  std::vector<Timestamp> timestamps;
  std::string json;  ///< as it is sent
};

/// Reads a message. What is sent is written anew from the members the service knows, because it
/// refuses others; members that are null count as absent, as SDKs write them. Of several values
/// for one time the last counts: to the service the later would overwrite the earlier.
///
/// Errors: kInvalidArgument, saying what no entry can have: the message can never be delivered.
/// Pure.
Result<Entry> read_entry(Bytes payload);

/// The body of BatchPutAssetPropertyValue. Pure.
ByteBuffer batch_put_body(const std::vector<const Entry*>& entries);

}  // namespace weir::destination::sitewise
