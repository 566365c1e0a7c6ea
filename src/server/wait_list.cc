#include "server/wait_list.h"

#include "stream/stream.h"

namespace weir::server {

WaitList::Id WaitList::park(ParkedRead read, SequenceNumber needed_end) {
  const Id id = next_id_++;
  by_stream_[read.stream].emplace(needed_end, id);
  by_deadline_.emplace(read.deadline, id);
  by_peer_.emplace(read.peer, id);
  reads_.emplace(id, Entry{std::move(read), needed_end});
  return id;
}

std::optional<ParkedRead> WaitList::take(Id id) {
  const auto found = reads_.find(id);
  if (found == reads_.end()) return std::nullopt;
  Entry entry = std::move(found->second);
  reads_.erase(found);
  by_deadline_.erase({entry.read.deadline, id});
  by_peer_.erase({entry.read.peer, id});
  const auto stream = by_stream_.find(entry.read.stream);
  stream->second.erase({entry.needed_end, id});
  if (stream->second.empty()) by_stream_.erase(stream);
  return std::move(entry.read);
}

template <class Ids>
std::vector<ParkedRead> WaitList::take_each(const Ids& ids) {
  std::vector<ParkedRead> taken;
  taken.reserve(ids.size());
  for (const Id id : ids) taken.push_back(*take(id));
  return taken;
}

std::vector<ParkedRead> WaitList::take_ready(StreamId stream, SequenceNumber end) {
  const auto found = by_stream_.find(stream);
  if (found == by_stream_.end()) return {};
  std::vector<Id> ids;
  for (const auto& [needed_end, id] : found->second) {
    if (needed_end > end) break;
    ids.push_back(id);
  }
  return take_each(ids);
}

std::vector<ParkedRead> WaitList::take_expired(Instant now) {
  std::vector<Id> ids;
  for (const auto& [deadline, id] : by_deadline_) {
    if (deadline > now) break;
    ids.push_back(id);
  }
  return take_each(ids);
}

std::vector<ParkedRead> WaitList::take_stream(StreamId stream) {
  const auto found = by_stream_.find(stream);
  if (found == by_stream_.end()) return {};
  std::vector<Id> ids;
  for (const auto& [needed_end, id] : found->second) ids.push_back(id);
  return take_each(ids);
}

std::vector<ParkedRead> WaitList::take_peer(PeerId peer) {
  std::vector<Id> ids;
  for (auto at = by_peer_.lower_bound({peer, 0}); at != by_peer_.end() && at->first == peer; ++at) {
    ids.push_back(at->second);
  }
  return take_each(ids);
}

std::vector<ParkedRead> WaitList::take_all() {
  std::vector<Id> ids;
  for (const auto& [deadline, id] : by_deadline_) ids.push_back(id);
  return take_each(ids);
}

Instant WaitList::next_deadline() const {
  return by_deadline_.empty() ? Instant::max() : by_deadline_.begin()->first;
}

}  // namespace weir::server
