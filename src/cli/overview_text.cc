// The overview as lines of a terminal.

#include "cli/overview.h"
#include "cli/screen_text.h"
#include "cli/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <string_view>
#include <utility>

namespace weir::cli {
namespace {

using Lines = std::vector<std::string>;

/// Puts `parts` into as few lines as they fit, two spaces between them.
Lines flowed(const std::vector<std::string>& parts, std::size_t columns) {
  Lines lines;
  for (const std::string& part : parts) {
    if (!lines.empty() && columns_of(lines.back()) + 2 + columns_of(part) <= columns) {
      lines.back() += "  " + part;
    } else {
      lines.push_back(cut(part, columns));
    }
  }
  return lines;
}

std::string exports_part(const Overview& overview) {
  std::size_t paused = 0;
  for (const StreamRow& stream : overview.streams) {
    paused +=
        static_cast<std::size_t>(std::count_if(stream.exports.begin(), stream.exports.end(),
                                               [](const ExportRow& row) { return row.paused; }));
  }
  const std::size_t stuck = overview.stuck().size();
  std::string text = counted(static_cast<std::int64_t>(overview.export_count()), "export");
  if (stuck > 0) text += fmt::format(", {} stuck", stuck);
  if (paused > 0) text += fmt::format(", {} paused", paused);
  return text;
}

/// "subject" on the left, `right` at the right edge.
std::string justified(const std::string& left, const std::string& right, std::size_t columns) {
  const std::size_t taken = std::min(columns_of(right), columns);
  if (taken + 10 > columns) return cut(left, columns);
  return fitted(left, columns - taken - 1) + " " + right;
}

/// A reason says at its end what to do, so it gets more lines where there is room for them.
constexpr std::size_t kReasonLinesMax = 3;

/// `first`, and below it `reason`, indented, in at most `reason_lines`.
Lines with_reason(std::string first, const std::string& reason, std::size_t columns,
                  std::size_t reason_lines) {
  Lines lines = {std::move(first)};
  if (columns_of(reason) + 2 <= columns || columns < 10) reason_lines = 1;
  std::string_view rest = reason;
  while (lines.size() < reason_lines && columns_of(rest) + 2 > columns) {
    const std::string line = broken(rest, columns - 2).front();
    lines.push_back("  " + line);
    rest.remove_prefix(std::min(rest.size(), line.size()));
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
  }
  lines.push_back(cut("  " + std::string(rest), columns));
  return lines;
}

Lines trouble_lines(const TroubleRow& row, std::size_t columns, std::size_t reason_lines) {
  const std::string whole = row.subject + ": " + row.why;
  if (columns_of(whole) <= columns) return {whole};
  return with_reason(cut(row.subject, columns), row.why, columns, reason_lines);
}

/// Exports that wait for the same thing are one block: an outage is not two hundred problems.
std::vector<std::vector<const ExportRow*>> by_cause(const std::vector<const ExportRow*>& stuck) {
  std::vector<std::vector<const ExportRow*>> groups;
  std::map<std::pair<Trouble, std::string_view>, std::size_t> known;
  for (const ExportRow* row : stuck) {
    const auto [at, is_new] = known.try_emplace({row->trouble, row->cause}, groups.size());
    if (is_new) groups.emplace_back();
    groups[at->second].push_back(row);
  }
  return groups;
}

Lines stuck_lines(const std::vector<const ExportRow*>& rows, std::size_t columns,
                  std::size_t reason_lines) {
  std::int64_t waiting = 0;
  std::int64_t oldest_ms = 0;
  for (const ExportRow* row : rows) {
    waiting += row->waiting;
    oldest_ms = std::max(oldest_ms, row->oldest_ms);
  }
  std::string left = rows.front()->stream + "/" + rows.front()->name;
  if (rows.size() > 1) {
    left += fmt::format(" and {} more", grouped(static_cast<std::int64_t>(rows.size() - 1)));
  }
  std::string right;
  if (waiting > 0) {
    right = grouped(waiting) + " waiting";
    if (oldest_ms > 0) right += ", oldest " + human_duration(oldest_ms);
  }
  const std::string& words = rows.size() > 1 ? rows.front()->cause : rows.front()->words;
  return with_reason(justified(left, right, columns), words, columns, reason_lines);
}

/// What is in trouble, a block each.
std::vector<Lines> trouble_blocks(const Overview& overview, std::size_t columns,
                                  std::size_t reason_lines) {
  std::vector<Lines> blocks;
  for (const TroubleRow& row : overview.troubles) {
    blocks.push_back(trouble_lines(row, columns, reason_lines));
  }
  for (const auto& rows : by_cause(overview.stuck())) {
    blocks.push_back(stuck_lines(rows, columns, reason_lines));
  }
  return blocks;
}

std::size_t lines_of(const std::vector<Lines>& blocks) {
  std::size_t lines = 0;
  for (const Lines& block : blocks) lines += block.size();
  return lines;
}

std::string percent(std::int64_t part, std::int64_t whole) {
  if (whole <= 0) return "";
  return fmt::format("{}%", std::min<std::int64_t>(
                                999, static_cast<std::int64_t>(100.0 * static_cast<double>(part) /
                                                               static_cast<double>(whole))));
}

std::string exports_words(const StreamRow& stream) {
  if (stream.exports.empty()) return "-";
  std::string text;
  for (const ExportRow& row : stream.exports) {
    text += (text.empty() ? "" : "; ") + row.name + ": " + row.words;
  }
  return text;
}

std::string stream_line(const std::string& name, const std::string& rate,
                        const std::string& messages, const std::string& size,
                        const std::string& full, const std::string& exports, std::size_t columns) {
  if (columns < 60) {
    const std::size_t left = columns > 20 ? columns - 16 : columns;
    return cut(fitted(name, left) + " " + fitted(rate, 9, true) + " " + fitted(full, 5, true),
               columns);
  }
  const std::size_t flexible = columns - 42;
  const std::size_t left = flexible / 2;
  std::string line = fitted(name, left) + " " + fitted(rate, 8, true) + " " +
                     fitted(messages, 13, true) + " " + fitted(size, 10, true) + " " +
                     fitted(full, 5, true) + "  " + cut(exports, flexible - left);
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

Lines busiest_lines(const Overview& overview, std::size_t room, std::size_t columns) {
  std::vector<const StreamRow*> rows;
  for (const StreamRow& stream : overview.streams) rows.push_back(&stream);
  const auto shown = std::min(rows.size(), room > 1 ? room - 1 : 0);
  std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(shown), rows.end(),
                    [](const StreamRow* a, const StreamRow* b) {
                      if (a->per_second != b->per_second) return a->per_second > b->per_second;
                      return a->bytes != b->bytes ? a->bytes > b->bytes : a->name < b->name;
                    });
  Lines lines = {stream_line("STREAM", "IN/S", "MESSAGES", "SIZE", "FULL", "EXPORTS", columns)};
  for (std::size_t i = 0; i < shown; ++i) {
    const StreamRow& row = *rows[i];
    lines.push_back(stream_line(row.name, rate_text(row.per_second), grouped(row.messages()),
                                human_bytes(row.bytes), percent(row.bytes, row.max),
                                exports_words(row), columns));
  }
  return lines;
}

/// Exports that look well may have left something out: that is never silent. "" if none did.
std::string lost_line(const Overview& overview) {
  std::int64_t all = 0;
  std::int64_t exports = 0;
  const ExportRow* most = nullptr;
  for (const StreamRow& stream : overview.streams) {
    for (const ExportRow& row : stream.exports) {
      const std::int64_t left_out = row.skipped + row.lost;
      if (left_out == 0) continue;
      all += left_out;
      ++exports;
      if (most == nullptr || left_out > most->skipped + most->lost) most = &row;
    }
  }
  if (most == nullptr) return {};
  std::string line = fmt::format("{} never exported, since weir started: {}/{}",
                                 counted(all, "message"), most->stream, most->name);
  if (exports > 1) line += fmt::format(" and {} more", grouped(exports - 1));
  if (most->skipped > 0)
    line += fmt::format(", {} skipped as unacceptable", grouped(most->skipped));
  if (most->lost > 0) line += fmt::format(", {} deleted or moved past", grouped(most->lost));
  return line;
}

std::string joined_lines(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace

std::vector<std::string> head_lines(const Overview& overview, std::size_t columns) {
  std::vector<std::string> parts = {
      fmt::format("weir {}, up {}", overview.version, human_duration(overview.uptime_ms)),
      counted(overview.connections, "connection"),
      fmt::format("disk {} of {} free", human_bytes(overview.free_bytes),
                  human_bytes(overview.total_bytes)),
      counted(static_cast<std::int64_t>(overview.streams.size()), "stream"),
      exports_part(overview),
      fmt::format("in {}/s", rate_text(overview.in_per_second()))};
  if (const double out = overview.out_per_second(); out > 0) {
    parts.back() += fmt::format(", out {}/s", rate_text(out));
  }
  if (overview.bandwidth_bits > 0) {
    parts.push_back(fmt::format("limit {} kbit/s", grouped(overview.bandwidth_bits / 1000)));
  }
  Lines lines = flowed(parts, columns);
  if (overview.warnings > 0) {
    lines.push_back(cut(fmt::format("{}; the last: {}", counted(overview.warnings, "warning"),
                                    overview.last_warning),
                        columns));
  }
  return lines;
}

std::string overview_text(const Overview& overview, std::size_t lines, std::size_t columns) {
  Lines out = head_lines(overview, columns);
  if (const std::string lost = lost_line(overview); !lost.empty())
    out.push_back(cut(lost, columns));
  out.emplace_back();

  // One line is kept for what is left out; streams get a third of the rest, or what they need.
  const std::size_t room = lines > out.size() + 1 ? lines - out.size() - 1 : 0;
  const std::size_t streams = overview.streams.empty() ? 1 : overview.streams.size() + 1;
  const std::size_t kept = std::max<std::size_t>(std::min(streams + 1, room / 3), 2);
  const std::size_t for_blocks = room - std::min(room, kept);
  std::vector<Lines> blocks;
  for (std::size_t reason = kReasonLinesMax; reason > 0; --reason) {
    blocks = trouble_blocks(overview, columns, reason);
    if (lines_of(blocks) <= for_blocks) break;
  }
  std::size_t blocks_shown = 0;
  std::size_t used = 0;
  if (blocks.empty()) {
    out.emplace_back("Nothing is stuck.");
    used = 1;
  }
  for (const Lines& block : blocks) {
    if (used + block.size() > for_blocks) break;
    out.insert(out.end(), block.begin(), block.end());
    used += block.size();
    ++blocks_shown;
  }
  out.emplace_back();
  ++used;
  std::size_t streams_shown = 0;
  if (overview.streams.empty()) {
    out.push_back(cut("No streams yet; create one with: weir stream create NAME", columns));
  } else {
    const Lines table = busiest_lines(overview, room > used ? room - used : 0, columns);
    streams_shown = table.size() - 1;
    out.insert(out.end(), table.begin(), table.end());
  }
  const std::size_t more_blocks = blocks.size() - blocks_shown;
  const std::size_t more_streams = overview.streams.size() - streams_shown;
  if (more_blocks + more_streams > 0) {
    std::string more;
    if (more_blocks > 0)
      more += fmt::format("{} more in trouble, ", grouped(static_cast<std::int64_t>(more_blocks)));
    more += counted(static_cast<std::int64_t>(more_streams), "more stream");
    out.push_back(cut(more + ": weir status --all", columns));
  }
  return joined_lines(out);
}

}  // namespace weir::cli
