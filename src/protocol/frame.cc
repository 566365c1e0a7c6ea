#include "protocol/codec.h"

namespace weir::protocol {

FrameView split_frame(Bytes from) {
  FrameView view;
  if (from.size() < sizeof(std::uint32_t)) return view;
  // The length is signed on the wire; a negative one is above the limit when read as unsigned.
  const std::uint32_t length = load_big32(from.data());
  if (length < 2 || length > kFrameLengthMax) {
    view.kind = FrameView::Kind::kBadLength;
    return view;
  }
  const std::size_t bytes = sizeof(std::uint32_t) + length;
  view.bytes_needed = bytes;
  if (from.size() < kFrameHeadBytes) return view;
  const auto code = std::to_integer<std::uint8_t>(from[4]);
  view.frame.operation_code = code;
  view.frame.operation = code <= static_cast<std::uint8_t>(Operation::kUnknownOperationError)
                             ? static_cast<Operation>(code)
                             : Operation::kUnknown;
  view.frame.bytes = bytes;
  if (from.size() < bytes) return view;
  view.kind = FrameView::Kind::kFrame;
  view.frame.payload = from.subspan(kFrameHeadBytes, bytes - kFrameHeadBytes);
  return view;
}

}  // namespace weir::protocol
