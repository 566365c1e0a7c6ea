#include "daemon/serve.h"

#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/process.h"
#include "daemon/service_notifier.h"
#include "daemon/start_patience.h"

#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <utility>

namespace weir::daemon {
namespace {

// The service manager is told a little more than what a stop may take.
constexpr auto kStopSlack = std::chrono::seconds(2);

void print_problems(const std::vector<Problem>& problems) {
  for (const auto& problem : problems) fmt::print(stderr, "{}\n", problem.text());
}

std::string address_text(const std::string& bind_address, int port) {
  const bool v6 = bind_address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", bind_address, port) : fmt::format("{}:{}", bind_address, port);
}

// Programs that start weir wait for this line, so its form is a promise.
void say_ready(const Daemon& daemon, const std::string& address, const std::string& admin_address) {
  const std::string admin = daemon.admin_port() < 0 ? "off" : std::to_string(daemon.admin_port());
  fmt::print("weir ready: address={} port={} admin={} store={}\n",
             address_text(address, daemon.server_port()), daemon.server_port(), admin,
             daemon.store_directory());
  std::fflush(stdout);
  log::info("weir accepts connections.",
            {{"version", WEIR_VERSION},
             {"address", address_text(address, daemon.server_port())},
             {"admin_address",
              daemon.admin_port() < 0 ? "off" : address_text(admin_address, daemon.admin_port())},
             {"store", daemon.store_directory()}});
}

// The sign of life comes from the core thread itself: when that is stuck, the service manager hears
// nothing and starts weir again.
void be_watched(Daemon& daemon, const ServiceNotifier& notifier) {
  const Duration interval = notifier.watchdog_interval();
  if (interval <= Duration::zero()) return;
  daemon.at_heartbeat([&notifier, interval, next = Instant::min()]() mutable {
    const Instant now = SystemClock().now();
    if (now < next) return;
    next = now + interval;
    notifier.alive();
  });
}

// systemd is told of a reload's end too: it refuses further ones until then.
void reload_when_asked(const std::shared_ptr<Daemon>& daemon, const ConfigSources& sources,
                       const ServiceNotifier& notifier, StopSignals& signals) {
  daemon->reload_from(sources, [&notifier](bool busy) {
    if (busy) {
      notifier.reloading();
    } else {
      notifier.ready();
    }
  });
  signals.at_hangup([daemon] { daemon->reload([](const ReloadAnswer&) {}); });
}

Result<std::unique_ptr<Daemon>> start(Config config, const ServiceNotifier& notifier) {
  const StartPatience patience(notifier);
  return Daemon::start(std::move(config));
}

}  // namespace

int serve(const ConfigSources& sources) {
  StopSignals signals;
  auto loaded = load_config(sources);
  if (!loaded.problems.empty()) {
    print_problems(loaded.problems);
    fmt::print(stderr, "weir does not start: the configuration is wrong in {} place{}.\n",
               loaded.problems.size(), loaded.problems.size() == 1 ? "" : "s");
    return 1;
  }
  log::set_level(loaded.config.log_level);
  prepare_process(loaded.config);
  for (const auto& file : loaded.config.files) {
    log::info("Configuration read.", {{"file", file}});
  }
  for (const auto& note : loaded.config.notes) log::warn(note);

  const std::string address = loaded.config.server.bind_address;
  const std::string admin_address = loaded.config.admin.bind_address;
  const auto notifier = ServiceNotifier::from_environment();
  auto started = start(std::move(loaded.config), notifier);
  if (!started) {
    fmt::print(stderr, "weir does not start: {}\n", started.error().what);
    return 1;
  }
  const std::shared_ptr<Daemon> daemon = std::move(*started);
  loaded = {};
  signals.expect();
  say_ready(*daemon, address, admin_address);
  be_watched(*daemon, notifier);
  notifier.ready("Listening on " + address_text(address, daemon->server_port()));
  reload_when_asked(daemon, sources, notifier, signals);
  release_startup_memory();
  const int signal = signals.wait();
  log::info("Stopping.", {{"signal", signal}});
  signals.at_hangup({});
  notifier.stopping(StopSignals::kStopMax + kStopSlack);
  daemon->stop();
  log::info("Stopped.");
  return 0;
}

int validate_config(const ConfigSources& sources, const std::string& name) {
  const auto loaded = load_config(sources);
  for (const auto& note : loaded.config.notes) fmt::print(stderr, "note: {}\n", note);
  if (!loaded.problems.empty()) {
    print_problems(loaded.problems);
    return 1;
  }
  std::size_t exports = 0;
  for (const auto& stream : loaded.config.streams) exports += stream.exports.size();
  const auto counted = [](std::size_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
  };
  std::string declared = counted(loaded.config.streams.size(), "stream") + " and " +
                         counted(exports, "export") + " declared";
  if (const std::size_t connectors = loaded.config.connectors.size(); connectors > 0) {
    declared += ", " + counted(connectors, "connector");
  }
  if (const std::size_t files = loaded.config.files.size(); files > 1) {
    declared += ", " + counted(files, "file");
  }
  fmt::print("{}: ok, {}\n", name, declared);
  return 0;
}

}  // namespace weir::daemon
