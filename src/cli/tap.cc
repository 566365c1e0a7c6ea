#include "cli/tap.h"

#include "base/log.h"
#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/event_reader.h"
#include "cli/flags.h"
#include "cli/http_transfer.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/screen_text.h"
#include "cli/status_fields.h"
#include "cli/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace weir::cli {
namespace {

using nlohmann::json;

constexpr Duration kFirstAnswer = std::chrono::seconds(5);
constexpr Duration kLookAgain = std::chrono::seconds(1);

std::string raw_text(const json& entry, const char* key) {
  const auto found = entry.is_object() ? entry.find(key) : entry.end();
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string encoded(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '/';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string payload_words(const std::string& payload, PayloadForm form) {
  if (form == PayloadForm::kHex) {
    std::string hex;
    for (const char c : payload) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return hex;
  }
  if (form == PayloadForm::kJson) {
    const json document = json::parse(payload, nullptr, false);
    if (!document.is_discarded()) {
      return visible(document.dump(-1, ' ', false, json::error_handler_t::replace),
                     payload.size() * 6);
    }
  }
  return visible(payload, payload.size() * 6);
}

struct TapFlags {
  AdminFlags admin;
  std::string typed;
  PayloadForm form = PayloadForm::kNone;
  bool json = false;
  std::optional<std::int64_t> count;
};

class Tap {
 public:
  Tap(const TapFlags& flags, std::string name, const Interrupt& interrupt)
      : flags_(flags), name_(std::move(name)), interrupt_(interrupt) {}

  /// Until told to stop, or as many as were wanted.
  Result<void> run() {
    WEIR_RETURN_IF_ERROR(begin(""));
    std::vector<int> also = {interrupt_.fd()};
    struct stat kind = {};
    if (::fstat(out_.fd(), &kind) == 0 && S_ISFIFO(kind.st_mode)) also.push_back(out_.fd());
    bool with_token = false;
    while (!finished()) {
      WEIR_RETURN_IF_ERROR(transfer_->wait(kLookAgain, also));
      if (finished()) return {};
      if (transfer_->status() == 401 && !with_token) {
        WEIR_TRY(const std::string token, admin_token(flags_.admin));
        WEIR_RETURN_IF_ERROR(begin(token));
        with_token = true;
      } else if (transfer_->status() == 200) {
        WEIR_RETURN_IF_ERROR(show(transfer_->take()));
        if (transfer_->ended() && !finished()) {
          return fail(Errc::kUnavailable, "weir has ended the connection; its log says why");
        }
      } else if (transfer_->ended()) {
        return refused();
      }
    }
    return {};
  }

 private:
  Result<void> begin(const std::string& token) {
    const std::string path = "/tap?export=" + encoded(name_);
    WEIR_TRY(transfer_, HttpTransfer::begin({admin_url(flags_.admin.host, flags_.admin.port, path),
                                             token, Duration{}, kFirstAnswer}));
    return {};
  }

  tl::unexpected<Error> refused() {
    const std::string body = transfer_->take();
    const json answer = json::parse(body, nullptr, false);
    std::string why = text_field(answer, "error");
    // A sentence, but no page of some other server.
    const bool sentence = body.size() < 500 && body.find('<') == std::string::npos;
    if (answer.is_discarded() && sentence) why = visible(body.substr(0, body.find('\n')));
    const long status = transfer_->status();
    if (status == 401) {
      return fail(Errc::kUnavailable,
                  "weir does not take the token; it writes a new one each time it starts");
    }
    return fail(
        status == 404 && !why.empty() ? Errc::kNotFound : Errc::kUnavailable,
        why.empty() ? fmt::format("weir answered {}; is it as new as this command?", status) : why);
  }

  Result<void> show(const std::string& bytes) {
    WEIR_TRY(const auto events, reader_.take(bytes));
    for (const ServerEvent& event : events) {
      const json document = json::parse(event.data, nullptr, false);
      if (event.name == "missed") {
        out_.flush();
        note(fmt::format("weir: batches that left too fast to be shown: {}",
                         grouped(number_field(document, "batches"))));
      }
      if (event.name != "batch" || !document.is_object()) continue;
      out_.write(flags_.json ? document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"
                             : batch_text(document, flags_.form));
      if (flags_.count && ++shown_ >= *flags_.count) break;
    }
    out_.flush();
    return {};
  }

  [[nodiscard]] bool finished() const {
    if (interrupt_.raised() || out_.closed()) return true;
    if (flags_.count && shown_ >= *flags_.count) return true;
    pollfd reader = {out_.fd(), 0, 0};
    return ::poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR) != 0;
  }

  const TapFlags& flags_;
  const std::string name_;
  const Interrupt& interrupt_;
  Output out_;
  std::unique_ptr<HttpTransfer> transfer_;
  EventReader reader_;
  std::int64_t shown_ = 0;
};

int run_tap(const TapFlags& flags) {
  std::string name = flags.typed;
  if (name.find('/') == std::string::npos) {
    const auto status = ask_status(flags.admin);
    if (!status) return failed(status.error());
    auto found = find_export(*status, flags.typed);
    if (!found) return failed(found.error());
    name = std::move(*found);
  }
  const Interrupt interrupt;
  if (::isatty(STDERR_FILENO) == 1) {
    note(fmt::format("Batches of {} as they leave; Ctrl-C ends.", visible(name)));
  }
  const auto done = Tap(flags, name, interrupt).run();
  return done ? kOk : failed(with_context("tap " + visible(name), done.error()));
}

int run(const Arguments& arguments) {
  TapFlags flags;
  flags.admin = AdminFlags::from(arguments);
  flags.typed = arguments.text("EXPORT");
  flags.json = arguments.has("--json");
  flags.count = arguments.maybe_number("--count");
  const std::string form = arguments.text("--payload");
  if (form == "text") flags.form = PayloadForm::kText;
  if (form == "json") flags.form = PayloadForm::kJson;
  if (form == "hex") flags.form = PayloadForm::kHex;
  return run_tap(flags);
}

}  // namespace

std::string batch_text(const json& batch, PayloadForm form) {
  std::string line = fmt::format(
      "{} {}-{} {} {} {}", iso_time(number_field(batch, "time_ms")), number_field(batch, "first"),
      number_field(batch, "last"), counted(number_field(batch, "messages"), "message"),
      human_bytes(number_field(batch, "bytes")), text_field(batch, "outcome"));
  const std::string error = text_field(batch, "error");
  if (!error.empty()) line += ": " + error;
  line += "\n";
  if (form == PayloadForm::kNone) return line;
  std::int64_t shown = 0;
  for (const json& one : part_field(batch, "sample")) {
    if (!one.is_object()) continue;
    const std::string payload = from_base64(raw_text(one, "payload_base64")).value_or("");
    const std::int64_t whole = number_field(one, "payload_bytes");
    line += fmt::format("  {} {}", number_field(one, "sequence"), payload_words(payload, form));
    if (whole > static_cast<std::int64_t>(payload.size())) {
      line += fmt::format(" ... ({} in all)", human_bytes(whole));
    }
    line += "\n";
    ++shown;
  }
  const std::int64_t left = number_field(batch, "messages") - shown;
  if (left > 0) line += fmt::format("  ... and {} not shown\n", counted(left, "message"));
  return line;
}

Result<std::string> find_export(const json& status, const std::string& typed) {
  std::vector<std::string> by_identifier;
  std::vector<std::string> by_stream;
  for (const json& stream : part_field(status, "streams")) {
    const std::string name = raw_text(stream, "name");
    for (const json& each : part_field(stream, "exports")) {
      const std::string identifier = raw_text(each, "identifier");
      const std::string address = std::string(name).append("/").append(identifier);
      if (identifier == typed) by_identifier.push_back(address);
      if (name == typed) by_stream.push_back(address);
    }
  }
  const auto& found = by_identifier.empty() ? by_stream : by_identifier;
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return fail(
        Errc::kNotFound,
        fmt::format("there is no export '{}'; weir status --all shows them all", visible(typed)));
  }
  std::string all;
  for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), 10); ++i)
    all += " " + visible(found[i]);
  return fail(Errc::kInvalidArgument, fmt::format("{} exports are called '{}'; name one:{}",
                                                  found.size(), visible(typed), all));
}

Command tap_command() {
  return {
      .name = "tap",
      .summary = "Show what an export sends, as it leaves.",
      .description =
          "One line for each batch: time, numbers of the first and last message, how many, "
          "their size, and what the destination said. It shows what happens from now on and "
          "changes nothing; a batch that is sent again is shown again. Payloads are samples: "
          "the first messages of a batch, 16 KiB of each at most.\n\n"
          "Where clients need a token, so does this: the one in weir's store.",
      .arguments = {{"EXPORT", "STREAM/EXPORT, or one of both where that is enough.",
                     Kind::kAddress}},
      .flags = joined({{.names = "-p,--payload",
                        .value = "FORM",
                        .text = "Show payloads as text, json or hex.",
                        .kind = Kind::kChoice,
                        .choices = {"text", "json", "hex"},
                        .excludes = "--json"},
                       {.names = "--json", .text = "One JSON object for each batch, a line each."},
                       {.names = "-n,--count",
                        .value = "N",
                        .text = "Stop after so many batches.",
                        .kind = Kind::kNumber,
                        .min = 1}},
                      AdminFlags::order_flags()),
      .examples = {{"weir tap telemetry/to-cloud"},
                   {"weir tap to-cloud --payload json --count 1"},
                   {"weir tap to-cloud --json | jq -r 'select(.outcome == \"failed\") | .error'"}},
      .run = run};
}

}  // namespace weir::cli
