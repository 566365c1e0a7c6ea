#include "daemon/schema.h"

#include "base/log.h"
#include "daemon/schema_builder.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace weir::daemon {

using build::flag;
using build::integer;
using build::live;
using build::section;
using build::text;

namespace build {

std::string check_url(const std::string& url) {
  const bool known = url.starts_with("http://") || url.starts_with("https://");
  if (!known || url.find("//") + 2 >= url.size()) {
    return "is not a URL; write http://host[:port] or https://host[:port]";
  }
  if (url.find_first_of(" \\@#") != std::string::npos) {
    return "must not contain blanks, a user name or a fragment";
  }
  return {};
}

}  // namespace build

namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kKiB = 1024;

Result<Value> integer_from_text(const Key& key, const std::string& text) {
  Value value;
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (text.starts_with('+')) ++begin;
  const auto [stop, error] = std::from_chars(begin, end, value.integer);
  if (error == std::errc::result_out_of_range) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} is out of range; allowed are {} to {}", text, key.min, key.max));
  }
  if (error != std::errc{} || stop != end || begin == end) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not a whole number; write digits only, the unit is part of "
                            "the key's name",
                            log::escaped(text, 64)));
  }
  if (value.integer < key.min || value.integer > key.max) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} is out of range; allowed are {} to {}", text, key.min, key.max));
  }
  return value;
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

void visit_key(const std::string& path, const Key& key,
               const std::function<void(const std::string&, const Key&)>& visit) {
  visit(path, key);
  const std::string inside = path + (key.kind == Kind::kList ? "[]." : ".");
  for (const auto& child : key.children) visit_key(inside + child.name, child, visit);
}

}  // namespace

Key store_section() {
  return section(
      "store", "Where streams are kept, and how soon they reach the disk.",
      {
          text(
              "directory",
              "Directory of the store. Created if missing (its path given in "
              "STREAM_MANAGER_STORE_ROOT_DIR must exist). Relative paths start at the working "
              "directory.",
              "", [](Config & c) -> auto& { return c.store_directory; }),
          integer(
              "sync_interval_ms",
              "Messages of streams without flush_on_write are on stable storage at the latest "
              "this long after they were acknowledged.",
              1, 3'600'000, [](Config & c) -> auto& { return c.store.sync_interval_ms; }),
          integer(
              "sync_bytes", "And at the latest when one stream has this many bytes that are not.",
              4 * kKiB, kGiB, [](Config & c) -> auto& { return c.store.sync_bytes; }),
          integer(
              "slow_write_ms",
              "When a write takes longer, that stream's writes move to another thread until "
              "the disk has recovered, so that other streams are not held up.",
              1, 60'000, [](Config & c) -> auto& { return c.store.slow_write_ms; }),
          integer(
              "inline_sync_us",
              "While syncing takes less than this, a lone append to a flush_on_write stream "
              "is synced by the thread that received it; 0 = never.",
              0, 1'000'000, [](Config & c) -> auto& { return c.store.inline_sync_us; }),
          integer(
              "zeros_ahead_bytes",
              "How far ahead segments of flush_on_write streams are filled with zeros, which "
              "makes syncing faster; 0 = off.",
              0, kGiB, [](Config & c) -> auto& { return c.store.zeros_ahead_bytes; }),
          integer(
              "streams_max", "How many streams there may be.", 1, 1'000'000,
              [](Config & c) -> auto& { return c.store.streams_max; }),
          integer(
              "open_files_max", "How many segment files are kept open.", 16, 100'000,
              [](Config & c) -> auto& { return c.store.open_files_max; }),
          live(integer(
              "min_free_bytes",
              "Appends stop when less than this, or less than 1 % of the file system if that "
              "is less, is free on the disk; 0 = only when it is full.",
              0, std::numeric_limits<std::int64_t>::max(),
              [](Config & c) -> auto& { return c.store.min_free_bytes; })),
          integer(
              "quarantine_bytes_max",
              "How many damaged bytes are kept aside for inspection; the oldest go first.", 0, kGiB,
              [](Config & c) -> auto& { return c.store.quarantine_bytes_max; }),
      });
}

Key server_section() {
  const auto limits = std::vector<Key>{
      integer(
          "connections_max", "Connections at the same time; further ones are closed at once.", 1,
          1'000'000, [](Config & c) -> auto& { return c.server.connections_max; }),
      integer(
          "unauthenticated_connections_max",
          "Of these, connections that have not yet said who they are; then the oldest silent "
          "one is closed.",
          1, 1'000'000,
          [](Config & c) -> auto& { return c.server.unauthenticated_connections_max; }),
      integer(
          "handshake_timeout_ms", "A new connection must be complete within this time.", 100,
          600'000, [](Config & c) -> auto& { return c.server.handshake_timeout_ms; }),
      integer(
          "frame_bytes_max", "Largest request.", 64 * kKiB, kGiB,
          [](Config & c) -> auto& { return c.server.frame_bytes_max; }),
      integer(
          "request_budget_bytes", "Memory for requests being received, all connections.",
          kGiB / 1024, 64 * kGiB,
          [](Config & c) -> auto& { return c.server.request_budget_bytes; }),
      integer(
          "response_budget_bytes", "Memory for answers not yet taken, all connections.",
          kGiB / 1024, 64 * kGiB,
          [](Config & c) -> auto& { return c.server.response_budget_bytes; }),
      integer(
          "read_bytes_soft_max",
          "The answer to one read stops here, once it has its minimum of messages.", 64 * kKiB,
          kGiB, [](Config & c) -> auto& { return c.server.read_bytes_soft_max; }),
      integer(
          "stall_timeout_ms",
          "A connection is closed when a request or an answer makes no progress for this long.",
          1'000, kDayMs, [](Config & c) -> auto& { return c.server.stall_timeout_ms; }),
      integer(
          "parked_reads_per_connection_max", "Waiting reads of one connection.", 1, 1'000'000,
          [](Config & c) -> auto& { return c.server.parked_reads_per_connection_max; }),
      integer(
          "parked_reads_max", "Waiting reads of all connections.", 1, 10'000'000,
          [](Config & c) -> auto& { return c.server.parked_reads_max; }),
      integer(
          "request_deadline_ms",
          "A request that cannot be answered within this time closes its connection, so that "
          "the client tries again instead of waiting for ever.",
          1'000, 3'600'000, [](Config & c) -> auto& { return c.server.request_deadline_ms; }),
      integer(
          "reader_threads", "Threads for reads that have to wait for the disk.", 1, 64,
          [](Config & c) -> auto& { return c.server.reader_threads; }),
  };
  auto keys = std::vector<Key>{
      text(
          "bind_address",
          "Address to listen on. Anything but loopback requires authenticate_client, and the "
          "protocol is not encrypted.",
          "", [](Config & c) -> auto& { return c.server.bind_address; }),
      integer(
          "port", "Port for programs; 0 = any free one, printed at start.", 0, 65'535,
          [](Config & c) -> auto& { return c.server.port; }),
      flag(
          "authenticate_client",
          "Whether programs need a token. false lets every program on this machine in.",
          [](Config & c) -> auto& { return c.server.authenticate_client; }),
      live(text(
          "tokens_file",
          "File with the tokens that are let in, one per line. Must not be readable by others. "
          "Each reload reads it again; connections that are open stay.",
          "/etc/weir/tokens", [](Config & c) -> auto& { return c.tokens_file; })),
  };
  keys.insert(keys.end(), limits.begin(), limits.end());
  return section("server", "The port for programs that use a stream manager SDK.", std::move(keys));
}

Key admin_section() {
  return section("admin",
                 "The HTTP port for operators: the dashboard, /metrics, /status, /livez, /readyz.",
                 {
                     text(
                         "bind_address",
                         "Address to listen on. The pages have no password; payloads are shown "
                         "to those with the admin token where programs need one too.",
                         "", [](Config & c) -> auto& { return c.admin.bind_address; }),
                     integer(
                         "port", "Port; 0 = any free one, printed at start; -1 = no admin port.",
                         -1, 65'535, [](Config & c) -> auto& { return c.admin.port; }),
                     integer(
                         "connections_max", "Connections at the same time.", 1, 10'000,
                         [](Config & c) -> auto& { return c.admin.connections_max; }),
                     integer(
                         "header_bytes_max", "Largest request header.", kKiB, kGiB / 1024,
                         [](Config & c) -> auto& { return c.admin.header_bytes_max; }),
                     integer(
                         "body_bytes_max", "Largest request body.", 0, kGiB / 1024,
                         [](Config & c) -> auto& { return c.admin.body_bytes_max; }),
                     integer(
                         "event_streams_max",
                         "Of the connections, those of open dashboards, tails and taps; they "
                         "stay as long as somebody looks.",
                         0, 1'000, [](Config & c) -> auto& { return c.admin.event_streams_max; }),
                     flag(
                         "actions",
                         "Whether the dashboard may pause, resume, retry, rewind and delete, for "
                         "whoever types in the admin token.",
                         [](Config & c) -> auto& { return c.admin.actions; }),
                 });
}

Key log_section() {
  Key level;
  level.name = "level";
  level.kind = Kind::kChoice;
  level.choices = {"trace", "debug", "info", "warn", "error"};
  level.doc = "Which lines are written to standard error.";
  level.default_text = "info";
  level.set = [](Target& target, const Value& value) {
    target.config.log_level = *log::level_from_text(value.text);
  };
  return live(section("log", "What weir says.", {level}));
}

const Key& schema() {
  static const Key root =
      section("", "",
              {store_section(), server_section(), admin_section(), export_section(),
               streams_section(), redirects_section(), additions_section(), connectors_section(),
               greengrass_section(), log_section()});
  return root;
}

const Key* find_key(std::string_view path) {
  const Key* key = &schema();
  while (!path.empty()) {
    if (key->kind != Kind::kSection) return nullptr;
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    const auto found = std::find_if(key->children.begin(), key->children.end(),
                                    [&](const Key& child) { return child.name == name; });
    if (found == key->children.end()) return nullptr;
    key = &*found;
  }
  return key->set ? key : nullptr;
}

const Key* key_of_setting(std::string_view path) {
  const Key* key = &schema();
  while (!path.empty()) {
    if (key->kind == Kind::kTextMap) return key;  // the rest is the name of an entry
    const std::size_t end = path.find_first_of(".[");
    const std::string_view name = path.substr(0, end);
    const auto found = std::find_if(key->children.begin(), key->children.end(),
                                    [&](const Key& child) { return child.name == name; });
    if (found == key->children.end()) return nullptr;
    key = &*found;
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end);
    if (path.starts_with('[')) path = path.substr(std::min(path.size(), path.find(']') + 1));
    if (path.starts_with('.')) path.remove_prefix(1);
  }
  return key;
}

std::string text_of(const Key& key, const Value& value) {
  if (key.kind == Kind::kInteger) return std::to_string(value.integer);
  if (key.kind == Kind::kFlag) return value.flag ? "true" : "false";
  return value.text;
}

void for_each_key(const std::function<void(const std::string&, const Key&)>& visit) {
  for (const auto& child : schema().children) visit_key(child.name, child, visit);
}

Result<Value> value_from_text(const Key& key, const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return fail(Errc::kInvalidArgument, "the value contains a control character");
    }
  }
  if (key.kind == Kind::kInteger) return integer_from_text(key, text);
  Value value;
  value.text = text;
  if (key.kind == Kind::kFlag) {
    if (text != "true" && text != "false") {
      return fail(Errc::kInvalidArgument,
                  fmt::format("'{}' is neither true nor false", log::escaped(text, 64)));
    }
    value.flag = text == "true";
  } else if (key.kind == Kind::kChoice || key.kind == Kind::kChoiceOrSection) {
    if (std::find(key.choices.begin(), key.choices.end(), text) == key.choices.end()) {
      return fail(Errc::kInvalidArgument, fmt::format("'{}' is not one of {}",
                                                      log::escaped(text, 64), joined(key.choices)));
    }
  } else if (text.empty()) {
    return fail(Errc::kInvalidArgument, "the value is empty");
  }
  if (key.check) {
    if (const std::string why = key.check(text); !why.empty()) {
      return fail(Errc::kInvalidArgument, fmt::format("'{}' {}", log::escaped(text, 128), why));
    }
  }
  return value;
}

std::string type_text(const Key& key) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  switch (key.kind) {
    case Kind::kSection:
      return "section";
    case Kind::kList:
      return "list";
    case Kind::kFlag:
      return "true or false";
    case Kind::kInteger:
      return fmt::format("integer, {} to {}", key.min,
                         key.max == kMax ? "2^63-1" : std::to_string(key.max));
    case Kind::kText:
      return "text";
    case Kind::kTextMap:
      return key.choices.empty() ? "map of names to text"
                                 : "map to text of any of: " + joined(key.choices);
    case Kind::kChoice:
      return "one of: " + joined(key.choices);
    case Kind::kChoiceOrSection:
      return "one of: " + joined(key.choices) + ", or a section";
  }
  return {};
}

}  // namespace weir::daemon
