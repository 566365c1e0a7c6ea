#pragma once

#include "base/testing.h"

#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

/// A client of the protocol for the server's tests. It shares no code with `protocol`, so that the
/// two cannot be wrong together.
namespace weir::server::testing {

/// One CBOR item.
struct Item {
  enum class Kind { kInt, kText, kBytes, kList, kMap, kBool, kNull } kind = Kind::kNull;
  std::int64_t number = 0;
  std::string text;
  std::vector<Item> list;
  std::map<std::string, Item> map;

  const Item& operator[](const std::string& key) const {
    static const Item kNone;
    const auto found = map.find(key);
    return found == map.end() ? kNone : found->second;
  }
};

inline std::string head(unsigned major, std::uint64_t value) {
  std::string out;
  const auto lead = static_cast<char>(major << 5U);
  if (value < 24) {
    out += static_cast<char>(lead | static_cast<char>(value));
    return out;
  }
  int bytes = 1;
  char info = 24;
  while (bytes < 8 && (value >> (8 * bytes)) != 0) {
    bytes *= 2;
    ++info;
  }
  out += static_cast<char>(lead | info);
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
inline std::string integer(std::int64_t value) {
  return value >= 0 ? head(0, static_cast<std::uint64_t>(value))
                    : head(1, static_cast<std::uint64_t>(-1 - value));
}
inline std::string text(std::string_view value) { return head(3, value.size()).append(value); }
inline std::string bytes(std::string_view value) { return head(2, value.size()).append(value); }
using Fields = std::vector<std::pair<std::string, std::string>>;  // key -> encoded value
inline std::string map(const Fields& fields) {
  std::string out = head(5, fields.size());
  for (const auto& [key, value] : fields) out += text(key) + value;
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view from) : from_(from) {}
  Item item() {
    Item out;
    const auto lead = static_cast<unsigned char>(take(1)[0]);
    const unsigned major = lead >> 5U;
    const unsigned info = lead & 31U;
    std::uint64_t value = info;
    if (info >= 24 && info <= 27) {
      value = 0;
      for (const char c : take(std::size_t{1} << (info - 24U))) {
        value = value << 8U | static_cast<unsigned char>(c);
      }
    }
    switch (major) {
      case 0:
        out.kind = Item::Kind::kInt;
        out.number = static_cast<std::int64_t>(value);
        break;
      case 1:
        out.kind = Item::Kind::kInt;
        out.number = -1 - static_cast<std::int64_t>(value);
        break;
      case 2:
      case 3:
        out.kind = major == 2 ? Item::Kind::kBytes : Item::Kind::kText;
        out.text = take(value);
        break;
      case 4:
        out.kind = Item::Kind::kList;
        for (std::uint64_t i = 0; i < value; ++i) out.list.push_back(item());
        break;
      case 5:
        out.kind = Item::Kind::kMap;
        for (std::uint64_t i = 0; i < value; ++i) {
          std::string key = item().text;
          out.map[std::move(key)] = item();
        }
        break;
      default:
        out.kind = info == 22 ? Item::Kind::kNull : Item::Kind::kBool;
        out.number = info == 21 ? 1 : 0;
    }
    return out;
  }
  [[nodiscard]] bool at_end() const { return from_.empty(); }

 private:
  std::string_view take(std::size_t n) {
    if (n > from_.size()) {
      ADD_FAILURE() << "an answer ends early";
      n = from_.size();
    }
    const auto part = from_.substr(0, n);
    from_.remove_prefix(n);
    return part;
  }
  std::string_view from_;
};

inline std::string frame(int operation, std::string_view payload) {
  std::string out(4, '\0');
  const std::uint32_t length = htonl(static_cast<std::uint32_t>(payload.size() + 1));
  std::memcpy(out.data(), &length, 4);
  out += static_cast<char>(operation);
  return out.append(payload);
}

struct Reply {
  int operation = 0;
  Item body;
  [[nodiscard]] std::int64_t status() const { return body["status"].number; }
  [[nodiscard]] std::string message() const { return body["errorMessage"].text; }
  [[nodiscard]] std::string id() const { return body["requestId"].text; }
};

class Client {
 public:
  static constexpr int kWaitMs =
      static_cast<int>(std::chrono::milliseconds(weir::testing::kPatience).count());

  explicit Client(std::uint16_t port, int receive_buffer = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to))
        << std::strerror(errno);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Client() { close(); }
  Client(Client&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), received_(std::move(other.received_)) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  /// Sends small pieces only when the one before is acknowledged, as Node does.
  void set_nagle() {
    const int off = 0;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  void reset() {
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  [[nodiscard]] int socket() const { return socket_; }

  /// False if the server has closed.
  bool send(std::string_view data) {
    while (!data.empty()) {
      const auto n = ::send(socket_, data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// As much as fits without waiting.
  std::size_t send_some(std::string_view data) {
    const auto n = ::send(socket_, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }

  /// The next whole frame, or nothing when the server has closed (or stays silent, a failure).
  std::optional<Reply> receive(int wait_ms = kWaitMs) {
    while (true) {
      if (received_.size() >= 4) {
        std::uint32_t length = 0;
        std::memcpy(&length, received_.data(), 4);
        length = ntohl(length);
        if (received_.size() >= 4 + length) {
          Reply reply;
          reply.operation = received_[4];
          Parser parser(std::string_view(received_).substr(5, length - 1));
          reply.body = parser.item();
          EXPECT_TRUE(parser.at_end()) << "bytes behind the map";
          received_.erase(0, 4 + length);
          return reply;
        }
      }
      if (!read_more(wait_ms)) return std::nullopt;
    }
  }
  /// Reads the server's connect version byte and the answer behind it.
  std::optional<Reply> receive_handshake() {
    while (received_.empty()) {
      if (!read_more(kWaitMs)) return std::nullopt;
    }
    EXPECT_EQ('\x01', received_[0]);
    received_.erase(0, 1);
    return receive();
  }
  /// True if the server closes in order: everything else it sent was taken before.
  bool closed_in_order() {
    if (!received_.empty()) return false;
    char byte = 0;
    pollfd entry{socket_, POLLIN, 0};
    if (::poll(&entry, 1, kWaitMs) != 1) return false;
    return ::recv(socket_, &byte, 1, 0) == 0;
  }
  /// True if there is nothing to receive for now.
  bool quiet(int wait_ms = 0) {
    if (!received_.empty()) return false;
    pollfd entry{socket_, POLLIN, 0};
    return ::poll(&entry, 1, wait_ms) == 0;
  }
  /// Where the connection ended without an order: after a reset or an end of stream.
  bool closed() {
    while (read_more(kWaitMs)) received_.clear();
    return !timed_out_;
  }

  static std::string connect_frame(const Fields& more = {}) {
    Fields fields{{"requestId", text("c")},
                  {"protocolVersion", text("1.1.0")},
                  {"otherSupportedProtocolVersions", head(4, 1) + text("1.0.0")},
                  {"sdkVersion", text("1.1.0")}};
    for (const auto& field : more) {
      std::erase_if(fields, [&](const auto& f) { return f.first == field.first; });
      fields.push_back(field);
    }
    return frame(1, map(fields));
  }
  /// The whole handshake; the connection is open afterwards.
  Client& connect(const Fields& more = {}) {
    send("\x01" + connect_frame(more));
    const auto reply = receive_handshake();
    EXPECT_TRUE(reply && reply->operation == 6);
    if (reply) {
      EXPECT_EQ(0, reply->status()) << reply->message();
    }
    return *this;
  }

  Reply call(int operation, const Fields& fields) {
    send(frame(operation, map(fields)));
    auto reply = receive();
    EXPECT_TRUE(reply.has_value()) << "no answer to operation " << operation;
    return reply.value_or(Reply{});
  }

  static std::string definition(const std::string& name, const Fields& more = {}) {
    Fields fields{{"name", text(name)}, {"strategyOnFull", integer(1)}};
    fields.insert(fields.end(), more.begin(), more.end());
    return map(fields);
  }
  Reply create(const std::string& name, const Fields& more = {}) {
    return call(2, {{"requestId", text("create")}, {"definition", definition(name, more)}});
  }
  Reply remove(const std::string& name) {
    return call(3, {{"requestId", text("delete")}, {"name", text(name)}});
  }
  static std::string append_frame(const std::string& id, const std::string& name,
                                  std::string_view payload) {
    return frame(4,
                 map({{"requestId", text(id)}, {"name", text(name)}, {"payload", bytes(payload)}}));
  }
  Reply append(const std::string& name, std::string_view payload) {
    send(append_frame("append", name, payload));
    auto reply = receive();
    EXPECT_TRUE(reply.has_value());
    return reply.value_or(Reply{});
  }
  struct ReadOptions {
    std::optional<std::int64_t> from = std::nullopt;
    std::optional<std::int64_t> least = std::nullopt;
    std::optional<std::int64_t> most = std::nullopt;
    std::optional<std::int64_t> timeout_ms = std::nullopt;
  };
  static std::string read_frame(const std::string& id, const std::string& name,
                                const ReadOptions& options) {
    Fields fields;
    const auto add = [&fields](const char* key, const std::optional<std::int64_t>& value) {
      if (value) fields.emplace_back(key, integer(*value));
    };
    add("desiredStartSequenceNumber", options.from);
    add("minMessageCount", options.least);
    add("maxMessageCount", options.most);
    add("readTimeoutMillis", options.timeout_ms);
    return frame(5, map({{"requestId", text(id)},
                         {"streamName", text(name)},
                         {"readMessagesOptions", map(fields)}}));
  }
  Reply read(const std::string& name, const ReadOptions& options) {
    send(read_frame("read", name, options));
    auto reply = receive();
    EXPECT_TRUE(reply.has_value());
    return reply.value_or(Reply{});
  }

 private:
  bool read_more(int wait_ms) {
    char buffer[65536];
    pollfd entry{socket_, POLLIN, 0};
    if (::poll(&entry, 1, wait_ms) != 1) {
      timed_out_ = true;
      ADD_FAILURE() << "the server stays silent";
      return false;
    }
    const auto n = ::recv(socket_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }

  int socket_ = -1;
  std::string received_;
  bool timed_out_ = false;
};

}  // namespace weir::server::testing
