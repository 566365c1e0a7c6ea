#pragma once

#include "doctor/finding.h"
#include "doctor/proc.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Who listens on weir's ports: weir, the original stream manager, or somebody else.
namespace weir::doctor {

struct PortFacts {
  std::string what;  ///< "programs", "operators"
  std::string key;   ///< "server.port"
  std::int64_t port = 0;
  bool weir_answers = false;  ///< on the admin port, as weir does
  std::optional<Listener> listener;
  std::optional<Process> owner;
  std::string owner_user;  ///< of the listener, if its process may not be seen
};

/// Who a process is for the sake of ports.
enum class Who : std::uint8_t { kWeir, kOriginal, kOther };
Who who_is(const Process& process);

Finding judge_port(const PortFacts& facts);
/// `port` above 0.
PortFacts look_at_port(std::string what, std::string key, std::int64_t port);

}  // namespace weir::doctor
