#include "destination/http/target.h"

#include "destination/address_rule.h"

#include <string>
#include <utility>

namespace weir::destination::http {

Result<Url> check_target(std::string_view uri, const std::vector<std::uint16_t>& own_ports) {
  WEIR_TRY(Url url, parse_url(uri));
  if (const char* why = literal_refusal(url.host, url.port, own_ports)) {
    return fail(Errc::kInvalidArgument,
                "weir does not export to " + url.host + " for a client: " + why);
  }
  return url;
}

}  // namespace weir::destination::http
