#pragma once

#include "base/result.h"
#include "cli/client.h"
#include "cli/command_table.h"
#include "cli/output.h"
#include "cli/telemetry.h"

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace weir::cli {

class Interrupt;

/// What the demo shows.
struct DemoFigures {
  std::int64_t appended = 0;
  std::int64_t refused = 0;
  std::int64_t stored = 0;  ///< messages in the stream
  std::int64_t stored_bytes = 0;
  std::optional<std::int64_t> exported;  ///< none: the stream has no export
  std::int64_t lag = 0;                  ///< messages not yet exported
  std::string exports;                   ///< what each export is doing
};

/// The exports of `stream` in the document of /status, put into `figures`.
void read_exports(const nlohmann::json& status, const std::string& stream, DemoFigures& figures);
/// Four lines for a terminal.
std::string demo_view(const DemoFigures& figures);
/// One line for a file or pipe.
std::string demo_line(const DemoFigures& figures);

/// Publishes this machine's telemetry into a stream and shows what becomes of it. Threads: one.
class Demo {
 public:
  struct Options {
    Endpoint endpoint;
    std::int64_t admin_port = 8089;
    std::string stream = "telemetry";
    double rate = 5;                          ///< messages a second
    std::optional<std::int64_t> count;        ///< stop after so many
    std::optional<std::int64_t> duration_ms;  ///< stop after so long
    std::string program;                      ///< as typed, for the hints
  };
  Demo(Options options, const Interrupt& interrupt, Output& out, bool terminal);

  /// Until told to stop. Errors: weir was not there when it began, or the stream cannot be made.
  Result<void> run();

 private:
  Result<void> connect();
  void say_what_to_try();
  void append();
  void refresh_figures();
  void refresh_exports();
  void show();
  void reconnect(const Error& why);
  bool sleep_until(Instant until);
  [[nodiscard]] bool finished() const;

  Options options_;
  const Interrupt& interrupt_;
  Output& out_;
  bool terminal_;
  SystemClock clock_;
  Telemetry telemetry_;
  std::unique_ptr<Client> client_;
  DemoFigures figures_;
  Instant started_{};
  Instant last_sample_{};
  Instant ask_admin_at_{};
  bool view_shown_ = false;
};

Command demo_command();

}  // namespace weir::cli
