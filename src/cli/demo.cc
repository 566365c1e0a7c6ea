#include "cli/demo.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/flags.h"
#include "cli/http_get.h"
#include "cli/interrupt.h"
#include "cli/status.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

namespace weir::cli {
namespace {

using nlohmann::json;

constexpr Duration kShowInterval = std::chrono::milliseconds(500);
constexpr Duration kLineInterval = std::chrono::seconds(1);
constexpr Duration kReconnectInterval = std::chrono::seconds(1);
constexpr Duration kAskAdminAgain = std::chrono::seconds(10);

model::StreamDefinition demo_stream(const std::string& name) {
  model::StreamDefinition definition;
  definition.name = name;
  definition.max_size = 64 * 1024 * 1024;
  definition.stream_segment_size = 4 * 1024 * 1024;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  return definition;
}

/// How this program was called, so that the hints can be copied.
std::string program_name() {
  std::ifstream file("/proc/self/cmdline");
  std::string name;
  std::getline(file, name, '\0');
  return name.empty() ? "weir" : log::escaped(name);
}

std::size_t view_columns(int fd) {
  const std::size_t columns = terminal_size(fd).columns;
  return columns < 20 ? 79 : columns - 1;
}

}  // namespace

void read_exports(const json& status, const std::string& stream, DemoFigures& figures) {
  figures.exported.reset();
  figures.exports.clear();
  figures.lag = 0;
  for (const json& entry : status.value("streams", json::array())) {
    if (!entry.is_object() || entry.value("name", "") != stream) continue;
    for (const json& one : entry.value("exports", json::array())) {
      const std::int64_t exported = one.value("exported_messages", std::int64_t{0});
      // The slowest counts: a message is out of danger only when every export has it.
      figures.exported = std::min(figures.exported.value_or(exported), exported);
      figures.lag = std::max(figures.lag, one.value("waiting_messages", std::int64_t{0}));
      if (!figures.exports.empty()) figures.exports += "; ";
      figures.exports += log::escaped(one.value("identifier", "")) + ": " + export_line(one);
    }
  }
}

std::string demo_view(const DemoFigures& figures) {
  std::string appended = grouped(figures.appended);
  if (figures.refused > 0) appended += fmt::format("  ({} refused)", grouped(figures.refused));
  const std::string exported = figures.exported ? grouped(*figures.exported) : "-";
  const std::string lag = figures.exported ? grouped(figures.lag) : "-";
  return fmt::format("  appended  {}\n  stored    {}  ({})\n  exported  {}  {}\n  lag       {}\n",
                     appended, grouped(figures.stored), human_bytes(figures.stored_bytes), exported,
                     figures.exported ? "(" + figures.exports + ")" : "(this stream has no export)",
                     lag);
}

std::string demo_line(const DemoFigures& figures) {
  return fmt::format("appended={} refused={} stored={} exported={} lag={}\n", figures.appended,
                     figures.refused, figures.stored,
                     figures.exported ? std::to_string(*figures.exported) : "-",
                     figures.exported ? std::to_string(figures.lag) : "-");
}

Demo::Demo(Options options, const Interrupt& interrupt, Output& out, bool terminal)
    : options_(std::move(options)), interrupt_(interrupt), out_(out), terminal_(terminal) {}

Result<void> Demo::connect() {
  WEIR_TRY(client_, Client::connect(options_.endpoint, &interrupt_));
  const auto created = client_->call(protocol::CreateRequest{{}, demo_stream(options_.stream)});
  if (!created) return fail(created.error());
  if (created->status != protocol::Status::kSuccess &&
      created->error_message != protocol::kTextStreamExists) {
    return fail(Errc::kUnavailable, fmt::format("create stream {}: {}", options_.stream,
                                                log::escaped(created->error_message)));
  }
  return {};
}

void Demo::say_what_to_try() {
  const std::string& program = options_.program;
  std::string port;
  if (options_.endpoint.port != 8088) port = fmt::format(" --port {}", options_.endpoint.port);
  std::string admin;
  if (options_.admin_port != 8089) admin = fmt::format(" --admin-port {}", options_.admin_port);
  out_.write(fmt::format(
      "Publishing this machine's telemetry to the stream '{0}' at {1}, {2} messages a second.\n"
      "Try in another terminal:\n"
      "  {3} sub {0} --from -3 --follow{4}\n"
      "  {3} status{5}\n"
      "  echo hello | {3} pub greetings --create{4}\n"
      "Ctrl-C ends.\n\n",
      options_.stream, client_->where(), options_.rate, program, port, admin));
  out_.flush();
}

void Demo::append() {
  const Instant now = clock_.now();
  const double elapsed = std::chrono::duration<double>(now - last_sample_).count();
  last_sample_ = now;
  const std::string message = telemetry_.sample(elapsed, clock_.wall_ms());
  const auto answer =
      client_->call(protocol::AppendRequest{{}, options_.stream, as_bytes(message)});
  if (!answer) return reconnect(answer.error());
  if (answer->status == protocol::Status::kSuccess) {
    ++figures_.appended;
  } else {
    ++figures_.refused;
  }
}

void Demo::refresh_figures() {
  if (!client_) return;
  const auto answer = client_->call(protocol::DescribeRequest{{}, options_.stream});
  if (!answer) return reconnect(answer.error());
  if (answer->info) {
    const auto& storage = answer->info->storage_status;
    figures_.stored = storage.newest_sequence_number - storage.oldest_sequence_number + 1;
    figures_.stored_bytes = storage.total_bytes;
  }
  refresh_exports();
}

void Demo::refresh_exports() {
  // Exports that exist only in weir's configuration are not in the protocol's answer, so the admin
  // port is asked. Another server may not have one: then not all the time.
  if (clock_.now() < ask_admin_at_) return;
  const auto body = http_get(options_.endpoint.host, options_.admin_port, "/status");
  const auto status = body ? parse_status(*body) : fail(body.error());
  if (!status) {
    ask_admin_at_ = clock_.now() + kAskAdminAgain;
    return;
  }
  try {
    read_exports(*status, options_.stream, figures_);
  } catch (const json::exception&) {
    // Not the document we know: show no exports rather than none of the rest.
    ask_admin_at_ = clock_.now() + kAskAdminAgain;
  }
}

void Demo::show() {
  if (!terminal_) {
    out_.write(demo_line(figures_));
  } else {
    // Each line is cut to the width of the terminal and cleared to its end, and the next view is
    // written over this one.
    const std::size_t columns = view_columns(out_.fd());
    const std::string view = demo_view(figures_);
    std::string cleared;
    for (std::size_t at = 0; at < view.size();) {
      const std::size_t end = view.find('\n', at);
      cleared.append(view, at, std::min(end - at, columns)).append("\x1b[K\n");
      at = end + 1;
    }
    out_.write((view_shown_ ? "\x1b[4A\r" : "\r") + cleared);
    view_shown_ = true;
  }
  out_.flush();
}

/// Comes back when there is a connection again, or the demo is to end.
void Demo::reconnect(const Error& why) {
  client_.reset();
  if (finished()) return;
  note("weir: " + why.what + "; trying again");
  view_shown_ = false;
  while (!finished() && sleep_until(clock_.now() + kReconnectInterval)) {
    if (connect()) {
      note("weir: connected again");
      return;
    }
    client_.reset();
  }
}

/// False if interrupted.
bool Demo::sleep_until(Instant until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.now());
  if (left.count() <= 0) return !interrupt_.raised();
  pollfd ready = {interrupt_.fd(), POLLIN, 0};
  ::poll(&ready, 1, static_cast<int>(left.count()));
  return !interrupt_.raised();
}

bool Demo::finished() const {
  if (interrupt_.raised() || out_.closed()) return true;
  if (options_.count && figures_.appended + figures_.refused >= *options_.count) return true;
  return options_.duration_ms &&
         clock_.now() - started_ >= std::chrono::milliseconds(*options_.duration_ms);
}

Result<void> Demo::run() {
  WEIR_RETURN_IF_ERROR(connect());
  say_what_to_try();
  started_ = last_sample_ = clock_.now();
  const auto interval =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / options_.rate));
  Instant next_append = started_;
  Instant next_show = started_;
  while (!finished()) {
    if (clock_.now() >= next_append) {
      append();
      // A slow answer does not make a burst afterwards.
      next_append = std::max(next_append + interval, clock_.now());
    }
    if (clock_.now() >= next_show && !finished()) {
      refresh_figures();
      show();
      next_show = clock_.now() + (terminal_ ? kShowInterval : kLineInterval);
    }
    if (!sleep_until(std::min(next_append, next_show))) break;
  }
  if (!interrupt_.raised()) {
    refresh_figures();
    show();
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - started_);
  out_.write(fmt::format("\rThe demo has ended: {} appended in {}. They stay in the stream.\n",
                         counted(figures_.appended, "message"), human_duration(ms.count())));
  out_.flush();
  return {};
}

// ---- the command ----------------------------------------------------------------------------

namespace {

struct DemoFlags {
  ConnectionFlags connection;
  Demo::Options options;
  std::optional<std::string> duration;
};

int run_demo(DemoFlags& flags) {
  if (flags.duration) {
    flags.options.duration_ms = parse_duration_ms(*flags.duration);
    if (!flags.options.duration_ms) {
      complain(
          fmt::format("--duration {}: write 500ms, 30s or 5min", log::escaped(*flags.duration)));
      return kUsage;
    }
  }
  auto endpoint = flags.connection.endpoint();
  if (!endpoint) return failed(endpoint.error());
  flags.options.endpoint = std::move(*endpoint);
  flags.options.program = program_name();
  const Interrupt interrupt;
  Output out;
  Demo demo(flags.options, interrupt, out, ::isatty(out.fd()) == 1);
  const auto done = demo.run();
  return done ? kOk : failed(done.error());
}

int run(const Arguments& arguments) {
  DemoFlags flags;
  flags.connection = ConnectionFlags::from(arguments);
  flags.options.stream = arguments.text("--stream");
  flags.options.rate = arguments.decimal("--rate");
  flags.options.count = arguments.maybe_number("--count");
  flags.options.admin_port = arguments.number("--admin-port");
  flags.duration = arguments.maybe("--duration");
  return run_demo(flags);
}

}  // namespace

Command demo_command() {
  return {.name = "demo",
          .summary = "Publish this machine's telemetry and watch it being stored and exported.",
          .description =
              "What ./run shows: processor, memory, disk and network figures as JSON, "
              "published through the protocol.",
          .flags = joined(
              {{"--stream",
                "STREAM",
                "Stream to publish to; made if missing.",
                Kind::kStream,
                {},
                "telemetry"},
               {"--rate", "N", "Messages a second.", Kind::kDecimal, {}, "5", 0, 1000},
               {"-n,--count", "N", "Stop after so many messages.", Kind::kNumber, {}, "", 1},
               {"--duration", "TIME", "Stop after so long, as in 30s."},
               {"--admin-port", "PORT", "weir's port for operators.", Kind::kPort, {}, "8089"}},
              ConnectionFlags::flags()),
          .examples = {{"weir demo --rate 20 --duration 1min"}},
          .run = run};
}

}  // namespace weir::cli
