#include "greengrass/component.h"

#include "base/log.h"
#include "base/mutex.h"
#include "greengrass/client.h"
#include "greengrass/metrics.h"
#include "greengrass/requests.h"
#include "greengrass/telemetry.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <utility>

namespace weir::greengrass {
namespace {

using std::chrono::milliseconds;

constexpr auto kLastReportPatience = milliseconds(500);
// A nucleus that has not answered is asked again; where there is none the client's backoff paces.
constexpr auto kAskAgainAfter = std::chrono::seconds(1);

class NucleusComponent final : public Component {
 public:
  NucleusComponent(Options options, Environment environment)
      : options_(std::move(options)), environment_(std::move(environment)) {
    Client::Options connection;
    connection.socket = options_.socket;
    connection.auth_token = options_.auth_token;
    connection.seed = environment_.seed;
    client_ = Client::make(std::move(connection), environment_.metrics);
  }
  ~NucleusComponent() override { stop(); }
  NucleusComponent(const NucleusComponent&) = delete;
  NucleusComponent& operator=(const NucleusComponent&) = delete;

  void begin() {
    client_->start([this](Instant now) { return tick(now); });
  }

  void announce(std::uint16_t port, bool chosen_freely) override {
    port_ = port;
    auto published = published_.get_future();
    if (!chosen_freely) return look_for_port();
    publish_port();
    if (published.wait_for(patience()) != std::future_status::ready) {
      log::warn(
          "The nucleus has not taken weir's port yet; applications that look it up have to wait.",
          {{"port", port}});
    }
  }

  void judge(const std::string& token, Judged done) override {
    if (!is_plausible_token(token)) {
      done(TokenVerdict::kBad,
           token.empty() ? "no token" : "the token has a form that no platform uses");
      return;
    }
    // Shared, because it is needed here if the question is not taken.
    auto shared = std::make_shared<Judged>(std::move(done));
    const bool asked = client_->ask("ValidateAuthorizationToken", validate_token_request(token),
                                    patience(), [shared](const Answer& answer) {
                                      auto [verdict, why] = token_verdict(answer);
                                      (*shared)(verdict, std::move(why));
                                    });
    if (!asked) (*shared)(TokenVerdict::kUnchecked, "too many clients wait to be verified");
  }

  [[nodiscard]] View view() const override { return {options_.socket, client_->trouble()}; }

  void stop() override {
    report_figures();
    client_->stop(kLastReportPatience);
  }

 private:
  using Step = void (NucleusComponent::*)();
  struct Again {
    Step step = nullptr;
    Instant at;
  };

  [[nodiscard]] Duration patience() const { return milliseconds(options_.answer_timeout_ms); }

  Instant tick(Instant now) {
    std::vector<Step> due;
    Instant next = Instant::max();
    {
      const MutexLock lock(mutex_);
      std::erase_if(again_, [&](const Again& each) {
        if (each.at <= now) due.push_back(each.step);
        return each.at <= now;
      });
      for (const Again& each : again_) next = std::min(next, each.at);
    }
    for (const Step step : due) (this->*step)();
    if (next_report_at_ <= now) {
      next_report_at_ = now + milliseconds(options_.telemetry_interval_ms);
      report_figures();
    }
    return std::min(next, next_report_at_);
  }

  // Asks; an answer goes to `take`, none leads to `step` again.
  void ask(const char* operation, std::string payload, Step step,
           std::function<void(const Answer&)> take) {
    const bool asked = client_->ask(operation, std::move(payload), patience(),
                                    [this, step, take = std::move(take)](const Answer& answer) {
                                      if (answer.kind == Answer::Kind::kUnanswered) {
                                        again(step, kAskAgainAfter);
                                      } else {
                                        take(answer);
                                      }
                                    });
    if (!asked) again(step, kAskAgainAfter);
  }

  void again(Step step, Duration after) {
    const MutexLock lock(mutex_);
    again_.push_back({step, std::chrono::steady_clock::now() + after});
  }

  void look_for_port() {
    ask("GetConfiguration", get_port_request(), &NucleusComponent::look_for_port,
        [this](const Answer& answer) {
          const auto known = port_of(answer);
          if (known && *known != port_) return publish_port();
          report_running();
        });
  }

  void publish_port() {
    ask("UpdateConfiguration", set_port_request(port_, environment_.clock.wall_ms()),
        &NucleusComponent::publish_port, [this](const Answer& answer) {
          if (answer.kind == Answer::Kind::kOk) {
            log::info("The nucleus knows weir's port.", {{"port", port_.load()}});
          } else {
            // It keeps the newer of two values by their times: where the clock has gone back over a
            // restart, it takes the port when the clock is right again.
            log::error(
                "The nucleus did not take weir's port, so applications that look it up do not find "
                "it; will try again. If that goes on, set STREAM_MANAGER_SERVER_PORT to a fixed "
                "one.",
                {{"port", port_.load()}, {"error", answer.error}, {"why", answer.text}});
            again(&NucleusComponent::publish_port, milliseconds(options_.telemetry_interval_ms));
          }
          // Of the client's thread, like all answers.
          if (std::exchange(announced_, true)) return;
          published_.set_value();
          report_running();
        });
  }

  void report_running() {
    ask("UpdateState", state_request("RUNNING"), &NucleusComponent::report_running,
        [](const Answer& answer) {
          if (answer.kind == Answer::Kind::kOk) {
            log::info("The nucleus knows that weir is running.");
          } else if (is_unsupported(answer)) {
            log::info("This nucleus is told nothing about weir's state over its socket.",
                      {{"error", answer.error}});
          } else {
            log::error(
                "The nucleus did not take that weir is running, and may restart it when its "
                "startup timeout is over.",
                {{"error", answer.error}, {"why", answer.text}});
          }
        });
  }

  void report_figures() {
    const auto figures = environment_.figures();
    std::vector<Delta> deltas;
    {
      const MutexLock lock(mutex_);
      deltas = telemetry_.take(figures);
    }
    if (deltas.empty()) return;
    const bool asked =
        client_->ask("PutComponentMetric", metrics_request(deltas), patience(),
                     [this, deltas](const Answer& answer) { figures_answered(deltas, answer); });
    if (!asked) figures_answered(deltas, {});
  }

  void figures_answered(const std::vector<Delta>& deltas, const Answer& answer) {
    bool given_up = false;
    {
      const MutexLock lock(mutex_);
      given_up = telemetry_.answered(answer);
    }
    if (answer.kind == Answer::Kind::kOk) {
      for (const Delta& delta : deltas) {
        environment_.metrics.counter(metric::kTelemetryBytes, {delta.name}).add(delta.bytes);
      }
    } else if (given_up) {
      log::info("This nucleus takes no telemetry from components; it is not offered any more.",
                {{"error", answer.error}, {"why", answer.text}});
    } else if (answer.kind == Answer::Kind::kRefused) {
      log::warn("The nucleus refused telemetry; it will be offered again with the next.",
                {{"error", answer.error}, {"why", answer.text}});
    }
  }

  const Options options_;
  const Environment environment_;
  std::atomic<std::uint16_t> port_{0};
  std::promise<void> published_;

  Mutex mutex_;
  std::vector<Again> again_ WEIR_GUARDED_BY(mutex_);  ///< at most one of each step
  Telemetry telemetry_ WEIR_GUARDED_BY(mutex_);

  // Of the client's thread.
  Instant next_report_at_{};
  bool announced_ = false;

  std::unique_ptr<Client> client_;  ///< last: its thread uses all of the above
};

}  // namespace

std::unique_ptr<Component> Component::start(Options options, Environment environment) {
  auto component = std::make_unique<NucleusComponent>(std::move(options), std::move(environment));
  component->begin();
  return component;
}

}  // namespace weir::greengrass
