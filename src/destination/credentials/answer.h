#pragma once

#include "base/result.h"
#include "destination/credentials.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Reading what sources of credentials answer.
namespace weir::destination::credentials {

inline constexpr std::size_t kAnswerBytesMax = 65'536;  // a token has a few kilobytes

/// The spellings of the same four members.
enum class Form : std::uint8_t {
  kContainer,  ///< AccessKeyId, SecretAccessKey, Token, Expiration
  kProcess,    ///< AccessKeyId, SecretAccessKey, SessionToken, Expiration
  kIot,        ///< in `credentials`: accessKeyId, secretAccessKey, sessionToken, expiration
};

/// Reads a JSON answer. Errors: kInvalidArgument, saying which member is missing or wrong, without
/// repeating any. Pure.
Result<Credentials> read_credentials(std::string_view json, Form form);

/// Milliseconds since 1970 of an ISO 8601 time with a zone ("2026-01-02T03:04:05.678Z",
/// "+01:00"); none if `text` is not one. Pure.
std::optional<std::int64_t> parse_iso_time(std::string_view text);

/// "2026-01-02T03:04:05Z". Pure.
std::string iso_time(std::int64_t wall_ms);

/// The text between `<name>` and `</name>`, entities decoded; "" if there is none. Enough for the
/// flat answers of the token service. Pure.
std::string xml_text(std::string_view xml, std::string_view name);

/// A short refusal in plain text, ready to be shown: ": not authorized". "" when the text is empty
/// or looks like a document, which might hold anything. Pure.
std::string plain_reason(std::string_view body);

/// Why `key` or `token` cannot be used in a request: "", or "contains a control character" ...
std::string why_unusable(const Credentials& credentials);

/// Overwrites what held a secret.
void wipe(std::string& text);

/// The whole of a file of at most `bytes_max`. Errors: kNotFound (there is none), kIo,
/// kInvalidArgument (no regular file, too large); the texts name the file. Blocks: on disk.
Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max);

}  // namespace weir::destination::credentials
