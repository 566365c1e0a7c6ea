#pragma once

#include "base/ids.h"
#include "base/mutex.h"

#include <map>
#include <string>

namespace weir::connector {

/// What senders are done with but the engine does not know yet: an answer may reach its requester
/// before the position of the export has moved, and the room in the queue should be there by then.
/// Threads: any.
class Progress {
 public:
  /// Everything from `first` up to `end` is settled.
  void settled(const std::string& stream, SequenceNumber first, SequenceNumber end)
      WEIR_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    latest_[stream] = {first, end};
  }

  /// How far the export has come whose position is `position`. What was settled counts only for a
  /// position within it: a person may have moved that elsewhere.
  [[nodiscard]] SequenceNumber beyond(const std::string& stream, SequenceNumber position) const
      WEIR_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const auto found = latest_.find(stream);
    if (found == latest_.end()) return position;
    const auto& [first, end] = found->second;
    return position >= first && position < end ? end : position;
  }

 private:
  struct Range {
    SequenceNumber first;
    SequenceNumber end;
  };
  mutable Mutex mutex_;
  std::map<std::string, Range> latest_ WEIR_GUARDED_BY(mutex_);  // one for each queue
};

}  // namespace weir::connector
