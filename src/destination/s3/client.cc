#include "destination/s3/client.h"

#include "base/log.h"
#include "destination/base64.h"
#include "destination/percent.h"

#include <charconv>

namespace weir::destination::s3 {
namespace {

using exporter::FailureClass;

constexpr std::size_t kBucketRegionsMax = 1000;
constexpr std::int64_t kCompletePatienceMs = 600'000;
constexpr std::int64_t kPartsMax = 10'000;
// Of listed pages. S3 gives 1,000 parts a page; one that gives none at all is not listened to.
constexpr int kPagesMax = 1'000;
constexpr int kRegionsFollowedMax = 2;

bool is_address(std::string_view host) {
  return host.find(':') != std::string_view::npos ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

AwsReply nonsense(AwsReply reply, std::string why) {
  reply.failure = FailureClass::kTransient;
  reply.error = "what answered is not S3: " + std::move(why);
  return reply;
}

void add_metadata(const Metadata& metadata, AwsCall& call) {
  for (const auto& [name, value] : metadata) call.headers.push_back({"x-amz-meta-" + name, value});
}

}  // namespace

AwsReply Client::call(const Object& object, AwsCall call, const std::stop_token& stop) {
  const auto known = regions_.find(object.bucket);
  std::string region = known == regions_.end() ? std::string() : known->second;
  const std::string key = percent_encoded(object.key, true);
  for (int followed = 0;; ++followed) {
    auto place = setup_.place(region, stop);
    if (!place) {
      AwsReply reply;
      reply.failure = FailureClass::kOperator;
      reply.error = log::escaped(place.error().what);
      return reply;
    }
    // A certificate for *.s3 does not cover a bucket with a dot, and an address has no names below.
    std::string& host = place->endpoint.host;
    const bool in_path = setup_.path_style || object.bucket.find('.') != std::string::npos ||
                         is_address(host) || host == "localhost";
    call.path = in_path ? "/" + object.bucket + "/" + key : "/" + key;
    if (!in_path) host.insert(0, object.bucket + ".");
    call.endpoint = std::move(place->endpoint);
    call.region = place->region;
    AwsReply reply = setup_.aws->call(call, stop);
    const int status = reply.http.status;
    if (reply.failure == FailureClass::kNone || (status != 301 && status != 307 && status != 400)) {
      return reply;
    }
    const std::string named = region_named(reply.http);
    if (named.empty() || named == call.region || followed >= kRegionsFollowedMax) return reply;
    log::info("A bucket is in another region than weir's own; going there.",
              {{"bucket", object.bucket}, {"region", named}});
    if (regions_.size() >= kBucketRegionsMax) regions_.clear();
    regions_[object.bucket] = named;
    region = named;
  }
}

namespace {

void describe_body(AwsCall& call, FilePart& body, const Digest& digest, bool hashed) {
  call.source = &body;
  call.payload_hash = hashed ? digest.sha256_hex : std::string(kUnsignedPayload);
  call.headers.push_back({"Content-MD5", base64(digest.md5)});
}

void add_crc32(AwsCall& call, std::uint32_t crc32) {
  call.headers.push_back({"x-amz-sdk-checksum-algorithm", "CRC32"});
  call.headers.push_back({"x-amz-checksum-crc32", crc32_text(crc32)});
}

Answer<std::string> etag_of(AwsReply reply) {
  Answer<std::string> answer{std::move(reply), {}};
  if (answer.reply.failure != FailureClass::kNone) return answer;
  answer.value = answer.reply.http.header("etag");
  if (answer.value.empty()) answer.reply = nonsense(std::move(answer.reply), "it gave no ETag");
  return answer;
}

}  // namespace

Answer<std::string> Client::put_object(const Object& object, const Metadata& metadata,
                                       FilePart& body, const Digest& digest,
                                       const std::stop_token& stop) {
  AwsCall request;
  request.operation = "PutObject";
  request.method = "PUT";
  request.headers.push_back({"Content-Type", "application/octet-stream"});
  describe_body(request, body, digest, setup_.hashes_bodies);
  add_crc32(request, digest.crc32);
  add_metadata(metadata, request);
  return etag_of(call(object, std::move(request), stop));
}

Answer<std::string> Client::create_upload(const Object& object, const Metadata& metadata,
                                          const std::stop_token& stop) {
  AwsCall request;
  request.operation = "CreateMultipartUpload";
  request.query = "uploads";
  request.headers.push_back({"Content-Type", "application/octet-stream"});
  if (!setup_.overridden) {
    request.headers.push_back({"x-amz-checksum-algorithm", "CRC32"});
    request.headers.push_back({"x-amz-checksum-type", "FULL_OBJECT"});
  }
  add_metadata(metadata, request);
  Answer<std::string> answer{call(object, std::move(request), stop), {}};
  if (answer.reply.failure != FailureClass::kNone) return answer;
  auto id = read_upload_id(answer.reply.http.body);
  if (id) {
    answer.value = std::move(*id);
  } else {
    answer.reply = nonsense(std::move(answer.reply), id.error().what);
  }
  return answer;
}

Answer<std::string> Client::upload_part(const Object& object, const std::string& upload_id,
                                        std::int64_t number, FilePart& body, const Digest& digest,
                                        const std::stop_token& stop) {
  AwsCall request;
  request.operation = "UploadPart";
  request.method = "PUT";
  request.query =
      "partNumber=" + std::to_string(number) + "&uploadId=" + percent_encoded(upload_id, false);
  describe_body(request, body, digest, setup_.hashes_bodies);
  if (!setup_.overridden) add_crc32(request, digest.crc32);
  return etag_of(call(object, std::move(request), stop));
}

Answer<std::vector<ListedPart>> Client::list_parts(const Object& object,
                                                   const std::string& upload_id,
                                                   const std::stop_token& stop) {
  Answer<std::vector<ListedPart>> answer;
  std::int64_t marker = 0;
  for (int pages = 0; pages < kPagesMax; ++pages) {
    AwsCall request;
    request.operation = "ListParts";
    request.method = "GET";
    request.query = "part-number-marker=" + std::to_string(marker) +
                    "&uploadId=" + percent_encoded(upload_id, false);
    answer.reply = call(object, std::move(request), stop);
    if (answer.reply.failure != FailureClass::kNone) return answer;
    auto page = read_parts(answer.reply.http.body);
    if (!page) {
      answer.reply = nonsense(std::move(answer.reply), page.error().what);
      return answer;
    }
    for (ListedPart& part : page->parts) answer.value.push_back(std::move(part));
    if (!page->next_marker || *page->next_marker <= marker) return answer;
    if (answer.value.size() >= kPartsMax) return answer;
    marker = *page->next_marker;
  }
  return answer;
}

AwsReply Client::complete_upload(const Object& object, const std::string& upload_id,
                                 const std::vector<StoredPart>& parts, std::int64_t part_bytes,
                                 std::int64_t bytes, const std::stop_token& stop) {
  std::vector<CompletedPart> listed;
  std::vector<Digest> digests;
  for (const StoredPart& part : parts) {
    listed.push_back({static_cast<std::int64_t>(listed.size()) + 1, part.etag});
    digests.push_back(part.digest);
  }
  const std::uint32_t crc32 = crc32_of_parts(digests, part_bytes, bytes);
  const std::string body = complete_body(listed);
  AwsCall request;
  request.operation = "CompleteMultipartUpload";
  request.query = "uploadId=" + percent_encoded(upload_id, false);
  request.headers.push_back({"Content-Type", "application/xml"});
  if (!setup_.overridden) {
    request.headers.push_back({"x-amz-checksum-type", "FULL_OBJECT"});
    request.headers.push_back({"x-amz-checksum-crc32", crc32_text(crc32)});
  }
  request.body = as_bytes(body);
  request.patience_ms = kCompletePatienceMs;
  AwsReply reply = call(object, std::move(request), stop);
  if (reply.failure != FailureClass::kNone) return reply;
  auto read = read_complete(reply.http);
  if (!read) return nonsense(std::move(reply), read.error().what);
  if (const auto& error = *read) {
    reply.failure = error->failure;
    reply.code = error->code;
    reply.message = error->message;
    reply.error = error->text(reply.http.status);
  }
  return reply;
}

AwsReply Client::abort_upload(const Object& object, const std::string& upload_id,
                              const std::stop_token& stop) {
  AwsCall request;
  request.operation = "AbortMultipartUpload";
  request.method = "DELETE";
  request.query = "uploadId=" + percent_encoded(upload_id, false);
  return call(object, std::move(request), stop);
}

Answer<Client::Head> Client::head_object(const Object& object, const std::stop_token& stop) {
  AwsCall request;
  request.operation = "HeadObject";
  request.method = "HEAD";
  if (!setup_.overridden) request.headers.push_back({"x-amz-checksum-mode", "ENABLED"});
  Answer<Head> answer{call(object, std::move(request), stop), {}};
  if (answer.reply.failure != FailureClass::kNone) return answer;
  const std::string_view length = answer.reply.http.header("content-length");
  const auto* last = length.data() + length.size();
  const auto [end, error] = std::from_chars(length.data(), last, answer.value.bytes);
  if (error != std::errc{} || end != last) answer.value.bytes = -1;
  answer.value.etag = unquoted(answer.reply.http.header("etag"));
  answer.value.crc32 = answer.reply.http.header("x-amz-checksum-crc32");
  return answer;
}

}  // namespace weir::destination::s3
