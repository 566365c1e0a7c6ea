#pragma once

#include "destination/credentials/sts.h"

#include <string>

namespace weir::destination::credentials {

/// Exchanges the token in `token_file`, which is read each time, for a set. `what` names the
/// origin of the settings for people.
Result<Fetched> exchange_web_identity(Sts& sts, const AssumedRole& role,
                                      const std::string& token_file, const std::string& what,
                                      const std::stop_token& stop);

}  // namespace weir::destination::credentials
