#include "destination/s3/upload.h"

#include "base/log.h"

#include <algorithm>
#include <utility>

namespace weir::destination::s3 {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using Kind = UploadResult::Kind;

constexpr std::int64_t kMiB = 1 << 20;
constexpr int kDamagedMax = 3;
constexpr int kRewrittenMax = 3;
// Parts on their way while an upload is aborted can survive it (destinations.md §8.5).
constexpr int kAbortRoundsMax = 3;
// Tries to abort that fail in a way that may pass. They are as far apart as other tries.
constexpr int kAbortTriesMax = 5;

UploadResult done() { return {Kind::kDone, {}, {}}; }
UploadResult failed(std::string reason) { return {Kind::kFailed, {}, std::move(reason)}; }
UploadResult retry(std::string error) {
  return {Kind::kRetry, Outcome::retry(FailureClass::kTransient, std::move(error)), {}};
}
// What could not be read of the file itself.
UploadResult unreadable(const Error& error) {
  return error.code == Errc::kCancelled ? retry(error.what) : failed(log::escaped(error.what));
}

Outcome interrupted() {
  return Outcome::retry(FailureClass::kTransient, "the upload was interrupted");
}

bool may_pass(FailureClass failure) {
  return failure == FailureClass::kTransient || failure == FailureClass::kThrottle;
}

bool is_damage(std::string_view code) {
  return code == "BadDigest" || code == "InvalidDigest" || code == "XAmzContentSHA256Mismatch";
}

// An ETag is the content's MD5 unless the service encrypts with a key of its own; then a checksum
// may tell. Without either nothing is known.
bool holds(const ListedPart& part, const Digest& digest) {
  return unquoted(part.etag) == hex(digest.md5) || part.crc32 == crc32_text(digest.crc32);
}

bool is_unknown_upload(const AwsReply& reply) { return reply.code == "NoSuchUpload"; }

}  // namespace

std::int64_t part_bytes_for(std::int64_t bytes, std::int64_t configured) {
  const std::int64_t needed = (bytes + kPartsMax - 1) / kPartsMax;
  const std::int64_t rounded = (needed + kMiB - 1) / kMiB * kMiB;
  return std::max({kPartBytesMin, configured, needed > kPartBytesMin ? rounded : kPartBytesMin});
}

Upload::Upload(Client& client, UploadEvents& events, Plan plan, BegunUpload found)
    : client_(client), events_(events), plan_(std::move(plan)), upload_(std::move(found)) {}

UploadResult Upload::run(const InputFile& file, const std::stop_token& stop) {
  // Another file than the one that the stored parts came from, or one that has lost some of it.
  const bool other =
      file.identity().inode != upload_.file.inode || file.bytes() < upload_.file.bytes;
  if (!upload_.id.empty() && other) {
    if (auto later = abandon(stop)) return {Kind::kRetry, std::move(*later), {}};
  }
  const bool small = file.bytes() <= plan_.threshold_bytes && file.bytes() <= kPartBytesMax;
  if (small && upload_.id.empty()) {
    return put(file, stop);
  }
  return put_parts(file, stop);
}

UploadResult Upload::put(const InputFile& file, const std::stop_token& stop) {
  auto digest = digest_part(file, 0, file.bytes(), client_.hashes_bodies(), stop);
  if (!digest) return unreadable(digest.error());
  FilePart body(file, 0, file.bytes());
  auto answer = client_.put_object(plan_.object, plan_.metadata, body, *digest, stop);
  if (body.error()) return unreadable(*body.error());
  return judge(std::move(answer.reply));
}

UploadResult Upload::put_parts(const InputFile& file, const std::stop_token& stop) {
  UploadResult step = done();
  if (upload_.id.empty()) {
    step = begin(file, stop);
  } else if (!listed_) {
    step = resume(file, stop);
  }
  // Without an upload it is done: it was found to be complete already.
  if (step.kind != Kind::kDone || upload_.id.empty()) return step;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i].etag.empty()) continue;
    step = put_part(file, i, stop);
    if (step.kind != Kind::kDone || upload_.id.empty()) return step;
    events_.part_stored(static_cast<std::int64_t>(i) + 1, std::ssize(parts_));
  }
  return complete(file, stop);
}

UploadResult Upload::begin(const InputFile& file, const std::stop_token& stop) {
  const std::int64_t part_bytes = part_bytes_for(file.bytes(), plan_.part_bytes);
  if (part_bytes > kPartBytesMax) {
    return failed("the file is larger than an object in S3 can be");
  }
  auto answer = client_.create_upload(plan_.object, plan_.metadata, stop);
  if (answer.reply.failure != FailureClass::kNone) return judge(std::move(answer.reply));
  upload_ = {std::move(answer.value), part_bytes, file.identity()};
  events_.upload_changed(upload_);
  parts_.assign(part_count(), {});
  listed_ = true;
  settled_ = file.identity();
  return done();
}

UploadResult Upload::resume(const InputFile& file, const std::stop_token& stop) {
  auto answer = client_.list_parts(plan_.object, upload_.id, stop);
  if (is_unknown_upload(answer.reply)) return gone(file, stop);
  if (answer.reply.failure != FailureClass::kNone) return judge(std::move(answer.reply));
  std::vector<StoredPart> parts(part_count());
  std::int64_t kept = 0;
  for (const ListedPart& part : answer.value) {
    if (part.number < 1 || part.number > std::ssize(parts)) continue;
    const auto index = static_cast<std::size_t>(part.number - 1);
    if (part.bytes != bytes_of(index)) continue;
    auto digest = digest_part(file, offset(index), part.bytes, false, stop);
    if (!digest) return unreadable(digest.error());
    if (!holds(part, *digest)) continue;
    parts[index] = {part.etag, std::move(*digest)};
    ++kept;
  }
  // A file that has grown since, but does not begin as it did, is another content in its place.
  if (file.bytes() > upload_.file.bytes && (kept == 0 || kept < std::ssize(answer.value))) {
    if (auto later = abandon(stop)) return {Kind::kRetry, std::move(*later), {}};
    return begin(file, stop);
  }
  parts_ = std::move(parts);
  listed_ = true;
  settled_ = file.identity();
  log::info("An upload that was interrupted goes on.",
            {{"bucket", plan_.object.bucket},
             {"parts", static_cast<std::int64_t>(parts_.size())},
             {"stored_parts", kept}});
  return done();
}

UploadResult Upload::put_part(const InputFile& file, std::size_t index,
                              const std::stop_token& stop) {
  const std::int64_t bytes = bytes_of(index);
  auto digest = digest_part(file, offset(index), bytes, client_.hashes_bodies(), stop);
  if (!digest) return unreadable(digest.error());
  FilePart body(file, offset(index), bytes);
  auto answer = client_.upload_part(plan_.object, upload_.id, static_cast<std::int64_t>(index) + 1,
                                    body, *digest, stop);
  if (body.error()) return unreadable(*body.error());
  if (is_unknown_upload(answer.reply)) return gone(file, stop);
  if (answer.reply.failure != FailureClass::kNone) return judge(std::move(answer.reply));
  parts_[index] = {std::move(answer.value), std::move(*digest)};
  return done();
}

UploadResult Upload::settle(const InputFile& file, const std::stop_token& stop) {
  for (;;) {
    const auto now = file.current();
    if (!now) return unreadable(now.error());
    if (*now == settled_) return done();
    bool same = true;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const auto digest = digest_part(file, offset(i), bytes_of(i), false, stop);
      if (!digest) return unreadable(digest.error());
      if (digest->md5 == parts_[i].digest.md5) continue;
      same = false;
      if (rewritten_ >= kRewrittenMax) {
        return failed(
            "the file was changed again and again while it was uploaded; append the task again "
            "when nothing writes to the file any more, or upload a copy of it");
      }
      UploadResult step = put_part(file, i, stop);
      if (step.kind != Kind::kDone || upload_.id.empty()) return step;
    }
    if (same) {
      settled_ = *now;
      return done();
    }
    ++rewritten_;
  }
}

UploadResult Upload::complete(const InputFile& file, const std::stop_token& stop) {
  UploadResult step = settle(file, stop);
  if (step.kind != Kind::kDone || upload_.id.empty()) return step;
  AwsReply reply = client_.complete_upload(plan_.object, upload_.id, parts_, upload_.part_bytes,
                                           upload_.file.bytes, stop);
  if (is_unknown_upload(reply)) return gone(file, stop);
  if (reply.code == "InvalidPart") {
    listed_ = false;
    if (++damaged_ < kDamagedMax) return retry(reply.error);
  }
  UploadResult result = judge(std::move(reply));
  if (result.kind == Kind::kDone) clear();
  return result;
}

UploadResult Upload::gone(const InputFile& file, const std::stop_token& stop) {
  const auto answer = client_.head_object(plan_.object, stop);
  const AwsReply& reply = answer.reply;
  // Without s3:ListBucket that an object is absent is 403. Anything else tells nothing about it.
  const bool absent =
      reply.http.complete() && (reply.http.status == 404 || reply.http.status == 403);
  if (reply.failure != FailureClass::kNone && !absent) return judge(reply);
  if (reply.failure == FailureClass::kNone && answer.value.bytes == upload_.file.bytes) {
    std::vector<Digest> digests;
    for (std::size_t i = 0; i < part_count(); ++i) {
      if (listed_ && !parts_[i].etag.empty()) {  // what was sent, whatever the file is by now
        digests.push_back(parts_[i].digest);
        continue;
      }
      auto digest = digest_part(file, offset(i), bytes_of(i), false, stop);
      if (!digest) return unreadable(digest.error());
      digests.push_back(std::move(*digest));
    }
    const auto crc32 = crc32_of_parts(digests, upload_.part_bytes, upload_.file.bytes);
    if (answer.value.etag == multipart_etag(digests) || answer.value.crc32 == crc32_text(crc32)) {
      clear();
      return done();
    }
  }
  forget();
  return retry("S3 does not know the upload any more; it begins again");
}

UploadResult Upload::judge(AwsReply reply) {
  if (reply.failure == FailureClass::kNone) return done();
  if (is_damage(reply.code) && ++damaged_ >= kDamagedMax) {
    return failed("what arrives is not what was sent, " + std::to_string(kDamagedMax) +
                  " times: " + reply.error);
  }
  if (ends_task(reply.failure, reply.code)) return failed(std::move(reply.error));
  return {Kind::kRetry, reply.outcome(), {}};
}

std::optional<Outcome> Upload::abandon(const std::stop_token& stop) {
  if (upload_.id.empty()) return std::nullopt;
  std::string why;
  for (int round = 0; round < kAbortRoundsMax; ++round) {
    const AwsReply aborted = client_.abort_upload(plan_.object, upload_.id, stop);
    if (stop.stop_requested()) return interrupted();
    const bool unknown = is_unknown_upload(aborted) || aborted.http.status == 404;
    if (aborted.failure != FailureClass::kNone && !unknown) {
      if (may_pass(aborted.failure) && ++upload_.failed_aborts < kAbortTriesMax) {
        events_.upload_changed(upload_);
        Outcome later = aborted.outcome();
        later.error = "the parts that were uploaded cannot be removed yet: " + later.error;
        return later;
      }
      why = aborted.error;
      break;
    }
    const auto left = client_.list_parts(plan_.object, upload_.id, stop);
    if (stop.stop_requested()) return interrupted();
    // Nothing left, or nothing that we are allowed to see.
    if (left.reply.failure != FailureClass::kNone || left.value.empty()) {
      why.clear();
      break;
    }
    why = "parts are still there after it was aborted";
  }
  if (!why.empty()) events_.left_behind(why);
  forget();
  return std::nullopt;
}

void Upload::clear() {
  upload_ = {};
  parts_.clear();
  listed_ = false;
}

void Upload::forget() {
  clear();
  events_.upload_changed(upload_);
}

std::int64_t Upload::offset(std::size_t index) const {
  return static_cast<std::int64_t>(index) * upload_.part_bytes;
}

std::int64_t Upload::bytes_of(std::size_t index) const {
  return std::min(upload_.part_bytes, upload_.file.bytes - offset(index));
}

std::size_t Upload::part_count() const {
  return static_cast<std::size_t>((upload_.file.bytes + upload_.part_bytes - 1) /
                                  upload_.part_bytes);
}

}  // namespace weir::destination::s3
