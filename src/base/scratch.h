#pragma once

#include "base/byte_buffer.h"

#include <cstddef>
#include <utility>

namespace weir {

/// A buffer that stays with the thread, so that work done again and again asks for no memory once
/// it is warm. Borrowed while this lives; a second one on the same thread starts with its own.
/// Threads: the one that made it.
class Scratch {
 public:
  /// A buffer that has grown beyond `kept_bytes_max` is given back: one huge piece of work must not
  /// stay in memory for ever.
  explicit Scratch(std::size_t kept_bytes_max)
      : buffer_(std::move(kept())), kept_bytes_max_(kept_bytes_max) {
    buffer_.clear();
  }
  ~Scratch() {
    if (buffer_.capacity() > kept_bytes_max_) buffer_.release();
    kept() = std::move(buffer_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  ByteBuffer& buffer() { return buffer_; }

 private:
  static ByteBuffer& kept() {
    static thread_local ByteBuffer buffer;
    return buffer;
  }
  ByteBuffer buffer_;
  const std::size_t kept_bytes_max_;
};

}  // namespace weir
