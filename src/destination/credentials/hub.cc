#include "destination/credentials/hub.h"

#include "base/ascii.h"
#include "base/log.h"
#include "base/pause.h"
#include "destination/credentials/cache.h"
#include "destination/credentials/shared_files.h"
#include "destination/credentials/sts.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weir::destination::credentials {
namespace {

constexpr std::size_t kRolesMax = 64;  // each has a set in memory and a label in metrics

// Has as many threads as pieces of work were ever under way together, so that one that hangs holds
// up no other; there is one for each cache at most. Ends when `stop` is requested. Work that was
// not begun is destroyed without being run.
class Threads final : public Background {
 public:
  explicit Threads(std::stop_token stop) : shared_(std::make_shared<Shared>()) {
    shared_->stop = std::move(stop);
  }
  ~Threads() override { finish(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  void finish() override {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->ended = true;
    }
    shared_->changed.notify_all();
    for (std::thread& thread : threads_) {
      // The last piece of work may hold the last reference to this.
      if (thread.get_id() == std::this_thread::get_id()) {
        thread.detach();
      } else {
        thread.join();
      }
    }
    threads_.clear();
  }

  void post(std::function<void()> work) override {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->ended) return;
    shared_->work.push_back(std::move(work));
    if (shared_->idle < shared_->work.size()) {
      threads_.emplace_back([shared = shared_] { run(*shared); });
    }
    shared_->changed.notify_all();
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> work;
    std::size_t idle = 0;  // threads that wait for work
    std::stop_token stop;
    bool ended = false;
  };

  static void run(Shared& shared) {
    for (;;) {
      std::function<void()> work;
      {
        std::unique_lock lock(shared.mutex);
        ++shared.idle;
        shared.changed.wait(lock, [&] { return shared.ended || !shared.work.empty(); });
        --shared.idle;
        if (shared.ended) return;
        work = std::move(shared.work.front());
        shared.work.pop_front();
      }
      if (!shared.stop.stop_requested()) work();
    }
  }

  const std::shared_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
};

SharedContext make_context(AwsOptions aws, Connect connect, Clock& clock, std::uint64_t seed) {
  auto context = std::make_shared<Context>();
  context->aws = std::move(aws);
  context->connect = std::move(connect);
  context->pause = pause_for;
  context->clock = &clock;
  context->random_seed = seed;
  return context;
}

// True if both ask the same for the same keys. A stand-in for the token service gives others.
bool same_source(const AwsOptions& a, const AwsOptions& b) {
  const auto token_service = [](const AwsOptions& aws) {
    const auto own = aws.service_endpoint_urls.find("sts");
    return own == aws.service_endpoint_urls.end() ? aws.endpoint_url : own->second;
  };
  return a.credential_source == b.credential_source && a.profile == b.profile && a.iot == b.iot &&
         a.environment == b.environment && a.access_key_id == b.access_key_id &&
         a.secret_access_key == b.secret_access_key && a.session_token == b.session_token &&
         token_service(a) == token_service(b);
}

std::string text_of(const FileSection& section, const char* key) {
  const auto found = section.find(key);
  return found == section.end() ? std::string() : found->second.text;
}

void take_flag(const FileSection& section, const char* key, std::optional<bool>& flag) {
  if (flag) return;
  const std::string text = ascii_lower(text_of(section, key));
  if (text == "true" || text == "false") flag = text == "true";
}

void take_endpoints(const Profiles& profiles, const FileSection& section, AwsOptions& aws) {
  if (ascii_lower(text_of(section, "ignore_configured_endpoint_urls")) == "true") return;
  const bool everywhere = !aws.endpoint_url.empty();
  if (const auto* services = profiles.services(text_of(section, "services")); services != nullptr) {
    for (const auto& [name, value] : *services) {
      const auto url = value.nested.find("endpoint_url");
      if (everywhere || url == value.nested.end()) continue;
      aws.service_endpoint_urls.try_emplace(ascii_lower(name), url->second);
    }
  }
  if (aws.endpoint_url.empty()) aws.endpoint_url = text_of(section, "endpoint_url");
}

// Without it nobody would be trusted, or those that were not meant.
Result<std::string> ca_bundle_of(const FileSection& section, const std::string& profile,
                                 const std::string& home) {
  std::string path = text_of(section, "ca_bundle");
  if (path.starts_with("~/") && !home.empty()) path = home + path.substr(1);
  if (path.empty() || access(path.c_str(), R_OK) == 0) return path;
  Error error = os_error(
      "read ca_bundle " + log::escaped(path) + " of profile '" + log::escaped(profile, 64) + "'",
      errno);
  error.code = Errc::kInvalidArgument;
  return fail(std::move(error));
}

}  // namespace

Result<AwsOptions> with_profile(AwsOptions aws) {
  const auto variable = [&](const char* name) {
    const auto found = aws.environment.find(name);
    return found == aws.environment.end() ? std::string() : found->second;
  };
  std::string name = aws.profile.empty() ? variable("AWS_PROFILE") : aws.profile;
  if (name.empty()) name = "default";
  WEIR_TRY(const Profiles profiles, Profiles::load(aws.environment));
  const FileSection* section = profiles.find(name);
  if (section == nullptr) {
    // AWS_PROFILE may be there for other programs; what weir's own configuration names is meant.
    const bool meant =
        !aws.profile.empty() && (aws.credential_source == CredentialSource::kChain ||
                                 aws.credential_source == CredentialSource::kProfile);
    if (!meant) return aws;
    return fail(Errc::kInvalidArgument,
                "there is no profile '" + log::escaped(name, 64) + "'" +
                    (profiles.files().empty() ? std::string() : " in " + profiles.files()) +
                    "; it is named by export.aws.profile");
  }
  if (aws.region.empty()) aws.region = text_of(*section, "region");
  if (aws.ca_bundle_file.empty()) {
    WEIR_TRY(aws.ca_bundle_file, ca_bundle_of(*section, name, variable("HOME")));
  }
  take_flag(*section, "use_fips_endpoint", aws.use_fips);
  take_flag(*section, "use_dualstack_endpoint", aws.use_dual_stack);
  if (ascii_lower(variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) != "true") {
    take_endpoints(profiles, *section, aws);
  }
  return aws;
}

std::shared_ptr<Background> make_background(std::stop_token stop) {
  return std::make_shared<Threads>(std::move(stop));
}

Hub::Hub(AwsOptions aws, Connect connect, Clock& clock, metrics::Registry& metrics,
         std::uint64_t random_seed, std::string problem)
    : context_(make_context(std::move(aws), std::move(connect), clock, random_seed)),
      problem_(std::move(problem)),
      clock_(clock),
      metrics_(metrics),
      background_(make_background(stop_.get_token())),
      own_(cached("", chain(context_))) {}

Hub::~Hub() {
  stop_.request_stop();
  background_->finish();
}

std::shared_ptr<CachedCredentials> Hub::cached(std::string role, std::unique_ptr<Source> source) {
  return CachedCredentials::make(std::move(role), std::move(source), clock_, metrics_, background_,
                                 stop_.get_token());
}

Result<void> Hub::usable() const {
  if (problem_.empty()) return {};
  return fail(Errc::kInvalidArgument, problem_);
}

Result<std::shared_ptr<CredentialsProvider>> Hub::for_role(const AssumedRole& wanted) {
  WEIR_RETURN_IF_ERROR(usable());
  const AssumedRole& role = wanted.role_arn.empty() ? context_->aws.role : wanted;
  if (role.role_arn.empty()) return own_;
  if (auto why = role_problem(role); !why.empty()) {
    return fail(Errc::kInvalidArgument, "assume a role: " + why);
  }
  const MutexLock lock(mutex_);
  const auto known = roles_.find(role);
  if (known != roles_.end()) return known->second;
  if (roles_.size() >= kRolesMax) {
    return fail(Errc::kInvalidArgument, "exports assume more than 64 different roles");
  }
  auto made = cached(role.role_arn, role_source(context_, role, own_));
  if (const auto kept = kept_.find(role); kept != kept_.end()) {
    made->begin_with(std::move(kept->second));
    kept_.erase(kept);
  }
  roles_.emplace(role, made);
  return made;
}

std::map<AssumedRole, CachedCredentials::Kept> Hub::roles_to_keep() const {
  const MutexLock lock(mutex_);
  auto all = kept_;
  for (const auto& [role, provider] : roles_) {
    if (auto kept = provider->to_keep()) all.insert_or_assign(role, std::move(*kept));
  }
  return all;
}

void Hub::keep_from(const Hub& before) {
  if (!same_source(aws(), before.aws())) return;
  if (auto own = before.own_->to_keep()) own_->begin_with(std::move(*own));
  auto roles = before.roles_to_keep();
  const MutexLock lock(mutex_);
  kept_ = std::move(roles);
}

bool Hub::may_find_region() const { return !context_->is_true("AWS_EC2_METADATA_DISABLED"); }

Result<std::string> Hub::region(const std::stop_token& stop) {
  if (!context_->aws.region.empty()) return context_->aws.region;
  {
    const MutexLock lock(mutex_);
    if (!instance_region_.empty()) return instance_region_;
  }
  auto found = instance_region(*context_, stop);
  if (!found) {
    return fail(Errc::kInvalidArgument,
                "no AWS region; set AWS_REGION or the region in weir's configuration (instance "
                "metadata: " +
                    found.error().what + ")");
  }
  const MutexLock lock(mutex_);
  instance_region_ = *found;
  return found;
}

void Hub::look_again() {
  own_->look_again();
  const MutexLock lock(mutex_);
  for (const auto& [role, provider] : roles_) provider->look_again();
}

std::vector<CredentialsView> Hub::views() const {
  std::vector<CredentialsView> all = {own_->view()};
  const MutexLock lock(mutex_);
  for (const auto& [role, provider] : roles_) all.push_back(provider->view());
  return all;
}

}  // namespace weir::destination::credentials
