#pragma once

#include "base/clock.h"

#include <cstdint>
#include <optional>
#include <string>

namespace weir::cli {

/// How far something long is, in one line that is drawn over itself. Only on a terminal, only when
/// it takes longer than half a second, and at most ten times a second. Threads: one.
class Progress {
 public:
  enum class Unit : std::uint8_t { kMessages, kBytes, kFiles };

  /// `total`: none, if nobody knows. Draws on `fd`; nothing if that is no terminal, or if
  /// `and_not` (a descriptor, or -1) is one, because what is printed there would be in between.
  Progress(std::string doing, std::optional<std::int64_t> total, Unit unit, int fd = 2,
           int and_not = -1);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// So much is done. Cheap.
  void at(std::int64_t done);
  /// Takes the line away, so that something else can be said.
  void clear();

 private:
  std::string doing_;
  std::optional<std::int64_t> total_;
  Unit unit_;
  int fd_;
  bool drawn_ = false;
  Instant begun_;
  Instant next_;
};

/// "publishing [####........] 40 of 100 messages, 12/s, 5 s left", at most `columns` wide.
std::string progress_text(const std::string& doing, std::int64_t done,
                          std::optional<std::int64_t> total, Progress::Unit unit, double seconds,
                          std::size_t columns);

}  // namespace weir::cli
