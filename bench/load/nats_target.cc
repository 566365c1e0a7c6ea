// NATS JetStream: publish with acknowledgement, pull consumer for reading.

#include "load/target.h"

#include <charconv>
#include <cstdio>

namespace weir::load {
namespace {

// One "MSG subject sid [reply] size\r\npayload\r\n" (or HMSG) at the start of `in`.
struct Delivery {
  std::string_view subject;
  std::string_view payload;
};

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Bytes used, 0 while incomplete. `delivery.subject` stays empty for anything but MSG.
std::size_t parse_one(std::string_view in, Delivery& delivery) {
  const std::size_t end = in.find("\r\n");
  if (end == std::string_view::npos) return 0;
  const std::string_view line = in.substr(0, end);
  if (line.substr(0, 4) == "-ERR") die("nats: " + std::string(line));
  const bool plain = line.substr(0, 4) == "MSG ";
  if (!plain && line.substr(0, 5) != "HMSG ") return end + 2;
  const std::size_t subject = plain ? 4 : 5;
  const std::size_t size_at = line.rfind(' ');
  const auto size = static_cast<std::size_t>(number(line.substr(size_at + 1)));
  if (in.size() < end + 2 + size + 2) return 0;
  if (!plain) die("nats: " + std::string(in.substr(end + 2, size)));
  delivery.subject = line.substr(subject, line.find(' ', subject) - subject);
  delivery.payload = in.substr(end + 2, size);
  return end + 2 + size + 2;
}

class NatsTarget final : public Target {
 public:
  void greet(int fd, int client) override {
    receive_some(fd);  // INFO
    inbox_ = "_INBOX.w" + std::to_string(client) + ".";
    send_all(fd,
             "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB " + inbox_ + "* 1\r\nPING\r\n");
    for (std::string in; in.find("PONG") == std::string::npos;) in += receive_some(fd);
  }

  void create_streams(int fd, const Work& work) override {
    for (int i = 0; i < work.streams; ++i) {
      const std::string name = stream_name(i);
      request(fd, "$JS.API.STREAM.CREATE." + name,
              R"({"name":")" + name + R"(","subjects":["in.)" + name +
                  R"("],"storage":"file","retention":"limits","max_msgs":-1,"max_bytes":-1,)"
                  R"("max_consumers":-1,"num_replicas":1,"discard":"new"})");
    }
  }

  void append(std::string& out, std::int64_t n, int stream, std::string_view payload) override {
    out += "PUB in.";
    out += stream_name(stream);
    out += ' ';
    out += inbox_;
    out += std::to_string(n);
    out += ' ';
    out += std::to_string(payload.size());
    out += "\r\n";
    out += payload;
    out += "\r\n";
  }

  std::size_t parse_acknowledged(std::string_view in, std::vector<Acknowledged>& out) override {
    std::size_t used = 0;
    for (;;) {
      Delivery delivery;
      const std::size_t n = parse_one(in.substr(used), delivery);
      if (n == 0) return used;
      used += n;
      if (delivery.subject.empty()) continue;
      if (delivery.payload.find("\"error\"") != std::string_view::npos) {
        die("nats: " + std::string(delivery.payload));
      }
      out.push_back({number(delivery.subject.substr(inbox_.size())), -1});
    }
  }

  void read(std::string& out, std::int64_t from, int count) override {
    const std::string name = stream_name(0);
    if (from == 0) {
      const std::string consumer = R"({"stream_name":")" + name +
                                   R"(","config":{"durable_name":"r","deliver_policy":"all",)"
                                   R"("ack_policy":"none","replay_policy":"instant"}})";
      out += "PUB $JS.API.CONSUMER.DURABLE.CREATE." + name + ".r _NONE " +
             std::to_string(consumer.size()) + "\r\n" + consumer + "\r\n";
    }
    const std::string batch = R"({"batch":)" + std::to_string(count) + "}";
    out += "PUB $JS.API.CONSUMER.MSG.NEXT." + name + ".r " + inbox_ + "0 " +
           std::to_string(batch.size()) + "\r\n" + batch + "\r\n";
  }

  std::size_t parse_read(std::string_view in, int count, std::vector<Stored>& out) override {
    const std::size_t before = out.size();
    std::size_t used = 0;
    if (in.size() < static_cast<std::size_t>(count) * 512) return 0;
    while (out.size() - before < static_cast<std::size_t>(count)) {
      Delivery delivery;
      const std::size_t n = parse_one(in.substr(used), delivery);
      if (n == 0) {
        out.resize(before);
        return 0;
      }
      used += n;
      if (!delivery.subject.empty()) out.push_back({-1, delivery.payload});
    }
    return used;
  }

 private:
  void request(int fd, const std::string& subject, const std::string& body) {
    send_all(fd, "PUB " + subject + " " + inbox_ + "0 " + std::to_string(body.size()) + "\r\n" +
                     body + "\r\n");
    std::string in;
    for (;;) {
      in += receive_some(fd);
      Delivery delivery;
      const std::size_t n = parse_one(in, delivery);
      if (n == 0) continue;
      if (delivery.subject.empty()) {
        in.erase(0, n);
        continue;
      }
      if (delivery.payload.find("\"error\"") != std::string_view::npos) {
        die("nats: " + std::string(delivery.payload));
      }
      return;
    }
  }

  std::string inbox_;
};

}  // namespace

std::unique_ptr<Target> make_nats_target() { return std::make_unique<NatsTarget>(); }

}  // namespace weir::load
