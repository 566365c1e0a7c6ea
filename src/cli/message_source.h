#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

/// The messages that `pub` sends: parts of one input between delimiters, or whole files.
class MessageSource {
 public:
  enum class Next : std::uint8_t {
    kMessage,
    kNeedInput,  ///< call `fill` once `fd` can be read
    kEnd,
  };
  /// Reads one input and cuts it at `delimiter`; with an empty one, all of it is one message.
  /// Does not own `fd`.
  static MessageSource input(int fd, std::string delimiter);
  /// Each line is a message as `sub --json` prints it: its payload is sent.
  static MessageSource json_lines(int fd);
  /// Each file is one message.
  static MessageSource files(std::vector<std::string> paths);

  /// The next message in `out`. Errors: a file cannot be read, a message is too large, a line is
  /// not JSON of the form above.
  Result<Next> next(std::string& out);
  /// Takes what `fd` has now; blocks if it has nothing.
  Result<void> fill();
  [[nodiscard]] int fd() const { return fd_; }
  /// How far it is and how far it goes, in files, or in bytes if the input is a file; none: nobody
  /// knows.
  [[nodiscard]] std::optional<std::int64_t> total() const;
  [[nodiscard]] std::int64_t position() const;
  [[nodiscard]] bool counts_files() const { return fd_ < 0; }
  /// Empty messages, which the protocol does not have, left out so far.
  [[nodiscard]] std::int64_t empty_count() const { return empty_count_; }

 private:
  MessageSource() = default;
  Result<Next> next_file(std::string& out);
  Result<Next> next_part(std::string& out);

  int fd_ = -1;
  std::string delimiter_;
  bool json_ = false;
  std::int64_t lines_ = 0;  // of JSON, for complaints
  std::string buffer_;
  std::size_t taken_ = 0;     // bytes of buffer_ already returned
  std::size_t searched_ = 0;  // up to here there is no delimiter
  bool end_of_input_ = false;
  std::vector<std::string> paths_;
  std::size_t next_path_ = 0;
  std::int64_t empty_count_ = 0;
};

}  // namespace weir::cli
