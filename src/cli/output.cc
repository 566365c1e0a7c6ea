#include "cli/output.h"

#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace weir::cli {

void Output::write(std::string_view bytes) {
  if (closed_) return;
  buffer_.append(bytes);
  if (buffer_.size() >= kBufferBytes) flush();
}

bool Output::flush() {
  std::string_view left = buffer_;
  while (!closed_ && !left.empty()) {
    const ssize_t written = ::write(fd_, left.data(), left.size());
    if (written >= 0) {
      left.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready = {fd_, POLLOUT, 0};
      if (::poll(&ready, 1, -1) < 0) closed_ = true;
    } else {
      closed_ = true;  // gone, or interrupted by a signal that ends us
    }
  }
  buffer_.clear();
  return !closed_;
}

namespace {

void write_line(std::string text) {
  text += '\n';
  [[maybe_unused]] const auto written = ::write(2, text.data(), text.size());
}

}  // namespace

void complain(std::string_view line) { write_line(std::string("weir: ").append(line)); }
void note(std::string_view line) { write_line(std::string(line)); }

}  // namespace weir::cli
