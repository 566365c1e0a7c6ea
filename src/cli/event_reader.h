#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct ServerEvent {
  std::string name;  ///< "message" if the server names none
  std::string data;
};

/// Cuts a text/event-stream into events. Threads: one.
class EventReader {
 public:
  /// Events that are whole. Errors: kCorrupt, one is larger than 8 MiB.
  Result<std::vector<ServerEvent>> take(std::string_view bytes);

 private:
  void take_line(std::string_view line, std::vector<ServerEvent>& out);

  std::string kept_;
  ServerEvent open_;
};

}  // namespace weir::cli
