#include "exporter/move_filter.h"

#include <utility>

namespace weir::exporter {

void MoveFilter::add(StreamId id, std::shared_ptr<stream::LogReader> log) {
  const MutexLock lock(mutex_);
  Entry& entry = entries_[id];
  entry.log = std::move(log);
  entry.interest = {SequenceNumber(0), SequenceNumber(0), Instant::min()};
}

void MoveFilter::remove(StreamId id) {
  const MutexLock lock(mutex_);
  entries_.erase(id);
}

void MoveFilter::set_interest(StreamId id, const Interest& interest) {
  const MutexLock lock(mutex_);
  const auto entry = entries_.find(id);
  if (entry != entries_.end()) entry->second.interest = interest;
}

// No wake-up is lost: the writer stores its new end, then takes the lock here; the scheduler takes
// the lock in `set_interest`, then reads the end. Whoever comes second sees what the other did.
bool MoveFilter::moved(StreamId id, Instant now) {
  std::shared_ptr<stream::LogReader> log;
  Interest interest;
  {
    const MutexLock lock(mutex_);
    const auto entry = entries_.find(id);
    if (entry == entries_.end() || entry->second.reported) return false;
    log = entry->second.log;
    interest = entry->second.interest;
  }
  const bool wanted = now >= interest.look_again || log->durable_end() >= interest.end ||
                      log->oldest() > interest.oldest;
  if (!wanted) return false;
  const MutexLock lock(mutex_);
  const auto entry = entries_.find(id);
  if (entry == entries_.end() || entry->second.reported) return false;
  entry->second.reported = true;
  reported_.push_back(id);
  return reported_.size() == 1;
}

std::vector<StreamId> MoveFilter::take() {
  const MutexLock lock(mutex_);
  for (const StreamId id : reported_) {
    const auto entry = entries_.find(id);
    if (entry != entries_.end()) entry->second.reported = false;
  }
  return std::exchange(reported_, {});
}

}  // namespace weir::exporter
