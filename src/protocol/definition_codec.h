#pragma once

#include "base/byte_buffer.h"
#include "model/definition.h"
#include "protocol/fields.h"

#include <array>
#include <span>
#include <string_view>

/// Stream definitions on the wire; private to this folder.
namespace weir::protocol {

/// What the protocol says of one type of export (protocol.md §3.4).
struct ExportTraits {
  model::ExportType type;
  std::string_view list_key;    ///< in exportDefinition
  std::string_view target_key;  ///< empty: the target is in the payload
  std::int64_t batch_size_max;  ///< 0: the type has no batches
  bool on_wire;
};
const ExportTraits& traits_of(model::ExportType type);
std::span<const ExportTraits> all_export_traits();

/// Takes a definition; notes what does not fit, and what `validate` would find. Exports beyond
/// kExportsPerStreamMax + 1 are checked but not kept.
void read_definition(FieldReader& fields, const Path& path, model::StreamDefinition& out);
/// Notes every rule that `definition` breaks by itself.
void note_violations(const model::StreamDefinition& definition, const Path& path,
                     Violations& violations);
/// "" if `name` can be a stream name or identifier, else why not.
std::string_view name_violation(std::string_view name);

enum class EmptyLists : std::uint8_t { kLeaveOut, kWrite };
void put_definition(ByteBuffer& out, const model::StreamDefinition& definition, EmptyLists lists);

}  // namespace weir::protocol
