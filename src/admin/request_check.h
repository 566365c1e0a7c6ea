#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::admin {

/// What decides whether a request may be answered at all (reliability.md §4.7).
struct Provenance {
  std::string_view host;            ///< the Host header; empty if absent
  std::string_view origin;          ///< empty if absent
  std::string_view sec_fetch_site;  ///< empty if absent
  std::string local_address;        ///< of this connection's socket, without port
  std::uint16_t port = 0;           ///< ours
};

/// 200, or the HTTP status to refuse with. Names that resolve to this machine only because
/// somebody's DNS says so (rebinding) are refused, and so is what another site's page sends.
unsigned check_provenance(const Provenance& request);

}  // namespace weir::admin
