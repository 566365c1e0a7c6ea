#pragma once

#include "model/definition.h"

#include <string>
#include <vector>

/// Streams as people read them on a terminal.
namespace weir::cli {

/// One line a stream, with a head line.
std::string streams_table(const std::vector<model::StreamInfo>& infos);
/// Everything that `describe` told of one stream.
std::string stream_text(const model::StreamInfo& info);

/// Rows of cells as columns of equal width, two spaces between them.
std::string columns(const std::vector<std::vector<std::string>>& rows);

}  // namespace weir::cli
