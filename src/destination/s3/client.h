#pragma once

#include "destination/aws_client.h"
#include "destination/s3/answers.h"
#include "destination/s3/digest.h"
#include "destination/s3/input_file.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace weir::destination::s3 {

struct Object {
  std::string bucket;
  std::string key;
};
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// What an answer said, read: `value` counts only if `reply.failure` is kNone.
template <class T>
struct Answer {
  AwsReply reply;
  T value{};
};

/// A part that is stored.
struct StoredPart {
  std::string etag;  ///< as sent, "" = not stored
  Digest digest;
};

/// The calls of S3 that uploads need. Finds the host and the region of each bucket and follows it
/// when S3 says that it is elsewhere; everything else is left to the caller. An answer 2xx that
/// does not hold what S3 would have put in (a captive portal's) is a transient failure.
///
/// Threads: one at a time.
class Client {
 public:
  struct Setup {
    std::unique_ptr<AwsClient> aws;
    /// Where S3 is reached in a region; "" stands for weir's own.
    std::function<Result<AwsClient::Place>(const std::string& region, const std::stop_token& stop)>
        place;
    /// The endpoint is an override: one host for all regions, perhaps no checksums beyond MD5.
    bool overridden = false;
    bool hashes_bodies = false;  ///< bodies are sent in the clear, so their hash has to be signed
    bool path_style = false;     ///< the bucket in the path even where it could be in the host name
  };
  explicit Client(Setup setup) : setup_(std::move(setup)) {}

  /// The value is the object's ETag.
  Answer<std::string> put_object(const Object& object, const Metadata& metadata, FilePart& body,
                                 const Digest& digest, const std::stop_token& stop);
  /// The value is the upload's id.
  Answer<std::string> create_upload(const Object& object, const Metadata& metadata,
                                    const std::stop_token& stop);
  /// The value is the part's ETag.
  Answer<std::string> upload_part(const Object& object, const std::string& upload_id,
                                  std::int64_t number, FilePart& body, const Digest& digest,
                                  const std::stop_token& stop);
  /// All pages, at most 10,000 parts.
  Answer<std::vector<ListedPart>> list_parts(const Object& object, const std::string& upload_id,
                                             const std::stop_token& stop);
  /// `parts` by number, from 1 on; `part_bytes` is the size of all but the last.
  AwsReply complete_upload(const Object& object, const std::string& upload_id,
                           const std::vector<StoredPart>& parts, std::int64_t part_bytes,
                           std::int64_t bytes, const std::stop_token& stop);
  AwsReply abort_upload(const Object& object, const std::string& upload_id,
                        const std::stop_token& stop);

  struct Head {
    std::int64_t bytes = -1;
    std::string etag;   ///< without quotes
    std::string crc32;  ///< of the whole object, as `crc32_text` writes it; "" = not told
  };
  Answer<Head> head_object(const Object& object, const std::stop_token& stop);

  [[nodiscard]] bool hashes_bodies() const { return setup_.hashes_bodies; }
  [[nodiscard]] std::string host() const { return setup_.aws->host(); }

 private:
  AwsReply call(const Object& object, AwsCall call, const std::stop_token& stop);

  Setup setup_;
  std::map<std::string, std::string> regions_;  // of buckets that are elsewhere
};

}  // namespace weir::destination::s3
