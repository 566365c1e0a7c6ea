#pragma once

#include "greengrass/component.h"
#include "greengrass/requests.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weir::greengrass {

/// What of the totals the nucleus was not told yet. A report that was refused or not answered is
/// part of the next one: if only the answer was lost, those bytes are reported twice. Pure; one
/// thread.
class Telemetry {
 public:
  /// Reports refused in a row, before any was taken, after which the nucleus is taken at its word.
  static constexpr int kRefusedMax = 3;

  /// What to report now: only what grew; nothing while a report is under way, or given up.
  std::vector<Delta> take(const std::vector<Figure>& figures);
  /// The outcome of the report that `take` gave. True: this nucleus takes none, none is given out
  /// any more.
  bool answered(const Answer& answer);

  [[nodiscard]] bool under_way() const { return !sent_.empty(); }

 private:
  std::map<std::string, std::uint64_t> reported_;
  std::vector<Delta> sent_;
  int refused_ = 0;
  bool taken_once_ = false;
  bool given_up_ = false;
};

}  // namespace weir::greengrass
