#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "destination/credentials.h"
#include "destination/probe.h"
#include "doctor/finding.h"
#include "doctor/machine.h"
#include "doctor/reach.h"
#include "doctor/subject.h"
#include "doctor/tasks.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Everything that goes over the network: servers, credentials, and a harmless call for each
/// destination.
namespace weir::doctor {

/// How many different destinations are called, and servers connected to; more are counted only.
inline constexpr std::size_t kCallsMax = 64;

/// What the tasks share. They may outlive the examination, so they share its ownership.
class Deliveries : public std::enable_shared_from_this<Deliveries> {
 public:
  explicit Deliveries(const Subject& subject);

  /// Servers and credentials first: what cannot be reached is not called after that.
  [[nodiscard]] std::vector<Task> reach_tasks();
  [[nodiscard]] std::vector<Task> call_tasks();
  /// What is wrong before anything is asked: no region, not an address, a directory.
  [[nodiscard]] const Findings& local_findings() const { return local_; }
  /// What the answers said of the time.
  [[nodiscard]] std::vector<ClockReading> clock_readings() WEIR_EXCLUDES(mutex_);

 private:
  /// Exports that differ in nothing a call would see.
  struct Call {
    destination::ProbeTarget target;
    std::string who;  ///< "stream/identifier" of the first
    int others = 0;
    std::string server;  ///< "" = not known before the call
    std::string role;
    bool aws = false;
  };
  void add_target(const Target& target);
  void add_server(const destination::Url& url, const Target& target);
  [[nodiscard]] Findings reach(const Server& server) WEIR_EXCLUDES(mutex_);
  [[nodiscard]] Findings ask_credentials(const destination::AssumedRole& role,
                                         const std::stop_token& stop) WEIR_EXCLUDES(mutex_);
  [[nodiscard]] Findings call(const Call& call, const std::stop_token& stop) WEIR_EXCLUDES(mutex_);

  const Subject subject_;
  SystemClock clock_;
  metrics::Registry metrics_;
  const std::shared_ptr<destination::credentials::Hub> hub_;
  const destination::Prober prober_;
  std::vector<Server> servers_;
  std::map<std::string, destination::AssumedRole> roles_;
  std::map<std::string, Call> calls_;
  std::size_t left_out_ = 0;
  Findings local_;

  Mutex mutex_;
  std::set<std::string> unreachable_ WEIR_GUARDED_BY(mutex_);
  std::set<std::string> without_keys_ WEIR_GUARDED_BY(mutex_);
  std::vector<ClockReading> readings_ WEIR_GUARDED_BY(mutex_);
};

/// What is known of credentials, in words. Pure.
Finding judge_credentials(const destination::CredentialsView& view, const std::string& error,
                          std::int64_t now_ms);
/// A probe's report as a finding. Pure.
Finding finding_of(const destination::ProbeReport& report, const std::string& who);

}  // namespace weir::doctor
