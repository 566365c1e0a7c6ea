#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "destination/http_transport.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::exporter {
class BandwidthLimiter;
}

namespace weir::destination {

struct TransportOptions;

/// Idle curl handles with their open connections, shared by all transports of one kind, so that
/// the number of connections follows the number of workers and not the number of exports.
/// Threads: any.
class CurlPool;
std::shared_ptr<CurlPool> make_curl_pool();

/// What one destination adds to the options all share.
struct CurlSettings {
  std::int64_t connect_timeout_ms = 10'000;
  std::int64_t stall_timeout_ms = 30'000;
  std::int64_t response_bytes_max = 1 << 20;
  std::string ca_file;                  ///< "" = the system's certificates
  std::string client_certificate_file;  ///< PEM
  std::string client_key_file;          ///< PEM
  /// Never through a proxy, whatever the environment says: it would see a token or metadata.
  bool bypass_proxies = false;
  std::int64_t total_timeout_ms = 0;  ///< of one request; 0 = as `make_curl_transport` says
  /// A client of weir chose the target: refuse the addresses of `address_refusal` when connecting.
  /// Such transports have a pool of their own, so that they never find a connection that the rule
  /// did not see.
  bool client_chosen_target = false;
  std::vector<std::uint16_t> own_ports;  ///< weir's own, refused with `client_chosen_target`
  /// Of its bodies where bandwidth is short; lower goes first. Null: after all.
  std::shared_ptr<const std::atomic<std::int64_t>> priority = nullptr;
};

/// The transport of production: libcurl, HTTP/1.1, keep-alive, no redirects, TLS 1.2 or newer with
/// verified names, proxies from the environment. At most 64 KiB of headers are read.
///
/// A request may take connect + 2 x stall time and a second for every 16 KiB of body; time spent
/// waiting for bandwidth is not counted.
///
/// Lifetime: `clock` outlives the transport. Threads: one call at a time.
std::unique_ptr<HttpTransport> make_curl_transport(
    CurlSettings settings, std::shared_ptr<CurlPool> pool,
    std::shared_ptr<exporter::BandwidthLimiter> bandwidth, Clock& clock);

}  // namespace weir::destination
