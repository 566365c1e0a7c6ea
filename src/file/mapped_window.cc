#include "file/mapped_window.h"

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace weir::file {
namespace {

std::atomic<int> open_windows{0};

/// Where a copy of this thread goes on if the kernel cannot take it.
thread_local sigjmp_buf* rescue = nullptr;

void on_bus_error(int signal) {
  if (rescue != nullptr) siglongjmp(*rescue, 1);
  // Not from a window: end as if nobody had asked for the signal.
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void catch_bus_errors() {
  static const bool once = [] {
    struct sigaction action {};
    action.sa_handler = on_bus_error;
    // The handler is left by a jump, so the signal must not stay blocked.
    action.sa_flags = SA_NODEFER;
    return ::sigaction(SIGBUS, &action, nullptr) == 0;
  }();
  static_cast<void>(once);
}

// A call of its own: a variable that changes must not live where the jump lands.
[[gnu::noinline]] void copy(std::byte* to, std::span<const Bytes> pieces) {
  for (const Bytes piece : pieces) {
    if (!piece.empty()) std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
}

/// Nothing here has a destructor, so that jumping out of it is defined.
bool try_copy(std::byte* to, std::span<const Bytes> pieces) {
  sigjmp_buf jump;
  if (sigsetjmp(jump, 0) != 0) {
    rescue = nullptr;
    return false;
  }
  rescue = &jump;
  copy(to, pieces);
  rescue = nullptr;
  return true;
}

std::uint64_t page_bytes() {
  static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

void MappedWindow::open(int descriptor, std::uint64_t offset, std::uint64_t bytes) {
  const std::uint64_t from = offset - offset % page_bytes();
  const std::size_t length = static_cast<std::size_t>(offset + bytes - from);
  if (memory_ != nullptr && length != mapped_bytes_) close();
  if (memory_ == nullptr) {
    if (open_windows.fetch_add(1, std::memory_order_relaxed) >= kMappedWindowsMax) {
      open_windows.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    catch_bus_errors();
  }
  // In the old place where there is one, which saves a call.
  void* const memory = ::mmap(memory_, length, PROT_READ | PROT_WRITE,
                              MAP_SHARED | (memory_ != nullptr ? MAP_FIXED : 0), descriptor,
                              static_cast<off_t>(from));
  if (memory == MAP_FAILED) {
    if (memory_ != nullptr)
      close();
    else
      open_windows.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  memory_ = static_cast<std::byte*>(memory);
  mapped_bytes_ = length;
  mapped_offset_ = from;
  begin_ = offset;
  end_ = offset + bytes;
}

void MappedWindow::close() {
  if (memory_ == nullptr) return;
  ::munmap(memory_, mapped_bytes_);
  open_windows.fetch_sub(1, std::memory_order_relaxed);
  memory_ = nullptr;
  begin_ = end_ = 0;
}

bool MappedWindow::write(std::uint64_t offset, std::span<const Bytes> pieces) {
  if (try_copy(memory_ + (offset - mapped_offset_), pieces)) return true;
  close();
  return false;
}

}  // namespace weir::file
