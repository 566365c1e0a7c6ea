#pragma once

#include "base/result.h"
#include "cli/flags.h"
#include "cli/message_source.h"
#include "cli/output.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weir::cli {

class Client;
class Interrupt;
class Progress;

/// Sends messages with many in flight, and keeps count of what became of them. Threads: one.
class Publisher {
 public:
  struct Options {
    std::string stream;
    double rate = 0;              ///< messages a second; 0: as fast as they are taken
    std::int64_t window = 1000;   ///< messages in flight
    bool print_sequence = false;  ///< each sequence number on `out`
  };
  struct Counts {
    std::int64_t sent = 0;
    std::int64_t stored = 0;
    std::int64_t refused = 0;
    std::int64_t sent_bytes = 0;
    std::int64_t first_refused = 0;  ///< counted from 1
    std::string first_refusal;       ///< the server's text
  };

  /// All must outlive the publisher.
  Publisher(Options options, Client& client, MessageSource& source, const Interrupt& interrupt,
            Output& out)
      : options_(std::move(options)),
        client_(client),
        source_(source),
        interrupt_(interrupt),
        out_(out) {}

  /// Until the source has ended and everything was answered. Errors: the connection or the source
  /// failed; kNotFound: no such stream, found out before anything more was sent.
  Result<void> run();
  /// Told how far the source is, while it runs; outlives it. Null: nobody wants to know.
  void set_progress(Progress* progress) { progress_ = progress; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] std::int64_t unanswered() const {
    return counts_.sent - counts_.stored - counts_.refused;
  }

 private:
  Result<void> send_what_may_go();
  Result<void> take_answers();
  Result<void> wait();
  [[nodiscard]] bool may_send() const;

  Options options_;
  Client& client_;
  MessageSource& source_;
  const Interrupt& interrupt_;
  Output& out_;
  Counts counts_;
  std::uint64_t first_ticket_ = 0;
  Instant started_{};
  Instant give_up_{};  // once interrupted
  Progress* progress_ = nullptr;
  bool need_input_ = false;
  bool ended_ = false;
  std::string message_;
};

Command pub_command();

}  // namespace weir::cli
