#pragma once

#include "base/ids.h"

#include <optional>
#include <string>
#include <string_view>

/// Names of files and directories inside a store, relative to its root. The only place that knows
/// them; docs/segment-format.md explains each.
namespace weir::stream::layout {

inline constexpr std::string_view kLock = "LOCK";
inline constexpr std::string_view kFormat = "FORMAT";
inline constexpr std::string_view kStoreState = "state";
inline constexpr std::string_view kNames = "names";
inline constexpr std::string_view kStreams = "streams";
inline constexpr std::string_view kTrash = "trash";
/// Of a running weir: what orders to it must carry.
inline constexpr std::string_view kAdminToken = "admin-token";
inline constexpr std::string_view kQuarantine = "quarantine";
/// What marks a directory of the original product, which weir refuses by name.
inline constexpr std::string_view kOriginalStore = "stream_manager_metadata_store";

inline constexpr std::string_view kDefinition = "definition.json";
inline constexpr std::string_view kDefinitionBefore = "definition.prev";
inline constexpr std::string_view kStreamState = "state";
inline constexpr std::string_view kCursors = "cursors";

std::string join(std::string_view directory, std::string_view name);
std::string stream_directory(StreamId id);
/// Where a stream is put together before it gets its name.
std::string unfinished_directory(StreamId id);
std::string trash_directory(StreamId id);
std::string segment_name(SequenceNumber base);
std::string cursor_name(std::uint64_t number);
std::string note_name(std::uint64_t number);

/// The other way round; none if `name` is not exactly such a name.
std::optional<StreamId> stream_id_from(std::string_view name);
std::optional<SequenceNumber> segment_base_from(std::string_view name);
std::optional<std::uint64_t> cursor_number_from(std::string_view name);
std::optional<std::uint64_t> note_number_from(std::string_view name);
[[nodiscard]] bool is_unfinished(std::string_view name);

}  // namespace weir::stream::layout
