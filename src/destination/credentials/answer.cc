#include "destination/credentials/answer.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::destination::credentials {
namespace {

using nlohmann::json;

struct Names {
  const char* id;
  const char* secret;
  const char* token;
  const char* expiration;
};

Names names_of(Form form) {
  switch (form) {
    case Form::kContainer:
      return {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"};
    case Form::kProcess:
      return {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"};
    case Form::kIot:
      return {"accessKeyId", "secretAccessKey", "sessionToken", "expiration"};
  }
  return {};
}

std::string text_of(const json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// What stands behind the seconds: a fraction, then Z or +hh:mm.
std::optional<std::int64_t> zone_and_fraction_ms(std::string_view rest) {
  std::int64_t fraction_ms = 0;
  if (rest.starts_with('.') || rest.starts_with(',')) {
    std::size_t at = 1;
    for (std::int64_t unit = 100; at < rest.size() && rest[at] >= '0' && rest[at] <= '9'; ++at) {
      fraction_ms += unit * (rest[at] - '0');
      unit /= 10;
    }
    if (at == 1) return std::nullopt;
    rest.remove_prefix(at);
  }
  if (rest == "Z" || rest == "z" || rest == "UTC") return fraction_ms;
  if (rest.size() != 6 && rest.size() != 5) return std::nullopt;
  const auto hours = digits(rest, 1, 2);
  const auto minutes = digits(rest, rest.size() - 2, 2);
  const bool sign = rest[0] == '+' || rest[0] == '-';
  if (!sign || !hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  if (rest.size() == 6 && rest[3] != ':') return std::nullopt;
  const std::int64_t ahead_ms = (std::int64_t{*hours} * 60 + *minutes) * 60'000;
  return rest[0] == '+' ? fraction_ms - ahead_ms : fraction_ms + ahead_ms;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::optional<std::int64_t> parse_iso_time(std::string_view text) {
  // 2026-01-02T03:04:05Z
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  const auto second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto rest_ms = zone_and_fraction_ms(text.substr(19));
  if (!rest_ms) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t seconds =
      days * 86'400 + std::int64_t{*hour} * 3600 + std::int64_t{*minute} * 60 + *second;
  return seconds * 1000 + *rest_ms;
}

std::string iso_time(std::int64_t wall_ms) {
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(wall_ms)};
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(floor<std::chrono::seconds>(time - day));
  std::array<char, 40> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(std::max(length, 0))};
}

Result<Credentials> read_credentials(std::string_view json_text, Form form) {
  if (json_text.size() > kAnswerBytesMax) {
    return fail(Errc::kInvalidArgument, "the answer is larger than 64 KiB");
  }
  json document = json::parse(json_text, nullptr, false);
  if (document.is_object() && form == Form::kIot) {
    const auto inner = document.find("credentials");
    document = inner != document.end() ? json(*inner) : json();
  }
  if (!document.is_object()) {
    return fail(Errc::kInvalidArgument, form == Form::kIot
                                            ? "the answer is not a JSON object with 'credentials'"
                                            : "the answer is not a JSON object");
  }
  const Names names = names_of(form);
  Credentials credentials;
  credentials.access_key_id = text_of(document, names.id);
  credentials.secret_access_key = text_of(document, names.secret);
  credentials.session_token = text_of(document, names.token);
  const std::string expiration = text_of(document, names.expiration);
  for (const char* name : {names.id, names.secret}) {
    if (text_of(document, name).empty()) {
      return fail(Errc::kInvalidArgument, std::string("the answer has no text '") + name + "'");
    }
  }
  if (!expiration.empty()) {
    const auto expires_ms = parse_iso_time(expiration);
    if (!expires_ms) {
      return fail(Errc::kInvalidArgument, std::string("'") + names.expiration +
                                              "' of the answer is not a time such as "
                                              "2026-01-02T03:04:05Z");
    }
    credentials.expires_ms = *expires_ms;
  } else if (form != Form::kProcess) {
    return fail(Errc::kInvalidArgument,
                std::string("the answer has no text '") + names.expiration + "'");
  }
  if (const auto why = why_unusable(credentials); !why.empty()) {
    return fail(Errc::kInvalidArgument, "the answer's " + why);
  }
  return credentials;
}

std::string xml_text(std::string_view xml, std::string_view name) {
  const std::string open = "<" + std::string(name) + ">";
  const auto begin = xml.find(open);
  if (begin == std::string_view::npos) return {};
  xml.remove_prefix(begin + open.size());
  const auto end = xml.find("</");
  if (end == std::string_view::npos) return {};
  std::string_view raw = xml.substr(0, end);
  std::string out;
  constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {{
      {"&lt;", '<'},
      {"&gt;", '>'},
      {"&amp;", '&'},
      {"&quot;", '"'},
      {"&apos;", '\''},
  }};
  while (!raw.empty()) {
    const auto* entity = std::find_if(kEntities.begin(), kEntities.end(),
                                      [&](const auto& e) { return raw.starts_with(e.first); });
    const bool found = entity != kEntities.end();
    out += found ? entity->second : raw.front();
    raw.remove_prefix(found ? entity->first.size() : 1);
  }
  return out;
}

std::string plain_reason(std::string_view body) {
  while (!body.empty() && static_cast<unsigned char>(body.back()) <= ' ') body.remove_suffix(1);
  if (body.empty() || body.find_first_of("{<\"=") != std::string_view::npos) return {};
  return ": " + log::escaped(body, 160);
}

std::string why_unusable(const Credentials& credentials) {
  if (!printable(credentials.access_key_id)) return "access key id has characters that no key has";
  if (!printable(credentials.secret_access_key)) {
    return "secret access key has characters that no key has";
  }
  if (!printable(credentials.session_token))
    return "session token has characters that no token has";
  return {};
}

void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
  const std::string shown = log::escaped(path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    Error error = os_error("open " + shown, errno);
    if (error.os_errno == ENOENT || error.os_errno == ENOTDIR) error.code = Errc::kNotFound;
    return fail(std::move(error));
  }
  struct stat info {};
  std::string content;
  Error error;
  if (::fstat(descriptor, &info) != 0) {
    error = os_error("look at " + shown, errno);
  } else if (!S_ISREG(info.st_mode)) {
    error = {Errc::kInvalidArgument, shown + " is not a regular file", 0};
  } else {
    content.resize(bytes_max + 1);
    std::size_t filled = 0;
    while (filled < content.size() && error.what.empty()) {
      const ssize_t n = ::read(descriptor, content.data() + filled, content.size() - filled);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) error = os_error("read " + shown, errno);
      if (n <= 0) break;
      filled += static_cast<std::size_t>(n);
    }
    if (filled > bytes_max) {
      error = {Errc::kInvalidArgument,
               shown + " is larger than " + std::to_string(bytes_max) + " bytes", 0};
    }
    content.resize(filled);
  }
  ::close(descriptor);
  if (error.what.empty()) return content;
  wipe(content);
  return fail(std::move(error));
}

}  // namespace weir::destination::credentials
