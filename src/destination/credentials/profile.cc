#include "base/log.h"
#include "destination/credentials/answer.h"
#include "destination/credentials/process.h"
#include "destination/credentials/shared_files.h"
#include "destination/credentials/source.h"
#include "destination/credentials/sts.h"
#include "destination/credentials/web_identity.h"

#include <charconv>
#include <set>
#include <utility>

namespace weir::destination::credentials {
namespace {

const FileValue* find(const FileSection& section, const char* key) {
  const auto found = section.find(key);
  return found == section.end() || found->second.text.empty() ? nullptr : &found->second;
}

std::string shown(const std::string& profile) {
  return "profile '" + log::escaped(profile, 64) + "'";
}

class Profile final : public Source {
 public:
  explicit Profile(SharedContext context) : context_(context), sts_(std::move(context)) {}

  Result<Fetched> fetch(const std::stop_token& stop) override {
    const bool by_configuration = !context_->aws.profile.empty();
    std::string name = by_configuration ? context_->aws.profile : context_->variable("AWS_PROFILE");
    const bool asked_for = !name.empty();
    if (!asked_for) name = "default";
    WEIR_TRY(const Profiles profiles, Profiles::load(context_->aws.environment));
    if (profiles.find(name) == nullptr) {
      if (!asked_for) return fail(Errc::kNotFound, "no " + shown(name) + where(profiles));
      return fail(Errc::kInvalidArgument,
                  "there is no " + shown(name) + where(profiles) + "; it is named by " +
                      (by_configuration ? "export.aws.profile" : "AWS_PROFILE"));
    }
    std::set<std::string> under_way;
    return from_profile(profiles, name, under_way, stop);
  }

 private:
  static std::string where(const Profiles& profiles) {
    return profiles.files().empty()
               ? std::string(" (HOME, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE are not set)")
               : " in " + profiles.files();
  }

  Result<Fetched> from_profile(const Profiles& profiles, const std::string& name,
                               std::set<std::string>& under_way, const std::stop_token& stop) {
    const FileSection& section = *profiles.find(name);
    const FileValue* role = find(section, "role_arn");
    const FileValue* token_file = find(section, "web_identity_token_file");
    // A profile may be its own source: then its role counts the first time only.
    const bool first_visit = under_way.insert(name).second;
    if (role != nullptr && first_visit) {
      WEIR_TRY(const AssumedRole wanted, read_role(section, *role));
      if (token_file != nullptr) {
        return exchange_web_identity(sts_, wanted, token_file->text,
                                     shown(name) + " (" + role->where + ")", stop);
      }
      return assume(profiles, name, wanted, under_way, stop);
    }
    if (find(section, "aws_access_key_id") != nullptr ||
        find(section, "aws_secret_access_key") != nullptr) {
      return from_keys(section, name);
    }
    if (const FileValue* command = find(section, "credential_process")) {
      return from_process(*command, name, stop);
    }
    return fail(Errc::kNotFound, shown(name) + " has no credentials" + where(profiles));
  }

  static Result<Fetched> from_keys(const FileSection& section, const std::string& name) {
    const FileValue* id = find(section, "aws_access_key_id");
    const FileValue* secret = find(section, "aws_secret_access_key");
    if (id == nullptr || secret == nullptr) {
      const FileValue* there = id != nullptr ? id : secret;
      return fail(Errc::kInvalidArgument,
                  (there != nullptr ? there->where : std::string()) + ": " + shown(name) +
                      " has no " + (id == nullptr ? "aws_access_key_id" : "aws_secret_access_key"));
    }
    Fetched fetched;
    fetched.source = shown(name) + " (" + id->where + ")";
    fetched.credentials.access_key_id = id->text;
    fetched.credentials.secret_access_key = secret->text;
    if (const auto* token = find(section, "aws_session_token")) {
      fetched.credentials.session_token = token->text;
    }
    if (const auto why = why_unusable(fetched.credentials); !why.empty()) {
      return fail(Errc::kInvalidArgument, id->where + ": " + shown(name) + ": the " + why);
    }
    // Tools that write temporary keys into the file add one of these.
    for (const char* key : {"aws_expiration", "x_security_token_expires", "expiration"}) {
      const FileValue* expiration = find(section, key);
      if (expiration == nullptr) continue;
      const auto expires_ms = parse_iso_time(expiration->text);
      if (!expires_ms) {
        return fail(Errc::kInvalidArgument, expiration->where + ": '" + key +
                                                "' is not a time such as 2026-01-02T03:04:05Z");
      }
      fetched.credentials.expires_ms = *expires_ms;
      break;
    }
    return fetched;
  }

  static Result<Fetched> from_process(const FileValue& command, const std::string& name,
                                      const std::stop_token& stop) {
    const std::string context = command.where + ": credential_process of " + shown(name);
    auto arguments = split_command(command.text);
    if (!arguments) return fail(with_context(context, std::move(arguments).error()));
    auto output = run_process(*arguments, kProcessTimeout, stop);
    if (!output) return fail(with_context(context, std::move(output).error()));
    auto credentials = read_credentials(*output, Form::kProcess);
    wipe(*output);
    if (!credentials) {
      Error error = std::move(credentials).error();
      error.what += "; it must print {\"Version\":1,\"AccessKeyId\":..,\"SecretAccessKey\":..}";
      return fail(with_context(context, std::move(error)));
    }
    Fetched fetched;
    fetched.credentials = std::move(*credentials);
    fetched.source = "credential_process of " + shown(name) + " (" + command.where + ")";
    return fetched;
  }

  static Result<AssumedRole> read_role(const FileSection& section, const FileValue& arn) {
    AssumedRole role;
    role.role_arn = arn.text;
    if (const auto* id = find(section, "external_id")) role.external_id = id->text;
    if (const auto* name = find(section, "role_session_name")) role.session_name = name->text;
    if (const auto* duration = find(section, "duration_seconds")) {
      const char* end = duration->text.data() + duration->text.size();
      const auto read = std::from_chars(duration->text.data(), end, role.duration_seconds);
      if (read.ec != std::errc{} || read.ptr != end) {
        return fail(Errc::kInvalidArgument, duration->where + ": duration_seconds is no number");
      }
    }
    if (auto why = role_problem(role); !why.empty()) {
      return fail(Errc::kInvalidArgument, arn.where + ": role_arn: " + why);
    }
    return role;
  }

  Result<Fetched> assume(const Profiles& profiles, const std::string& name, const AssumedRole& role,
                         std::set<std::string>& under_way, const std::stop_token& stop) {
    const std::string what = shown(name) + ", role " + role.role_arn;
    auto base = base_of(profiles, name, under_way, stop);
    if (!base) {
      Error error = std::move(base).error();
      // Without what it names the profile is wrong, and not just absent.
      if (error.code == Errc::kNotFound) error.code = Errc::kInvalidArgument;
      return fail(with_context(what, std::move(error)));
    }
    return fetched_from(sts_.assume(role, base->credentials, stop), what);
  }

  Result<Fetched> base_of(const Profiles& profiles, const std::string& name,
                          std::set<std::string>& under_way, const std::stop_token& stop) {
    const FileSection& section = *profiles.find(name);
    const std::string at = section.at("role_arn").where + ": " + shown(name);
    if (const FileValue* source = find(section, "source_profile")) {
      const bool own = source->text == name;
      if (profiles.find(source->text) == nullptr) {
        return fail(Errc::kInvalidArgument, source->where + ": source_profile: there is no " +
                                                shown(source->text) + where(profiles));
      }
      if (!own && under_way.contains(source->text)) {
        return fail(Errc::kInvalidArgument,
                    source->where + ": source_profile: the profiles refer to each other in a ring");
      }
      return from_profile(profiles, source->text, under_way, stop);
    }
    const FileValue* source = find(section, "credential_source");
    if (source == nullptr) {
      return fail(Errc::kInvalidArgument,
                  at + " has a role_arn but neither source_profile nor credential_source");
    }
    if (source->text == "Environment") return environment_source(context_)->fetch(stop);
    if (source->text == "EcsContainer") return container_source(context_)->fetch(stop);
    if (source->text == "Ec2InstanceMetadata") return instance_source(context_)->fetch(stop);
    return fail(Errc::kInvalidArgument,
                source->where +
                    ": credential_source is not one of Environment, EcsContainer, "
                    "Ec2InstanceMetadata");
  }

  const SharedContext context_;
  Sts sts_;
};

}  // namespace

std::unique_ptr<Source> profile_source(SharedContext context) {
  return std::make_unique<Profile>(std::move(context));
}

}  // namespace weir::destination::credentials
