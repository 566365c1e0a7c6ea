#pragma once

#include "base/byte_buffer.h"
#include "protocol/messages.h"

#include <cstdint>

namespace weir::protocol {

/// Appends one frame to `out`: the payload is written between construction and `close`, which sets
/// the length.
class FrameWriter {
 public:
  FrameWriter(Operation operation, ByteBuffer& out) : out_(out), begin_(out.size()) {
    out.extend(kFrameHeadBytes)[4] = static_cast<std::byte>(operation);
  }
  void close() {
    const std::size_t length = out_.size() - begin_ - sizeof(std::uint32_t);
    store_big32(out_.data() + begin_, static_cast<std::uint32_t>(length));
  }

 private:
  ByteBuffer& out_;
  std::size_t begin_;
};

}  // namespace weir::protocol
