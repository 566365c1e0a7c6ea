// Mosquitto: MQTT 3.1.1 publishes at QoS 1. There is nothing to read back.

#include "load/target.h"

namespace weir::load {
namespace {

void put_length(std::string& out, std::size_t n) {
  do {
    auto byte = static_cast<unsigned char>(n % 128);
    n /= 128;
    if (n > 0) byte |= 0x80U;
    out += static_cast<char>(byte);
  } while (n > 0);
}

void put16(std::string& out, std::size_t v) {
  out += static_cast<char>(v >> 8U);
  out += static_cast<char>(v);
}

class MqttTarget final : public Target {
 public:
  void greet(int fd, int client) override {
    const std::string id = "load" + std::to_string(client);
    std::string body("\0\4MQTT\4\2\0\0", 10);
    put16(body, id.size());
    body += id;
    std::string out = "\x10";
    put_length(out, body.size());
    send_all(fd, out + body);
    std::string in;
    while (in.size() < 4) in += receive_some(fd);
    if (in[3] != 0) die("mqtt: connection refused");
  }
  void create_streams(int, const Work&) override {}

  void append(std::string& out, std::int64_t, int stream, std::string_view payload) override {
    const std::string topic = stream_name(stream);
    out += '\x32';
    put_length(out, 2 + topic.size() + 2 + payload.size());
    put16(out, topic.size());
    out += topic;
    packet_ = packet_ % 60'000 + 1;
    put16(out, packet_);
    out += payload;
  }

  std::size_t parse_acknowledged(std::string_view in, std::vector<Acknowledged>& out) override {
    std::size_t used = 0;
    for (; in.size() - used >= 4; used += 4) {
      if (in[used] != '\x40') die("mqtt: something other than PUBACK came");
      out.push_back({});
    }
    return used;
  }

  [[nodiscard]] bool can_read() const override { return false; }
  void read(std::string&, std::int64_t, int) override {}
  std::size_t parse_read(std::string_view, int, std::vector<Stored>&) override { return 0; }

 private:
  std::size_t packet_ = 0;
};

}  // namespace

std::unique_ptr<Target> make_mqtt_target() { return std::make_unique<MqttTarget>(); }

}  // namespace weir::load
