#pragma once

#include "destination/options.h"
#include "destination/probe.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weir::doctor {

/// One export to look at.
struct Target {
  std::string stream;
  destination::ProbeTarget probe;
  std::string directory;  ///< of an export to files; else ""
};

/// An MQTT broker of a connector.
struct Broker {
  std::string connector;
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

/// A file whose content nobody else may read.
struct SecretFile {
  std::string path;
  std::string what;  ///< "the private key of weir's AWS IoT certificate"
};

/// What is examined: the configuration in force, taken apart.
struct Subject {
  std::vector<std::string> config_files;
  std::vector<std::string> config_problems;  ///< as `weir validate` prints them

  std::string store_directory;
  std::int64_t min_free_bytes = 0;  ///< below, appends are refused
  std::int64_t open_files_max = 0;
  std::int64_t connections_max = 0;

  std::string bind_address;
  std::int64_t port = 0;  ///< 0: any free one
  std::string admin_address;
  std::int64_t admin_port = 0;  ///< 0: any free one; -1: none

  destination::AwsOptions aws;
  destination::TransportOptions transport;
  bool needs_aws = false;  ///< an export or the configuration asks for credentials

  std::vector<Target> targets;
  std::string targets_note;  ///< why not all exports are known, if so
  std::vector<Broker> brokers;
  std::vector<SecretFile> secrets;

  /// Effective settings by dotted key as GET /config shows them, to compare with those of the
  /// running weir; what comes from an environment left out.
  std::map<std::string, std::string> settings;
  std::string settings_sha256;  ///< of all configuration files

  /// Of the running weir where it can be seen, else of this command: proxies are named there.
  std::map<std::string, std::string> environment;
  int weir_pid = 0;  ///< of the running weir; 0 = none is seen

  bool offline = false;  ///< nothing may be asked over the network
};

}  // namespace weir::doctor
