#pragma once

#include "daemon/config.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::daemon {

inline constexpr std::size_t kConfigBytesMax = 4 << 20;
inline constexpr std::size_t kProblemsMax = 50;
/// YAML aliases let a small file stand for a huge tree; this many nodes are looked at.
inline constexpr std::size_t kConfigNodesMax = 400'000;

/// Applies one YAML (or JSON) document to `config`; appends what is wrong with it to `problems`.
/// Never throws. Time is linear in the text and in `kConfigNodesMax`.
void read_yaml(std::string_view yaml, const std::string& name, Config& config,
               std::vector<Problem>& problems);

}  // namespace weir::daemon
