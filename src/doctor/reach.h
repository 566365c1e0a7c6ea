#pragma once

#include "doctor/finding.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// Whether a server can be reached at all: its name, a connection, TLS, and the proxy between.
namespace weir::doctor {

/// A server to connect to.
struct Server {
  std::string host;
  std::uint16_t port = 443;
  bool tls = true;
  bool proxies = true;  ///< as the environment says; brokers are reached directly
  std::string ca_file;  ///< "" = the system's
  std::string certificate_file;
  std::string key_file;
  std::string needed_by;  ///< for people: "the exports of stream 'a' ..."
  [[nodiscard]] std::string name() const;
  friend auto operator<=>(const Server&, const Server&) = default;
};

/// How far a connection came.
enum class Step : std::uint8_t {
  kName,     ///< the host (or the proxy) has no address
  kConnect,  ///< no TCP connection
  kProxy,    ///< the proxy does not let us through
  kTls,      ///< no TLS, apart from certificates
  kTrust,    ///< the server's certificate is not accepted
  kReached,
};

struct ReachFacts {
  std::string server;  ///< "kinesis.eu-west-1.amazonaws.com:443"
  bool tls = true;
  std::string proxy;         ///< "proxy.example:3128"; "" = none
  std::string not_by_proxy;  ///< the entry of NO_PROXY that applies, if a proxy is set
  Step step = Step::kReached;
  bool timed_out = false;
  bool proxy_failed = false;  ///< the step concerns the proxy, not the server
  long proxy_status = 0;      ///< of its answer to CONNECT
  std::string error;
  std::string address;
  std::int64_t took_ms = 0;
  // Of the server's certificate, also when it is not accepted:
  std::string subject;
  std::string issuer;
  std::string top_issuer;  ///< of the last certificate that was sent
  std::optional<std::int64_t> expires_ms;
  std::int64_t now_ms = 0;
  std::string ca_file;
};
inline constexpr std::int64_t kCertificateWarnMs = 14LL * 24 * 3'600 * 1'000;

Finding judge_reach(const ReachFacts& facts);

/// The proxy the environment names for a server, as curl reads it: without user and password.
struct ProxyChoice {
  std::string proxy;
  std::string not_by_proxy;
};
/// Pure.
ProxyChoice proxy_for(const std::string& host, bool tls,
                      const std::map<std::string, std::string>& environment);

/// Connects and hangs up. Blocks: at most about 5 s, twice that if a certificate is not accepted.
ReachFacts look_at_server(const Server& server,
                          const std::map<std::string, std::string>& environment);

}  // namespace weir::doctor
