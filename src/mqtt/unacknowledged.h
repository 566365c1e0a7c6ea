#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace weir::mqtt {

/// The messages of one connection that the broker waits to have acknowledged, in the order of
/// arrival. The standard wants acknowledgements in that order too, whatever order the owner gives
/// them in, so one is released when all before it are given. Threads: one.
class Unacknowledged {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool contains(std::uint16_t packet_id) const { return waiting_[packet_id]; }

  /// The packet id must not be there yet.
  void add(std::uint16_t packet_id, std::uint8_t qos);
  /// False: no such message, or acknowledged already.
  bool acknowledge(std::uint16_t packet_id);

  struct Released {
    std::uint16_t packet_id = 0;
    std::uint8_t qos = 0;
  };
  /// The oldest message, if it was acknowledged; it is forgotten.
  std::optional<Released> release();

  void clear();

 private:
  struct Entry {
    std::uint16_t packet_id = 0;
    std::uint8_t qos = 0;
    bool acknowledged = false;
  };

  Entry& at(std::size_t i) { return ring_[(head_ + i) & (ring_.size() - 1)]; }
  void grow();

  std::vector<Entry> ring_;  ///< its size is a power of two
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  std::size_t hint_ = 0;  ///< where the next acknowledgement probably belongs
  std::bitset<65'536> waiting_;
};

}  // namespace weir::mqtt
