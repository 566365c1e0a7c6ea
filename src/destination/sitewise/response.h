#pragma once

#include "base/result.h"
#include "destination/aws_error.h"
#include "exporter/destination.h"

#include <string>
#include <string_view>
#include <vector>

/// Answers of IoT SiteWise (destinations.md §6).
namespace weir::destination::sitewise {

struct EntryError {
  std::string code;
  std::string message;
  std::size_t values = 0;  ///< how many values it concerns, if the answer says so
};

struct FailedEntry {
  std::string id;
  std::vector<EntryError> errors;  ///< at least one
};

/// Reads the answer to BatchPutAssetPropertyValue. An empty list means that all was taken.
/// Errors: kCorrupt when it is not such an answer to the last byte: then nothing is known. Pure.
Result<std::vector<FailedEntry>> read_batch_put(std::string_view body);

/// What is to be done about an entry: rejected only when nothing in it is worth another try.
exporter::RecordOutcome outcome_of(const FailedEntry& entry);

/// The class of a code of a call or an entry. Pure.
exporter::FailureClass classify(std::string_view code, std::string_view message);

/// `read_aws_error` with the classes of this service, for `AwsService`.
AwsError read_error(const HttpResponse& response);

}  // namespace weir::destination::sitewise
