// Any text as a configuration: it is read in bounded time, and every complaint is one clean line.

#include "daemon/config.h"
#include "daemon/yaml_reader.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace weir;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_clean(std::string_view line) {
  for (const char c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return !line.empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = daemon::parse_config(text, "weir.yaml");
  require(loaded.problems.size() <= daemon::kProblemsMax + 1);
  for (const auto& problem : loaded.problems) require(is_clean(problem.text()));
  if (!loaded.problems.empty()) return 0;

  // What was accepted keeps the promises that the rest of weir relies on.
  const auto& config = loaded.config;
  require(config.server.port == 0 || config.server.port != config.admin.port);
  require(config.server.validate().has_value() && config.store.validate().has_value());
  require(static_cast<std::int64_t>(config.streams.size()) <= config.store.streams_max);
  for (const auto& stream : config.streams) {
    require(!stream.definition.name.empty());
    for (const auto& entry : stream.exports) {
      require(!entry.config.identifier.empty() && !entry.config.target.empty());
      static_cast<void>(config.options_for({stream.definition.name, entry.config}));
    }
  }
  return 0;
}
