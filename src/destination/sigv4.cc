#include "destination/sigv4.h"

#include "base/ascii.h"
#include "base/check.h"
#include "destination/percent.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <set>
#include <utility>

namespace weir::destination {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(size * 2, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    text[2 * i] = kDigits[bytes[i] >> 4U];
    text[2 * i + 1] = kDigits[bytes[i] & 15U];
  }
  return text;
}

std::string hmac(std::string_view key, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const auto* result =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data(), &size);
  WEIR_CHECK(result != nullptr, "OpenSSL has no HMAC-SHA256");
  return {reinterpret_cast<const char*>(digest.data()), size};
}

// What intermediaries add, drop or rewrite must not be covered (botocore's block list).
bool is_signed_header(const std::string& name) {
  static const std::set<std::string, std::less<>> kLeftOut = {
      "authorization", "connection",        "expect",  "keep-alive", "te",
      "trailer",       "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id"};
  return !kLeftOut.contains(name) && !name.starts_with("proxy-");
}

// Leading and trailing blanks away, runs of blanks inside become one.
std::string squeezed(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += c;
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// Without "." and empty segments, ".." takes the one before it away; a final slash stays.
std::string normalised(std::string_view path) {
  std::vector<std::string_view> kept;
  std::string_view rest = path;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const auto segment = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  std::string out;
  for (const auto segment : kept) (out += '/') += segment;
  if (out.empty() || (path.size() > 1 && path.back() == '/')) out += '/';
  return out;
}

// S3 keys are signed as the server decodes and encodes them, once and as they are; every other
// service signs the normalised path encoded a second time.
std::string canonical_path(std::string_view path, bool s3) {
  if (path.empty()) return "/";
  return s3 ? percent_encoded(percent_decoded(path), true)
            : percent_encoded(normalised(path), true);
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const auto ampersand = query.find('&');
    const auto item = query.substr(0, ampersand);
    query = ampersand == std::string_view::npos ? std::string_view{} : query.substr(ampersand + 1);
    if (item.empty()) continue;
    const auto equals = item.find('=');
    const auto value =
        equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1);
    pairs.emplace_back(percent_encoded(percent_decoded(item.substr(0, equals)), false),
                       percent_encoded(percent_decoded(value), false));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    ((out += name) += '=') += value;
  }
  return out;
}

std::string amz_date(std::int64_t wall_ms) {
  const std::chrono::sys_seconds when{
      std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(wall_ms))};
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(when - day);
  std::array<char, 40> text{};
  const int size = std::snprintf(
      text.data(), text.size(), "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
      static_cast<int>(time.seconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace

std::string sha256_hex(Bytes content) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const int done =
      EVP_Digest(content.data(), content.size(), digest.data(), &size, EVP_sha256(), nullptr);
  WEIR_CHECK(done == 1, "OpenSSL has no SHA-256");
  return hex(digest.data(), size);
}

SigV4Signer::SigV4Signer(std::string region, std::string service)
    : region_(std::move(region)), service_(std::move(service)) {}

SigV4Signer::~SigV4Signer() { forget_key(); }

void SigV4Signer::forget_key() {
  OPENSSL_cleanse(key_.data(), key_.size());
  OPENSSL_cleanse(key_secret_.data(), key_secret_.size());
}

const std::string& SigV4Signer::key_of_the_day(const Credentials& credentials,
                                               std::string_view day) {
  if (key_day_ == day && key_id_ == credentials.access_key_id &&
      key_secret_ == credentials.secret_access_key) {
    return key_;
  }
  forget_key();
  std::string seed = "AWS4" + credentials.secret_access_key;
  key_ = hmac(hmac(hmac(hmac(seed, day), region_), service_), "aws4_request");
  OPENSSL_cleanse(seed.data(), seed.size());
  key_day_ = day;
  key_id_ = credentials.access_key_id;
  key_secret_ = credentials.secret_access_key;
  return key_;
}

std::vector<HttpHeader> SigV4Signer::sign(const SigningInput& input, const Credentials& credentials,
                                          std::int64_t wall_ms) {
  const bool s3 = service_ == "s3";
  const std::string date = amz_date(wall_ms);
  const std::string day = date.substr(0, 8);
  std::vector<HttpHeader> added = {{"X-Amz-Date", date}};
  if (!credentials.session_token.empty()) {
    added.push_back({"X-Amz-Security-Token", credentials.session_token});
  }
  if (s3) added.push_back({"x-amz-content-sha256", std::string(input.payload_hash)});

  std::map<std::string, std::string> covered;
  const auto cover = [&covered](const HttpHeader& header) {
    const std::string name = ascii_lower(header.name);
    if (!is_signed_header(name)) return;
    const auto [at, fresh] = covered.try_emplace(name, squeezed(header.value));
    if (!fresh) (at->second += ',') += squeezed(header.value);
  };
  for (const HttpHeader& header : *input.headers) cover(header);
  for (const HttpHeader& header : added) cover(header);

  std::string names;
  std::string lines;
  for (const auto& [name, value] : covered) {
    if (!names.empty()) names += ';';
    names += name;
    (((lines += name) += ':') += value) += '\n';
  }
  canonical_request_ = std::string(input.method) + '\n' + canonical_path(input.path, s3) + '\n' +
                       canonical_query(input.query) + '\n' + lines + '\n' + names + '\n' +
                       std::string(input.payload_hash);
  const std::string scope = day + '/' + region_ + '/' + service_ + "/aws4_request";
  string_to_sign_ = std::string(kAlgorithm) + '\n' + date + '\n' + scope + '\n' +
                    sha256_hex(as_bytes(canonical_request_));
  const std::string signature = hmac(key_of_the_day(credentials, day), string_to_sign_);
  added.push_back(
      {"Authorization",
       std::string(kAlgorithm) + " Credential=" + credentials.access_key_id + '/' + scope +
           ", SignedHeaders=" + names + ", Signature=" +
           hex(reinterpret_cast<const unsigned char*>(signature.data()), signature.size())});
  return added;
}

}  // namespace weir::destination
