#include "base/log.h"
#include "destination/aws_client.h"
#include "destination/options.h"
#include "destination/region.h"

#include <string_view>

namespace weir::destination {

bool is_region_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

namespace {

Result<void> check_region(const std::string& region) {
  if (region.empty()) {
    return fail(Errc::kInvalidArgument,
                "no AWS region; set AWS_REGION or the region in weir's configuration");
  }
  if (!is_region_name(region)) {
    return fail(Errc::kInvalidArgument, "the AWS region '" + log::escaped(region, 80) +
                                            "' is not one; set AWS_REGION to a name such as "
                                            "eu-central-1");
  }
  return {};
}

struct Suffixes {
  std::string_view usual;
  std::string_view dual_stack;
};

Suffixes suffixes_of(std::string_view region) {
  if (region.starts_with("cn-")) return {"amazonaws.com.cn", "api.amazonwebservices.com.cn"};
  if (region.starts_with("eusc-")) return {"amazonaws.eu", "api.amazonwebservices.eu"};
  return {"amazonaws.com", "api.aws"};
}

// destinations.md §22, and §8.1 for S3.
std::string public_host(const AwsService& service, const std::string& region, bool fips,
                        bool dual_stack) {
  const Suffixes suffixes = suffixes_of(region);
  // In the government's regions the usual one is the FIPS one.
  if (service.name == "sts" && region.starts_with("us-gov-") && !dual_stack) fips = false;
  std::string host = service.host_prefix + (fips ? "-fips" : "") + ".";
  if (service.name == "s3") {
    return host + (dual_stack ? "dualstack." : "") + region + "." + std::string(suffixes.usual);
  }
  host += region;
  return host + "." + std::string(dual_stack ? suffixes.dual_stack : suffixes.usual);
}

}  // namespace

Result<Url> aws_endpoint(const AwsOptions& aws, const AwsService& service) {
  WEIR_RETURN_IF_ERROR(check_region(aws.region));
  const bool fips = aws.use_fips.value_or(false);
  const bool dual_stack = aws.use_dual_stack.value_or(false);
  const auto own = aws.service_endpoint_urls.find(service.name);
  const std::string& override_url = own != aws.service_endpoint_urls.end() && !own->second.empty()
                                        ? own->second
                                        : aws.endpoint_url;
  if (override_url.empty()) {
    return parse_url("https://" + public_host(service, aws.region, fips, dual_stack) + "/");
  }
  if (fips || dual_stack) {
    return fail(Errc::kInvalidArgument,
                "the endpoint of " + service.name +
                    " is overridden (AWS_ENDPOINT_URL or its "
                    "service's own variable), so " +
                    (fips ? "AWS_USE_FIPS_ENDPOINT" : "AWS_USE_DUALSTACK_ENDPOINT") +
                    " cannot be followed; unset one of them");
  }
  auto url = parse_url(override_url);
  if (!url) {
    return fail(with_context("the endpoint override for " + service.name +
                                 " (AWS_ENDPOINT_URL or its service's own variable)",
                             std::move(url).error()));
  }
  return url;
}

}  // namespace weir::destination
