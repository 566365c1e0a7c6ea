#pragma once

#include "doctor/finding.h"

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

/// The weir that is running, if one is: does it answer, what does it complain of, and does it run
/// what the configuration says now.
namespace weir::doctor {

enum class Life : std::uint8_t {
  kAnswers,
  kNotThere,  ///< nobody listens on the admin port
  kSilent,    ///< somebody listens and does not answer
  kStranger,  ///< something else answers
  kNoPort,    ///< the configuration has no admin port, or a free one: it cannot be asked
};

struct RunningFacts {
  Life life = Life::kNotThere;
  std::string address;  ///< "127.0.0.1:8089"
  std::string error;
  std::string status;         ///< the document of /status
  long config_status = 0;     ///< of GET /config; 0: no answer
  std::string config;         ///< its document
  bool store_locked = false;  ///< a weir holds the store
};

Findings judge_running(const RunningFacts& facts);
/// Drift between the running configuration and `settings`, those of the files now, which have this
/// SHA-256. Pure.
Finding judge_drift(const RunningFacts& facts, const std::map<std::string, std::string>& settings,
                    const std::string& sha256);

/// Blocks: at most about 10 s.
RunningFacts ask_running(const std::string& address, std::int64_t port);

/// The exports that a status document tells of: stream, and where they really go.
struct RunningExport {
  std::string stream;
  std::string identifier;
  std::string type;
  std::string target;
};
std::vector<RunningExport> exports_in(const std::string& status);

}  // namespace weir::doctor
