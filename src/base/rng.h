#pragma once

#include <array>
#include <cstdint>

namespace weir {

/// Seeded random numbers (xoshiro256**, Blackman and Vigna 2018): the same seed gives the same
/// numbers on every machine. Not for secrets. Threads: one at a time.
class Rng {
 public:
  explicit Rng(std::uint64_t seed);
  /// A seed nobody can guess, from the operating system.
  static std::uint64_t random_seed();

  std::uint64_t next();
  /// Uniform in [0, bound); `bound` is at least 1.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  double unit();
  /// True with probability `p`.
  bool chance(double p) { return unit() < p; }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace weir
