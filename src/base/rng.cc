#include "base/rng.h"

#include <chrono>
#include <sys/random.h>

namespace weir {
namespace {

std::uint64_t rotate_left(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

// splitmix64 spreads a small seed over the whole state, as the authors of xoshiro advise.
std::uint64_t split_mix(std::uint64_t& x) {
  x += 0x9e3779b97f4a7c15U;
  std::uint64_t z = x;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

}  // namespace

Rng::Rng(std::uint64_t seed) {
  for (auto& word : state_) word = split_mix(seed);
}

std::uint64_t Rng::random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) == static_cast<ssize_t>(sizeof seed)) return seed;
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::uint64_t Rng::next() {
  const std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17U;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

namespace {

// Of the product, whose 128 bits not every compiler has a type for; seeds mean the same everywhere.
std::uint64_t high_half(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kLow = 0xffffffffU;
  const std::uint64_t low = (a & kLow) * (b & kLow);
  const std::uint64_t middle = (a >> 32U) * (b & kLow) + (low >> 32U);
  const std::uint64_t carried = (a & kLow) * (b >> 32U) + (middle & kLow);
  return (a >> 32U) * (b >> 32U) + (middle >> 32U) + (carried >> 32U);
}

}  // namespace

std::uint64_t Rng::below(std::uint64_t bound) {
  // Lemire's multiply-shift without the rejection step: the bias is below bound / 2^64.
  return high_half(next(), bound);
}

double Rng::unit() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

}  // namespace weir
