#include "destination/aws_client.h"
#include "destination/options.h"

#include <gtest/gtest.h>

namespace weir::destination {
namespace {

const AwsService kKinesis = {"kinesis", "kinesis", "kinesis"};
const AwsService kFirehose = {"firehose", "firehose", "firehose"};
const AwsService kS3 = {"s3", "s3", "s3"};
const AwsService kSitewise = {"iotsitewise", "iotsitewise", "data.iotsitewise"};
const AwsService kSts = {"sts", "sts", "sts"};

std::string host(const AwsService& service, const std::string& region, bool fips, bool dual_stack) {
  AwsOptions aws;
  aws.region = region;
  aws.use_fips = fips;
  aws.use_dual_stack = dual_stack;
  const auto url = aws_endpoint(aws, service);
  return url ? url->host : "error: " + url.error().what;
}

// Checked against the endpoint rules of botocore 1.29.
TEST(AwsEndpoint, HostsFollowTheRulesOfEachService) {
  EXPECT_EQ(host(kKinesis, "us-east-1", false, false), "kinesis.us-east-1.amazonaws.com");
  EXPECT_EQ(host(kKinesis, "us-east-1", true, false), "kinesis-fips.us-east-1.amazonaws.com");
  EXPECT_EQ(host(kKinesis, "us-east-1", false, true), "kinesis.us-east-1.api.aws");
  EXPECT_EQ(host(kKinesis, "us-east-1", true, true), "kinesis-fips.us-east-1.api.aws");
  EXPECT_EQ(host(kKinesis, "cn-north-1", false, false), "kinesis.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(host(kKinesis, "cn-north-1", false, true),
            "kinesis.cn-north-1.api.amazonwebservices.com.cn");
  EXPECT_EQ(host(kKinesis, "eusc-de-east-1", false, false), "kinesis.eusc-de-east-1.amazonaws.eu");
  EXPECT_EQ(host(kFirehose, "eu-west-1", false, false), "firehose.eu-west-1.amazonaws.com");
  EXPECT_EQ(host(kFirehose, "us-west-2", true, false), "firehose-fips.us-west-2.amazonaws.com");
  EXPECT_EQ(host(kSitewise, "ca-central-1", true, false),
            "data.iotsitewise-fips.ca-central-1.amazonaws.com");
  EXPECT_EQ(host(kSts, "eu-central-1", false, false), "sts.eu-central-1.amazonaws.com");
  EXPECT_EQ(host(kSts, "us-east-2", true, false), "sts-fips.us-east-2.amazonaws.com");
  EXPECT_EQ(host(kSts, "us-gov-west-1", true, false), "sts.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(host(kS3, "eu-west-1", false, false), "s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(host(kS3, "us-east-1", true, false), "s3-fips.us-east-1.amazonaws.com");
  EXPECT_EQ(host(kS3, "eu-west-1", false, true), "s3.dualstack.eu-west-1.amazonaws.com");
  EXPECT_EQ(host(kS3, "us-east-1", true, true), "s3-fips.dualstack.us-east-1.amazonaws.com");
}

// It becomes part of a host name: nothing but a region may get there.
TEST(AwsEndpoint, WhatIsNoRegionIsRefusedBeforeItBecomesAHost) {
  for (const std::string region : {"", "eu_central_1", "EU-CENTRAL-1", "eu-central-1.evil.example",
                                   "a/b", "x@y", "-eu", "eu-", "eu central 1", "eu\n1"}) {
    EXPECT_NE(host(kKinesis, region, false, false).find("set AWS_REGION"), std::string::npos)
        << region;
  }
  EXPECT_TRUE(host(kKinesis, std::string(64, 'a'), false, false).starts_with("error"));
  EXPECT_EQ(host(kKinesis, "mars-north-7", false, false), "kinesis.mars-north-7.amazonaws.com")
      << "regions that do not exist yet are possible";
}

TEST(AwsEndpoint, AnOverrideKeepsItsPathAndRegionAndAllowsNoVariants) {
  AwsOptions aws;
  aws.region = "eu-central-1";
  aws.endpoint_url = "http://127.0.0.1:4566/base";
  aws.service_endpoint_urls["kinesis"] = "http://127.0.0.1:4567/k";
  EXPECT_EQ(aws_endpoint(aws, kKinesis)->text(), "http://127.0.0.1:4567/k");
  EXPECT_EQ(aws_endpoint(aws, kSitewise)->text(), "http://127.0.0.1:4566/base")
      << "no data. prefix";
  aws.use_fips = true;
  EXPECT_NE(aws_endpoint(aws, kKinesis).error().what.find("AWS_USE_FIPS_ENDPOINT"),
            std::string::npos);
  aws.use_fips = false;
  aws.use_dual_stack = true;
  EXPECT_NE(aws_endpoint(aws, kKinesis).error().what.find("AWS_USE_DUALSTACK_ENDPOINT"),
            std::string::npos);
}

}  // namespace
}  // namespace weir::destination
