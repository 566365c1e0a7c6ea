#include "exporter/rest.h"

#include "base/thread_load.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace weir::exporter {

Rest::Rest(std::function<double()> load)
    : environment_{load ? std::move(load) : [] { return 0.0; }, processor_time_of_this_thread,
                   [](Duration time) { std::this_thread::sleep_for(time); }} {}

Duration Rest::after(Duration used, double load) {
  const double part = (load - kLoadWithoutRest) / (kLoadOfLongestRest - kLoadWithoutRest);
  const auto rest =
      std::chrono::duration_cast<Duration>(used * (kLongest * std::clamp(part, 0.0, 1.0)));
  return std::clamp(rest, Duration{0}, kAtMost);
}

void Rest::take(Duration& since) const {
  const Duration rest = after(environment_.processor_time() - since, environment_.load());
  if (rest > Duration{0}) environment_.sleep(rest);
  since = environment_.processor_time();
}

}  // namespace weir::exporter
