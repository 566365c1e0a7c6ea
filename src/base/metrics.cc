#include "base/metrics.h"

#include "base/check.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace weir::metrics {

struct Registry::Series {
  const Descriptor* descriptor = nullptr;
  std::vector<std::string> label_values;
  Counter counter;
  Gauge gauge;
};

namespace {

std::vector<std::string> label_names(const char* labels) {
  std::vector<std::string> names;
  std::string_view rest(labels);
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    names.emplace_back(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return names;
}

// Groups samples by family, as the text format wants them.
class FamilySamples final : public Samples {
 public:
  void add(const Descriptor& descriptor, std::initializer_list<std::string_view> label_values,
           double value) override {
    append(descriptor, {label_values.begin(), label_values.end()}, value);
  }

  void append(const Descriptor& descriptor, const std::vector<std::string>& label_values,
              double value) {
    auto& family = families_[descriptor.name];
    if (family.name.empty()) {
      family.name = descriptor.name;
      family.help = descriptor.help;
      family.type = descriptor.type == Type::kCounter ? prometheus::MetricType::Counter
                                                      : prometheus::MetricType::Gauge;
    }
    const auto names = label_names(descriptor.labels);
    WEIR_CHECK(names.size() == label_values.size(), "a metric got the wrong number of labels");
    prometheus::ClientMetric metric;
    for (std::size_t i = 0; i < names.size(); ++i) {
      metric.label.push_back({names[i], label_values[i]});
    }
    if (descriptor.type == Type::kCounter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family.metric.push_back(std::move(metric));
  }

  [[nodiscard]] std::vector<prometheus::MetricFamily> take() {
    std::vector<prometheus::MetricFamily> families;
    families.reserve(families_.size());
    for (auto& [name, family] : families_) families.push_back(std::move(family));
    return families;
  }

 private:
  std::map<std::string, prometheus::MetricFamily> families_;
};

}  // namespace

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Series& Registry::series(const Descriptor& descriptor,
                                   std::initializer_list<std::string_view> values) {
  std::string key = descriptor.name;
  for (const auto value : values) {
    key += '\0';
    key += value;
  }
  const MutexLock lock(mutex_);
  auto& slot = series_[key];
  if (!slot) {
    slot = std::make_unique<Series>();
    slot->descriptor = &descriptor;
    slot->label_values.assign(values.begin(), values.end());
  }
  return *slot;
}

Counter& Registry::counter(const Descriptor& descriptor,
                           std::initializer_list<std::string_view> label_values) {
  WEIR_CHECK(descriptor.type == Type::kCounter, "not declared as a counter");
  return series(descriptor, label_values).counter;
}

Gauge& Registry::gauge(const Descriptor& descriptor,
                       std::initializer_list<std::string_view> label_values) {
  WEIR_CHECK(descriptor.type == Type::kGauge, "not declared as a gauge");
  return series(descriptor, label_values).gauge;
}

void Registry::add_collector(std::function<void(Samples&)> collector) {
  const MutexLock lock(mutex_);
  collectors_.push_back(std::move(collector));
}

std::string Registry::text() const {
  FamilySamples samples;
  std::vector<std::function<void(Samples&)>> collectors;
  {
    const MutexLock lock(mutex_);
    for (const auto& [key, series] : series_) {
      const double value = series->descriptor->type == Type::kCounter
                               ? static_cast<double>(series->counter.value())
                               : static_cast<double>(series->gauge.value());
      samples.append(*series->descriptor, series->label_values, value);
    }
    collectors = collectors_;
  }
  for (const auto& collect : collectors) collect(samples);
  return prometheus::TextSerializer().Serialize(samples.take());
}

}  // namespace weir::metrics
