#pragma once

#include <string>

namespace weir::daemon {

struct DoctorFlags {
  std::string config;            ///< "" = the default file, if there is one
  std::string config_directory;  ///< "" = conf.d beside it
  bool json = false;
  bool offline = false;  ///< ask nothing over the network
};

/// `weir doctor`: looks at everything weir needs and says what to do about what is wrong. Returns
/// the exit status: 0 no error (warnings do not count), 1 otherwise. Blocks: less than 30 s.
int doctor(const DoctorFlags& flags);

}  // namespace weir::daemon
