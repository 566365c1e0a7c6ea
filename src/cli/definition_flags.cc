#include "cli/definition_flags.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/definition_json.h"
#include "cli/text.h"
#include "protocol/codec.h"

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

std::vector<Flag> DefinitionFlags::flags() {
  return {
      {"--definition", "FILE",
       "File with the whole definition as JSON, as 'weir stream info -o json' prints it; other "
       "options change it.",
       Kind::kFile},
      {"--max-size", "SIZE", "Size of the stream, as in 1GiB. 256MiB if nothing is said."},
      {"--segment-size", "SIZE",
       "Size of a segment, the unit of deletion. 16MiB if nothing is said, or --max-size if that "
       "is less."},
      {"--ttl", "TIME", "How long messages are kept at least, as in 36h or 7d, or 'none'."},
      {"--on-full",
       "WHAT",
       "What an append to a full stream does: reject it, as if nothing is said, or overwrite the "
       "oldest messages.",
       Kind::kChoice,
       {"reject", "overwrite"}},
      {"--memory", "", "Keep messages in memory only; a restart loses them."},
      {.names = "--flush-on-write",
       .text = "Answer an append only once it is on stable storage.",
       .excludes = "--no-flush-on-write"},
      {"--no-flush-on-write", "", "Answer it as soon as a crash of weir cannot lose it."},
      {.names = "--kinesis-stream",
       .value = "NAME",
       .text = "Export to this Kinesis data stream.",
       .group = "Export"},
      {.names = "--http-uri",
       .value = "URI",
       .text = "Export by POST to this address.",
       .group = "Export"},
      {.names = "--export-id",
       .value = "ID",
       .text = "Identifier of that export; kinesis or http if nothing is said.",
       .group = "Export"},
      {.names = "--batch-size",
       .value = "N",
       .text = "Messages in one request, at most.",
       .kind = Kind::kNumber,
       .group = "Export"},
      {.names = "--batch-interval",
       .value = "TIME",
       .text = "How long to collect a batch, as in 5min; at least 60s.",
       .group = "Export"}};
}

DefinitionFlags DefinitionFlags::from(const Arguments& arguments) {
  DefinitionFlags flags;
  flags.definition_file = arguments.text("--definition");
  flags.max_size = arguments.maybe("--max-size");
  flags.segment_size = arguments.maybe("--segment-size");
  flags.ttl = arguments.maybe("--ttl");
  flags.on_full = arguments.maybe("--on-full");
  flags.memory = arguments.has("--memory");
  if (arguments.has("--flush-on-write")) flags.flush_on_write = true;
  if (arguments.has("--no-flush-on-write")) flags.flush_on_write = false;
  flags.kinesis_stream = arguments.maybe("--kinesis-stream");
  flags.http_uri = arguments.maybe("--http-uri");
  flags.export_identifier = arguments.maybe("--export-id");
  flags.batch_size = arguments.maybe_number("--batch-size");
  flags.batch_interval = arguments.maybe("--batch-interval");
  return flags;
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
