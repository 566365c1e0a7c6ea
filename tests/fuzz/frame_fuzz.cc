// Any bytes as what a client sends after the handshake: frames one after another, each decoded as
// what it says it is, and as an append.

#include "protocol/codec.h"

#include <cstdlib>

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes left = std::as_bytes(std::span(data, size));
  protocol::DecodeScratch scratch;
  for (;;) {
    const protocol::FrameView view = protocol::split_frame(left);
    if (view.kind == protocol::FrameView::Kind::kNeedMore) {
      if (view.bytes_needed <= left.size()) std::abort();
      if (left.size() > protocol::kFrameHeadBytes) {
        const auto id = protocol::find_request_id(left.subspan(protocol::kFrameHeadBytes));
        if (id && id->empty()) std::abort();
      }
      return 0;
    }
    if (view.kind == protocol::FrameView::Kind::kBadLength) return 0;
    if (view.frame.bytes > left.size() || view.frame.payload.empty()) std::abort();
    (void)protocol::decode_connect(view.frame.payload);
    (void)protocol::decode_request(view.frame.operation, view.frame.payload, scratch);
    left = left.subspan(view.frame.bytes);
  }
}
