#pragma once

#include "base/byte_buffer.h"

#include <cstddef>
#include <utility>
#include <vector>

namespace weir::server {

/// Buffers between two uses. A connection owns memory only while it has something in it, and
/// taking it from here costs neither an allocation nor fresh pages. Threads: core.
class SpareBuffers {
 public:
  /// Large enough for the answer to a read of a thousand ordinary messages.
  static constexpr std::size_t kBufferBytesMax = std::size_t{2} << 20;
  static constexpr std::size_t kKeptBytesMax = std::size_t{4} << 20;

  ByteBuffer take() {
    if (buffers_.empty()) return {};
    ByteBuffer buffer = std::move(buffers_.back());
    buffers_.pop_back();
    kept_bytes_ -= buffer.capacity();
    return buffer;
  }

  void give(ByteBuffer buffer) {
    if (buffer.capacity() == 0 || buffer.capacity() > kBufferBytesMax) return;
    if (kept_bytes_ + buffer.capacity() > kKeptBytesMax) return;
    buffer.clear();
    kept_bytes_ += buffer.capacity();
    buffers_.push_back(std::move(buffer));
  }

 private:
  std::vector<ByteBuffer> buffers_;
  std::size_t kept_bytes_ = 0;
};

}  // namespace weir::server
