#include "cli/progress.h"

#include "cli/screen_text.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

namespace weir::cli {
namespace {

constexpr Duration kPatience = std::chrono::milliseconds(500);
constexpr Duration kRedraw = std::chrono::milliseconds(100);
constexpr std::size_t kBarColumns = 20;
constexpr std::size_t kColumnsUntold = 80;  // a serial line does not tell

std::string amount(std::int64_t number, Progress::Unit unit) {
  return unit == Progress::Unit::kBytes ? human_bytes(number) : grouped(number);
}

const char* noun(Progress::Unit unit) {
  switch (unit) {
    case Progress::Unit::kMessages:
      return " messages";
    case Progress::Unit::kFiles:
      return " files";
    case Progress::Unit::kBytes:
      return "";
  }
  return "";
}

void put(int fd, const std::string& text) {
  [[maybe_unused]] const auto written = ::write(fd, text.data(), text.size());
}

}  // namespace

std::string progress_text(const std::string& doing, std::int64_t done,
                          std::optional<std::int64_t> total, Progress::Unit unit, double seconds,
                          std::size_t columns) {
  std::string text = doing + " ";
  const bool known = total && *total > 0;
  const double share =
      known ? std::clamp(static_cast<double>(done) / static_cast<double>(*total), 0.0, 1.0) : 0;
  if (known) {
    const auto full = static_cast<std::size_t>(share * kBarColumns);
    text += "[" + std::string(full, '#') + std::string(kBarColumns - full, '.') + "] ";
  }
  text += amount(done, unit);
  if (known) text += " of " + amount(*total, unit);
  text += noun(unit);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  if (rate > 0) text += fmt::format(", {}/s", amount(static_cast<std::int64_t>(rate), unit));
  if (known && share > 0 && share < 1) {
    const double left_ms = std::min(seconds * 1000 * (1 - share) / share, 1e15);
    text +=
        fmt::format(", {} left", human_duration(static_cast<std::int64_t>(left_ms) / 1000 * 1000));
  }
  return cut(text, columns);
}

Progress::Progress(std::string doing, std::optional<std::int64_t> total, Unit unit, int fd,
                   int and_not)
    : doing_(std::move(doing)),
      total_(total),
      unit_(unit),
      fd_(is_screen(fd) && ::isatty(and_not) != 1 ? fd : -1),
      begun_(SystemClock().now()),
      next_(begun_ + kPatience) {}

Progress::~Progress() { clear(); }

void Progress::at(std::int64_t done) {
  if (fd_ < 0) return;
  const Instant now = SystemClock().now();
  if (now < next_) return;
  next_ = now + kRedraw;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  std::size_t columns = terminal_size(fd_).columns;
  if (columns == 0) columns = kColumnsUntold;
  put(fd_, "\r" + progress_text(doing_, done, total_, unit_, seconds, columns - 1) + "\x1b[K");
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) put(fd_, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace weir::cli
