#include "destination/credentials/shared_files.h"

#include "base/log.h"
#include "destination/credentials/answer.h"

#include <utility>

namespace weir::destination::credentials {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Blanks between words become one, quotes around the last word go away: [profile "my edge"].
std::string section_name(std::string_view text) {
  text = trimmed(text);
  const auto blank = text.find_first_of(kBlanks);
  if (blank == std::string_view::npos) return std::string(text);
  std::string_view name = trimmed(text.substr(blank));
  if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') &&
      name.back() == name.front()) {
    name = name.substr(1, name.size() - 2);
  }
  return std::string(text.substr(0, blank)) + " " + std::string(name);
}

// A comment begins a line, or stands behind a blank.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    const bool blank = text[i - 1] == ' ' || text[i - 1] == '\t';
    if (blank && (text[i] == '#' || text[i] == ';')) return text.substr(0, i);
  }
  return text;
}

class Parser {
 public:
  explicit Parser(const std::string& name) : name_(name) {}

  Result<SharedFile> parse(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    while (!text.empty()) {
      const auto end = text.find('\n');
      const auto line = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
      ++line_;
      if (const char* why = take(line)) {
        return fail(Errc::kInvalidArgument, where() + ": " + why);
      }
    }
    return std::move(file_);
  }

 private:
  [[nodiscard]] std::string where() const {
    return log::escaped(name_) + ":" + std::to_string(line_);
  }

  // Why the line cannot be read, null if it can.
  const char* take(std::string_view line) {
    const bool indented = !line.empty() && (line.front() == ' ' || line.front() == '\t');
    const std::string_view content = trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') return nullptr;
    if (content.find('\0') != std::string_view::npos) return "contains a zero byte";
    if (!indented && content.front() == '[') return take_section(content);
    const auto equals = content.find('=');
    if (indented && value_ != nullptr && value_->text.empty()) return take_nested(content, equals);
    if (indented && value_ != nullptr) return nullptr;  // more of a value that we do not use
    if (equals == std::string_view::npos) return "is neither [section] nor key = value";
    if (section_ == nullptr) return "stands before the first [section]";
    const std::string_view key = trimmed(content.substr(0, equals));
    if (key.empty()) return "has no key before '='";
    value_ = &(*section_)[std::string(key)];
    *value_ = {std::string(trimmed(without_comment(content.substr(equals + 1)))), where(), {}};
    return nullptr;
  }

  const char* take_section(std::string_view content) {
    const auto close = content.find(']');
    if (close == std::string_view::npos) return "has '[' without ']'";
    const std::string name = section_name(content.substr(1, close - 1));
    if (name.empty()) return "is a section without a name";
    section_ = &file_.sections[name];
    value_ = nullptr;
    return nullptr;
  }

  const char* take_nested(std::string_view content, std::size_t equals) {
    if (equals == std::string_view::npos) return "is not key = value";
    value_->nested[std::string(trimmed(content.substr(0, equals)))] =
        trimmed(without_comment(content.substr(equals + 1)));
    return nullptr;
  }

  const std::string& name_;
  int line_ = 0;
  SharedFile file_;
  FileSection* section_ = nullptr;
  FileValue* value_ = nullptr;
};

std::string value_of(const std::map<std::string, std::string>& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

std::string path_of(const std::map<std::string, std::string>& environment, const char* variable,
                    const char* in_home) {
  std::string path = value_of(environment, variable);
  const std::string home = value_of(environment, "HOME");
  if (path.empty()) return home.empty() ? std::string() : home + in_home;
  if (path.starts_with("~/") && !home.empty()) path = home + path.substr(1);
  return path;
}

Result<SharedFile> read_shared(const std::string& path) {
  if (path.empty()) return SharedFile{};
  auto content = read_small_file(path, kFileBytesMax);
  if (!content && content.error().code == Errc::kNotFound) return SharedFile{};
  if (!content) return fail(content.error());
  auto file = parse_shared_file(*content, path);
  wipe(*content);
  return file;
}

}  // namespace

Result<SharedFile> parse_shared_file(std::string_view text, const std::string& name) {
  return Parser(name).parse(text);
}

Result<Profiles> Profiles::load(const std::map<std::string, std::string>& environment) {
  const std::string config = path_of(environment, "AWS_CONFIG_FILE", "/.aws/config");
  const std::string keys = path_of(environment, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials");
  Profiles all;
  WEIR_TRY(SharedFile from_config, read_shared(config));
  for (auto& [name, section] : from_config.sections) {
    if (name.starts_with("services ")) {
      all.services_[name.substr(9)] = std::move(section);
    } else if (name.starts_with("profile ")) {
      all.profiles_[name.substr(8)] = std::move(section);
    } else if (name == "default") {
      all.profiles_.try_emplace(name, std::move(section));
    }
  }
  WEIR_TRY(SharedFile from_keys, read_shared(keys));
  for (auto& [name, section] : from_keys.sections) {
    for (auto& [key, value] : section) all.profiles_[name][key] = std::move(value);
    all.profiles_.try_emplace(name);
  }
  if (!keys.empty()) all.files_ = log::escaped(keys);
  if (!config.empty()) all.files_ += (all.files_.empty() ? "" : " or ") + log::escaped(config);
  return all;
}

const FileSection* Profiles::find(const std::string& profile) const {
  const auto found = profiles_.find(profile);
  return found == profiles_.end() ? nullptr : &found->second;
}

std::vector<std::string> Profiles::token_files() const {
  std::vector<std::string> files;
  for (const auto& [name, section] : profiles_) {
    const auto file = section.find("web_identity_token_file");
    if (file != section.end() && !file->second.text.empty()) files.push_back(file->second.text);
  }
  return files;
}

const FileSection* Profiles::services(const std::string& name) const {
  const auto found = services_.find(name);
  return found == services_.end() ? nullptr : &found->second;
}

}  // namespace weir::destination::credentials
