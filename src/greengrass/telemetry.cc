#include "greengrass/telemetry.h"

#include <utility>

namespace weir::greengrass {

std::vector<Delta> Telemetry::take(const std::vector<Figure>& figures) {
  if (given_up_ || under_way()) return {};
  for (const Figure& figure : figures) {
    const std::string name(figure.name);
    const std::uint64_t before = reported_[name];
    if (figure.total > before) sent_.push_back({name, figure.total - before});
  }
  return sent_;
}

bool Telemetry::answered(const Answer& answer) {
  const auto sent = std::exchange(sent_, {});
  if (answer.kind == Answer::Kind::kOk) {
    for (const Delta& delta : sent) reported_[delta.name] += delta.bytes;
    taken_once_ = true;
    return false;
  }
  if (answer.kind == Answer::Kind::kRefused) ++refused_;
  given_up_ = !taken_once_ && (is_unsupported(answer) || refused_ >= kRefusedMax);
  return given_up_;
}

}  // namespace weir::greengrass
