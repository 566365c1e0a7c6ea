#include "daemon/reloader.h"

#include "base/log.h"
#include "base/pause.h"
#include "daemon/config_files.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <utility>

namespace weir::daemon {
namespace {

using std::chrono::milliseconds;

constexpr auto kQuiet = milliseconds(100);
constexpr int kLooksMax = 20;
constexpr std::size_t kLoggedMax = 10;

ReloadAnswer refusal(std::string why) {
  ReloadAnswer answer;
  answer.refused.push_back(std::move(why));
  return answer;
}

// A file whose last change lies in the future tells nothing.
bool changed_just_now(const std::vector<std::string>& files) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::any_of(files.begin(), files.end(), [&](const std::string& file) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) return false;
    const auto changed =
        std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
    return now >= changed && now - changed < kQuiet;
  });
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
  return all.empty() ? "none" : all;
}

void tell_log(const ReloadAnswer& answer) {
  if (answer.refused.empty()) {
    log::info("Configuration read again.", {{"changed", joined(answer.changed)}});
    if (!answer.needs_restart.empty()) {
      log::warn("Some changes of the configuration take effect when weir is restarted.",
                {{"keys", joined(answer.needs_restart)}});
    }
    return;
  }
  for (std::size_t i = 0; i < std::min(answer.refused.size(), kLoggedMax); ++i) {
    log::error("The configuration was read again and is refused; everything stays as it was.",
               {{"problem", answer.refused[i]}, {"problems", answer.refused.size()}});
  }
}

}  // namespace

std::string ReloadAnswer::json() const {
  const nlohmann::json document = {{"changed", changed},
                                   {"needs_restart", needs_restart},
                                   {"refused", refused},
                                   {"failed", failed}};
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void Reloader::use(Hands hands) {
  const MutexLock lock(mutex_);
  hands_ = std::move(hands);
}

void Reloader::request(Done done) {
  std::string why;
  {
    const MutexLock lock(mutex_);
    if (stopping_) {
      why = "weir is stopping";
    } else if (!hands_.load) {
      why = "weir is still starting; try again when it is ready";
    } else if (waiting_.size() >= kWaitingMax) {
      why = "too many ask for this at once; try again";
    } else {
      waiting_.push_back(std::move(done));
      if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
      changed_.notify_all();
      return;
    }
  }
  done(refusal(std::move(why)));
}

Reloader::State Reloader::state() const {
  const MutexLock lock(mutex_);
  return state_;
}

void Reloader::stop() {
  std::thread thread;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    thread = std::move(thread_);
    changed_.notify_all();
  }
  stop_.request_stop();
  if (thread.joinable()) thread.join();
}

void Reloader::run() {
  for (;;) {
    std::deque<Done> asked;
    bool ending = false;
    {
      const MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) changed_.wait(mutex_);
      asked = std::exchange(waiting_, {});
      ending = stopping_;
    }
    const ReloadAnswer answer = ending ? refusal("weir is stopping") : reload_once();
    for (const Done& done : asked) done(answer);
    if (ending) return;
  }
}

ReloadAnswer Reloader::reload_once() {
  Hands hands;
  {
    const MutexLock lock(mutex_);
    hands = hands_;
  }
  if (hands.tell) hands.tell(true);
  const std::stop_token stop = stop_.get_token();
  ReloadAnswer answer = hands.apply(hands.load(stop), stop);
  note(answer);
  tell_log(answer);
  if (hands.tell) hands.tell(false);
  return answer;
}

void Reloader::note(const ReloadAnswer& answer) {
  const MutexLock lock(mutex_);
  state_.refused = answer.refused;
  state_.refused_ms = answer.refused.empty() ? 0 : SystemClock().wall_ms();
  if (answer.refused.empty()) state_.needs_restart = answer.needs_restart;
}

LoadedConfig load_settled(const ConfigSources& sources, const std::stop_token& stop) {
  for (int look = 0; look < kLooksMax && !stop.stop_requested(); ++look) {
    const auto files = find_config_files(sources).files;
    const std::string before = signature_of(files);
    if (changed_just_now(files)) {
      pause_for(kQuiet, stop);
      continue;
    }
    LoadedConfig loaded = load_config(sources);
    if (signature_of(find_config_files(sources).files) == before) return loaded;
  }
  LoadedConfig none;
  none.problems.push_back({{},
                           stop.stop_requested()
                               ? "weir is stopping"
                               : "the files of the configuration are being written to all the "
                                 "time; write to another file and rename it"});
  return none;
}

}  // namespace weir::daemon
