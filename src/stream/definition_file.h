#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "file/file_system.h"
#include "model/definition.h"

#include <cstdint>
#include <string>
#include <string_view>

/// The definition of a stream on disk: JSON, then a line with its CRC-32C.
namespace weir::stream {

struct StoredDefinition {
  StreamId id;
  /// Drawn at random when the stream was created; every segment carries it.
  std::uint64_t identity = 0;
  model::StreamDefinition definition;
};

std::string encode_definition(const StoredDefinition& stored);
/// Errors: kCorrupt, with what is wrong.
Result<StoredDefinition> decode_definition(std::string_view text);

struct LoadedDefinition {
  StoredDefinition stored;
  bool from_previous = false;  ///< the current version is unreadable
  std::string problem;         ///< why, if so
};
/// The current version in `directory`, else the previous one.
/// Errors: kCorrupt (neither is readable), kIo. Blocks.
Result<LoadedDefinition> load_definition(file::FileSystem& files, std::string_view directory);

/// Replaces the current version and keeps `before` as the previous one. Durable on return. Blocks.
Result<void> replace_definition(file::FileSystem& files, std::string_view directory,
                                const StoredDefinition& before, const StoredDefinition& after);

}  // namespace weir::stream
