#pragma once

#include "cli/keys.h"
#include "cli/overview.h"
#include "cli/terminal.h"

#include <string>
#include <vector>

namespace weir::cli {

/// One line of the screen; never wider than it.
struct ScreenLine {
  enum class Style : std::uint8_t { kPlain, kHead, kFoot, kWaits, kBad };
  std::string text;
  Style style = Style::kPlain;
  bool selected = false;
};

/// What `top` shows and what its keys do; knows neither the terminal nor where figures come from.
/// Threads: one.
class TopView {
 public:
  enum class Sort : std::uint8_t { kTrouble, kIn, kOut, kWaiting, kOldest, kName };

  /// New figures; ignored while updates are paused.
  void update(Overview overview);
  /// weir does not answer any more, and why; "" when it does again.
  void set_away(std::string why) { away_ = std::move(why); }
  /// False: the user wants to leave.
  bool press(const Key& key);
  /// As many lines as the screen has, or fewer.
  [[nodiscard]] std::vector<ScreenLine> frame(TerminalSize size);

 private:
  enum class Mode : std::uint8_t { kList, kFilter, kDetails, kHelp };
  struct Row {
    const StreamRow* stream = nullptr;
    const ExportRow* sent = nullptr;  ///< null: the stream has no export
    [[nodiscard]] std::string name() const;
  };

  bool press_in_list(const Key& key);
  void press_in_filter(const Key& key);
  bool press_in_text(const Key& key);
  void move(std::int64_t by);
  void sort_by(Sort sort);
  [[nodiscard]] std::vector<Row> rows() const;
  [[nodiscard]] bool before(const Row& a, const Row& b) const;
  [[nodiscard]] bool matches(const Row& row) const;
  [[nodiscard]] std::string heading(std::size_t columns) const;
  [[nodiscard]] std::vector<std::string> details(std::size_t columns) const;
  [[nodiscard]] std::string foot(std::size_t columns, std::size_t shown) const;
  void add_list(std::vector<ScreenLine>& lines, TerminalSize size);
  void add_text(std::vector<ScreenLine>& lines, const std::vector<std::string>& text,
                TerminalSize size);

  Overview overview_;
  std::string away_;
  Mode mode_ = Mode::kList;
  Sort sort_ = Sort::kTrouble;
  bool reversed_ = false;
  bool paused_ = false;
  std::string filter_;
  std::string selected_;      // name of the row, so that it stays when others move
  std::size_t position_ = 0;  // of the selected row
  std::size_t first_ = 0;     // the row at the top of the list
  std::size_t page_ = 10;     // rows of the last frame
  std::size_t scrolled_ = 0;  // lines of details or help above the screen
};

}  // namespace weir::cli
