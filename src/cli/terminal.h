#pragma once

#include <cstddef>

namespace weir::cli {

struct TerminalSize {
  std::size_t rows = 0;
  std::size_t columns = 0;
  bool operator==(const TerminalSize&) const = default;
};

/// Zeros if `fd` is no terminal or does not tell.
TerminalSize terminal_size(int fd);

/// Whether `fd` is a terminal that takes escape sequences.
bool is_screen(int fd);

/// The same, and nobody has set NO_COLOR.
bool has_colours(int fd);

/// Takes over a terminal: keys come one by one and unseen, the screen is another one, the cursor
/// hidden. Whatever was before comes back in the destructor, when the process is stopped (Ctrl-Z)
/// and when it crashes. One at a time in a process; made before any thread.
class FullScreen {
 public:
  FullScreen(int in, int out);
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  /// Readable when the screen has to be drawn anew: another size, or back from being stopped.
  [[nodiscard]] int changed_fd() const;
  /// Whether that happened since the last call.
  bool take_changed();
};

}  // namespace weir::cli
