#include "daemon/wiring.h"

#include "base/log.h"
#include "daemon/metrics.h"
#include "daemon/settings.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace weir::daemon {

std::vector<exporter::Engine::Wanted> wanted_exports(const Config& config,
                                                     const model::StreamDefinition& definition) {
  std::vector<exporter::Engine::Wanted> wanted;
  const DeclaredStream* declared = config.find_stream(definition.name);
  for (const auto& shown : definition.exports) {
    model::ExportConfig in_force = shown;
    if (declared != nullptr) {
      // A client may have changed the export since; then what it said counts.
      const auto same =
          std::find_if(declared->exports.begin(), declared->exports.end(),
                       [&](const DeclaredExport& e) { return e.wire_config() == shown; });
      if (same != declared->exports.end()) in_force = same->config;
    }
    wanted.push_back({std::move(in_force), true});
  }
  std::vector<const DeclaredExport*> hidden;
  if (declared != nullptr) {
    for (const auto& entry : declared->exports) {
      if (!entry.on_wire()) hidden.push_back(&entry);
    }
  }
  for (const DeclaredExport* entry : config.added_exports(definition.name)) hidden.push_back(entry);
  for (const DeclaredExport* entry : hidden) {
    const bool taken = std::any_of(wanted.begin(), wanted.end(), [&](const auto& each) {
      return each.config.identifier == entry->config.identifier;
    });
    if (taken) {
      log::warn(
          "The stream has an export of this name already; the one from the configuration is "
          "off.",
          {{"stream", definition.name}, {"destination", entry->config.identifier}});
      continue;
    }
    wanted.push_back({entry->config, false});
  }
  for (auto& each : wanted) {
    const Fingerprint print = fingerprint_of(config, {definition.name, each.config});
    each.route = print.route;
    each.options = print.options;
  }
  return wanted;
}

void StreamWatcher::set_exports(stream::Stream& stream) {
  auto wanted = wanted_exports(*config_.get(), stream.definition());
  if (auto own = connectors_.export_for(stream.definition().name)) {
    // What the configuration adds to streams by pattern is not meant for a connector's records.
    std::erase_if(wanted, [&](const auto& each) {
      return !each.on_wire || each.config.identifier == own->identifier;
    });
    const auto options = fingerprint_of(*config_.get(), {stream.definition().name, *own}).options;
    wanted.push_back({std::move(*own), false, 0, options});  // redirects are not for it
  }
  engine_.set_exports(stream.id(), stream.definition().name, stream.log(), stream.cursors(),
                      std::move(wanted));
}

void StreamWatcher::stream_opened(stream::Stream& stream) {
  local_.stream_changed(stream);
  board_.stream_changed(stream);
  set_exports(stream);
}

void StreamWatcher::stream_updated(stream::Stream& stream) {
  local_.stream_changed(stream);
  board_.stream_changed(stream);
  set_exports(stream);
}

void StreamWatcher::stream_removed(StreamId id, const std::string& name) {
  local_.stream_removed(name);
  board_.stream_removed(id);
  engine_.remove_stream(id);
  if (serving_) server_.stream_removed(id);
}

void StreamWatcher::visible_moved(stream::Stream& stream) {
  if (serving_) server_.stream_moved(stream);
  // Retention moves only this; an export whose messages went away should say so now, not at the
  // next append. The engine wakes nobody for moves that no export waits for.
  engine_.stream_moved(stream.id());
}

void StreamWatcher::durable_moved(stream::Stream& stream) { engine_.stream_moved(stream.id()); }

std::vector<model::ExportStatus> EngineStatuses::export_statuses(const stream::Stream& stream) {
  std::vector<model::ExportStatus> known;
  if (engine_ != nullptr) known = engine_->statuses(stream.id());
  std::vector<model::ExportStatus> all;
  for (const auto& config : stream.definition().exports) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const auto& status) {
      return status.export_config_identifier == config.identifier;
    });
    if (found != known.end()) {
      all.push_back(std::move(*found));
      continue;
    }
    // Defined a moment ago; the engine has not looked at it yet.
    model::ExportStatus status;
    status.export_config_identifier = config.identifier;
    status.last_exported_sequence_number = config.start_sequence_number.value_or(0) - 1;
    all.push_back(std::move(status));
  }
  return all;
}

void EngineStatuses::when_settled(const stream::Stream& stream, Done done) {
  if (engine_ == nullptr) {
    done({});
    return;
  }
  engine_->when_settled(stream.id(), [core = core_, done = std::move(done)](const auto& outcome) {
    core->post([done, outcome] { done(outcome); });
  });
}

namespace {

// Keeps itself alive through the callbacks it hands out; at most this many changes are under way.
class DeclaredStreams : public std::enable_shared_from_this<DeclaredStreams> {
 public:
  using Done = std::function<void(std::vector<std::string> failures)>;

  DeclaredStreams(std::shared_ptr<const Config> config, stream::Catalog& catalog,
                  metrics::Registry& metrics, std::optional<std::set<std::string>> only, Done done)
      : config_(std::move(config)),
        catalog_(catalog),
        metrics_(metrics),
        only_(std::move(only)),
        done_(std::move(done)) {}

  void run() {
    constexpr std::size_t kUnderWayMax = 64;
    const auto& streams = config_->streams;
    while (next_ < streams.size() && under_way_ < kUnderWayMax) start(streams[next_++]);
    if (next_ == streams.size() && under_way_ == 0 && done_) {
      std::exchange(done_, {})(std::move(failures_));
    }
  }

 private:
  void start(const DeclaredStream& declared) {
    if (only_ && !only_->contains(declared.definition.name)) return;
    const stream::Stream* existing = catalog_.find(declared.definition.name);
    if (existing == nullptr) {
      ++under_way_;
      catalog_.create(declared.definition, finish(declared, "create"));
      return;
    }
    if (with_defaults(existing->definition()) == with_defaults(declared.definition)) return;
    ++under_way_;
    catalog_.update(declared.definition, finish(declared, "update"));
  }

  stream::Catalog::Done finish(const DeclaredStream& declared, const char* what) {
    return [self = shared_from_this(), &declared, what](const Result<void>& outcome) {
      if (!outcome) {
        self->metrics_.counter(kDeclaredStreamFailuresTotal).add();
        if (self->failures_.size() < kFailuresToldMax) {
          self->failures_.push_back(
              Problem{declared.where, std::string("cannot ") + what + " the stream '" +
                                          declared.definition.name + "': " + outcome.error().what}
                  .text());
        }
        log::error("Cannot bring a stream to what the configuration says.",
                   {{"stream", declared.definition.name},
                    {"operation", what},
                    {"where", Problem{declared.where, "declared"}.text()},
                    {"error", outcome.error().what}});
      } else {
        log::info("Stream declared in the configuration is in place.",
                  {{"stream", declared.definition.name}, {"operation", what}});
      }
      --self->under_way_;
      self->run();
    };
  }

  static constexpr std::size_t kFailuresToldMax = 50;

  const std::shared_ptr<const Config> config_;
  stream::Catalog& catalog_;
  metrics::Registry& metrics_;
  const std::optional<std::set<std::string>> only_;
  Done done_;
  std::vector<std::string> failures_;
  std::size_t next_ = 0;
  std::size_t under_way_ = 0;
};

}  // namespace

void apply_declared_streams(std::shared_ptr<const Config> config, stream::Catalog& catalog,
                            metrics::Registry& metrics, std::optional<std::set<std::string>> only,
                            std::function<void(std::vector<std::string> failures)> done) {
  std::make_shared<DeclaredStreams>(std::move(config), catalog, metrics, std::move(only),
                                    std::move(done))
      ->run();
}

std::set<std::string> declared_otherwise(const Config& before, const Config& after) {
  std::set<std::string> names;
  for (const auto& stream : after.streams) {
    const DeclaredStream* old = before.find_stream(stream.definition.name);
    if (old == nullptr ||
        settings_below(before.settings, old->path) != settings_below(after.settings, stream.path)) {
      names.insert(stream.definition.name);
    }
  }
  return names;
}

}  // namespace weir::daemon
