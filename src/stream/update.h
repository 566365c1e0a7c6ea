#pragma once

#include "base/result.h"
#include "model/definition.h"

/// What an update may change (protocol.md §4.7). Pure.
namespace weir::stream {

/// `wanted` has its persistence filled in. Errors: kConflict (status 17), kInvalidArgument (3, the
/// text begins with the path of the field).
Result<void> check_update(const model::StreamDefinition& present,
                          const model::StreamDefinition& wanted,
                          const model::StorageStatus& status);

/// True if nothing would change.
bool same_definition(const model::StreamDefinition& a, const model::StreamDefinition& b);

}  // namespace weir::stream
