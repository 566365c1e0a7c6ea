#pragma once

#include "destination/s3/client.h"
#include "destination/s3/input_file.h"
#include "destination/s3/note.h"
#include "exporter/destination.h"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace weir::destination::s3 {

inline constexpr std::int64_t kPartBytesMin = 5'242'880;
inline constexpr std::int64_t kPartBytesMax = 5LL << 30;
inline constexpr std::int64_t kPartsMax = 10'000;

/// Hears what happens to an upload. Called on the worker's thread.
class UploadEvents {
 public:
  virtual ~UploadEvents() = default;
  /// A multipart upload was begun, or (with an empty id) there is none any more. To be remembered
  /// for after a crash.
  virtual void upload_changed(const BegunUpload& upload) = 0;
  virtual void part_stored(std::int64_t number, std::int64_t count) = 0;
  /// Parts may be left at the destination that nobody will ever complete.
  virtual void left_behind(const std::string& why) = 0;
};

/// How one try to upload ended.
struct UploadResult {
  enum class Kind : std::uint8_t { kDone, kRetry, kFailed };
  Kind kind = Kind::kRetry;
  exporter::Outcome outcome;  ///< kRetry
  std::string reason;         ///< kFailed: why it can never be done
};

/// The size of all parts but the last: constant for an upload, so that resuming is arithmetic
/// (destinations.md §8.3). Pure.
std::int64_t part_bytes_for(std::int64_t bytes, std::int64_t configured);

/// Brings one file into one object, with a single request or in parts. Tries once for each `run`
/// and goes on where the last one ended, also with an upload that an earlier process began.
///
/// The object is what the file was at one moment, up to the size it had when the upload was begun:
/// what is appended later is left out. If the file was written to while parts were sent, all of
/// it is read again before the upload is completed and parts that differ are sent again. Where none
/// differs, everything that was sent stood in the file at once when the second reading began.
///
/// Memory: a few hundred bytes for each part, nothing for the file. Threads: one at a time.
class Upload {
 public:
  struct Plan {
    Object object;
    Metadata metadata;
    std::int64_t threshold_bytes = kPartBytesMin;  ///< a larger file is uploaded in parts
    std::int64_t part_bytes = kPartBytesMin;       ///< configured minimum
  };
  /// `found`: what an earlier process had begun; its parts are listed and compared with the file.
  Upload(Client& client, UploadEvents& events, Plan plan, BegunUpload found = {});

  /// `file` is the same for all runs of one process.
  UploadResult run(const InputFile& file, const std::stop_token& stop);

  /// Removes the parts that are stored, if any. Where `stop` came first, or S3 may well do it a
  /// little later, an outcome to retry: then it is to be called again, perhaps by the next process.
  std::optional<exporter::Outcome> abandon(const std::stop_token& stop);

  [[nodiscard]] const Plan& plan() const { return plan_; }

 private:
  UploadResult put(const InputFile& file, const std::stop_token& stop);
  UploadResult put_parts(const InputFile& file, const std::stop_token& stop);
  UploadResult begin(const InputFile& file, const std::stop_token& stop);
  UploadResult resume(const InputFile& file, const std::stop_token& stop);
  UploadResult put_part(const InputFile& file, std::size_t index, const std::stop_token& stop);
  /// Sees to it that the parts are of one moment.
  UploadResult settle(const InputFile& file, const std::stop_token& stop);
  UploadResult complete(const InputFile& file, const std::stop_token& stop);
  /// S3 does not know the upload (any more): perhaps because it is complete.
  UploadResult gone(const InputFile& file, const std::stop_token& stop);
  UploadResult judge(AwsReply reply);
  /// There is no upload any more. `forget` says so to whoever remembers it; where the object is
  /// complete that comes together with the end of the task.
  void clear();
  void forget();
  [[nodiscard]] std::int64_t offset(std::size_t index) const;
  [[nodiscard]] std::int64_t bytes_of(std::size_t index) const;
  [[nodiscard]] std::size_t part_count() const;

  Client& client_;
  UploadEvents& events_;
  const Plan plan_;
  BegunUpload upload_;
  std::vector<StoredPart> parts_;  // by number; known once `listed_`
  bool listed_ = false;
  FileIdentity settled_;  // in this state of the file the parts hold what it holds
  int rewritten_ = 0;     // how often parts were found to differ from the file
  int damaged_ = 0;       // how often something was damaged on the way
};

}  // namespace weir::destination::s3
