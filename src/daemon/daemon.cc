#include "daemon/daemon.h"

#include "admin/admin.h"
#include "base/log.h"
#include "base/thread_load.h"
#include "connector/connectors.h"
#include "connector/streams.h"
#include "daemon/dashboard.h"
#include "daemon/dead_letters.h"
#include "daemon/denied_paths.h"
#include "daemon/export_orders.h"
#include "daemon/local_streams.h"
#include "daemon/metrics.h"
#include "daemon/nucleus.h"
#include "daemon/outlets.h"
#include "daemon/process.h"
#include "daemon/reload_plan.h"
#include "daemon/reloader.h"
#include "daemon/running_config.h"
#include "daemon/settings.h"
#include "daemon/status_board.h"
#include "daemon/store_directory.h"
#include "daemon/tap.h"
#include "daemon/verifier.h"
#include "daemon/wiring.h"
#include "file/posix_file_system.h"
#include "greengrass/component.h"
#include "stream/layout.h"

#include <atomic>
#include <filesystem>
#include <fmt/format.h>
#include <future>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <sys/random.h>
#include <thread>
#include <utility>
#include <vector>

namespace weir::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kHeartbeat = seconds(1);
constexpr auto kSilenceMax = seconds(10);
constexpr std::uint32_t kAppendsLane = CatalogStreams::kFirstLane;
// A change of the configuration waits for the core thread and for the disk (declared streams).
constexpr auto kChangeMax = seconds(10);
constexpr auto kLookAtStop = milliseconds(20);
constexpr std::size_t kStreamsAtATime = 64;
constexpr unsigned kDone = 200;
constexpr unsigned kRefused = 422;
constexpr auto kFaultRefreshWait = milliseconds(20);
// The three waits of a stop; together below the 10 s of S5.
constexpr auto kShutdownDeadline = seconds(3);
constexpr auto kShutdownGrace = seconds(1);

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) {
    seed = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  return seed;
}

}  // namespace

// In the order of construction; destroyed from the last to the first.
struct Daemon::Parts {
  explicit Parts(Config c) : running(std::move(c)) {}
  ~Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  RunningConfig running;
  SystemClock clock;
  const Instant started = clock.now();
  const std::int64_t started_wall_ms = clock.wall_ms();
  metrics::Registry metrics;
  std::unique_ptr<file::FileSystem> disk;
  StatusBoard board;
  Taps taps{clock};
  EngineStatuses statuses;
  std::unique_ptr<server::Loop> loop;
  std::unique_ptr<greengrass::Component> nucleus;  // null: no nucleus started weir
  ReplaceableVerifier verifier;
  std::unique_ptr<server::Server> server;
  std::shared_ptr<CatalogStreams> local_streams;
  std::unique_ptr<connector::Appends> appends;
  std::unique_ptr<DeadLetterStreams> dead_letters;
  std::unique_ptr<connector::Connectors> connectors;
  std::unique_ptr<Outlets> outlets;
  // Shared with the engine, of which a thread may hang longer than we live.
  std::shared_ptr<ThreadLoad> core_load = std::make_shared<ThreadLoad>();
  std::unique_ptr<exporter::Engine> engine;
  std::unique_ptr<StreamWatcher> watcher;
  std::unique_ptr<stream::Catalog> catalog;
  std::unique_ptr<Dashboard> dashboard;
  std::unique_ptr<admin::AdminServer> admin;
  std::string admin_token_file;  // absolute; empty: none could be written, no orders are taken
  std::string admin_token;

  bool catalog_closed = false;  // core thread
  Reloader reloader;

  std::atomic<bool> ready{false};
  std::atomic<Instant::rep> heartbeat{0};
  std::function<void()> at_heartbeat;  // core thread
  std::thread core;

  Result<void> open();
  [[nodiscard]] std::string store_name() const {
    return fmt::format("store directory '{}'", log::escaped(running.get()->store_directory));
  }
  Result<void> open_store();
  Result<void> bind_admin();
  void make_dashboard();
  void make_connectors();
  Result<exporter::DestinationFactory> make_factory(const Config& config);
  void open_orders();
  void run_core();
  void reload_from(const ConfigSources& sources, std::function<void(bool busy)> tell);
  ReloadAnswer apply_reload(LoadedConfig loaded, const std::stop_token& stop);
  struct Change;
  void begin(const std::shared_ptr<Change>& change);
  void look_at_all_streams(Change& change);
  void look_at_streams(const std::shared_ptr<Change>& change);
  void mend_outlets();
  void beat();
  void tick();
  void stop();

  [[nodiscard]] Duration silence() const {
    return clock.now() - Instant(Instant::duration(heartbeat.load()));
  }
  [[nodiscard]] bool live() const { return silence() < kSilenceMax; }
  void collect(metrics::Samples& samples) const;
  [[nodiscard]] std::string status();
  void refresh_faults();
};

Result<void> Daemon::Parts::open() {
  metrics.gauge(kInfo, {WEIR_VERSION}).set(1);
  metrics.add_collector([this](metrics::Samples& samples) { collect(samples); });
  WEIR_TRY(loop, server::Loop::create(clock));
  const auto config = running.get();
  WEIR_RETURN_IF_ERROR(open_store());
  nucleus = start_component(config->greengrass, clock, metrics);
  WEIR_TRY(auto checks_tokens, make_verifier(*config, clock, *loop, nucleus.get()));
  verifier.use(std::move(checks_tokens));
  server::Options serving = config->server;
  serving.multipart_threshold_min = config->export_defaults.s3.part_bytes_min;
  WEIR_TRY(server, server::Server::bind(serving, {*loop, clock, metrics, verifier, statuses}));
  local_streams = std::make_shared<CatalogStreams>(*loop, *server);
  appends = std::make_unique<connector::Appends>(*loop, kAppendsLane);
  local_streams->add_lane(kAppendsLane, [this](std::uint32_t upper, const auto& outcome) {
    appends->append_done(upper, outcome);
  });
  dead_letters = std::make_unique<DeadLetterStreams>(*appends);
  WEIR_RETURN_IF_ERROR(bind_admin());
  make_connectors();
  WEIR_TRY(auto factory, make_factory(*config));
  engine = exporter::Engine::start(
      config->exporter, {clock, metrics, std::move(factory), random_seed(),
                         [load = core_load] { return load->share(SystemClock().now()); }});
  statuses.use(*engine, *loop);
  watcher = std::make_unique<StreamWatcher>(running, board, *engine, *server, *local_streams,
                                            *connectors);
  auto streams = stream::Catalog::open(
      config->store,
      {*disk, clock, metrics, *loop, *watcher, *local_streams, boot_id(), random_seed(), true,
       [this](StreamId id, const model::StreamDefinition& definition,
              const std::shared_ptr<stream::LogReader>& log) {
         engine->stream_leaving(id, definition, log);
       }});
  if (!streams) return fail(with_context(store_name(), std::move(streams).error()));
  catalog = std::move(*streams);
  local_streams->serve(*catalog);
  appends->serve(*catalog);
  open_orders();
  if (admin) admin->serve();
  run_core();
  if (nucleus) nucleus->announce(server->port(), config->server.port == 0);
  return {};
}

// Before the engine, which makes their exports' destinations; what they ask of it is asked later.
void Daemon::Parts::make_connectors() {
  std::vector<connector::Options> options;
  for (const auto& declared : running.get()->connectors) {
    options.push_back(declared.options);
    options.back().broker.seed = random_seed();
  }
  connector::Environment environment{*loop, clock, metrics, *appends, mqtt::make_client,
                                     {},    {},    {},      {}};
  environment.later = [this](Duration wait, std::function<void()> work) {
    loop->call_at(clock.now() + wait, std::move(work));
  };
  environment.sent_below = [this](const stream::Stream& stream) {
    for (const auto& view : engine->views()) {
      if (view.stream_id == stream.id() && view.config.identifier == connector::kQueueExport) {
        return SequenceNumber(view.status.last_exported_sequence_number + 1);
      }
    }
    return stream.log()->oldest();
  };
  environment.when_settled = [this](StreamId id, std::function<void()> done) {
    engine->when_settled(id, [done = std::move(done)](const Result<void>&) { done(); });
  };
  environment.retry_now = [this](StreamId id, const std::string& identifier) {
    exporter::Order order;
    order.kind = exporter::Order::Kind::kRetryNow;
    engine->give_order(id, identifier, order, [](const Result<std::string>&) {});
  };
  connectors = std::make_unique<connector::Connectors>(options, std::move(environment));
}

Result<exporter::DestinationFactory> Daemon::Parts::make_factory(const Config& config) {
  // HTTP exports go where clients say, but not back into weir (reliability.md §4.6).
  std::vector<std::uint16_t> own_ports = {server->port()};
  if (admin) own_ports.push_back(admin->port());
  const auto options_in_force = [this](const exporter::ExportSpec& spec) {
    const auto now = running.get();
    auto options = now->options_for(spec);
    options.s3.streams = local_streams;
    options.s3.denied_paths = [this] { return denied_paths(*running.get()); };
    connectors->adjust(spec, options);
    return options;
  };
  outlets = std::make_unique<Outlets>(clock, metrics, random_seed(), options_in_force,
                                      std::move(own_ports));
  WEIR_TRY(auto set, outlets->make(config, nullptr));
  outlets->use(set, config.transport.bandwidth_bits_per_second);
  auto plain = outlets->factory();
  auto guarded = with_poison_policies(
      plain, [this](const exporter::ExportSpec& spec) { return running.get()->options_for(spec); },
      *dead_letters, clock);
  return taps.in_front_of(connectors->in_front_of(std::move(guarded), std::move(plain)));
}

Result<void> Daemon::Parts::open_store() {
  const auto config = running.get();
  WEIR_TRY(const auto warnings,
           prepare_store_directory(config->store_directory, config->store_must_exist));
  for (const auto& warning : warnings) log::warn(warning);
  auto opened = file::open_posix(config->store_directory);
  if (!opened) {
    return fail(with_context(store_name(), opened.error()));
  }
  disk = std::move(*opened);
  return {};
}

// Early, so that exports know its port; it answers when everything it shows is there.
Result<void> Daemon::Parts::bind_admin() {
  const auto config = running.get();
  if (config->admin.port < 0) return {};
  admin::Sources sources;
  sources.metrics_text = [this] { return metrics.text(); };
  sources.live = [this] { return live(); };
  sources.ready = [this] { return ready.load() && live(); };
  sources.status_json = [this] { return status(); };
  sources.orders.push_back({"/exports", "orders for exports, see weir export", false,
                            [this](std::string_view body, admin::Reply reply) {
                              take_export_order(
                                  body, board, *engine, [this] { outlets->look_again(); },
                                  std::move(reply));
                            }});
  sources.documents.push_back({"/config", "the configuration in force, without secrets",
                               [this] { return config_json(*running.get()); }});
  sources.documents.push_back({"/log", "the newest warnings and errors", recent_log_json});
  sources.orders.push_back({"/reload", "read the configuration again, see weir reload", false,
                            [this](std::string_view, const admin::Reply& reply) {
                              reloader.request([reply](const ReloadAnswer& answer) {
                                reply(answer.refused.empty() ? kDone : kRefused, answer.json());
                              });
                            }});
  make_dashboard();
  dashboard->add_to(sources);
  sources.order_token = [this] { return admin_token; };
  sources.payloads_need_token = config->server.authenticate_client;
  sources.registry = &metrics;
  heartbeat = clock.now().time_since_epoch().count();
  WEIR_TRY(admin, admin::AdminServer::bind(config->admin, std::move(sources)));
  return {};
}

void Daemon::Parts::make_dashboard() {
  Dashboard::Environment environment{clock, board, taps, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  environment.exports = [this](StreamId id) { return engine->views(id); };
  environment.redirected_to = [this](const std::string& stream, const model::ExportConfig& one) {
    const auto config = running.get();  // holds the rule
    const RedirectRule* rule = config->redirect_of(stream, one);
    if (rule == nullptr) return std::string();
    return std::string(model::export_type_name(rule->to.config.type)) + " " +
           rule->to.config.target;
  };
  environment.credentials = [this] { return outlets->credentials(); };
  environment.connectors = [this] { return connectors->views(); };
  environment.unavailable = [this] { return catalog->unavailable(); };
  environment.process = [this] {
    admin::WeirFigures figures;
    figures.store_directory = running.get()->store_directory;
    figures.started_ms = started_wall_ms;
    figures.server_port = server->port();
    figures.connections = server->counts().connections;
    if (const auto space = disk->space()) {
      figures.disk_free_bytes = static_cast<std::int64_t>(space->free_bytes);
      figures.disk_total_bytes = static_cast<std::int64_t>(space->total_bytes);
    }
    figures.memory_bytes = resident_bytes();
    figures.live = live();
    figures.ready = ready;
    return figures;
  };
  environment.on_core = [this](std::function<void()> work) { loop->post(std::move(work)); };
  environment.refresh_faults = [this] { board.refresh_faults(catalog->streams()); };
  environment.remove_stream = [this](const std::string& name, stream::Catalog::Done done) {
    catalog->remove(name, std::move(done));
  };
  dashboard = std::make_unique<Dashboard>(std::move(environment));
}

// The store is locked by now, so the token of another weir is not replaced. A disk that takes no
// file must not keep weir from starting.
void Daemon::Parts::open_orders() {
  if (!admin) return;
  std::error_code unknown;
  const auto store = std::filesystem::absolute(running.get()->store_directory, unknown);
  const std::string path = store / stream::layout::kAdminToken;
  auto token = write_admin_token(path);
  if (!token) {
    log::warn(
        "Orders for exports are not taken: there is no token to prove that they may be given.",
        {{"error", token.error().what}});
    return;
  }
  admin_token_file = path;
  admin_token = std::move(*token);
}

// Starts the core thread and waits until the declared streams are there and clients may come.
void Daemon::Parts::run_core() {
  heartbeat = clock.now().time_since_epoch().count();
  std::promise<void> serving;
  loop->post([this, &serving] {
    beat();
    tick();
    apply_declared_streams(running.get(), *catalog, metrics, std::nullopt, [this, &serving](auto) {
      watcher->serving();
      server->serve(*catalog);
      connectors->start();
      ready = true;
      serving.set_value();
    });
  });
  core = std::thread([this] { loop->run(); });
  core_load->watch(processor_time_of(core.native_handle()), clock.now());
  serving.get_future().wait();
}

// One change of the configuration on its way through the parts.
struct Daemon::Parts::Change {
  std::shared_ptr<const Config> next;
  std::shared_ptr<server::Verifier> verifier;
  std::shared_ptr<const Outlets::Set> outlets;
  bool of_exports = false;
  std::set<std::string> declared;  // streams to bring to what is declared
  std::vector<StreamId> streams = {};
  // What was replaced goes where it may block: to the thread that waits.
  struct Outcome {
    std::vector<std::string> failures;
    std::shared_ptr<server::Verifier> verifier;
    std::shared_ptr<const Outlets::Set> outlets;
  };
  Outcome outcome = {};
  std::promise<Outcome> done = {};
};

void Daemon::Parts::reload_from(const ConfigSources& sources, std::function<void(bool)> tell) {
  reloader.use({[sources](const std::stop_token& stop) { return load_settled(sources, stop); },
                [this](LoadedConfig loaded, const std::stop_token& stop) {
                  auto answer = apply_reload(std::move(loaded), stop);
                  const char* outcome = answer.refused.empty() ? "applied" : "refused";
                  metrics.counter(kReloadsTotal, {outcome}).add();
                  return answer;
                },
                std::move(tell)});
}

// Everything that can be refused comes first; from the post on there is no way back.
ReloadAnswer Daemon::Parts::apply_reload(LoadedConfig loaded, const std::stop_token& stop) {
  const auto before = running.get();
  ReloadPlan plan = plan_reload(*before, std::move(loaded));
  ReloadAnswer answer{plan.changed, plan.needs_restart, std::move(plan.refused), {}};
  if (!answer.refused.empty()) return answer;
  auto checks_tokens = make_verifier(plan.next, clock, *loop, nucleus.get());
  if (!checks_tokens) return {{}, {}, {checks_tokens.error().what}, {}};
  auto set = outlets->make(plan.next, before.get());
  if (!set) return {{}, {}, {set.error().what}, {}};
  for (const auto& note : plan.next.notes) log::warn(note);
  auto change = std::make_shared<Change>();
  plan.next.outlets = (*set)->number;
  change->of_exports = concern_exports(plan.changed);
  if (!change->of_exports && plan.next.outlets != before->outlets) {
    answer.changed.emplace_back("profile of the AWS tools");
    change->of_exports = true;
  }
  change->declared = declared_otherwise(*before, plan.next);
  change->next = std::make_shared<const Config>(std::move(plan.next));
  change->verifier = std::move(*checks_tokens);
  change->outlets = std::move(*set);
  auto done = change->done.get_future();
  loop->post([this, change] { begin(change); });
  const Instant deadline = clock.now() + kChangeMax;
  change.reset();
  while (done.wait_for(kLookAtStop) != std::future_status::ready) {
    if (!stop.stop_requested() && clock.now() < deadline) continue;
    answer.failed.emplace_back("not everything has been carried out yet; see the log");
    return answer;
  }
  answer.failed = done.get().failures;
  return answer;
}

void Daemon::Parts::begin(const std::shared_ptr<Change>& change) {
  if (catalog_closed) return;
  const Config& next = *change->next;
  log::set_level(next.log_level);
  running.set(change->next);
  change->outcome.verifier = verifier.use(std::move(change->verifier));
  change->outcome.outlets = outlets->use(change->outlets, next.transport.bandwidth_bits_per_second);
  engine->set_options(next.exporter);
  catalog->set_min_free_bytes(next.store.min_free_bytes);
  if (change->of_exports) look_at_all_streams(*change);
  look_at_streams(change);
}

void Daemon::Parts::look_at_all_streams(Change& change) {
  for (const stream::Stream* stream : catalog->streams()) change.streams.push_back(stream->id());
}

// Exports of AWS wait for nothing but this, and nobody has to tell weir. The set that ends sent
// nothing, so that nothing holds it up.
void Daemon::Parts::mend_outlets() {
  if (catalog_closed) return;
  const auto set = outlets->mend();
  if (set == nullptr) return;
  Config mended = *running.get();
  mended.outlets = set->number;
  auto change = std::make_shared<Change>();
  change->next = std::make_shared<const Config>(std::move(mended));
  running.set(change->next);
  outlets->use(set, change->next->transport.bandwidth_bits_per_second);
  look_at_all_streams(*change);
  look_at_streams(change);
}

// A few at a time, so that clients are served in between.
void Daemon::Parts::look_at_streams(const std::shared_ptr<Change>& change) {
  if (catalog_closed) return;
  for (std::size_t i = 0; i < kStreamsAtATime && !change->streams.empty(); ++i) {
    stream::Stream* stream = catalog->find(change->streams.back());
    change->streams.pop_back();
    if (stream != nullptr) watcher->config_changed(*stream);
  }
  if (!change->streams.empty()) {
    loop->post([this, change] { look_at_streams(change); });
    return;
  }
  apply_declared_streams(change->next, *catalog, metrics, change->declared,
                         [change](std::vector<std::string> failures) {
                           change->outcome.failures = std::move(failures);
                           change->done.set_value(std::move(change->outcome));
                         });
}

void Daemon::Parts::beat() {
  heartbeat = clock.now().time_since_epoch().count();
  if (at_heartbeat) at_heartbeat();
  board.measure(clock.now());
  mend_outlets();
  loop->call_at(clock.now() + kHeartbeat, [this] { beat(); });
}

void Daemon::Parts::tick() {
  const Instant next = catalog->tick();
  loop->call_at(next, [this] { tick(); });
}

void Daemon::Parts::collect(metrics::Samples& samples) const {
  const auto as_seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
  samples.add(kUptimeSeconds, {}, as_seconds(clock.now() - started));
  samples.add(kCoreSilenceSeconds, {}, as_seconds(silence()));
  samples.add(kReady, {}, ready && live() ? 1 : 0);
  samples.add(kResidentMemoryBytes, {}, static_cast<double>(resident_bytes()));
  samples.add(kOpenDescriptors, {}, static_cast<double>(open_descriptors()));
  const auto reloads = reloader.state();
  samples.add(kConfigRefused, {}, reloads.refused.empty() ? 0 : 1);
  samples.add(kConfigNeedsRestart, {}, static_cast<double>(reloads.needs_restart.size()));
  if (engine != nullptr && !running.get()->connectors.empty())
    connectors->sample(samples, engine->views());
}

// Faults are known to the core thread only. It is given a moment to tell; if it is stuck, the last
// known ones are shown.
void Daemon::Parts::refresh_faults() {
  auto told = std::make_shared<std::promise<void>>();
  auto answer = told->get_future();
  loop->post([this, told] {
    board.refresh_faults(catalog->streams());
    told->set_value();
  });
  answer.wait_for(kFaultRefreshWait);
}

std::string Daemon::Parts::status() {
  refresh_faults();
  const auto config = running.get();
  ProcessStatus process;
  process.uptime_ms = std::chrono::duration_cast<milliseconds>(clock.now() - started).count();
  process.store_directory = config->store_directory;
  process.admin_token_file = admin_token_file;
  if (auto space = disk->space()) process.space = *space;
  process.server_port = server->port();
  process.server = server->counts();
  process.wall_ms = clock.wall_ms();
  process.credentials = outlets->credentials();
  process.config = config.get();
  process.reload = reloader.state();
  process.connectors = connectors->views();
  if (nucleus) process.nucleus = nucleus->view();
  process.unavailable = catalog->unavailable();  // never changes
  return status_json(process, board.rows(), engine->views());
}

void Daemon::Parts::stop() {
  if (!core.joinable()) return;
  ready = false;
  reloader.stop();
  const Instant begun = clock.now();
  std::promise<void> drained;
  auto gone = drained.get_future();
  loop->post([&] { server->shutdown(begun + kShutdownDeadline, [&] { drained.set_value(); }); });
  connectors->stop();
  engine->stop();
  gone.wait_until(std::max(begun + kShutdownDeadline + kShutdownGrace, clock.now()));
  std::promise<void> closed;
  loop->post([&] {
    local_streams->close();
    appends->close();
    catalog->close();
    catalog_closed = true;
    loop->stop();
    closed.set_value();
  });
  closed.get_future().wait();
  core.join();
  if (nucleus) nucleus->stop();  // now the last figures are final
  admin.reset();
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Daemon::~Daemon() { stop(); }

Result<std::unique_ptr<Daemon>> Daemon::start(Config config) {
  auto parts = std::make_unique<Parts>(std::move(config));
  WEIR_RETURN_IF_ERROR(parts->open());
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

std::uint16_t Daemon::server_port() const { return parts_->server->port(); }
int Daemon::admin_port() const { return parts_->admin ? parts_->admin->port() : -1; }
std::string Daemon::store_directory() const { return parts_->running.get()->store_directory; }
std::string Daemon::status() const { return parts_->status(); }
void Daemon::at_heartbeat(std::function<void()> sign) {
  parts_->loop->post(
      [parts = parts_.get(), sign = std::move(sign)] { parts->at_heartbeat = sign; });
}
void Daemon::reload_from(const ConfigSources& sources, std::function<void(bool busy)> tell) {
  parts_->reload_from(sources, std::move(tell));
}
void Daemon::reload(Reloader::Done done) { parts_->reloader.request(std::move(done)); }
void Daemon::stop() { parts_->stop(); }

}  // namespace weir::daemon
