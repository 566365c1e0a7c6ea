#include "daemon/reload_plan.h"

#include "daemon/config_files.h"
#include "daemon/schema.h"
#include "daemon/settings.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace weir::daemon {
namespace {

const FileShape* shape_named(const std::vector<FileShape>& shapes, const std::string& name) {
  const auto found = std::find_if(shapes.begin(), shapes.end(),
                                  [&](const FileShape& shape) { return shape.name == name; });
  return found == shapes.end() ? nullptr : &*found;
}

void refuse_torn_files(const Config& running, const Config& read, ReloadPlan& plan) {
  for (const FileShape& shape : read.shapes) {
    const std::string why = torn_file(shape, shape_named(running.shapes, shape.name));
    if (!why.empty()) plan.refused.push_back(Problem{{shape.name, 0, 0}, why}.text());
  }
}

// Of a key, or of a list and everything in it.
void set_aside(const std::string& path, Config& next) {
  for (auto at = next.settings.lower_bound(path);
       at != next.settings.end() && at->first.starts_with(path); ++at) {
    const std::string_view rest = std::string_view(at->first).substr(path.size());
    if (rest.empty() || rest.starts_with('[')) next.waiting.insert(*at);
  }
}

// Puts back what `running` has. Everything that needs a restart is a single value outside lists,
// except connectors.
void keep(const std::string& path, const Config& running, Config& next) {
  if (path == "connectors") {
    next.connectors = running.connectors;
    std::erase_if(next.settings,
                  [](const auto& entry) { return entry.first.starts_with("connectors["); });
    for (const auto& [name, setting] : running.settings) {
      if (name.starts_with("connectors[")) next.settings[name] = setting;
    }
    return;
  }
  const auto mine = running.settings.find(path);
  const Key* key = find_key(path);
  if (key != nullptr) {
    const std::string text = mine == running.settings.end() ? key->default_text : mine->second.text;
    Target target{next};
    auto value = value_from_text(*key, text);
    // The default may be what nobody may write: an empty text.
    key->set(target, value ? *value : Value{});
  }
  if (mine == running.settings.end()) {
    next.settings.erase(path);
  } else {
    next.settings[path] = mine->second;
  }
}

// The mixture of both may be what neither is: loopback given up while clients need no token.
std::string contradiction_in(const Config& config) {
  for (const Result<void>& verdict : {config.store.validate(), config.server.validate(),
                                      config.admin.validate(), config.exporter.validate()}) {
    if (!verdict) return verdict.error().what;
  }
  if (std::cmp_greater(config.streams.size(), config.store.streams_max)) {
    return fmt::format("{} streams are declared and only {} may be there", config.streams.size(),
                       config.store.streams_max);
  }
  return {};
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

}  // namespace

ReloadPlan plan_reload(const Config& running, LoadedConfig loaded) {
  ReloadPlan plan;
  for (const Problem& problem : loaded.problems) plan.refused.push_back(problem.text());
  refuse_torn_files(running, loaded.config, plan);
  if (!plan.refused.empty()) return plan;
  plan.next = std::move(loaded.config);
  for (std::string& path : changed_keys(running, plan.next)) {
    if (is_live(path)) {
      plan.changed.push_back(std::move(path));
      continue;
    }
    set_aside(path, plan.next);
    keep(path, running, plan.next);
    plan.needs_restart.push_back(std::move(path));
  }
  plan.next.store_must_exist = running.store_must_exist;
  if (const std::string why = contradiction_in(plan.next); !why.empty()) {
    plan.refused.push_back(
        fmt::format("this cannot be applied while {} need{} a restart: {}; "
                    "restart weir to apply all of it",
                    joined(plan.needs_restart), plan.needs_restart.size() == 1 ? "s" : "", why));
    plan.changed.clear();
    plan.needs_restart.clear();
    plan.next = {};
  }
  return plan;
}

}  // namespace weir::daemon
