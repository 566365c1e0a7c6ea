#include "model/definition.h"

#include "base/check.h"

namespace weir::model {

const char* export_type_name(ExportType type) {
  switch (type) {
    case ExportType::kHttp:
      return "http";
    case ExportType::kIotAnalytics:
      return "iot_analytics";
    case ExportType::kKinesis:
      return "kinesis";
    case ExportType::kIotSitewise:
      return "iot_sitewise";
    case ExportType::kS3TaskExecutor:
      return "s3_task_executor";
    case ExportType::kFile:
      return "file";
    case ExportType::kFirehose:
      return "firehose";
    case ExportType::kMqtt:
      return "mqtt";
  }
  WEIR_CHECK(false, "every export type has a name");
}

StreamDefinition with_defaults(StreamDefinition definition) {
  definition.max_size = definition.max_size_or_default();
  definition.stream_segment_size = definition.segment_size_or_default();
  definition.persistence = definition.persistence_or_default();
  definition.flush_on_write = definition.flush_on_write_or_default();
  return definition;
}

}  // namespace weir::model
