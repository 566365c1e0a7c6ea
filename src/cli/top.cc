#include "cli/top.h"

#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/flags.h"
#include "cli/http_transfer.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/status.h"
#include "cli/top_view.h"

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <poll.h>
#include <unistd.h>

namespace weir::cli {
namespace {

using nlohmann::json;

constexpr Duration kPatience = std::chrono::seconds(5);
constexpr Duration kAskAgain = std::chrono::seconds(1);       // while weir is away
constexpr Duration kHalfKey = std::chrono::milliseconds(50);  // then ESC is the escape key

/// Writes what has changed since the last frame, in one piece, so that nothing flickers.
class Painter {
 public:
  Painter(int fd, bool colours) : out_(fd), colours_(colours) {}

  /// Everything is drawn next time.
  void forget() { shown_.clear(); }

  bool paint(const std::vector<ScreenLine>& lines) {
    std::string bytes = shown_.empty() ? "\x1b[0m\x1b[2J" : "";
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string line = styled(lines[i]);
      if (i < shown_.size() && shown_[i] == line) continue;
      bytes += "\x1b[" + std::to_string(i + 1) + ";1H" + line + "\x1b[K";
      shown_.resize(std::max(shown_.size(), i + 1));
      shown_[i] = line;
    }
    out_.write(bytes);
    return out_.flush();
  }

 private:
  [[nodiscard]] std::string styled(const ScreenLine& line) const {
    using Style = ScreenLine::Style;
    std::string codes;
    if (line.style == Style::kHead) codes = "1";
    if (line.style == Style::kFoot) codes = "2";
    if (line.style == Style::kWaits && colours_) codes = "33";
    if (line.style == Style::kBad) codes = colours_ ? "1;31" : "1";
    if (line.selected) codes += codes.empty() ? "7" : ";7";
    return codes.empty() ? line.text : "\x1b[" + codes + "m" + line.text + "\x1b[0m";
  }

  Output out_;
  bool colours_;
  std::vector<std::string> shown_;
};

class Top {
 public:
  Top(AdminFlags flags, Duration interval, const Interrupt& interrupt, FullScreen& screen)
      : flags_(std::move(flags)),
        interval_(interval),
        interrupt_(interrupt),
        screen_(screen),
        painter_(STDOUT_FILENO, has_colours(STDOUT_FILENO)) {}

  void run(Overview first) {
    begin(std::move(first));
    bool going_on = true;
    while (going_on && !interrupt_.raised()) {
      const TerminalSize size = terminal_size(STDOUT_FILENO);
      // The size is compared too: a terminal over a serial line sends no signal.
      if (screen_.take_changed() || size != size_) painter_.forget();
      size_ = size;
      if (!painter_.paint(view_.frame(size))) return;
      wait();
      going_on = take_keys();
    }
  }

 private:
  void begin(Overview first) {
    last_ = std::move(first);
    last_at_ = clock_.now();
    view_.update(last_);
    ask_at_ = last_at_ + std::min<Duration>(interval_, std::chrono::seconds(1));
  }

  void wait() {
    const std::vector<int> also = {STDIN_FILENO, interrupt_.fd(), screen_.changed_fd()};
    if (!transfer_ && clock_.now() >= ask_at_) ask();
    const Duration most = keys_.waiting() ? kHalfKey : kPatience;
    if (transfer_) {
      const auto done = transfer_->wait(most, also);
      if (!done) return away(done.error().what);
      if (transfer_->ended()) take_answer();
      return;
    }
    std::array<pollfd, 3> ready = {
        {{also[0], POLLIN, 0}, {also[1], POLLIN, 0}, {also[2], POLLIN, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<Duration>(most, ask_at_ - clock_.now()));
    ::poll(ready.data(), ready.size(), static_cast<int>(std::max<std::int64_t>(0, left.count())));
  }

  void ask() {
    auto transfer =
        HttpTransfer::begin({admin_url(flags_.host, flags_.port, "/status"), "", kPatience, {}});
    if (!transfer) return away(transfer.error().what);
    transfer_ = std::move(*transfer);
  }

  void take_answer() {
    const std::string body = transfer_->take();
    const long status = transfer_->status();
    const auto document = parse_status(body);
    if (status != 200 || !document) {
      return away(document ? "it answers " + std::to_string(status) : document.error().what);
    }
    transfer_.reset();
    Overview now = read_overview(*document);
    const Instant at = clock_.now();
    add_rates(now, last_, std::chrono::duration<double>(at - last_at_).count());
    last_ = now;
    last_at_ = at;
    view_.set_away("");
    view_.update(std::move(now));
    ask_at_ = at + interval_;
  }

  void away(const std::string& why) {
    transfer_.reset();
    view_.set_away(why);
    ask_at_ = clock_.now() + kAskAgain;
  }

  /// False: it is over.
  bool take_keys() {
    pollfd ready = {STDIN_FILENO, POLLIN, 0};
    std::vector<Key> pressed;
    if (::poll(&ready, 1, 0) > 0) {
      std::array<char, 256> bytes;
      const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
      if (got < 0 && errno == EINTR) return true;
      if (got <= 0) return false;  // the terminal is gone
      pressed = keys_.take({bytes.data(), static_cast<std::size_t>(got)});
      half_key_at_ = clock_.now();
    } else if (keys_.waiting() && clock_.now() - half_key_at_ >= kHalfKey) {
      pressed = keys_.nothing_more();
    }
    for (const Key& key : pressed) {
      if (!view_.press(key)) return false;
    }
    return true;
  }

  AdminFlags flags_;
  Duration interval_;
  const Interrupt& interrupt_;
  FullScreen& screen_;
  Painter painter_;
  TerminalSize size_;
  SystemClock clock_;
  TopView view_;
  KeyReader keys_;
  Instant half_key_at_{};
  std::unique_ptr<HttpTransfer> transfer_;
  Overview last_;
  Instant last_at_{};
  Instant ask_at_{};
};

int run(const Arguments& arguments) {
  const AdminFlags flags = AdminFlags::from(arguments);
  // Before the screen is taken over: whoever has no weir running reads why as plain text.
  const auto status = ask_status(flags);
  if (!status) return failed(status.error());
  Overview first = read_overview(*status);
  if (!is_screen(STDOUT_FILENO) || ::isatty(STDIN_FILENO) != 1) {
    note("weir: top needs a terminal to be live; this is one look, as 'weir status' gives it");
    Output out;
    out.write(overview_text(first, 24, 80));
    out.flush();
    return kOk;
  }
  const std::chrono::duration<double> interval(arguments.decimal("--interval"));
  const Interrupt interrupt;
  FullScreen screen(STDIN_FILENO, STDOUT_FILENO);
  Top(flags, std::chrono::duration_cast<Duration>(interval), interrupt, screen)
      .run(std::move(first));
  return kOk;
}

}  // namespace

Command top_command() {
  return {.name = "top",
          .summary = "Watch streams and exports live.",
          .description =
              "Keys: up and down (or j and k) choose a line, enter shows everything about it with "
              "the reason, / filters, p pauses, q leaves, ? shows all keys. t, i, o, w, a and n "
              "order by trouble, messages in, out, waiting, age and name.\n\n"
              "When weir goes away it says so and comes back with it. On a pipe it prints one look "
              "and ends.",
          .flags = joined({{.names = "-i,--interval",
                            .value = "SECONDS",
                            .text = "How often to look.",
                            .kind = Kind::kDecimal,
                            .fallback = "2",
                            .max = 3600}},
                          AdminFlags::flags()),
          .examples = {{"weir top"}, {"weir top --admin-host gateway-7 --interval 5"}},
          .run = run};
}

}  // namespace weir::cli
