#include "daemon/redactor.h"

#include "base/ascii.h"
#include "daemon/config_files.h"
#include "daemon/environment.h"
#include "daemon/schema.h"
#include "daemon/settings.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::daemon {
namespace {

constexpr std::string_view kHidden = "(hidden)";
constexpr std::size_t kSecretFileBytesMax = std::size_t{1} << 20;

// Words that announce a secret; what follows a ':', '=' or blank behind one is hidden.
constexpr std::array<std::string_view, 9> kAnnouncing = {
    "bearer",        "authorization", "password",        "secret_access_key",
    "session_token", "access_key_id", "secretaccesskey", "x-amz-security-token",
    "private_key"};

void replace_all(std::string& text, const std::string& what) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + kHidden.size())) {
    text.replace(at, what.size(), kHidden);
  }
}

bool is_value(char c) {
  return static_cast<unsigned char>(c) > ' ' && c != '"' && c != '\'' && c != ',' && c != '}' &&
         c != ')' && c != '\\' && c != ';';
}

struct Behind {
  std::size_t value = std::string::npos;  // where it begins; npos: there is none
  bool marked = false;                    // by ':' or '='
};

bool is_quote_or_blank(char c) { return c == '"' || c == '\'' || c == ' '; }

// What stands behind an announcing word that ends at `at`.
Behind behind(const std::string& text, std::size_t at) {
  std::size_t begin = at;
  while (begin < text.size() && is_quote_or_blank(text[begin])) ++begin;
  const bool marked = begin < text.size() && (text[begin] == '=' || text[begin] == ':');
  if (!marked && begin == at) return {};
  if (marked) ++begin;
  while (begin < text.size() && is_quote_or_blank(text[begin])) ++begin;
  return {begin, marked};
}

// Words such as "password_file" announce a name, and prose ("the password is wrong") nothing.
void hide_announced(std::string& text) {
  std::string lower = ascii_lower(text);
  for (const std::string_view word : kAnnouncing) {
    for (std::size_t at = lower.find(word); at != std::string::npos;
         at = lower.find(word, at + word.size())) {
      const auto [begin, marked] = behind(text, at + word.size());
      if (begin == std::string::npos || (!marked && word != "bearer")) continue;
      std::size_t end = begin;
      while (end < text.size() && is_value(text[end])) ++end;
      const std::string_view value = std::string_view(text).substr(begin, end - begin);
      if (value.size() < Redactor::kSecretBytesMin || value == kHidden) continue;
      if (ascii_lower(std::string(value)) == "bearer") continue;  // its own turn
      text.replace(begin, end - begin, kHidden);
      lower.replace(begin, end - begin, kHidden);
    }
  }
}

std::string in_json(const std::string& text) {
  const std::string quoted =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

void Redactor::add(const std::string& secret) {
  if (secret.size() < kSecretBytesMin || secret == kHidden) return;
  for (std::string each : {secret, in_json(secret)}) {
    const bool known = std::find(secrets_.begin(), secrets_.end(), each) != secrets_.end();
    if (!known) secrets_.push_back(std::move(each));
  }
  std::sort(secrets_.begin(), secrets_.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

void Redactor::add_lines_of(const std::string& file) {
  if (file.empty()) return;
  const auto content = read_config_file(file, kSecretFileBytesMax);
  if (!content || content->size() > kSecretFileBytesMax) return;
  std::string_view rest = *content;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
    add(std::string(line));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

void Redactor::add_secrets_of(const Config& config) {
  for (const auto& [path, setting] : config.settings) {
    const Key* key = key_of_setting(path);
    if (is_secret_name(path) || (key != nullptr && key->secret)) add(setting.text);
    if (key == nullptr) continue;
    const bool holds_secret = key->name == "tokens_file" || key->name == "password_file" ||
                              key->name == "bearer_token_file";
    if (holds_secret) add_lines_of(setting.text);
  }
  for (const auto& [name, value] : config.aws.environment) {
    if (is_secret_name(name)) add(value);
    if (name.ends_with("TOKEN_FILE")) add_lines_of(value);
  }
  for (const auto* value :
       {&config.aws.access_key_id, &config.aws.secret_access_key, &config.aws.session_token}) {
    add(*value);
  }
}

std::string Redactor::redact(std::string_view text) const {
  std::string out = without_url_secrets(text);
  for (const auto& secret : secrets_) replace_all(out, secret);
  hide_announced(out);
  return out;
}

}  // namespace weir::daemon
