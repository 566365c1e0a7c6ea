#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "daemon/config.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace weir::daemon {

/// What reading the configuration again came to.
struct ReloadAnswer {
  std::vector<std::string> changed;        ///< keys whose new values are in force
  std::vector<std::string> needs_restart;  ///< keys that differ from what is in force
  std::vector<std::string> refused;        ///< why nothing at all was changed; empty: it was
  std::vector<std::string> failed;         ///< in force, but could not be carried out
  /// What POST /reload answers.
  [[nodiscard]] std::string json() const;
};

/// Reads the configuration again when asked, one at a time, on a thread of its own that it starts
/// with the first request. Who asks while one is under way shares the next, which begins after it:
/// what was in the files when somebody asked is always looked at.
class Reloader {
 public:
  /// Waiting requests beyond these are refused.
  static constexpr std::size_t kWaitingMax = 64;

  struct Hands {
    /// Both on the reloader's thread; may block, and end soon after `stop` is requested.
    std::function<LoadedConfig(std::stop_token stop)> load;
    std::function<ReloadAnswer(LoadedConfig loaded, std::stop_token stop)> apply;
    /// True before, false after; for the service manager.
    std::function<void(bool busy)> tell;
  };
  using Done = std::function<void(const ReloadAnswer&)>;

  /// What is known of the last one.
  struct State {
    std::int64_t refused_ms = 0;             ///< wall clock of the last, if it was refused; else 0
    std::vector<std::string> refused;        ///< until a good one
    std::vector<std::string> needs_restart;  ///< as of the last good one
  };

  Reloader() = default;
  ~Reloader() { stop(); }
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  /// From now on requests are carried out; those from before are refused. Threads: any.
  void use(Hands hands);
  /// `done` runs on the reloader's thread, or on the caller's at once if this cannot be done now.
  /// Threads: any.
  void request(Done done);
  [[nodiscard]] State state() const;
  /// Ends what is under way and refuses the rest. Blocks: until then. Threads: any but its own.
  void stop();

 private:
  void run();
  ReloadAnswer reload_once();
  void note(const ReloadAnswer& answer);

  mutable Mutex mutex_;
  CondVar changed_;
  Hands hands_ WEIR_GUARDED_BY(mutex_);
  bool stopping_ WEIR_GUARDED_BY(mutex_) = false;
  std::deque<Done> waiting_ WEIR_GUARDED_BY(mutex_);
  State state_ WEIR_GUARDED_BY(mutex_);
  std::thread thread_ WEIR_GUARDED_BY(mutex_);
  std::stop_source stop_;
};

/// `load_config`, when nobody is writing to the files: a file that was changed a moment ago is
/// looked at until it stays as it is; if it does not, that is a problem. Blocks: on disk, at most
/// two seconds longer than reading takes.
LoadedConfig load_settled(const ConfigSources& sources, const std::stop_token& stop);

}  // namespace weir::daemon
