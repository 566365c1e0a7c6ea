#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What Linux tells in /proc.
namespace weir::doctor {

/// The content of a small file (64 KiB at most), "" if it cannot be read. For /proc and /sys.
std::string read_proc(const std::string& path);
/// How many files a process has open; none if that may not be seen.
std::optional<std::uint64_t> count_descriptors(int pid);

/// A socket that listens for TCP connections.
struct Listener {
  std::string address;  ///< "127.0.0.1", "::"
  std::uint16_t port = 0;
  std::uint32_t user = 0;  ///< id
  std::uint64_t inode = 0;
};
/// Reads the lines of /proc/net/tcp and tcp6 that listen. Pure.
std::vector<Listener> listeners_in(std::string_view table, bool six);

/// A running program.
struct Process {
  int pid = 0;
  std::string name;     ///< of the program's file: "weir", "java"
  std::string command;  ///< with its arguments, separated by spaces
  std::uint32_t user = 0;
};
/// Which processes have the sockets with these inodes, as far as this user may see it.
std::map<std::uint64_t, Process> owners_of(const std::vector<Listener>& listeners);
/// The environment a process was started with; empty if it may not be seen.
std::map<std::string, std::string> environment_of(int pid);
/// "root", or the number if nobody has a name for it.
std::string user_name(std::uint32_t id);

}  // namespace weir::doctor
