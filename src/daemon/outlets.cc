#include "daemon/outlets.h"

#include "base/log.h"
#include "daemon/settings.h"
#include "destination/credentials/hub.h"

#include <utility>

namespace weir::daemon {
namespace {

bool same_transport(const destination::TransportOptions& a,
                    const destination::TransportOptions& b) {
  return a.connect_timeout_ms == b.connect_timeout_ms && a.stall_timeout_ms == b.stall_timeout_ms &&
         a.response_bytes_max == b.response_bytes_max;
}

// What a profile may have changed though the configuration is the same. Its keys are read again
// whenever they are needed.
bool same_place(const destination::AwsOptions& a, const destination::AwsOptions& b) {
  return a.region == b.region && a.endpoint_url == b.endpoint_url &&
         a.service_endpoint_urls == b.service_endpoint_urls &&
         a.ca_bundle_file == b.ca_bundle_file && a.use_fips == b.use_fips &&
         a.use_dual_stack == b.use_dual_stack;
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

Result<std::shared_ptr<const Outlets::Set>> Outlets::make_set(
    const destination::AwsOptions& aws, const destination::TransportOptions& transport,
    std::shared_ptr<destination::credentials::Hub> credentials) {
  auto set = std::make_shared<Set>();
  set->number = next_number_++;
  set->aws = aws;
  set->transport = transport;
  set->credentials = credentials != nullptr
                         ? std::move(credentials)
                         : destination::make_credentials(aws, transport, clock_, metrics_, seed_);
  WEIR_TRY(set->factory, destination::make_factory(aws, transport, lookup_, clock_, metrics_, seed_,
                                                   set->credentials, bandwidth_));
  return std::shared_ptr<const Set>(std::move(set));
}

Result<std::shared_ptr<const Outlets::Set>> Outlets::make(const Config& config,
                                                          const Config* before) {
  const auto old = present();
  const bool was_usable = old != nullptr && old->credentials->usable();
  const auto whole = destination::credentials::with_profile(config.aws);
  // What could be read before and cannot now is a mistake of whoever wrote it.
  if (was_usable && !whole) return fail(whole.error());
  const bool same_aws = before != nullptr && was_usable &&
                        settings_below(config.settings, "export.aws") ==
                            settings_below(before->settings, "export.aws") &&
                        same_place(*whole, old->credentials->aws());
  if (same_aws && same_transport(config.transport, before->transport)) return old;
  destination::TransportOptions transport = config.transport;
  transport.own_ports = own_ports_;
  WEIR_TRY(auto set, make_set(config.aws, transport, same_aws ? old->credentials : nullptr));
  if (!same_aws && old != nullptr) set->credentials->keep_from(*old->credentials);
  return set;
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

std::shared_ptr<const Outlets::Set> Outlets::mend() {
  const auto broken = present();
  if (broken->credentials->usable()) return nullptr;
  if (!destination::credentials::with_profile(broken->aws)) return nullptr;
  auto mended = make_set(broken->aws, broken->transport, nullptr);
  if (!mended || !(*mended)->credentials->usable()) return nullptr;
  log::info("The shared files of the AWS tools can be used again.");
  return std::move(*mended);
}

std::vector<destination::CredentialsView> Outlets::credentials() const {
  return present()->credentials->views();
}

void Outlets::look_again() { present()->credentials->look_again(); }

std::shared_ptr<const Outlets::Set> Outlets::present() const {
  const MutexLock lock(mutex_);
  return set_;
}

}  // namespace weir::daemon
