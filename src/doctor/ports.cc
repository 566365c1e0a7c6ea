#include "doctor/ports.h"

#include "base/log.h"

#include <algorithm>
#include <fmt/format.h>

namespace weir::doctor {

Who who_is(const Process& process) {
  if (process.name.find("weir") != std::string::npos &&
      process.command.find(" serve") != std::string::npos) {
    return Who::kWeir;
  }
  std::string command = process.command;
  std::transform(command.begin(), command.end(), command.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool original = command.find("streammanager") != std::string::npos ||
                        command.find("stream-manager") != std::string::npos;
  return original && process.name.starts_with("java") ? Who::kOriginal : Who::kOther;
}

Finding judge_port(const PortFacts& facts) {
  const Check check(Group::kWeir, "port", facts.key);
  const std::string port = fmt::format("port {} (for {})", facts.port, facts.what);
  if (!facts.listener) {
    if (!facts.weir_answers) return check.ok(port + " is free");
    return check.warning(port + ": nobody listens, though weir runs",
                         "does the running weir have another configuration? Restart it");
  }
  if (!facts.owner) {
    if (facts.weir_answers) return check.ok(port + ": weir listens");
    return check.warning(
        fmt::format("{} is taken by a program of user {}", port, facts.owner_user),
        "run this as root to see which program it is; stop it, or set another " + facts.key);
  }
  const Process& owner = *facts.owner;
  switch (who_is(owner)) {
    case Who::kWeir:
      if (facts.weir_answers) return check.ok(fmt::format("{}: weir, pid {}", port, owner.pid));
      return check.warning(
          fmt::format("{}: a weir listens, pid {}, but weir does not answer on its admin port",
                      port, owner.pid),
          fmt::format("is it another weir? Stop it ('kill {}') or set another {}", owner.pid,
                      facts.key));
    case Who::kOriginal:
      return check.error(
          fmt::format("{} is taken by the original stream manager, pid {}", port, owner.pid),
          "remove the component aws.greengrass.StreamManager from the deployment: weir takes its "
          "place");
    case Who::kOther:
      break;
  }
  return check.error(
      fmt::format("{} is taken by {}, pid {}, user {}", port, log::escaped(owner.name, 64),
                  owner.pid, user_name(owner.user)),
      fmt::format("stop that program, or set another {} (and tell weir's clients)", facts.key));
}

PortFacts look_at_port(std::string what, std::string key, std::int64_t port) {
  PortFacts facts;
  facts.what = std::move(what);
  facts.key = std::move(key);
  facts.port = port;
  auto all = listeners_in(read_proc("/proc/net/tcp"), false);
  auto six = listeners_in(read_proc("/proc/net/tcp6"), true);
  all.insert(all.end(), six.begin(), six.end());
  std::erase_if(all, [&](const Listener& each) { return each.port != port; });
  if (all.empty()) return facts;
  facts.listener = all.front();
  facts.owner_user = user_name(all.front().user);
  const auto owners = owners_of({all.front()});
  if (!owners.empty()) facts.owner = owners.begin()->second;
  return facts;
}

}  // namespace weir::doctor
