#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace weir::cli {

/// How bad it is. What needs a person comes first.
enum class Trouble : std::uint8_t { kNone, kWaits, kNeedsPerson };

/// All texts are safe for a terminal.
struct ExportRow {
  std::string stream;
  std::string name;  ///< its identifier
  std::string type;
  std::string target;
  std::string state;
  std::string words;  ///< what it does or waits for
  std::string cause;  ///< the same without what differs from moment to moment
  std::string error;  ///< the last one, also after it went well again
  Trouble trouble = Trouble::kNone;
  std::int64_t waiting = 0;
  std::int64_t waiting_bytes = 0;
  std::int64_t oldest_ms = 0;  ///< age of what waits longest
  std::int64_t failures = 0;   ///< in a row
  std::int64_t exported = 0;
  std::int64_t exported_bytes = 0;
  std::int64_t last_exported = -1;
  std::int64_t lost = 0;
  std::int64_t skipped = 0;
  std::int64_t dead_letters = 0;
  bool paused = false;
  double per_second = 0;
};

struct StreamRow {
  std::string name;
  std::int64_t id = 0;
  std::int64_t oldest = 0;
  std::int64_t newest = -1;
  std::int64_t bytes = 0;
  std::int64_t max = 0;
  bool in_memory = false;
  std::string fault;
  std::int64_t lost = 0;
  double per_second = 0;
  std::vector<ExportRow> exports;
  [[nodiscard]] std::int64_t messages() const { return newest - oldest + 1; }
};

/// Something that does not go as it should, beside the exports.
struct TroubleRow {
  std::string subject;
  std::string why;
  Trouble trouble = Trouble::kWaits;
};

/// The document of /status, read; what is missing there is empty here.
struct Overview {
  std::string version;
  std::int64_t pid = 0;
  std::int64_t uptime_ms = 0;
  std::int64_t connections = 0;
  std::int64_t free_bytes = 0;
  std::int64_t total_bytes = 0;
  std::int64_t warnings = 0;  ///< since weir started
  std::string last_warning;
  std::int64_t bandwidth_bits = 0;  ///< limit of all exports together, a second; 0: none
  std::vector<TroubleRow> troubles;
  std::vector<StreamRow> streams;

  [[nodiscard]] std::size_t export_count() const;
  /// Exports in trouble, worst first: what needs a person, then what has waited longest.
  [[nodiscard]] std::vector<const ExportRow*> stuck() const;
  [[nodiscard]] double in_per_second() const;
  [[nodiscard]] double out_per_second() const;
};

ExportRow read_export(const nlohmann::json& entry, const std::string& stream);
Overview read_overview(const nlohmann::json& status);

/// Rates from what has changed since `before`, `seconds` ago. A weir that was restarted in between
/// counts from nothing.
void add_rates(Overview& now, const Overview& before, double seconds);

/// What one line about an export says of it: what it waits for, since when, what was lost.
std::string export_words(const ExportRow& row);

/// The whole picture in `lines` lines of `columns` columns.
std::string overview_text(const Overview& overview, std::size_t lines, std::size_t columns);

/// "1,234 /s", "0.3 /s".
std::string rate_text(double per_second);

/// The two or three lines that overview and `top` begin with.
std::vector<std::string> head_lines(const Overview& overview, std::size_t columns);

}  // namespace weir::cli
