#include "doctor/examine.h"

#include "base/log.h"
#include "doctor/deliver.h"
#include "doctor/machine.h"
#include "doctor/ports.h"
#include "doctor/store.h"
#include "doctor/tasks.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

namespace weir::doctor {
namespace {

constexpr std::size_t kProblemsShown = 5;
constexpr TaskLimits kLooks{8, std::chrono::seconds(10), std::chrono::seconds(11)};
constexpr TaskLimits kCalls{8, std::chrono::seconds(10), std::chrono::seconds(12)};
constexpr std::uint64_t kOtherDescriptors = 64;  // connections of exports, the disk, pipes

Findings check_configuration(const Subject& subject) {
  const Check check(Group::kWeir, "configuration");
  std::string files;
  for (const std::string& file : subject.config_files) {
    files += (files.empty() ? "" : ", ") + log::escaped(file, 160);
  }
  if (subject.config_problems.empty()) {
    return {check.ok(files.empty() ? "there is no configuration file; defaults are in force"
                                   : "valid: " + files)};
  }
  Findings found;
  const std::size_t shown = std::min(subject.config_problems.size(), kProblemsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    found.push_back(
        check.error(log::escaped(subject.config_problems[i], 512),
                    "correct it; until then weir does not start, or keeps what it has"));
  }
  if (subject.config_problems.size() > shown) {
    found.push_back(
        check.error(fmt::format("and {} problems more", subject.config_problems.size() - shown),
                    "weir validate shows them all"));
  }
  return found;
}

Findings check_ports(const Subject& subject, const RunningFacts& running) {
  Findings found;
  const bool answers = running.life == Life::kAnswers;
  if (subject.port > 0) {
    PortFacts facts = look_at_port("programs", "server.port", subject.port);
    facts.weir_answers = answers || (running.life == Life::kNoPort && running.store_locked);
    found.push_back(judge_port(facts));
  }
  // Who answers there was asked already; what does not answer should have a name.
  if (subject.admin_port > 0 && !answers && running.life != Life::kNotThere) {
    PortFacts facts = look_at_port("operators", "admin.port", subject.admin_port);
    found.push_back(judge_port(facts));
  }
  return found;
}

Findings check_store(const Subject& subject, const StoreFacts& facts, std::vector<Task>& tasks) {
  Findings found = judge_store(facts);
  const bool writable =
      !facts.missing && facts.unusable.empty() && facts.not_a_store.empty() && !facts.read_only;
  if (writable && ::access(facts.directory.c_str(), W_OK) == 0) {
    tasks.push_back({Check(Group::kStore, "sync")
                         .error("a write to the store did not reach the disk within 10 s",
                                "the disk hangs or fails: see 'dmesg'"),
                     [directory = subject.store_directory](const std::stop_token&) {
                       return Findings{judge_sync(measure_sync(directory))};
                     }});
  } else if (writable) {
    found.push_back(Check(Group::kStore, "sync")
                        .skipped("this user may not write to the store, so no write was measured"));
  }
  return found;
}

Findings check_secrets(const Subject& subject) {
  Findings found;
  for (const SecretFile& file : subject.secrets) {
    found.push_back(judge_secret(look_at_secret(file.path, file.what)));
  }
  return found;
}

Findings check_uploads(const Subject& subject) {
  const auto uploads =
      std::find_if(subject.targets.begin(), subject.targets.end(), [](const Target& target) {
        return target.probe.spec.config.type == model::ExportType::kS3TaskExecutor;
      });
  if (uploads == subject.targets.end()) return {};
  return check_input_directories(uploads->probe.options.s3.input_directories);
}

/// Servers, credentials, calls. Without a network at all only what is wrong in itself is said.
void check_network(const Subject& subject, std::vector<Task> looks, Examination& out,
                   ClockFacts& clock) {
  const auto add = [&out](TaskResults results) {
    append(out.findings, std::move(results.findings));
    out.abandoned = out.abandoned || results.abandoned;
  };
  const auto deliveries = std::make_shared<Deliveries>(subject);
  append(out.findings, deliveries->local_findings());
  if (!subject.offline) {
    auto tasks = deliveries->reach_tasks();
    std::move(tasks.begin(), tasks.end(), std::back_inserter(looks));
  }
  add(run_tasks(std::move(looks), kLooks));
  if (subject.offline) {
    out.findings.push_back(
        Check(Group::kNetwork, "offline").skipped("nothing was asked: --offline"));
    return;
  }
  add(run_tasks(deliveries->call_tasks(), kCalls));
  clock.readings = deliveries->clock_readings();
  if (subject.targets.empty() && subject.brokers.empty()) {
    out.findings.push_back(
        Check(Group::kDestinations, "exports").ok("no exports: nothing leaves this machine"));
  }
}

}  // namespace

Examination examine(const Subject& subject, const RunningFacts& running) {
  Examination out;
  append(out.findings, check_configuration(subject));
  append(out.findings, judge_running(running));
  if (subject.config_problems.empty()) {
    out.findings.push_back(judge_drift(running, subject.settings, subject.settings_sha256));
  }
  append(out.findings, check_ports(subject, running));
  append(out.findings, check_secrets(subject));
  const auto descriptors = static_cast<std::uint64_t>(
      std::max<std::int64_t>(subject.open_files_max + subject.connections_max, 0));
  append(out.findings,
         judge_limits(look_at_limits(subject.weir_pid, descriptors + kOtherDescriptors)));
  std::vector<Task> looks;
  const StoreFacts store = look_at_store(subject.store_directory, subject.min_free_bytes);
  append(out.findings, check_store(subject, store, looks));
  if (!subject.targets_note.empty()) {
    out.findings.push_back(
        Check(Group::kDestinations, "exports")
            .warning(subject.targets_note,
                     "run this as weir's user, or as root, to have all exports looked at"));
  }
  append(out.findings, check_uploads(subject));
  ClockFacts clock = look_at_clock();
  check_network(subject, std::move(looks), out, clock);
  append(out.findings, judge_clock(clock));
  return out;
}

}  // namespace weir::doctor
