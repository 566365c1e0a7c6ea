#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::doctor {

enum class Level : std::uint8_t {
  kOk,
  kSkipped,  ///< could not be looked at, which is no trouble in itself; `seen` says why
  kWarning,  ///< works, or may work; should be looked at
  kError,    ///< does not work until somebody does what `fix` says
};
/// "ok", "skipped", "warning", "error".
const char* level_name(Level level);

/// Which part of the whole a finding is about, in the order in which they are shown.
enum class Group : std::uint8_t { kWeir, kMachine, kStore, kNetwork, kDestinations };
/// "weir", "machine", "store", "network", "destinations".
const char* group_name(Group group);

/// What one check says. Never holds a token, a key or a password.
struct Finding {
  Level level = Level::kOk;
  Group group = Group::kWeir;
  std::string check;    ///< stable name for programs: "clock", "disk-space"
  std::string subject;  ///< which one, where there are several: a host, a file; "" = the only one
  std::string seen;     ///< what was found, in words
  std::string fix;      ///< what to do; "" if nothing
};
using Findings = std::vector<Finding>;

/// Makes findings of one check, so that each says only what is its own.
class Check {
 public:
  Check(Group group, std::string_view name, std::string subject = {})
      : group_(group), name_(name), subject_(std::move(subject)) {}
  [[nodiscard]] Finding ok(std::string seen) const { return make(Level::kOk, std::move(seen), {}); }
  [[nodiscard]] Finding skipped(std::string seen) const {
    return make(Level::kSkipped, std::move(seen), {});
  }
  [[nodiscard]] Finding warning(std::string seen, std::string fix) const {
    return make(Level::kWarning, std::move(seen), std::move(fix));
  }
  [[nodiscard]] Finding error(std::string seen, std::string fix) const {
    return make(Level::kError, std::move(seen), std::move(fix));
  }
  [[nodiscard]] Finding make(Level level, std::string seen, std::string fix) const {
    return {level, group_, name_, subject_, std::move(seen), std::move(fix)};
  }

 private:
  Group group_;
  std::string name_;
  std::string subject_;
};

void append(Findings& to, Findings more);

/// "2.0 GiB", "340 ms", "3 days": for people.
std::string bytes_text(std::uint64_t bytes);
std::string time_text(std::int64_t ms);

}  // namespace weir::doctor
