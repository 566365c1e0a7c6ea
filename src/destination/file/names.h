#pragma once

#include "base/ids.h"
#include "destination/options.h"

#include <cstdint>
#include <string>
#include <string_view>

/// How output files are called. One export's files all start with its prefix:
///
///     <stream>.<identifier>.<first sequence number, 20 digits>.<time opened>.<what is inside>
///     pumps.archive.00000000000000004711.20260102T030405.678Z.lines.gz
///
/// The file being written has ".part" behind that. Stream and identifier keep letters, digits, '_'
/// and '-'; everything else is written %XX, and what is longer than 80 bytes is cut and gets a
/// checksum, so that no name from a client becomes a path.
namespace weir::destination::file_export {

inline constexpr std::string_view kPartSuffix = ".part";
inline constexpr std::string_view kRecoveredSuffix = ".recovered";

/// "<stream>.<identifier>."
std::string file_prefix(const std::string& stream, const std::string& identifier);

/// The name a file has when it is finished.
std::string file_name(const std::string& prefix, SequenceNumber first, std::int64_t opened_wall_ms,
                      const FileOptions& options);

/// The name of the file that remembers how much of the active file is whole.
std::string position_name(const std::string& prefix);

}  // namespace weir::destination::file_export
