#include "mqtt/unacknowledged.h"

#include "base/check.h"

#include <utility>

namespace weir::mqtt {

void Unacknowledged::add(std::uint16_t packet_id, std::uint8_t qos) {
  WEIR_CHECK(!waiting_[packet_id], "a packet identifier is in use twice");
  if (size_ == ring_.size()) grow();
  at(size_) = {packet_id, qos, false};
  ++size_;
  waiting_[packet_id] = true;
}

bool Unacknowledged::acknowledge(std::uint16_t packet_id) {
  if (!waiting_[packet_id]) return false;
  // Owners mostly keep the order, so the place right behind the last one is the one.
  for (std::size_t looked = 0, i = hint_ < size_ ? hint_ : 0; looked < size_; ++looked) {
    Entry& entry = at(i);
    if (entry.packet_id == packet_id) {
      if (entry.acknowledged) return false;
      entry.acknowledged = true;
      hint_ = i + 1;
      return true;
    }
    if (++i == size_) i = 0;
  }
  return false;
}

std::optional<Unacknowledged::Released> Unacknowledged::release() {
  if (size_ == 0 || !at(0).acknowledged) return std::nullopt;
  const Entry entry = at(0);
  waiting_[entry.packet_id] = false;
  head_ = (head_ + 1) & (ring_.size() - 1);
  --size_;
  if (hint_ > 0) --hint_;
  return Released{entry.packet_id, entry.qos};
}

void Unacknowledged::clear() {
  head_ = size_ = hint_ = 0;
  waiting_.reset();
}

void Unacknowledged::grow() {
  constexpr std::size_t kFirst = 64;
  std::vector<Entry> larger(ring_.empty() ? kFirst : ring_.size() * 2);
  for (std::size_t i = 0; i < size_; ++i) larger[i] = at(i);
  ring_ = std::move(larger);
  head_ = 0;
}

}  // namespace weir::mqtt
