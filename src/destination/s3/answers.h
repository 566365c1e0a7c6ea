#pragma once

#include "base/result.h"
#include "destination/aws_error.h"
#include "destination/http_transport.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What S3 answers, read strictly: it comes from the network.
namespace weir::destination::s3 {

/// Reads a refusal (destinations.md §8.6). Never fails: without a code the status decides.
/// `kPoison`, `kBug` and most of `kOperator` end a task, see `ends_task`. Pure.
AwsError read_s3_error(const HttpResponse& response);

/// True if the refusal is about this task, so that trying again is of no use (protocol.md §7.2).
/// What is about weir's own keys, the clock or the way to S3 is not. Pure.
bool ends_task(exporter::FailureClass failure, std::string_view code);

/// The region a bucket is in, if the answer says that it is another one than was asked; else "".
std::string region_named(const HttpResponse& response);

/// The upload id of a CreateMultipartUpload answer. Errors: kCorrupt.
Result<std::string> read_upload_id(std::string_view body);

/// An ETag without the quotes around it. Pure.
std::string unquoted(std::string_view etag);

struct ListedPart {
  std::int64_t number = 0;
  std::string etag;  ///< as sent, quotes included
  std::int64_t bytes = 0;
  std::string crc32;  ///< as sent, "" if the service keeps none
};
struct PartsPage {
  std::vector<ListedPart> parts;
  std::optional<std::int64_t> next_marker;  ///< there are more behind this number
};
/// One page of a ListParts answer. Errors: kCorrupt.
Result<PartsPage> read_parts(std::string_view body);

/// What a CompleteMultipartUpload answer with status 200 says: it may still be an error
/// (destinations.md §8.5). Errors: kCorrupt (neither success nor an error).
Result<std::optional<AwsError>> read_complete(const HttpResponse& response);

struct CompletedPart {
  std::int64_t number = 0;
  std::string etag;
};
/// The body of CompleteMultipartUpload. Pure.
std::string complete_body(const std::vector<CompletedPart>& parts);

}  // namespace weir::destination::s3
