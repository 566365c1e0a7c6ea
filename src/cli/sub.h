#pragma once

#include "base/result.h"
#include "cli/command_table.h"
#include "cli/message_format.h"
#include "cli/output.h"
#include "cli/start_position.h"

#include <cstdint>
#include <optional>
#include <string>

namespace weir::cli {

class Client;

/// Reads a stream and prints its messages. Threads: one.
class Subscriber {
 public:
  struct Options {
    std::string stream;
    StartPosition from;
    std::optional<std::int64_t> count;  ///< stop after so many
    bool follow = false;                ///< wait for more at the end
  };
  struct Counts {
    std::int64_t printed = 0;
    std::int64_t gone = 0;  ///< deleted by retention before they could be read
  };

  Subscriber(Options options, Client& client, MessageFormat format, Output& out)
      : options_(std::move(options)), client_(client), format_(std::move(format)), out_(out) {}

  /// Until there is nothing more to print, or the reader of `out` is gone. Errors: kNotFound;
  /// kCancelled, interrupted by a signal.
  Result<void> run();
  /// How many messages it will print, as far as that is known. Right once `run` has asked.
  [[nodiscard]] std::int64_t expected() const;
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  Result<void> read_on();
  void print(const protocol::StoredMessage& message);
  [[nodiscard]] bool done() const;

  Options options_;
  Client& client_;
  MessageFormat format_;
  Output& out_;
  Counts counts_;
  std::int64_t next_ = 0;
  std::int64_t last_wanted_ = 0;  // without `follow`: the newest when we began
};

Command sub_command();

}  // namespace weir::cli
