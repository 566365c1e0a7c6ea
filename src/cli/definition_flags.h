#pragma once

#include "base/result.h"
#include "cli/command_table.h"
#include "model/definition.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::cli {

/// The options of `stream create` and `stream update` that describe a stream.
struct DefinitionFlags {
  std::string definition_file;
  std::optional<std::string> max_size;
  std::optional<std::string> segment_size;
  std::optional<std::string> ttl;
  std::optional<std::string> on_full;
  bool memory = false;
  std::optional<bool> flush_on_write;
  std::optional<std::string> kinesis_stream;
  std::optional<std::string> http_uri;
  std::optional<std::string> export_identifier;
  std::optional<std::int64_t> batch_size;
  std::optional<std::string> batch_interval;

  /// Their entries in the table, and what was typed for them.
  static std::vector<Flag> flags();
  static DefinitionFlags from(const Arguments& arguments);
  [[nodiscard]] bool any() const;
  /// `base` (or the definition file, if one is named) with every option given applied, named
  /// `name`, checked. Errors: kInvalidArgument naming the option or field at fault; kIo.
  [[nodiscard]] Result<model::StreamDefinition> apply(model::StreamDefinition base,
                                                      const std::string& name) const;

 private:
  Result<void> apply_sizes(model::StreamDefinition& definition) const;
  Result<void> apply_exports(model::StreamDefinition& definition) const;
};

}  // namespace weir::cli
