#include "cli/stream_text.h"

#include "base/log.h"
#include "cli/text.h"

#include <algorithm>
#include <fmt/format.h>

namespace weir::cli {
namespace {

using model::StreamDefinition;
using model::StreamInfo;

std::int64_t message_count(const model::StorageStatus& status) {
  return status.newest_sequence_number - status.oldest_sequence_number + 1;
}

std::string limits_text(const StreamDefinition& definition) {
  const bool overwrite = definition.strategy_on_full == model::StrategyOnFull::kOverwriteOldestData;
  return fmt::format("{} in segments of {}, {} when full",
                     human_bytes(definition.max_size_or_default()),
                     human_bytes(definition.segment_size_or_default()),
                     overwrite ? "overwrites the oldest" : "rejects new messages");
}

std::string durability_text(const StreamDefinition& definition) {
  if (definition.persistence_or_default() == model::Persistence::kMemory) {
    return "in memory; a restart loses the messages";
  }
  return definition.flush_on_write_or_default()
             ? "on disk, each append on stable storage before it is answered"
             : "on disk, synchronized from time to time";
}

std::string export_text(const model::ExportConfig& config) {
  std::string text = fmt::format("{}", model::export_type_name(config.type));
  if (!config.target.empty()) text += " -> " + log::escaped(config.target);
  if (config.batch_size) text += fmt::format(", batches of {}", *config.batch_size);
  if (config.batch_interval_ms) text += ", every " + human_duration(*config.batch_interval_ms);
  if (config.priority) text += fmt::format(", priority {}", *config.priority);
  if (config.disabled.value_or(false)) text += ", disabled";
  return text;
}

std::string progress_text(const model::ExportStatus& status, std::int64_t newest) {
  std::string text = fmt::format(
      "{} exported, up to number {}; {} behind", counted(status.exported_messages_count, "message"),
      status.last_exported_sequence_number,
      grouped(std::max<std::int64_t>(0, newest - status.last_exported_sequence_number)));
  if (status.last_export_time_ms > 0) {
    text += "; last attempt " + iso_time(status.last_export_time_ms);
  }
  if (!status.error_message.empty()) text += "; failed: " + log::escaped(status.error_message, 512);
  return text;
}

}  // namespace

std::string columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    text += line + "\n";
  }
  return text;
}

std::string streams_table(const std::vector<StreamInfo>& infos) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "MESSAGES", "OLDEST", "NEWEST", "SIZE", "MAX", "KEPT", "EXPORTS"}};
  for (const StreamInfo& info : infos) {
    const auto& storage = info.storage_status;
    std::string exports;
    for (const auto& status : info.export_statuses) {
      if (!exports.empty()) exports += ", ";
      exports += log::escaped(status.export_config_identifier);
      if (!status.error_message.empty()) exports += " (failing)";
    }
    const bool memory = info.definition.persistence_or_default() == model::Persistence::kMemory;
    rows.push_back({log::escaped(info.definition.name), grouped(message_count(storage)),
                    std::to_string(storage.oldest_sequence_number),
                    std::to_string(storage.newest_sequence_number),
                    human_bytes(storage.total_bytes),
                    human_bytes(info.definition.max_size_or_default()), memory ? "memory" : "file",
                    exports.empty() ? "-" : exports});
  }
  return columns(rows);
}

std::string stream_text(const StreamInfo& info) {
  const StreamDefinition& definition = info.definition;
  const auto& storage = info.storage_status;
  const std::int64_t count = message_count(storage);
  std::string text = fmt::format("{}\n", log::escaped(definition.name));
  if (count > 0) {
    text += fmt::format("  holds     {}, numbers {} to {}, {}\n", counted(count, "message"),
                        storage.oldest_sequence_number, storage.newest_sequence_number,
                        human_bytes(storage.total_bytes));
  } else {
    text += fmt::format("  holds     nothing; the next message gets number {}\n",
                        storage.oldest_sequence_number);
  }
  text += fmt::format("  limit     {}\n", limits_text(definition));
  if (definition.time_to_live_ms) {
    text += fmt::format("  kept for  {}\n", human_duration(*definition.time_to_live_ms));
  }
  text += fmt::format("  stored    {}\n", durability_text(definition));
  for (const auto& config : definition.exports) {
    text +=
        fmt::format("  export    {}: {}\n", log::escaped(config.identifier), export_text(config));
    for (const auto& status : info.export_statuses) {
      if (status.export_config_identifier != config.identifier) continue;
      text +=
          fmt::format("            {}\n", progress_text(status, storage.newest_sequence_number));
    }
  }
  // Exports that exist only in the server's own configuration have a status, but no definition.
  for (const auto& status : info.export_statuses) {
    const bool defined = std::any_of(
        definition.exports.begin(), definition.exports.end(),
        [&](const auto& config) { return config.identifier == status.export_config_identifier; });
    if (defined) continue;
    text += fmt::format("  export    {}: configured at the server\n            {}\n",
                        log::escaped(status.export_config_identifier),
                        progress_text(status, storage.newest_sequence_number));
  }
  return text;
}

}  // namespace weir::cli
