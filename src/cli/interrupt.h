#pragma once

namespace weir::cli {

/// Turns SIGINT, SIGTERM and SIGHUP into something that loops can look at and poll for, and
/// ignores SIGPIPE, so that a closed pipe is an error code. One at a time in a process; the
/// destructor restores what was before. A second signal ends the process at once.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] bool raised() const;
  /// Readable once raised.
  [[nodiscard]] int fd() const;
};

}  // namespace weir::cli
