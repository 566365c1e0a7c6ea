// Any bytes as what a broker sends: as packets one after another, in both versions; then as the
// broker's side of whole conversations, with the owner's side, time and broken connections between.

#include "base/check.h"
#include "base/log.h"
#include "mqtt/packets.h"
#include "mqtt/session.h"

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

using namespace weir;
using namespace weir::mqtt;

namespace {

void decode_everything(Bytes left, Version version) {
  for (;;) {
    const Split split = split_packet(left);
    if (split.kind != Split::Kind::kPacket) {
      WEIR_CHECK(split.kind != Split::Kind::kNeedMore || split.packet_bytes == 0 ||
                     split.packet_bytes > left.size(),
                 "more is needed than there is");
      return;
    }
    const PacketView& packet = split.packet;
    WEIR_CHECK(packet.bytes <= left.size() && packet.body.size() < packet.bytes, "a size is wrong");
    (void)decode_connack(packet, version);
    (void)decode_acknowledgement(packet, version);
    (void)decode_suback(packet, version);
    (void)decode_disconnect(packet);
    (void)decode_pingresp(packet);
    (void)decode_publish_beginning(packet.flags, packet.body);
    if (const auto publish = decode_publish(packet, version)) {
      WEIR_CHECK(is_topic_name(publish->topic), "a topic that is none was taken");
      WEIR_CHECK((publish->qos == 0) == (publish->packet_id == 0), "an identifier is wrong");
    }
    left = left.subspan(packet.bytes);
  }
}

// Checks what a session tells its owner.
class Owner final : public Listener {
 public:
  void on_connected(bool /*session_present*/) override {
    WEIR_CHECK(!connected, "connected twice");
    connected = true;
  }
  void on_disconnected(const Error& why, Duration next_try) override {
    WEIR_CHECK(!why.what.empty() && next_try > Duration{0}, "a loss without words or wait");
    connected = false;
    receipts.clear();
  }
  void on_filter_refused(std::string_view /*filter*/, std::uint8_t reason) override {
    WEIR_CHECK(connected && reason >= 0x80, "a refusal that is none");
  }
  void on_arrival(const Arrival& arrival) override {
    WEIR_CHECK(connected && is_topic_name(arrival.topic), "an arrival from nowhere");
    open_group = true;
    receipts.push_back(arrival.receipt);
  }
  void on_arrivals_end() override {
    WEIR_CHECK(std::exchange(open_group, false), "an end of nothing");
  }
  void on_published(const Published& published) override {
    WEIR_CHECK(waiting.erase(published.token) == 1, "an answer for nothing");
  }

  bool connected = false;
  bool open_group = false;
  std::vector<Receipt> receipts;
  std::set<std::uint64_t> waiting;
};

Options options_of(unsigned first) {
  Options options;
  options.version = (first & 1U) != 0 ? Version::k311 : Version::k5;
  options.client_id = "fuzz";
  options.filters = {"a", "b/#"};
  options.receive_maximum = (first & 2U) != 0 ? 2 : 1'000;
  options.packet_bytes_max = (first & 4U) != 0 ? 64 : 4'096;
  options.keep_alive = std::chrono::seconds((first & 8U) != 0 ? 0 : 10);
  return options;
}

class Conversation {
 public:
  explicit Conversation(unsigned first) : session_(options_of(first), owner_, now_) {}

  // One byte says what happens, one how much of it.
  void run(Bytes input) {
    while (input.size() >= 2) {
      const auto what = std::to_integer<unsigned>(input[0]);
      const auto amount = std::to_integer<std::size_t>(input[1]);
      input = input.subspan(2);
      if (what < 128) {
        const std::size_t count = std::min(amount, input.size());
        receive(input.first(count));
        input = input.subspan(count);
      } else {
        happen(what & 7U, amount);
      }
      send();
    }
    session_.stop();
    send();
  }

 private:
  void receive(Bytes bytes) {
    if (session_.connection_due(now_)) connect();
    received_.insert(received_.end(), bytes.begin(), bytes.end());
    const std::size_t taken = session_.on_bytes(now_, received_);
    WEIR_CHECK(taken <= received_.size(), "more was taken than there was");
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(taken));
    if (!session_.open()) received_.clear();
  }
  void connect() {
    session_.begin(now_);
    session_.on_open(now_, std::nullopt);
    received_.clear();
  }
  void happen(unsigned what, std::size_t amount) {
    switch (what) {
      case 0:
        now_ += std::chrono::seconds(amount);
        session_.on_time(now_);
        break;
      case 1:
        now_ = std::max(now_, std::min(session_.next_event(), now_ + std::chrono::hours(1)));
        session_.on_time(now_);
        break;
      case 2:
        if (session_.admit("t", amount)) {
          owner_.waiting.insert(++token_);
          session_.publish(token_, "t", std::string(amount, 'x'));
        }
        break;
      case 3:
        session_.acknowledge(owner_.receipts);
        owner_.receipts.clear();
        break;
      case 4:
        if (!owner_.receipts.empty()) {
          session_.acknowledge({owner_.receipts[amount % owner_.receipts.size()]});
        }
        break;
      case 5:
        session_.on_closed(now_);
        break;
      case 6:
        session_.acknowledge({{amount, static_cast<std::uint16_t>(amount)}});
        break;
      default:
        if (session_.connection_due(now_)) connect();
        break;
    }
  }
  void send() {
    Bytes left = session_.output();
    while (!left.empty()) {
      const Split split = split_packet(left);
      WEIR_CHECK(split.kind == Split::Kind::kPacket, "what goes out is no packet");
      left = left.subspan(split.packet.bytes);
    }
    session_.on_sent(now_, session_.output().size());
  }

  Instant now_{std::chrono::hours(1)};
  Owner owner_;
  Session session_;
  std::vector<std::byte> received_;
  std::uint64_t token_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  log::capture([](log::Level, const std::string&) {});
  if (size == 0) return 0;
  const Bytes input = std::as_bytes(std::span(data, size));
  decode_everything(input.subspan(1), Version::k5);
  decode_everything(input.subspan(1), Version::k311);
  Conversation(data[0]).run(input.subspan(1));
  return 0;
}
