#pragma once

#include "mqtt/packets.h"
#include "mqtt/session.h"
#include "mqtt/testing.h"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A session with a clock of its own and an owner that writes down what it hears.
namespace weir::mqtt::testing {

/// What the session told its owner, one line each.
class Diary final : public Listener {
 public:
  void on_connected(bool present) override { add(present ? "connected again" : "connected"); }
  void on_disconnected(const Error& why, Duration next) override {
    add("lost");
    reasons.push_back(why.what);
    waits.push_back(next);
  }
  void on_filter_refused(std::string_view filter, std::uint8_t reason) override {
    add(fmt::format("refused {} {:#04x}", filter, reason));
  }
  void on_filter_granted(std::string_view filter) override {
    add(fmt::format("granted {}", filter));
  }
  void on_arrival(const Arrival& arrival) override {
    add(fmt::format("{}={}{}{}", arrival.topic, as_text(arrival.payload),
                    arrival.retained ? " retained" : "", arrival.duplicate ? " again" : ""));
    receipts.push_back(arrival.receipt);
  }
  void on_arrivals_end() override { add("end"); }
  void on_published(const Published& published) override {
    add(fmt::format("published {} {:#04x}{}", published.token, published.reason,
                    published.text.empty() ? "" : " " + published.text));
  }
  void on_too_large(std::string_view topic, std::uint64_t bytes) override {
    add(fmt::format("too large {} {}", topic, bytes));
  }

  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  std::vector<Receipt> receipts;
  std::vector<std::string> reasons;
  std::vector<Duration> waits;

 private:
  void add(std::string line) { lines.push_back(std::move(line)); }
};

inline constexpr std::string_view kYes5 = "2003000000";
inline constexpr std::string_view kYesAgain5 = "2003010000";
inline constexpr std::string_view kYes311 = "20020000";

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    options.client_id = "weir-1";
    options.filters = {"in/#"};
    options.connect_timeout = std::chrono::seconds(10);
    options.keep_alive = std::chrono::seconds(60);
    options.receive_maximum = 4;
  }

  void make() { session = std::make_unique<Session>(options, diary, now); }
  void use_311() {
    options.version = Version::k311;
    make();
  }

  // A connection up to the moment at which CONNECT is out.
  void greet() {
    if (!session) make();
    now = std::max(now, session->next_event());
    ASSERT_TRUE(session->connection_due(now));
    session->begin(now);
    session->on_open(now, std::nullopt);
    (void)sent();
  }
  // A connection in full, its filters subscribed to.
  void connect(std::string_view yes = {}) {
    greet();
    if (yes.empty()) yes = options.version == Version::k5 ? kYes5 : kYes311;
    receive(yes);
    ASSERT_EQ(session->state(), Session::State::kConnected);
    first_words = sent();
    for (const std::string& packet : first_words) {
      if (!packet.starts_with("82")) continue;
      std::string reasons;
      for (std::size_t i = 0; i < options.filters.size(); ++i) reasons += "01";
      receive(suback(packet.substr(4, 4), reasons));
    }
    (void)diary.take();
  }
  std::size_t receive(std::string_view hex) { return session->on_bytes(now, bytes_of(hex)); }
  // What went out since, packet by packet.
  std::vector<std::string> sent() {
    std::vector<std::string> packets;
    for (Bytes left = session->output(); !left.empty();) {
      const Split split = split_packet(left);
      EXPECT_EQ(split.kind, Split::Kind::kPacket);
      packets.push_back(hex_of(left.first(split.packet.bytes)));
      left = left.subspan(split.packet.bytes);
    }
    session->on_sent(now, session->output().size());
    return packets;
  }
  std::string sent_hex() {
    std::string all;
    for (const std::string& packet : sent()) all += packet;
    return all;
  }
  // SUBACK to the SUBSCRIBE with this packet id.
  std::string suback(const std::string& id, const std::string& reasons) const {
    const std::size_t count = reasons.size() / 2;
    return options.version == Version::k5 ? fmt::format("90{:02x}{}00{}", 3 + count, id, reasons)
                                          : fmt::format("90{:02x}{}{}", 2 + count, id, reasons);
  }
  void publish(std::uint64_t token, const std::string& payload = "x") {
    ASSERT_TRUE(session->admit("t", payload.size()));
    session->publish(token, "t", payload);
  }
  // PUBLISH of MQTT 5 with QoS 1 to "in/1".
  static std::string message(unsigned packet_id, char letter, unsigned first = 0x32) {
    return fmt::format("{:02x}0a0004696e2f31{:04x}00{:02x}", first, packet_id,
                       static_cast<unsigned>(letter));
  }
  static std::string message_311(unsigned packet_id, char letter, unsigned first = 0x32) {
    return fmt::format("{:02x}090004696e2f31{:04x}{:02x}", first, packet_id,
                       static_cast<unsigned>(letter));
  }
  void pass(Duration time) {
    now += time;
    session->on_time(now);
  }

  Options options;
  Diary diary;
  Instant now{std::chrono::hours(1)};
  std::unique_ptr<Session> session;
  std::vector<std::string> first_words;  ///< what was sent at once when the broker had said yes
};

}  // namespace weir::mqtt::testing
