#include "daemon/outlets.h"

#include "daemon/settings.h"

#include <utility>

namespace weir::daemon {
namespace {

bool same_transport(const destination::TransportOptions& a,
                    const destination::TransportOptions& b) {
  return a.connect_timeout_ms == b.connect_timeout_ms && a.stall_timeout_ms == b.stall_timeout_ms &&
         a.response_bytes_max == b.response_bytes_max;
}

}  // namespace

Outlets::Outlets(Clock& clock, metrics::Registry& metrics, std::uint64_t random_seed,
                 destination::OptionsLookup lookup, std::vector<std::uint16_t> own_ports)
    : clock_(clock),
      metrics_(metrics),
      seed_(random_seed),
      lookup_(std::move(lookup)),
      own_ports_(std::move(own_ports)),
      bandwidth_(std::make_shared<exporter::BandwidthLimiter>(0, clock)) {}

Result<std::shared_ptr<const Outlets::Set>> Outlets::make(const Config& config,
                                                          const Config* before) {
  const auto old = present();
  const bool same_aws = before != nullptr && settings_below(config.settings, "export.aws") ==
                                                 settings_below(before->settings, "export.aws");
  if (same_aws && same_transport(config.transport, before->transport)) return old;
  destination::TransportOptions transport = config.transport;
  transport.own_ports = own_ports_;
  auto set = std::make_shared<Set>();
  set->credentials =
      same_aws ? old->credentials
               : destination::make_credentials(config.aws, transport, clock_, metrics_, seed_);
  WEIR_TRY(set->factory, destination::make_factory(config.aws, transport, lookup_, clock_, metrics_,
                                                   seed_, set->credentials, bandwidth_));
  return std::shared_ptr<const Set>(std::move(set));
}

std::shared_ptr<const Outlets::Set> Outlets::use(const std::shared_ptr<const Set>& set,
                                                 std::int64_t bandwidth_bits_per_second) {
  bandwidth_->set_rate(bandwidth_bits_per_second);
  std::shared_ptr<const Set> old;
  {
    const MutexLock lock(mutex_);
    old = std::exchange(set_, set);
  }
  if (old != nullptr && old->credentials == set->credentials) old->credentials->look_again();
  return old;
}

exporter::DestinationFactory Outlets::factory() {
  return [this](const exporter::ExportSpec& spec) { return present()->factory(spec); };
}

std::vector<destination::CredentialsView> Outlets::credentials() const {
  return present()->credentials->views();
}

std::shared_ptr<const Outlets::Set> Outlets::present() const {
  const MutexLock lock(mutex_);
  return set_;
}

}  // namespace weir::daemon
