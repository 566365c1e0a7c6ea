// The first byte chooses the operation, the rest is its payload. Whatever is accepted obeys the
// limits, survives being encoded and decoded again, and reads the same on the fast path.

#include "protocol/codec.h"

#include <algorithm>
#include <cstdlib>
#include <string>

using namespace weir;
using namespace weir::protocol;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool same(const Bytes& a, const Bytes& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void require_same_append(Bytes payload) {
  DecodeScratch fast_scratch;
  DecodeScratch general_scratch;
  const auto fast = decode_append(payload, fast_scratch);
  const auto general = decode_append_any(payload, general_scratch);
  require(fast.has_value() == general.has_value());
  if (!fast) {
    require(fast.error().kind == general.error().kind &&
            fast.error().request_id == general.error().request_id &&
            fast.error().reason == general.error().reason);
    return;
  }
  require(fast->request_id == general->request_id && fast->name == general->name &&
          same(fast->payload, general->payload) && !fast->payload.empty());
}

const model::StreamDefinition* definition_of(const Request& request) {
  if (const auto* create = std::get_if<CreateRequest>(&request)) return &create->definition;
  if (const auto* update = std::get_if<UpdateRequest>(&request)) return &update->definition;
  return nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr Operation kOperations[] = {
      Operation::kCreateMessageStream, Operation::kDeleteMessageStream,
      Operation::kAppendMessage,       Operation::kReadMessages,
      Operation::kListStreams,         Operation::kDescribeMessageStream,
      Operation::kUpdateMessageStream};
  const Operation operation = kOperations[data[0] % std::size(kOperations)];
  const Bytes payload = std::as_bytes(std::span(data, size).subspan(1));
  require_same_append(payload);

  DecodeScratch scratch;
  const auto request = decode_request(operation, payload, scratch);
  if (!request) {
    require(!request.error().reason.empty());
    require(request.error().request_id.empty() ==
            (request.error().kind == DecodeFailure::Kind::kMalformed));
    require(request.error().reason.size() < 16 * 1024);
    return 0;
  }
  if (const auto* definition = definition_of(*request)) {
    require(validate(*definition, "definition").empty());
    require(definition->exports.size() <= model::kExportsPerStreamMax);
  }
  ByteBuffer once;
  encode_request(*request, once);
  const FrameView view = split_frame(once.bytes());
  require(view.kind == FrameView::Kind::kFrame && view.frame.operation == operation);
  DecodeScratch scratch_again;
  const auto again = decode_request(operation, view.frame.payload, scratch_again);
  require(again.has_value());
  if (const auto* definition = definition_of(*request)) {
    require(*definition == *definition_of(*again));
  }
  ByteBuffer twice;
  encode_request(*again, twice);
  require(same(once.bytes(), twice.bytes()));
  return 0;
}
