#include "doctor/deliver.h"

#include "base/log.h"
#include "destination/credentials/hub.h"
#include "doctor/store.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace weir::doctor {
namespace {

using destination::ProbeReport;
using model::ExportType;

bool is_aws(ExportType type) {
  return type != ExportType::kHttp && type != ExportType::kFile && type != ExportType::kMqtt;
}

/// Exports with the same key would get the same answer.
std::string key_of(const destination::ProbeTarget& target) {
  const auto& http = target.options.http;
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", model::export_type_name(target.spec.config.type),
                     target.spec.config.target, target.options.aws.region,
                     target.options.aws.role.role_arn, target.bucket, http.ca_file,
                     http.client_certificate_file);
}

}  // namespace

Finding judge_credentials(const destination::CredentialsView& view, const std::string& error,
                          std::int64_t now_ms) {
  const Check check(Group::kDestinations, "credentials", view.role);
  const std::string whose =
      view.role.empty() ? "credentials" : "credentials of role " + log::escaped(view.role, 160);
  if (!error.empty()) {
    return check.error(whose + ": " + log::escaped(error, 512),
                       "set what is named, in the environment that weir runs in");
  }
  std::string seen = whose + " from " + log::escaped(view.source, 160);
  if (view.expires_ms == 0) return check.ok(seen + ", without an end");
  const std::int64_t left = view.expires_ms - now_ms;
  if (left <= 0) {
    return check.error(seen + fmt::format(", expired {} ago", time_text(-left)),
                       "renew them at their source; if they should be good, set the clock");
  }
  return check.ok(seen + fmt::format(", good for {}", time_text(left)));
}

Finding finding_of(const ProbeReport& report, const std::string& who) {
  const Check check(Group::kDestinations, "call", who);
  const std::string seen = who + ": " + report.seen;
  switch (report.level) {
    case ProbeReport::Level::kFine:
      return check.ok(seen);
    case ProbeReport::Level::kNotAsked:
      return check.skipped(seen);
    case ProbeReport::Level::kWarning:
      return check.warning(seen, report.fix);
    case ProbeReport::Level::kProblem:
      break;
  }
  return check.error(seen, report.fix);
}

Deliveries::Deliveries(const Subject& subject)
    : subject_(subject),
      hub_(destination::make_credentials(subject.aws, subject.transport, clock_, metrics_, 1)),
      prober_(hub_, subject.transport, clock_, metrics_) {
  for (const Target& target : subject_.targets) add_target(target);
  for (const Broker& broker : subject_.brokers) {
    servers_.push_back({broker.host, broker.port, broker.tls, false, broker.ca_file,
                        broker.certificate_file, broker.key_file,
                        "the broker of connector " + broker.connector});
  }
  if (subject_.needs_aws) roles_.emplace(hub_->aws().role.role_arn, hub_->aws().role);
  if (left_out_ > 0) {
    local_.push_back(
        Check(Group::kDestinations, "too-many")
            .skipped(fmt::format("{} more exports have other destinations, which were not asked: "
                                 "{} at a time",
                                 left_out_, kCallsMax)));
  }
}

void Deliveries::add_target(const Target& target) {
  const std::string who = fmt::format("{}/{}", log::escaped(target.stream, 80),
                                      log::escaped(target.probe.spec.config.identifier, 80));
  if (target.probe.spec.config.type == ExportType::kFile) {
    Finding finding = check_output_directory(who, target.directory);
    finding.seen = who + ": " + finding.seen;
    local_.push_back(std::move(finding));
    return;
  }
  const std::string key = key_of(target.probe);
  if (const auto known = calls_.find(key); known != calls_.end()) {
    ++known->second.others;
    return;
  }
  if (calls_.size() >= kCallsMax) {
    ++left_out_;
    return;
  }
  const auto server = prober_.server(target.probe);
  if (!server) {
    const bool ended = server.error().code == Errc::kNotFound;
    local_.push_back(Check(Group::kDestinations, "call", who)
                         .error(who + ": " + server.error().what,
                                ended ? "send it elsewhere with a redirect in weir's configuration "
                                        "(docs/destinations.md)"
                                      : "correct the export or the configuration"));
    return;
  }
  Call call{target.probe, who, 0, {}, {}, is_aws(target.probe.spec.config.type)};
  if (*server) {
    Server there;
    there.host = (*server)->host;
    there.port = (*server)->port;
    call.server = there.name();
    add_server(**server, target);
  }
  if (call.aws) {
    const auto& own = target.probe.options.aws.role;
    const auto& role = own.role_arn.empty() ? hub_->aws().role : own;
    call.role = role.role_arn;
    roles_.emplace(role.role_arn, role);
  }
  calls_.emplace(key, std::move(call));
}

void Deliveries::add_server(const destination::Url& url, const Target& target) {
  const bool aws = is_aws(target.probe.spec.config.type);
  const auto& http = target.probe.options.http;
  Server server;
  server.host = url.host;
  server.port = url.port;
  server.tls = url.scheme == "https";
  server.ca_file = aws ? hub_->aws().ca_bundle_file : http.ca_file;
  server.certificate_file = aws ? "" : http.client_certificate_file;
  server.key_file = aws ? "" : http.client_key_file;
  if (std::find(servers_.begin(), servers_.end(), server) == servers_.end()) {
    servers_.push_back(std::move(server));
  }
}

std::vector<Task> Deliveries::reach_tasks() {
  std::vector<Task> tasks;
  const auto self = shared_from_this();
  for (const Server& server : servers_) {
    tasks.push_back({Check(Group::kNetwork, "dns", server.name())
                         .error(server.name() + ": the check did not end in time",
                                "is there a name server? See /etc/resolv.conf"),
                     [self, server](const std::stop_token&) { return self->reach(server); }});
  }
  for (const auto& [arn, role] : roles_) {
    tasks.push_back({Check(Group::kDestinations, "credentials", arn)
                         .error("credentials: their source did not answer in time",
                                "see what weir's log says of credentials"),
                     [self, role = role](const std::stop_token& stop) {
                       return self->ask_credentials(role, stop);
                     }});
  }
  return tasks;
}

std::vector<Task> Deliveries::call_tasks() {
  std::vector<Task> tasks;
  const auto self = shared_from_this();
  for (const auto& [key, each] : calls_) {
    tasks.push_back(
        {Check(Group::kDestinations, "call", each.who)
             .error(each.who + ": the destination did not answer in time", "try again"),
         [self, each = each](const std::stop_token& stop) { return self->call(each, stop); }});
  }
  return tasks;
}

std::vector<ClockReading> Deliveries::clock_readings() {
  const MutexLock lock(mutex_);
  return readings_;
}

Findings Deliveries::reach(const Server& server) {
  const ReachFacts facts = look_at_server(server, subject_.environment);
  if (facts.step != Step::kReached) {
    const MutexLock lock(mutex_);
    unreachable_.insert(facts.server);
  }
  Finding finding = judge_reach(facts);
  if (!server.needed_by.empty()) finding.seen += " (" + server.needed_by + ")";
  return {std::move(finding)};
}

Findings Deliveries::ask_credentials(const destination::AssumedRole& role,
                                     const std::stop_token& stop) {
  const auto provider = hub_->for_role(role);
  std::string error;
  destination::CredentialsView view;
  if (!provider) {
    error = provider.error().what;
  } else {
    const auto keys = (*provider)->await(stop);
    if (!keys) error = keys.error().what;
    view = (*provider)->view();
  }
  view.role = role.role_arn;
  if (!error.empty()) {
    const MutexLock lock(mutex_);
    without_keys_.insert(role.role_arn);
  }
  return {judge_credentials(view, error, clock_.wall_ms())};
}

Findings Deliveries::call(const Call& call, const std::stop_token& stop) {
  const Check check(Group::kDestinations, "call", call.who);
  {
    const MutexLock lock(mutex_);
    if (unreachable_.contains(call.server)) {
      return {check.skipped(call.who + ": not asked, " + call.server + " cannot be reached")};
    }
    if (call.aws && without_keys_.contains(call.role)) {
      return {check.skipped(call.who + ": not asked, there are no credentials")};
    }
  }
  const ProbeReport report = prober_.probe(call.target, stop);
  if (report.clock_ahead_ms) {
    const MutexLock lock(mutex_);
    readings_.push_back({call.server.empty() ? call.who : call.server, *report.clock_ahead_ms});
  }
  Finding finding = finding_of(report, call.who);
  if (call.others > 0) {
    finding.seen +=
        fmt::format(" (and {} more export{} to it)", call.others, call.others == 1 ? "" : "s");
  }
  return {std::move(finding)};
}

}  // namespace weir::doctor
