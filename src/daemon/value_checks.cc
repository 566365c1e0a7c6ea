#include "daemon/value_checks.h"

#include "destination/credentials/sts.h"
#include "destination/firehose/destination.h"
#include "destination/http/target.h"
#include "destination/iot_analytics/destination.h"
#include "destination/kinesis/destination.h"
#include "destination/region.h"

#include <fmt/format.h>
#include <utility>

namespace weir::daemon {
namespace {

class AwsChecker {
 public:
  explicit AwsChecker(const Config& config) : config_(config) {}

  std::vector<Problem> check() {
    for (const auto& [path, setting] : config_.settings) check_setting(path, setting);
    check_role();
    check_iot();
    check_variants();
    return std::move(problems_);
  }

 private:
  // Names that are the same wherever they stand.
  void check_setting(const std::string& path, const Setting& setting) {
    // A variable is for all programs of the machine; an export without a good region says so.
    const bool in_file = setting.where.line > 0;
    if (path.ends_with("aws.region") && in_file && !destination::is_region_name(setting.text)) {
      report(setting.where,
             fmt::format("{}: '{}' is not the name of a region, such as eu-central-1", path,
                         log::escaped(setting.text, 80)));
    }
    if (path.ends_with("aws.session_name") || path.ends_with("aws.role.session_name")) {
      destination::AssumedRole role;
      role.role_arn = "arn:aws:iam::123456789012:role/any";
      role.session_name = setting.text;
      if (const auto why = destination::credentials::role_problem(role); !why.empty()) {
        report(setting.where, fmt::format("{}: {}", path, why));
      }
    }
  }

  void check_role() {
    const Setting* any = first_below("export.aws.role.");
    if (any == nullptr || !config_.aws.role.role_arn.empty()) return;
    report(any->where, "export.aws.role has no 'role_arn', the role to assume");
  }

  void check_iot() {
    const Setting* any = first_below("export.aws.iot_credentials.");
    const Setting* asked = find("export.aws.credential_source");
    if (any == nullptr && (asked == nullptr || asked->text != "iot")) return;
    const auto& iot = config_.aws.iot;
    for (const auto& [name, text] :
         {std::pair{"endpoint", &iot.endpoint}, std::pair{"role_alias", &iot.role_alias},
          std::pair{"certificate_file", &iot.certificate_file},
          std::pair{"private_key_file", &iot.private_key_file}}) {
      if (!text->empty()) continue;
      report((any != nullptr ? any : asked)->where,
             fmt::format("export.aws.iot_credentials has no '{}', without which AWS IoT gives no "
                         "credentials",
                         name));
    }
  }

  // As in the AWS tools: whoever names an endpoint has chosen among AWS's.
  void check_variants() {
    const Setting* endpoint = find("export.aws.endpoint_url");
    if (endpoint == nullptr) endpoint = first_below("export.aws.service_endpoint_urls.");
    if (endpoint == nullptr || endpoint->where.line == 0) return;
    for (const char* name : {"export.aws.use_fips", "export.aws.use_dual_stack"}) {
      const Setting* variant = find(name);
      if (variant == nullptr || variant->where.line == 0 || variant->text != "true") continue;
      report(variant->where,
             fmt::format("{} chooses among the endpoints of AWS, but {} names another; remove one "
                         "of them",
                         name,
                         find("export.aws.endpoint_url") == endpoint
                             ? "export.aws.endpoint_url"
                             : "export.aws.service_endpoint_urls"));
    }
  }

  [[nodiscard]] const Setting* find(std::string_view path) const {
    const auto found = config_.settings.find(path);
    return found == config_.settings.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const Setting* first_below(std::string_view prefix) const {
    const auto found = config_.settings.lower_bound(prefix);
    const bool below = found != config_.settings.end() && found->first.starts_with(prefix);
    return below ? &found->second : nullptr;
  }
  void report(const Position& where, std::string what) {
    problems_.push_back({where, std::move(what)});
  }

  const Config& config_;
  std::vector<Problem> problems_;
};

template <class T>
std::string why_not(const Result<T>& verdict) {
  return verdict ? std::string() : verdict.error().what;
}

}  // namespace

std::string target_problem(const model::ExportConfig& config,
                           const std::vector<std::uint16_t>& own_ports) {
  switch (config.type) {
    case model::ExportType::kKinesis:
      return why_not(destination::kinesis::validate(config.target, {}));
    case model::ExportType::kFirehose:
      return why_not(destination::firehose::validate(config.target, {}));
    case model::ExportType::kIotAnalytics:
      return why_not(destination::iot_analytics::validate(config.target, ""));
    case model::ExportType::kHttp:
      return why_not(destination::http::check_target(config.target, own_ports));
    default:
      return {};
  }
}

std::vector<Problem> aws_problems(const Config& config) { return AwsChecker(config).check(); }

}  // namespace weir::daemon
