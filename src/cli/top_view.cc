#include "cli/top_view.h"

#include "cli/screen_text.h"
#include "cli/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace weir::cli {
namespace {

using Kind = Key::Kind;
using Style = ScreenLine::Style;

constexpr std::size_t kWideColumns = 72;
constexpr std::size_t kFilterBytesMax = 64;

/// What a line of the list is put together from; headings are made of the same.
std::string list_line(std::size_t columns, const std::string& mark, const std::string& name,
                      const std::string& in, const std::string& out, const std::string& waiting,
                      const std::string& oldest, const std::string& words) {
  if (columns < 30) return fitted(mark + " " + name, columns);
  if (columns < kWideColumns) {
    return fitted(mark + " " + fitted(name, columns - 20) + " " + fitted(in, 7, true) + " " +
                      fitted(waiting, 9, true),
                  columns);
  }
  const std::size_t flexible = columns - 40;
  const std::size_t left = std::min<std::size_t>(flexible * 3 / 5, 50);
  return fitted(mark + " " + fitted(name, left) + " " + fitted(in, 7, true) + " " +
                    fitted(out, 7, true) + " " + fitted(waiting, 9, true) + " " +
                    fitted(oldest, 9, true) + "  " + words,
                columns);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), lower);
  return text;
}

const std::vector<std::string>& help_lines() {
  static const std::vector<std::string> lines = {
      "up, down, j, k   choose a line",
      "page up, down    a screen further; g, G: first, last",
      "enter            everything about it, with the reason",
      "/                show only lines that contain a text",
      "p                pause: the figures stay as they are",
      "t  what is in trouble first",
      "i  by messages in a second",
      "o  by messages out a second",
      "w  by messages that wait",
      "a  by the age of what waits",
      "n  by name; the same key again turns the order round",
      "q                leave",
      "",
      "Marks: ! needs a person, ~ waits, = paused"};
  return lines;
}

Trouble trouble_of(const StreamRow& stream, const ExportRow* sent) {
  if (!stream.fault.empty()) return Trouble::kNeedsPerson;
  return sent == nullptr ? Trouble::kNone : sent->trouble;
}

std::string mark_of(const StreamRow& stream, const ExportRow* sent) {
  switch (trouble_of(stream, sent)) {
    case Trouble::kNeedsPerson:
      return "!";
    case Trouble::kWaits:
      return "~";
    case Trouble::kNone:
      return sent != nullptr && sent->paused ? "=" : " ";
  }
  return " ";
}

std::string words_of_row(const StreamRow& stream, const ExportRow* sent) {
  if (!stream.fault.empty()) return stream.fault;
  return sent == nullptr ? "no export" : sent->words;
}

void add_export(std::vector<std::string>& lines, const StreamRow& stream, const ExportRow& sent) {
  lines.push_back(fmt::format("export {} ({}{}{})", sent.name, sent.type,
                              sent.target.empty() ? "" : " -> ", sent.target));
  lines.push_back("  " + sent.words);
  if (sent.waiting > 0) {
    std::string waiting = fmt::format("  {} waiting, {}", counted(sent.waiting, "message"),
                                      human_bytes(sent.waiting_bytes));
    if (sent.oldest_ms > 0) waiting += ", the oldest since " + human_duration(sent.oldest_ms);
    lines.push_back(waiting);
    const double shrinking = sent.per_second - stream.per_second;
    if (shrinking > 0) {
      const double seconds = static_cast<double>(sent.waiting) / shrinking;
      lines.push_back("  gone in about " +
                      human_duration(static_cast<std::int64_t>(seconds * 1000)) + " at this rate");
    }
  }
  lines.push_back(fmt::format("  {} exported, up to number {}; {}/s now",
                              counted(sent.exported, "message"), sent.last_exported,
                              rate_text(sent.per_second)));
  if (sent.failures > 0)
    lines.push_back(fmt::format("  {} in a row", counted(sent.failures, "failure")));
  if (!sent.error.empty()) lines.push_back("  last error: " + sent.error);
  if (sent.skipped > 0)
    lines.push_back(fmt::format("  {} skipped as unacceptable", grouped(sent.skipped)));
  if (sent.dead_letters > 0) {
    lines.push_back(
        fmt::format("  {} kept as dead letters: weir dlq ls", grouped(sent.dead_letters)));
  }
  if (sent.lost > 0) {
    lines.push_back(fmt::format("  {} never sent, deleted or moved past", grouped(sent.lost)));
  }
}

void add_stream(std::vector<std::string>& lines, const StreamRow& stream) {
  lines.push_back("stream " + stream.name + (stream.in_memory ? ", in memory" : ""));
  if (!stream.fault.empty()) lines.push_back("  fault: " + stream.fault);
  if (stream.messages() > 0) {
    lines.push_back(fmt::format("  {}, numbers {} to {}", counted(stream.messages(), "message"),
                                stream.oldest, stream.newest));
  } else {
    lines.push_back(fmt::format("  empty; the next message gets number {}", stream.oldest));
  }
  lines.push_back(fmt::format("  {} of {}; {}/s come in", human_bytes(stream.bytes),
                              human_bytes(stream.max), rate_text(stream.per_second)));
  if (stream.lost > 0) {
    lines.push_back(fmt::format("  {} lost, damaged on disk", counted(stream.lost, "message")));
  }
}

}  // namespace

std::string TopView::Row::name() const {
  return sent == nullptr ? stream->name : stream->name + "/" + sent->name;
}

void TopView::update(Overview overview) {
  if (!paused_) overview_ = std::move(overview);
}

bool TopView::matches(const Row& row) const {
  if (filter_.empty()) return true;
  const std::string text = lowered(row.name() + " " + words_of_row(*row.stream, row.sent));
  return text.find(lowered(filter_)) != std::string::npos;
}

bool TopView::before(const Row& a, const Row& b) const {
  static const ExportRow none;
  const ExportRow& x = a.sent == nullptr ? none : *a.sent;
  const ExportRow& y = b.sent == nullptr ? none : *b.sent;
  switch (sort_) {
    case Sort::kTrouble:
      return std::tuple(trouble_of(*b.stream, b.sent), y.oldest_ms, b.stream->per_second) <
             std::tuple(trouble_of(*a.stream, a.sent), x.oldest_ms, a.stream->per_second);
    case Sort::kIn:
      return b.stream->per_second < a.stream->per_second;
    case Sort::kOut:
      return y.per_second < x.per_second;
    case Sort::kWaiting:
      return y.waiting < x.waiting;
    case Sort::kOldest:
      return y.oldest_ms < x.oldest_ms;
    case Sort::kName:
      return false;  // they come in this order
  }
  return false;
}

std::vector<TopView::Row> TopView::rows() const {
  std::vector<Row> all;
  for (const StreamRow& stream : overview_.streams) {
    if (stream.exports.empty()) all.push_back({&stream, nullptr});
    for (const ExportRow& sent : stream.exports) all.push_back({&stream, &sent});
  }
  std::erase_if(all, [this](const Row& row) { return !matches(row); });
  std::stable_sort(all.begin(), all.end(),
                   [this](const Row& a, const Row& b) { return before(a, b); });
  if (reversed_) std::reverse(all.begin(), all.end());
  return all;
}

// ---- keys -------------------------------------------------------------------------------------

bool TopView::press(const Key& key) {
  switch (mode_) {
    case Mode::kList:
      return press_in_list(key);
    case Mode::kFilter:
      press_in_filter(key);
      return true;
    case Mode::kDetails:
    case Mode::kHelp:
      return press_in_text(key);
  }
  return true;
}

void TopView::move(std::int64_t by) {
  const auto all = rows();
  if (all.empty()) return;
  const auto last = static_cast<std::int64_t>(all.size()) - 1;
  position_ = static_cast<std::size_t>(
      std::clamp<std::int64_t>(static_cast<std::int64_t>(position_) + by, 0, last));
  selected_ = all[position_].name();
}

void TopView::sort_by(Sort sort) {
  reversed_ = sort_ == sort && !reversed_;
  sort_ = sort;
  selected_.clear();
  position_ = first_ = 0;
}

bool TopView::press_in_list(const Key& key) {
  constexpr std::int64_t kFar = 1'000'000'000;
  const auto page = static_cast<std::int64_t>(page_);
  const std::string& text = key.text;
  if (key.kind == Kind::kUp || text == "k") move(-1);
  if (key.kind == Kind::kDown || text == "j") move(1);
  if (key.kind == Kind::kPageUp) move(-page);
  if (key.kind == Kind::kPageDown || text == " ") move(page);
  if (key.kind == Kind::kHome || text == "g") move(-kFar);
  if (key.kind == Kind::kEnd || text == "G") move(kFar);
  if (key.kind == Kind::kEnter || key.kind == Kind::kRight) {
    move(0);
    mode_ = Mode::kDetails;
    scrolled_ = 0;
  }
  if (key.kind == Kind::kEscape) filter_.clear();
  if (text == "/") mode_ = Mode::kFilter;
  if (text == "p") paused_ = !paused_;
  if (text == "t") sort_by(Sort::kTrouble);
  if (text == "i") sort_by(Sort::kIn);
  if (text == "o") sort_by(Sort::kOut);
  if (text == "w") sort_by(Sort::kWaiting);
  if (text == "a") sort_by(Sort::kOldest);
  if (text == "n") sort_by(Sort::kName);
  if (text == "?" || text == "h") {
    mode_ = Mode::kHelp;
    scrolled_ = 0;
  }
  return text != "q";
}

void TopView::press_in_filter(const Key& key) {
  if (key.kind == Kind::kEscape) filter_.clear();
  if (key.kind == Kind::kEscape || key.kind == Kind::kEnter) mode_ = Mode::kList;
  if (key.kind == Kind::kText && filter_.size() < kFilterBytesMax) filter_ += key.text;
  if (key.kind == Kind::kBackspace && !filter_.empty()) {
    // The bytes of one character.
    while (filter_.size() > 1 && (static_cast<unsigned char>(filter_.back()) & 0xc0U) == 0x80U) {
      filter_.pop_back();
    }
    filter_.pop_back();
  }
  selected_.clear();
  position_ = first_ = 0;
}

bool TopView::press_in_text(const Key& key) {
  if (key.text == "p") paused_ = !paused_;
  if (key.kind == Kind::kDown || key.text == "j") ++scrolled_;
  if ((key.kind == Kind::kUp || key.text == "k") && scrolled_ > 0) --scrolled_;
  const bool leave = key.kind == Kind::kEscape || key.kind == Kind::kEnter ||
                     key.kind == Kind::kLeft || key.text == "q" || key.text == "?";
  if (leave) mode_ = Mode::kList;
  return true;
}

// ---- the picture ------------------------------------------------------------------------------

std::string TopView::heading(std::size_t columns) const {
  const auto title = [this](Sort sort, const char* name) {
    return std::string(name) + (sort_ == sort ? (reversed_ ? "^" : "v") : "");
  };
  return list_line(columns, " ", title(Sort::kName, "STREAM/EXPORT"), title(Sort::kIn, "IN/S"),
                   title(Sort::kOut, "OUT/S"), title(Sort::kWaiting, "WAITING"),
                   title(Sort::kOldest, "OLDEST"), "STATE");
}

void TopView::add_list(std::vector<ScreenLine>& lines, TerminalSize size) {
  lines.push_back({heading(size.columns), Style::kHead});
  const auto all = rows();
  const std::size_t room = size.rows > lines.size() + 1 ? size.rows - lines.size() - 1 : 1;
  page_ = room;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [this](const Row& row) { return row.name() == selected_; });
  if (found != all.end()) position_ = static_cast<std::size_t>(found - all.begin());
  position_ = all.empty() ? 0 : std::min(position_, all.size() - 1);
  first_ = std::min(first_, position_);
  if (position_ >= first_ + room) first_ = position_ - room + 1;
  if (all.size() <= room) first_ = 0;
  for (std::size_t i = first_; i < std::min(all.size(), first_ + room); ++i) {
    const Row& row = all[i];
    const ExportRow none;
    const ExportRow& sent = row.sent == nullptr ? none : *row.sent;
    const Trouble trouble = trouble_of(*row.stream, row.sent);
    const Style style = trouble == Trouble::kNeedsPerson ? Style::kBad
                        : trouble == Trouble::kWaits     ? Style::kWaits
                                                         : Style::kPlain;
    lines.push_back({list_line(size.columns, mark_of(*row.stream, row.sent), row.name(),
                               rate_text(row.stream->per_second),
                               row.sent == nullptr ? "" : rate_text(sent.per_second),
                               sent.waiting > 0 ? grouped(sent.waiting) : "",
                               sent.waiting > 0 ? human_duration(sent.oldest_ms) : "",
                               words_of_row(*row.stream, row.sent)),
                     style});
  }
  if (all.empty()) {
    lines.push_back(
        {cut(filter_.empty() ? "No streams yet; create one with: weir stream create NAME"
                             : "Nothing contains this text.",
             size.columns)});
  }
}

std::vector<std::string> TopView::details(std::size_t columns) const {
  std::vector<std::string> text;
  for (const Row& row : rows()) {
    if (row.name() != selected_) continue;
    if (row.sent != nullptr) {
      add_export(text, *row.stream, *row.sent);
      text.emplace_back();
    }
    add_stream(text, *row.stream);
    break;
  }
  if (text.empty()) text.emplace_back("It is not there any more.");
  std::vector<std::string> lines;
  for (const std::string& line : text) {
    const std::size_t indent = line.starts_with("  ") ? 2 : 0;
    bool first = true;
    for (const std::string& part : broken(std::string_view(line).substr(indent),
                                          columns > indent + 2 ? columns - indent - 2 : 1)) {
      lines.push_back(std::string(first ? indent : indent + 2, ' ') + part);
      first = false;
    }
  }
  return lines;
}

void TopView::add_text(std::vector<ScreenLine>& lines, const std::vector<std::string>& text,
                       TerminalSize size) {
  const std::size_t room = size.rows > lines.size() + 1 ? size.rows - lines.size() - 1 : 1;
  scrolled_ = std::min(scrolled_, text.size() > room ? text.size() - room : 0);
  for (std::size_t i = scrolled_; i < std::min(text.size(), scrolled_ + room); ++i) {
    lines.push_back({cut(text[i], size.columns)});
  }
}

std::string TopView::foot(std::size_t columns, std::size_t shown) const {
  std::string text;
  if (paused_) text += "PAUSED, p goes on  ";
  switch (mode_) {
    case Mode::kFilter:
      text += "filter: " + filter_ + "_  enter keeps it, esc drops it";
      break;
    case Mode::kDetails:
    case Mode::kHelp:
      text += "esc back  p pause  up, down scroll";
      break;
    case Mode::kList:
      if (!filter_.empty()) text += fmt::format("filter: {} ({})  ", filter_, shown);
      text += columns < 60 ? "q quit  ? help  / filter"
                           : "q quit  ? help  / filter  enter details  p pause  order: t i o w a n";
      break;
  }
  return fitted(text, columns);
}

std::vector<ScreenLine> TopView::frame(TerminalSize size) {
  std::vector<ScreenLine> lines;
  if (size.rows < 3 || size.columns < 10) return {{cut("too small", size.columns)}};
  // A head as high as the screen would leave nothing to see.
  auto head = head_lines(overview_, size.columns);
  if (head.size() + 6 > size.rows) head.resize(std::min<std::size_t>(head.size(), size.rows / 4));
  lines.reserve(size.rows);
  for (const std::string& line : head) lines.push_back({line});
  if (!away_.empty()) {
    lines.push_back(
        {cut("weir does not answer, trying again: " + away_, size.columns), Style::kBad});
  }
  for (const TroubleRow& row : overview_.troubles) {
    if (lines.size() + 6 > size.rows || mode_ != Mode::kList) break;
    lines.push_back({cut(row.subject + ": " + row.why, size.columns),
                     row.trouble == Trouble::kNeedsPerson ? Style::kBad : Style::kWaits});
  }
  if (mode_ == Mode::kHelp) {
    add_text(lines, help_lines(), size);
  } else if (mode_ == Mode::kDetails) {
    add_text(lines, details(size.columns), size);
  } else {
    add_list(lines, size);
  }
  lines.resize(size.rows - 1);
  lines.push_back({foot(size.columns, rows().size()), Style::kFoot});
  return lines;
}

}  // namespace weir::cli
