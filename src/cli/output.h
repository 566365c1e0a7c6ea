#pragma once

#include <string>
#include <string_view>

namespace weir::cli {

/// Buffered bytes to a descriptor, for data that other programs read. Once the reader is gone, or
/// a signal interrupted a write, everything further is dropped and `closed` says so.
class Output {
 public:
  explicit Output(int fd = 1) : fd_(fd) {}
  void write(std::string_view bytes);
  /// Writes what is buffered. False if the reader is gone.
  bool flush();
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  static constexpr std::size_t kBufferBytes = 64 * 1024;
  int fd_;
  bool closed_ = false;
  std::string buffer_;
};

/// One line on standard error, "weir: " in front; what people read.
void complain(std::string_view line);
/// The same without the prefix.
void note(std::string_view line);

}  // namespace weir::cli
