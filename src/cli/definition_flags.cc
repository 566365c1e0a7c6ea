#include "cli/definition_flags.h"

#include "base/log.h"
#include "cli/definition_json.h"
#include "cli/text.h"
#include "protocol/codec.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <iterator>

namespace weir::cli {
namespace {

tl::unexpected<Error> usage(std::string what) {
  return fail(Errc::kInvalidArgument, std::move(what));
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(os_error("read " + path, errno));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// Sets the one export of `type`, or adds it.
void set_export(std::vector<model::ExportConfig>& exports, const model::ExportConfig& config) {
  const auto same = std::find_if(exports.begin(), exports.end(), [&](const auto& known) {
    return known.type == config.type && known.identifier == config.identifier;
  });
  if (same == exports.end()) {
    exports.push_back(config);
  } else {
    same->target = config.target;
    if (config.batch_size) same->batch_size = config.batch_size;
    if (config.batch_interval_ms) same->batch_interval_ms = config.batch_interval_ms;
  }
  std::stable_sort(exports.begin(), exports.end(),
                   [](const auto& a, const auto& b) { return a.type < b.type; });
}

}  // namespace

void DefinitionFlags::add_to(CLI::App& command) {
  command.add_option("--definition", definition_file,
                     "File with the whole definition as JSON, as 'weir stream info -o json' "
                     "prints it; other options change it.");
  command.add_option("--max-size", max_size, "Size of the stream, as in 256MiB (the default).");
  command.add_option("--segment-size", segment_size,
                     "Size of a segment, the unit of deletion, as in 16MiB (the default, "
                     "or --max-size if that is less).");
  command.add_option("--ttl", ttl, "How long messages are kept at least, as in 36h or 7d; 'none'.");
  command
      .add_option("--on-full", on_full,
                  "What an append to a full stream does: reject it (the default), or overwrite "
                  "the oldest messages.")
      ->check(CLI::IsMember({"reject", "overwrite"}));
  command.add_flag("--memory", memory, "Keep messages in memory only; a restart loses them.");
  // By function: bound to the variable, CLI11 would store "false" when neither was given.
  command.add_flag_function(
      "--flush-on-write,!--no-flush-on-write",
      [this](std::int64_t count) { flush_on_write = count > 0; },
      "Answer an append only once it is on stable storage.");
  command.add_option("--kinesis-stream", kinesis_stream, "Export to this Kinesis data stream.")
      ->group("Export");
  command.add_option("--http-uri", http_uri, "Export by POST to this address.")->group("Export");
  command
      .add_option("--export-id", export_identifier,
                  "Identifier of that export. Default: kinesis or http.")
      ->group("Export");
  command.add_option("--batch-size", batch_size, "Messages in one request, at most.")
      ->group("Export");
  command
      .add_option("--batch-interval", batch_interval,
                  "How long to collect a batch, as in 5min; at least 60s.")
      ->group("Export");
}

bool DefinitionFlags::any() const {
  return !definition_file.empty() || max_size || segment_size || ttl || on_full || memory ||
         flush_on_write || kinesis_stream || http_uri || batch_size || batch_interval;
}

Result<void> DefinitionFlags::apply_sizes(model::StreamDefinition& definition) const {
  const auto bytes = [](const char* flag, const std::optional<std::string>& text,
                        std::optional<std::int64_t>& out) -> Result<void> {
    if (!text) return {};
    out = parse_bytes(*text);
    if (out) return {};
    return usage(fmt::format("{} {}: not a size; write 4096, 512KiB, 64MiB or 2GB", flag,
                             log::escaped(*text)));
  };
  WEIR_RETURN_IF_ERROR(bytes("--max-size", max_size, definition.max_size));
  WEIR_RETURN_IF_ERROR(bytes("--segment-size", segment_size, definition.stream_segment_size));
  // A server takes a segment larger than its stream at create, but refuses it at update.
  if (max_size && !segment_size &&
      definition.segment_size_or_default() > definition.max_size_or_default()) {
    definition.stream_segment_size = definition.max_size;
  }
  if (ttl == "none") {
    definition.time_to_live_ms.reset();
  } else if (ttl) {
    definition.time_to_live_ms = parse_duration_ms(*ttl);
    if (!definition.time_to_live_ms) {
      return usage(fmt::format("--ttl {}: not a duration; write 90min, 36h or 7d, or none",
                               log::escaped(*ttl)));
    }
  }
  return {};
}

Result<void> DefinitionFlags::apply_exports(model::StreamDefinition& definition) const {
  model::ExportConfig config;
  config.batch_size = batch_size;
  if (batch_interval) {
    config.batch_interval_ms = parse_duration_ms(*batch_interval);
    if (!config.batch_interval_ms) {
      return usage(fmt::format("--batch-interval {}: not a duration; write 90s, 5min or 1h",
                               log::escaped(*batch_interval)));
    }
  }
  if (!kinesis_stream && !http_uri && (batch_size || batch_interval || export_identifier)) {
    return usage(
        "--batch-size, --batch-interval and --export-id describe an export: add "
        "--kinesis-stream or --http-uri");
  }
  if (kinesis_stream && http_uri && export_identifier) {
    return usage("--export-id names one export; use --definition for several");
  }
  if (kinesis_stream) {
    config.type = model::ExportType::kKinesis;
    config.identifier = export_identifier.value_or("kinesis");
    config.target = *kinesis_stream;
    set_export(definition.exports, config);
  }
  if (http_uri) {
    config.type = model::ExportType::kHttp;
    config.identifier = export_identifier.value_or("http");
    config.target = *http_uri;
    set_export(definition.exports, config);
  }
  return {};
}

Result<model::StreamDefinition> DefinitionFlags::apply(model::StreamDefinition base,
                                                       const std::string& name) const {
  if (!definition_file.empty()) {
    WEIR_TRY(const std::string text, read_file(definition_file));
    auto read = definition_from_json(text);
    if (!read) return fail(with_context("read " + definition_file, std::move(read).error()));
    base = std::move(*read);
  }
  base.name = name;
  WEIR_RETURN_IF_ERROR(apply_sizes(base));
  if (on_full) {
    base.strategy_on_full = *on_full == "overwrite" ? model::StrategyOnFull::kOverwriteOldestData
                                                    : model::StrategyOnFull::kRejectNewData;
  }
  if (memory) base.persistence = model::Persistence::kMemory;
  if (flush_on_write) base.flush_on_write = flush_on_write;
  WEIR_RETURN_IF_ERROR(apply_exports(base));
  const std::string wrong = protocol::validate(base, "definition");
  if (!wrong.empty()) return usage(wrong);
  return base;
}

}  // namespace weir::cli
