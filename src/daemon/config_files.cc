#include "daemon/config_files.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::daemon {
namespace {

constexpr std::size_t kNotesMax = 20;
constexpr std::string_view kEndMark = "...";

// What editors and package managers leave beside a file. Those that end in .yaml are asked about
// too, because of "50-site.dpkg-new.yaml" and the like.
bool is_leftover(std::string_view name) {
  for (const std::string_view part :
       {".dpkg-new", ".dpkg-old", ".dpkg-dist", ".dpkg-tmp", ".ucf-dist", ".ucf-new", ".ucf-old",
        ".rpmnew", ".rpmsave", ".rpmorig", ".bak", ".swp", ".orig", ".tmp"}) {
    if (name.find(part) != std::string_view::npos) return true;
  }
  return name.starts_with('.') || name.starts_with('#') || name.ends_with('~');
}

bool mentions_yaml(std::string_view name) {
  return name.find(".yaml") != std::string_view::npos || name.ends_with(".yml");
}

// Why an entry of the directory is not read; empty: it is.
std::string why_not(const std::string& path, std::string_view name) {
  if (is_leftover(name)) return "a copy that an editor or a package left behind";
  if (name.ends_with(".yml")) return "its name does not end in .yaml";
  if (!name.ends_with(".yaml")) return "its name does not end in .yaml";
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return errno == ENOENT || errno == ELOOP ? "a link that leads nowhere"
                                             : os_error("cannot look at it", errno).what;
  }
  return S_ISREG(info.st_mode) ? "" : "not a regular file";
}

void look_at(const std::string& directory, std::string_view name, FoundFiles& found) {
  const std::string path = fmt::format("{}/{}", directory, name);
  const std::string why = why_not(path, name);
  if (why.empty()) {
    found.files.push_back(path);
  } else if (mentions_yaml(name) && found.notes.size() < kNotesMax) {
    found.notes.push_back(fmt::format("{} is not read: {}.", log::escaped(path), why));
  }
}

void find_drop_ins(const std::string& directory, bool must_exist, FoundFiles& found) {
  DIR* opened = ::opendir(directory.c_str());
  if (opened == nullptr) {
    // Whoever may not look does not know what is missing.
    if (must_exist || (errno != ENOENT && errno != ENOTDIR)) {
      found.problems.push_back({{directory, 0, 0}, os_error("cannot open", errno).what});
    }
    return;
  }
  // One thread reads one DIR, which is all that readdir asks for.
  while (const dirent* entry = ::readdir(opened)) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") look_at(directory, name, found);
    if (found.files.size() > kDropInsMax) break;
  }
  ::closedir(opened);
  if (found.files.size() > kDropInsMax) {
    found.problems.push_back({{directory, 0, 0},
                              fmt::format("has more than {} files of configuration; join some of "
                                          "them",
                                          kDropInsMax)});
  }
  std::sort(found.files.begin(), found.files.end());
  std::sort(found.notes.begin(), found.notes.end());
}

}  // namespace

FoundFiles find_config_files(const std::string& file, const std::string& directory) {
  FoundFiles found;
  const auto slash = file.rfind('/');
  const std::string beside =
      (slash == std::string::npos ? std::string() : file.substr(0, slash + 1)) + "conf.d";
  find_drop_ins(directory.empty() ? beside : directory, !directory.empty(), found);
  if (!file.empty()) found.files.insert(found.files.begin(), file);
  return found;
}

FoundFiles find_config_files(const ConfigSources& sources) {
  if (!sources.files.empty()) return {sources.files, {}, {}};
  if (sources.file.empty() && sources.directory.empty()) return {};
  FoundFiles found = find_config_files(sources.file, sources.directory);
  const bool missing =
      sources.file_optional && ::access(sources.file.c_str(), F_OK) != 0 && errno == ENOENT;
  if (missing) std::erase(found.files, sources.file);
  return found;
}

ConfigSources named_sources(const std::string& file, const std::string& directory) {
  ConfigSources sources;
  sources.file = file.empty() ? kDefaultConfigFile : file;
  sources.directory = directory;
  sources.file_optional = file.empty();
  struct stat info {};
  if (!file.empty() && ::stat(file.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    sources.file = file + "/weir.yaml";
    if (::access(sources.file.c_str(), F_OK) != 0) {
      sources.file.clear();
      sources.directory = file;
    }
  }
  return sources;
}

std::vector<std::string> with_drop_ins(const std::string& file) {
  return find_config_files(file, {}).files;
}

Result<std::string> read_config_file(const std::string& path, std::size_t bytes_max) {
  // A pipe or a device somebody put there must not make weir wait.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return fail(os_error("cannot open", errno));
  struct stat info {};
  std::string content;
  Result<std::string> result;
  if (::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
    result = fail(Errc::kInvalidArgument, "is a directory; name a file in it");
  } else {
    content.resize(bytes_max + 1);
    std::size_t filled = 0;
    while (filled < content.size()) {
      const ssize_t n = ::read(descriptor, content.data() + filled, content.size() - filled);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const int reason = errno;
        ::close(descriptor);
        return fail(os_error("cannot read", reason));
      }
      if (n == 0) break;
      filled += static_cast<std::size_t>(n);
    }
    content.resize(filled);
    content.shrink_to_fit();
    result = std::move(content);
  }
  ::close(descriptor);
  return result;
}

FileShape shape_of(const std::string& name, std::string_view content) {
  FileShape shape;
  shape.name = name;
  shape.ends_line = content.ends_with('\n');
  const auto last = content.find_last_not_of(" \t\r\n");
  shape.empty = last == std::string_view::npos;
  if (shape.empty) return shape;
  content = content.substr(0, last + 1);
  const auto line = content.find_last_of('\n');
  shape.marked = content.substr(line == std::string_view::npos ? 0 : line + 1) == kEndMark;
  shape.is_json = content.front() == '{' || content.front() == '[';
  return shape;
}

std::string torn_file(const FileShape& now, const FileShape* before) {
  if (before != nullptr && before->marked && !now.marked) {
    return "the file ended with a line '...' and does not any more, so it is only half written; "
           "write it again, or stop weir and start it to be rid of the line";
  }
  if (now.empty && before != nullptr && !before->empty) {
    return "the file is empty and was not before, so it is probably being written; write at least "
           "a comment into a file that shall set nothing";
  }
  // JSON that is cut off has a bracket too few, which its reader sees.
  if (!now.empty && !now.ends_line && !now.marked && !now.is_json &&
      (before == nullptr || before->empty || before->ends_line)) {
    return "the last line has no end, so the file may be half written; end it with a new line";
  }
  return {};
}

std::string sha256_of(std::string_view content) {
  std::array<unsigned char, 32> digest{};
  const int done =
      EVP_Digest(content.data(), content.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  WEIR_CHECK(done == 1, "SHA-256 works");
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string signature_of(const std::vector<std::string>& files) {
  std::string signature;
  for (const auto& file : files) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) {
      signature += fmt::format("{} gone\n", file);
      continue;
    }
    signature += fmt::format("{} {} {} {} {}.{}\n", file, info.st_dev, info.st_ino, info.st_size,
                             info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  return signature;
}

}  // namespace weir::daemon
