#pragma once

#include "daemon/config.h"

#include <functional>
#include <string>
#include <vector>

/// Connectors in the configuration.
namespace weir::daemon {

/// Why this is no address of a broker, else "".
std::string check_broker_url(const std::string& url);
/// Takes over host, port and whether there is TLS. Requires: `check_broker_url` is content.
void set_broker_url(const std::string& url, connector::Options& options);

/// Completes connectors (client ids) and says what is wrong with them or between them.
void check_connectors(std::vector<DeclaredConnector>& connectors,
                      const std::function<void(Position, std::string)>& report);

}  // namespace weir::daemon
