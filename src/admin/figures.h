#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weir::admin {

/// What the dashboard shows, as the daemon knows it. Moments are wall-clock milliseconds, never
/// ages or countdowns: what does not happen must not change. 0 = unknown or never.
struct ExportFigures {
  std::string identifier;
  std::string type;
  std::string target;
  std::string redirected_to;  ///< where it really goes, if the configuration says so
  std::string state;
  std::string reason;  ///< why it waits, in words; "" when it does not
  std::string last_error;
  std::string failure_class;
  std::int64_t failures_in_a_row = 0;
  std::int64_t next_try_ms = 0;
  std::int64_t waiting_messages = 0;
  std::int64_t waiting_bytes = 0;
  std::int64_t oldest_waiting_ms = 0;
  std::int64_t exported_messages = 0;
  std::int64_t exported_bytes = 0;
  std::int64_t last_exported = -1;
  std::int64_t last_export_ms = 0;
  std::int64_t skipped_messages = 0;
  std::int64_t dead_letters = 0;
  std::int64_t lost_messages = 0;
  bool paused = false;
};

struct StreamFigures {
  std::uint64_t id = 0;
  std::string name;
  bool in_memory = false;
  bool overwrites = false;  ///< what is oldest goes when it is full; else appends are refused
  std::int64_t time_to_live_ms = 0;
  std::int64_t oldest = 0;
  std::int64_t next = 0;  ///< behind the newest message
  std::int64_t oldest_ms = 0;
  std::int64_t newest_ms = 0;
  std::int64_t bytes = 0;
  std::int64_t bytes_max = 0;
  std::string fault;
  std::int64_t lost_messages = 0;
  std::vector<ExportFigures> exports;
};

struct CredentialsFigures {
  std::string role;
  std::string source;
  std::string error;
  bool have = false;
  std::int64_t expires_ms = 0;
};

struct ConnectorFigures {
  std::string name;
  std::string broker;
  std::string state;
  std::string reason;
  std::int64_t next_try_ms = 0;
  std::int64_t unacknowledged_messages = 0;
};

struct UnavailableFigures {
  std::string name;
  std::string reason;
};

struct WarningFigures {
  std::uint64_t number = 0;  ///< counts up
  std::int64_t wall_ms = 0;
  bool is_error = false;
  std::string text;
};

struct WeirFigures {
  std::string version;
  std::string host;
  std::string store_directory;
  std::int64_t started_ms = 0;
  std::int64_t server_port = 0;
  std::int64_t connections = 0;
  std::int64_t disk_free_bytes = 0;
  std::int64_t disk_total_bytes = 0;
  std::int64_t memory_bytes = 0;
  bool live = true;  ///< the core thread answers
  bool ready = true;
  std::vector<CredentialsFigures> credentials;
  std::vector<ConnectorFigures> connectors;
  std::vector<UnavailableFigures> unavailable;
};

/// Where the figures come from. Called on the admin thread; must not wait for another thread.
struct FigureSources {
  std::function<WeirFigures()> weir;
  /// The streams one after the other, ascending by id, so that not all are held at once: the first
  /// one behind `after` (0: the very first). None: that was the last.
  std::function<std::optional<StreamFigures>(std::uint64_t after)> next_stream;
  /// Warnings and errors behind this number, ascending, as far as they are remembered.
  std::function<std::vector<WarningFigures>(std::uint64_t after)> warnings;
};

}  // namespace weir::admin
