// Any bytes as CBOR: whatever the reader accepts, nlohmann::json must read as the same document.

#include "protocol/cbor_json_testing.h"

#include <cstdlib>

using namespace weir;
using nlohmann::json;
using protocol::cbor::Verdict;

namespace {

/// Discarded if nlohmann does not accept it; it throws for absurd sizes although told not to.
json read_by_nlohmann(const std::uint8_t* data, std::size_t size) {
  try {
    return json::from_cbor(data, data + size, true, false, json::cbor_tag_handler_t::ignore);
  } catch (const json::exception&) {
    return json(json::value_t::discarded);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes document = std::as_bytes(std::span(data, size));
  const Verdict verdict = protocol::cbor::check(document);
  const json theirs = read_by_nlohmann(data, size);
  if (verdict == Verdict::kTruncated && !theirs.is_discarded()) std::abort();
  if (verdict != Verdict::kSound) return 0;

  protocol::cbor::Reader reader(document);
  protocol::DecodeScratch scratch;
  bool comparable = true;
  const json ours = protocol::testing::read_json(reader, scratch, comparable);
  if (!reader.at_end()) std::abort();
  if (!comparable || theirs.is_discarded()) return 0;
  if (protocol::testing::comparison_text(ours) != protocol::testing::comparison_text(theirs)) {
    std::abort();
  }
  return 0;
}
