#include "world.h"

#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

constexpr const char* kUsage =
    "usage: sim [--seed N] [--count N] [--steps N]\n"
    "Runs simulated export engines, one for each seed from --seed on, and checks every promise\n"
    "after every step. Exit status 1 and the story of the run when one is broken.\n";

bool number(const char* text, std::uint64_t& value) {
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, value);
  return parsed.ec == std::errc{} && parsed.ptr == end;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seed = 1;
  std::uint64_t count = 1;
  std::uint64_t steps = 400;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view flag = argv[i];
    std::uint64_t* value = flag == "--seed"    ? &seed
                           : flag == "--count" ? &count
                           : flag == "--steps" ? &steps
                                               : nullptr;
    if (value == nullptr || i + 1 == argc || !number(argv[i + 1], *value)) {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  std::int64_t taken = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    weir::sim::World world(seed + i, weir::sim::Sabotage::kNone);
    const std::string violation = world.run(static_cast<int>(steps));
    if (!violation.empty()) {
      std::printf("%sseed %" PRIu64 ": %s\n", world.story().c_str(), seed + i, violation.c_str());
      return 1;
    }
    taken += world.taken();
  }
  std::printf("%" PRIu64 " worlds from seed %" PRIu64 " on, %" PRId64
              " messages delivered, every promise kept\n",
              count, seed, taken);
  return 0;
}
