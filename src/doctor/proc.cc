#include "doctor/proc.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::doctor {
namespace {

constexpr std::size_t kProcBytesMax = std::size_t{1} << 20U;
constexpr const char* kListening = "0A";

template <class T>
std::optional<T> number(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// An address as the kernel prints it: words of the machine's byte order, in hexadecimal.
std::string address_text(std::string_view hex, bool six) {
  std::array<std::uint32_t, 4> words{};
  const std::size_t count = six ? 4 : 1;
  if (hex.size() != count * 8) return {};
  for (std::size_t i = 0; i < count; ++i) {
    words.at(i) = number<std::uint32_t>(hex.substr(i * 8, 8), 16).value_or(0);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(six ? AF_INET6 : AF_INET, words.data(), text.data(), text.size()) == nullptr) {
    return {};
  }
  return text.data();
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  const std::filesystem::directory_iterator end;
  while (!error && entry != end) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  return names;
}

std::string link_target(const std::string& path) {
  std::error_code error;
  const auto target = std::filesystem::read_symlink(path, error);
  return error ? std::string() : target.string();
}

Process process_of(int pid) {
  Process process;
  process.pid = pid;
  process.name = link_target(fmt::format("/proc/{}/exe", pid));
  process.name = process.name.substr(process.name.rfind('/') + 1);
  if (process.name.empty()) {
    process.name = read_proc(fmt::format("/proc/{}/comm", pid));
    process.name = process.name.substr(0, process.name.find('\n'));
  }
  constexpr std::string_view kGone = " (deleted)";  // replaced by an upgrade
  if (process.name.ends_with(kGone)) process.name.resize(process.name.size() - kGone.size());
  process.command = read_proc(fmt::format("/proc/{}/cmdline", pid));
  std::replace(process.command.begin(), process.command.end(), '\0', ' ');
  struct stat info {};
  if (::stat(fmt::format("/proc/{}", pid).c_str(), &info) == 0) process.user = info.st_uid;
  return process;
}

}  // namespace

std::string read_proc(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  std::string text;
  std::array<char, 4096> piece{};
  while (text.size() < kProcBytesMax) {
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  ::close(descriptor);
  return text;
}

std::optional<std::uint64_t> count_descriptors(int pid) {
  const auto names = names_in(fmt::format("/proc/{}/fd", pid));
  if (names.empty()) return std::nullopt;
  return names.size();
}

std::vector<Listener> listeners_in(std::string_view table, bool six) {
  std::vector<Listener> found;
  std::istringstream lines{std::string(table)};
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream row(line);
    std::string slot;
    std::string local;
    std::string remote;
    std::string state;
    std::string queues;
    std::string timer;
    std::string retransmits;
    std::string user;
    std::string timeout;
    std::string inode;
    if (!(row >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >>
          timeout >> inode) ||
        state != kListening) {
      continue;
    }
    const auto colon = local.rfind(':');
    if (colon == std::string::npos) continue;
    Listener listener;
    listener.address = address_text(std::string_view(local).substr(0, colon), six);
    listener.port =
        number<std::uint16_t>(std::string_view(local).substr(colon + 1), 16).value_or(0);
    listener.user = number<std::uint32_t>(user, 10).value_or(0);
    listener.inode = number<std::uint64_t>(inode, 10).value_or(0);
    found.push_back(std::move(listener));
  }
  return found;
}

std::map<std::uint64_t, Process> owners_of(const std::vector<Listener>& listeners) {
  std::map<std::uint64_t, Process> owners;
  if (listeners.empty()) return owners;
  for (const std::string& name : names_in("/proc")) {
    const auto pid = number<int>(name, 10);
    if (!pid) continue;
    const std::string directory = fmt::format("/proc/{}/fd", *pid);
    for (const std::string& descriptor : names_in(directory)) {
      const std::string target = link_target(fmt::format("{}/{}", directory, descriptor));
      for (const Listener& listener : listeners) {
        if (target != fmt::format("socket:[{}]", listener.inode)) continue;
        owners.emplace(listener.inode, process_of(*pid));
      }
    }
    if (owners.size() == listeners.size()) break;
  }
  return owners;
}

std::map<std::string, std::string> environment_of(int pid) {
  std::map<std::string, std::string> environment;
  const std::string text = read_proc(fmt::format("/proc/{}/environ", pid));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    const std::string entry = text.substr(at, end - at);
    const auto equals = entry.find('=');
    if (equals != std::string::npos) {
      environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
    }
    at = end + 1;
  }
  return environment;
}

std::string user_name(std::uint32_t id) {
  std::array<char, 4096> room{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(id, &entry, room.data(), room.size(), &found) != 0 || found == nullptr) {
    return std::to_string(id);
  }
  return entry.pw_name;
}

}  // namespace weir::doctor
