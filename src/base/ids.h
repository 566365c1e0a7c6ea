#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace weir {

/// The number of one message in its stream: 0, 1, 2, ...; -1 stands for "none yet" in the protocol.
class SequenceNumber {
 public:
  constexpr SequenceNumber() = default;
  constexpr explicit SequenceNumber(std::int64_t value) : value_(value) {}

  [[nodiscard]] constexpr std::int64_t value() const { return value_; }

  constexpr SequenceNumber& operator++() {
    ++value_;
    return *this;
  }
  friend constexpr SequenceNumber operator+(SequenceNumber s, std::int64_t n) {
    return SequenceNumber(s.value_ + n);
  }
  friend constexpr SequenceNumber operator-(SequenceNumber s, std::int64_t n) {
    return SequenceNumber(s.value_ - n);
  }
  /// How many numbers lie between two positions.
  friend constexpr std::int64_t operator-(SequenceNumber a, SequenceNumber b) {
    return a.value_ - b.value_;
  }
  friend constexpr auto operator<=>(SequenceNumber, SequenceNumber) = default;

 private:
  std::int64_t value_ = 0;
};

/// Names a stream for as long as its store exists; never reused, also not after delete and create.
class StreamId {
 public:
  constexpr StreamId() = default;
  constexpr explicit StreamId(std::uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  friend constexpr auto operator<=>(StreamId, StreamId) = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace weir

template <>
struct std::hash<weir::StreamId> {
  std::size_t operator()(weir::StreamId id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value());
  }
};
