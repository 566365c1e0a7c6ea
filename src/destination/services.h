#pragma once

#include "destination/aws_client.h"
#include "destination/firehose/request.h"
#include "destination/s3/answers.h"
#include "destination/sitewise/response.h"

/// The AWS services that batches go to.
namespace weir::destination {

inline const AwsService kS3 = {"s3", "s3", "s3", s3::read_s3_error};
inline const AwsService kKinesis = {"kinesis", "kinesis", "kinesis"};
inline const AwsService kFirehose = {"firehose", "firehose", "firehose", firehose::read_error};
inline const AwsService kSitewise = {"iotsitewise", "iotsitewise", "data.iotsitewise",
                                     sitewise::read_error};
inline const AwsService kIotAnalytics = {"iotanalytics", "iotanalytics", "iotanalytics"};

}  // namespace weir::destination
