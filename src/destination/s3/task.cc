#include "destination/s3/task.h"

#include "base/log.h"
#include "destination/percent.h"
#include "destination/s3/timestamp.h"
#include "exporter/dead_letter.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weir::destination::s3 {
namespace {

using nlohmann::json;

constexpr std::size_t kShownBytes = 120;
constexpr int kNestingMax = 16;  // a task needs two levels; programs in Python read about 1,000

auto refuse(std::string why) { return fail(Errc::kInvalidArgument, std::move(why)); }

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

Result<std::string> checked_path(std::string path) {
  if (!path.starts_with('/')) return refuse("inputUrl must name an absolute path");
  if (path.size() > kPathBytesMax) return refuse("inputUrl names a path of more than 4095 bytes");
  if (path.find('\0') != std::string::npos) return refuse("inputUrl contains a NUL");
  std::string_view rest = path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const auto slash = std::min(rest.find('/'), rest.size());
    if (rest.substr(0, slash) == "..") {
      return refuse("inputUrl contains '..'; name the file by its plain path");
    }
    rest.remove_prefix(slash);
  }
  return path;
}

bool same_text(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

Result<std::string> text_member(const json& document, const char* name) {
  const auto found = document.find(name);
  if (found == document.end() || found->is_null()) {
    return refuse("the task has no " + std::string(name));
  }
  if (!found->is_string()) return refuse("the task's " + std::string(name) + " is not text");
  auto text = found->get<std::string>();
  if (text.empty()) return refuse("the task's " + std::string(name) + " is empty");
  return text;
}

bool is_token_character(char c) {
  return is_digit(c) || is_lower(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

Result<void> check_metadata(const std::string& name, const std::string& value) {
  const std::string shown = "userMetadata '" + log::escaped(name, kShownBytes) + "'";
  if (name.starts_with("$aws-gg-")) {
    return refuse(shown + ": names that begin with $aws-gg- are reserved");
  }
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_character)) {
    return refuse(shown + ": this cannot be the name of a header");
  }
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) {
    return !is_control(c) && static_cast<unsigned char>(c) < 0x80;
  });
  if (!plain) {
    return refuse(shown + ": the value must be ASCII without control characters");
  }
  return {};
}

// As S3 does, which signs a value without the blanks around it.
std::string_view without_blanks(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

Result<void> read_metadata(const json& document, Task& task) {
  const auto found = document.find("userMetadata");
  if (found == document.end() || found->is_null()) return {};
  if (!found->is_object()) return refuse("the task's userMetadata is not an object");
  std::size_t bytes = 0;
  for (const auto& [given, value] : found->items()) {
    if (!value.is_string()) {
      return refuse("userMetadata '" + log::escaped(given, kShownBytes) + "' is not text");
    }
    std::string name = given;
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    std::string text(without_blanks(value.get_ref<const std::string&>()));
    WEIR_RETURN_IF_ERROR(check_metadata(name, text));
    bytes += name.size() + text.size();
    const bool twice = std::any_of(task.metadata.begin(), task.metadata.end(),
                                   [&](const auto& entry) { return entry.first == name; });
    if (twice) {
      return refuse("userMetadata '" + log::escaped(name, kShownBytes) +
                    "' is given twice; names are lower case in S3");
    }
    task.metadata.emplace_back(std::move(name), std::move(text));
  }
  if (bytes > kMetadataBytesMax) return refuse("userMetadata has more than 2048 bytes in all");
  return {};
}

Result<Task> task_of(const json& document) {
  Task task;
  WEIR_TRY(const std::string url, text_member(document, "inputUrl"));
  WEIR_TRY(task.bucket, text_member(document, "bucket"));
  WEIR_TRY(task.key, text_member(document, "key"));
  WEIR_TRY(task.path, path_of_url(url));
  if (!is_bucket_name(task.bucket)) {
    return refuse("'" + log::escaped(task.bucket, kShownBytes) +
                  "' is not the name of a bucket: 3 to 63 lower-case letters, digits, hyphens and "
                  "dots, not an IP address");
  }
  if (task.key.size() > kKeyBytesMax) return refuse("the task's key has more than 1024 bytes");
  if (has_control(task.key)) return refuse("the task's key contains control characters");
  WEIR_RETURN_IF_ERROR(read_metadata(document, task));
  return task;
}

bool is_text(const json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_string() &&
         !found->get_ref<const std::string&>().empty();
}

bool is_metadata(const json& document) {
  const auto found = document.find("userMetadata");
  if (found == document.end() || found->is_null()) return true;
  return found->is_object() && std::all_of(found->begin(), found->end(),
                                           [](const json& value) { return value.is_string(); });
}

// The SDKs refuse a whole status message if a member of the document in it has another type.
bool is_readable(const json& document) {
  return is_text(document, "inputUrl") && is_text(document, "bucket") && is_text(document, "key") &&
         is_metadata(document);
}

// How deep arrays and objects stand in each other. `text` is JSON.
int nesting_of(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;  // whatever it is, it does not end the text
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if (c == ']' || c == '}') --depth;
  }
  return deepest;
}

// As `status_message` writes them.
bool is_status(const json& document) {
  const auto context = document.find("statusContext");
  return context != document.end() && context->is_object() && document.contains("eventType") &&
         document.contains("status");
}

}  // namespace

TaskDocument read_task(Bytes payload) {
  TaskDocument read;
  if (exporter::is_dead_letter(payload)) {
    read.is_report = true;
    read.task = refuse("this is a dead letter, not a task; weir dlq replay appends what is in it");
    return read;
  }
  if (payload.size() > kTaskBytesMax) {
    read.task = refuse("the task has more than 65536 bytes");
    return read;
  }
  const std::string_view text = as_text(payload);
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object()) {
    read.task =
        refuse(document.is_discarded() ? "the task is not JSON" : "the task is not a JSON object");
    return read;
  }
  if (nesting_of(text) > kNestingMax) {
    read.task = refuse("the task has more than " + std::to_string(kNestingMax) +
                       " levels of objects and arrays in each other");
    return read;
  }
  if (is_readable(document)) {
    // From brace to brace: what may stand before and behind a document does not belong into
    // another.
    const auto first = text.find('{');
    read.echo = text.substr(first, text.rfind('}') - first + 1);
  }
  read.task = task_of(document);
  if (!read.task && is_status(document)) {
    read.is_report = true;
    read.task = refuse("this is the status of a task, not a task");
  }
  return read;
}

Result<std::string> path_of_url(std::string_view url) {
  if (url.starts_with('/')) return checked_path(std::string(url));
  const auto colon = url.find(':');
  if (colon == std::string_view::npos || !same_text(url.substr(0, colon), "file")) {
    return refuse("inputUrl '" + log::escaped(url, kShownBytes) +
                  "' is neither a file: URL nor an absolute path");
  }
  std::string_view rest = url.substr(colon + 1);
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const auto slash = rest.find('/');
    const auto host = rest.substr(0, slash);
    if (!host.empty() && !same_text(host, "localhost")) {
      return refuse("inputUrl names another host, '" + log::escaped(host, kShownBytes) + "'");
    }
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash);
  }
  return checked_path(percent_decoded(rest));
}

bool is_bucket_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  const auto is_alphanumeric = [](char c) { return is_lower(c) || is_digit(c); };
  if (!is_alphanumeric(name.front()) || !is_alphanumeric(name.back())) return false;
  if (!std::all_of(name.begin(), name.end(),
                   [&](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; })) {
    return false;
  }
  for (const std::string_view pair : {"..", ".-", "-."}) {
    if (name.find(pair) != std::string_view::npos) return false;
  }
  const bool numeric =
      std::all_of(name.begin(), name.end(), [](char c) { return is_digit(c) || c == '.'; });
  return !numeric || std::count(name.begin(), name.end(), '.') != 3;
}

Result<ResolvedKey> resolve_key(std::string_view key, std::int64_t wall_ms) {
  constexpr std::string_view kOpening = "!{";
  constexpr std::string_view kWord = "timestamp:";
  ResolvedKey resolved;
  for (;;) {
    const auto begin = key.find(kOpening);
    resolved.key += key.substr(0, begin);
    if (begin == std::string_view::npos) break;
    key.remove_prefix(begin + kOpening.size());
    const auto end = key.find('}');
    if (end == std::string_view::npos) return refuse("the key has a '!{' without a '}'");
    std::string_view inside = key.substr(0, end);
    key.remove_prefix(end + 1);
    if (!inside.starts_with(kWord)) {
      return refuse("the key has a placeholder '!{" + log::escaped(inside, kShownBytes) +
                    "}'; only !{timestamp:pattern} exists");
    }
    inside.remove_prefix(kWord.size());
    WEIR_TRY(const std::string text, format_timestamp(inside, wall_ms * 1'000'000));
    resolved.key += text;
    resolved.had_placeholder = true;
    resolved.used_week_year = resolved.used_week_year || uses_week_year(inside);
  }
  if (resolved.key.empty()) return refuse("the key is empty once its placeholders are filled in");
  if (resolved.key.size() > kKeyBytesMax) {
    return refuse("the key has more than 1024 bytes once its placeholders are filled in");
  }
  return resolved;
}

}  // namespace weir::destination::s3
