#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::destination::s3 {

inline constexpr std::size_t kTaskBytesMax = 65'536;
inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::size_t kMetadataBytesMax = 2048;
inline constexpr std::size_t kPathBytesMax = 4095;

/// What one message of an S3 export asks for (protocol.md §7.1).
struct Task {
  std::string path;  ///< absolute, decoded, without ".." and NUL
  std::string bucket;
  std::string key;  ///< with its placeholders
  /// Names in lower case, without the prefix "x-amz-meta-"; values without blanks around them.
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// A message of an S3 export as it was read.
struct TaskDocument {
  Result<Task> task = fail(Errc::kInvalidArgument, "not read yet");  ///< or why it cannot be done
  /// The document as it was appended, if applications can read it back: a JSON object whose
  /// inputUrl, bucket and key are text, with userMetadata, if there is any, an object of texts.
  /// Otherwise empty.
  std::string echo;
  /// It is no task but what weir says of another message, a status or a dead letter: a status of
  /// that could come back without an end.
  bool is_report = false;
};

/// Reads and checks a task document. Errors: kInvalidArgument, in words for the status. Pure.
TaskDocument read_task(Bytes payload);

/// The path that `inputUrl` names: `file:/a`, `file:///a`, `file://localhost/a`, or a bare absolute
/// path, percent-encoding decoded once in URLs. Pure. Errors: kInvalidArgument.
Result<std::string> path_of_url(std::string_view url);

/// True if `name` may be the name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.', no
/// IP address. Such a name can be part of a host name and of a path. Pure.
bool is_bucket_name(std::string_view name);

struct ResolvedKey {
  std::string key;
  bool had_placeholder = false;
  bool used_week_year = false;
};

/// `key` with every `!{timestamp:pattern}` replaced by the time `wall_ms`. Pure.
/// Errors: kInvalidArgument (a bad pattern, another word, a result that is no key).
Result<ResolvedKey> resolve_key(std::string_view key, std::int64_t wall_ms);

}  // namespace weir::destination::s3
