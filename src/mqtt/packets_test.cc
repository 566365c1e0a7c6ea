#include "mqtt/packets.h"

#include "mqtt/properties.h"
#include "mqtt/reasons.h"
#include "mqtt/testing.h"

#include <array>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace weir::mqtt {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::hex_of;

constexpr std::array kBoth{Version::k5, Version::k311};

// Bytes marked "seen" were recorded on the wire between Debian 12's mosquitto 2.0.11 (broker,
// mosquitto_pub, mosquitto_sub) and python3-paho-mqtt 1.6.1; weir had no part in them.

PacketView view_of(const ByteVector& bytes) {
  const Split split = split_packet(bytes);
  EXPECT_EQ(split.kind, Split::Kind::kPacket) << hex_of(bytes);
  EXPECT_EQ(split.packet.bytes, bytes.size()) << hex_of(bytes);
  return split.packet;
}

// --- What we send ---

TEST(Encoding, connect_of_mqtt_5_is_what_paho_sends) {
  Connect connect;
  connect.client_id = "paho";
  connect.user = "weir";
  connect.password = "secret";
  connect.keep_alive_s = 60;
  connect.session_expiry_s = 600;
  connect.receive_maximum = 20;
  connect.packet_bytes_max = 4'194'304;
  ByteBuffer out;
  encode_connect(out, connect);
  EXPECT_EQ(hex_of(out),  // seen
            "102c00044d51545405c0003c0d1100000258210014270040000000047061686f0004776569720006736563"
            "726574");
}

TEST(Encoding, connect_of_3_1_1_is_what_paho_sends) {
  Connect connect;
  connect.version = Version::k311;
  connect.client_id = "paho";
  connect.user = "weir";
  connect.password = "secret";
  connect.keep_alive_s = 60;
  connect.session_expiry_s = 600;  // a word of MQTT 5, not said here
  connect.receive_maximum = 20;
  ByteBuffer out;
  encode_connect(out, connect);
  EXPECT_EQ(hex_of(out),  // seen
            "101e00044d51545404c0003c00047061686f0004776569720006736563726574");
}

TEST(Encoding, connect_with_clean_session_is_what_mosquitto_pub_sends) {
  Connect connect;
  connect.client_id = "pub";
  connect.user = "weir";
  connect.password = "secret";
  connect.keep_alive_s = 60;
  connect.receive_maximum = 20;
  connect.clean = true;
  ByteBuffer out;
  encode_connect(out, connect);
  EXPECT_EQ(hex_of(out),  // seen
            "102100044d51545405c2003c0321001400037075620004776569720006736563726574");
}

TEST(Encoding, connect_without_anything_has_neither_user_nor_password) {
  ByteBuffer out;
  encode_connect(out, Connect{});
  EXPECT_EQ(hex_of(out),
            "100d00044d5154540500000000"
            "0000");
}

TEST(Encoding, subscribe_is_what_paho_sends_but_for_retained_messages_of_old_subscriptions) {
  const std::vector<std::string_view> filters{"ok/a", "ok/b/#"};
  ByteBuffer old;
  encode_subscribe(old, Version::k311, 1, filters);
  EXPECT_EQ(hex_of(old), "8212000100046f6b2f610100066f6b2f622f2301");  // seen
  ByteBuffer now;
  encode_subscribe(now, Version::k5, 1, filters);
  // Seen with options 01; 11 says "retained messages only if the subscription is new".
  EXPECT_EQ(hex_of(now), "821300010000046f6b2f611100066f6b2f622f2311");
}

TEST(Encoding, publish_is_what_paho_sends) {
  ByteBuffer now;
  encode_publish(now, Version::k5, "ok/a", as_bytes("hey"), 2, false);
  EXPECT_EQ(hex_of(now), "320c00046f6b2f61000200686579");  // seen
  ByteBuffer old;
  encode_publish(old, Version::k311, "ok/a", as_bytes("hey"), 2, false);
  EXPECT_EQ(hex_of(old), "320b00046f6b2f610002686579");  // seen
}

TEST(Encoding, publish_with_qos_0_and_nothing_in_it_is_what_mosquitto_pub_sends) {
  ByteBuffer out;
  encode_publish(out, Version::k5, "ok/a", {}, 0, false);
  encode_disconnect(out, Version::k5, 0);
  EXPECT_EQ(hex_of(out), "300700046f6b2f6100e000");  // seen
}

TEST(Encoding, a_repetition_says_so) {
  ByteBuffer out;
  encode_publish(out, Version::k311, "t", {}, 0x1234, true);
  EXPECT_EQ(hex_of(out), "3a050001741234");
}

TEST(Encoding, small_packets_are_what_others_send) {
  ByteBuffer out;
  encode_acknowledgement(out, PacketType::kPuback, 1);
  EXPECT_EQ(hex_of(out), "40020001");  // seen
  out.clear();
  encode_acknowledgement(out, PacketType::kPubrec, 0xABCD);
  EXPECT_EQ(hex_of(out), "5002abcd");
  out.clear();
  encode_acknowledgement(out, PacketType::kPubcomp, 1);
  EXPECT_EQ(hex_of(out), "70020001");
  out.clear();
  encode_pingreq(out);
  EXPECT_EQ(hex_of(out), "c000");
  out.clear();
  encode_disconnect(out, Version::k5, 0x04);
  EXPECT_EQ(hex_of(out), "e00104");  // seen
  out.clear();
  encode_disconnect(out, Version::k311, 0x04);
  EXPECT_EQ(hex_of(out), "e000");
}

TEST(Encoding, the_size_of_a_publish_is_known_beforehand) {
  for (const Version version : kBoth) {
    for (const std::uint16_t packet_id : {std::uint16_t{0}, std::uint16_t{7}}) {
      for (const std::size_t payload :
           {0U,      1U,      115U,    116U,    117U,       118U,       119U,
            120U,    121U,    122U,    123U,    124U,       16'375U,    16'376U,
            16'377U, 16'378U, 16'379U, 16'380U, 2'097'140U, 2'097'144U, 2'097'148U}) {
        ByteBuffer out;
        const ByteVector bytes(payload);
        encode_publish(out, version, "t/1", bytes, packet_id, false);
        ASSERT_EQ(out.size(), publish_bytes(version, 3, payload, packet_id != 0)) << payload;
        const Split split = split_packet(out.bytes());
        ASSERT_EQ(split.kind, Split::Kind::kPacket);
        ASSERT_EQ(split.packet.bytes, out.size());
        const auto back = decode_publish(split.packet, version);
        ASSERT_TRUE(back) << back.error().what;
        ASSERT_EQ(back->payload.size(), payload);
      }
    }
  }
}

// --- Lengths ---

TEST(Splitting, lengths_are_those_of_the_standard) {
  // Table 2-4 of MQTT 3.1.1: the borders of one to four bytes.
  const std::map<std::string, std::size_t> borders{{"00", 0},
                                                   {"7f", 127},
                                                   {"8001", 128},
                                                   {"ff7f", 16'383},
                                                   {"808001", 16'384},
                                                   {"ffff7f", 2'097'151},
                                                   {"80808001", 2'097'152},
                                                   {"ffffff7f", 268'435'455}};
  for (const auto& [hex, length] : borders) {
    const ByteVector head = bytes_of("30" + hex);
    const Split split = split_packet(head);
    EXPECT_EQ(split.packet_bytes, head.size() + length) << hex;
    EXPECT_EQ(split.head_bytes, head.size()) << hex;
    EXPECT_EQ(split.kind, length == 0 ? Split::Kind::kPacket : Split::Kind::kNeedMore) << hex;
    for (std::size_t cut = 0; cut < head.size(); ++cut) {
      const Split shorter = split_packet(Bytes(head).first(cut));
      EXPECT_EQ(shorter.kind, Split::Kind::kNeedMore) << hex << " cut at " << cut;
      EXPECT_EQ(shorter.packet_bytes, 0U);
    }
  }
}

TEST(Splitting, longer_forms_and_five_bytes_are_refused) {
  for (const std::string_view hex :
       {"308000", "30808000", "3080808000", "30ff00", "3080808080", "30ffffffff", "30ffffffff7f"}) {
    EXPECT_EQ(split_packet(bytes_of(hex)).kind, Split::Kind::kBadLength) << hex;
  }
}

TEST(Splitting, the_beginning_of_a_buffer_is_one_packet_however_much_follows) {
  const ByteVector bytes = bytes_of("40020001e00104");
  const Split split = split_packet(bytes);
  ASSERT_EQ(split.kind, Split::Kind::kPacket);
  EXPECT_EQ(split.packet.type, PacketType::kPuback);
  EXPECT_EQ(split.packet.bytes, 4U);
  EXPECT_EQ(hex_of(split.packet.body), "0001");
}

// --- What brokers send ---

TEST(Decoding, connack_of_mosquitto_with_its_limits) {
  const ByteVector bytes = bytes_of("201100000e22000a13001e2700030d40210014");  // seen
  const auto connack = decode_connack(view_of(bytes), Version::k5);
  ASSERT_TRUE(connack) << connack.error().what;
  EXPECT_EQ(connack->reason, 0);
  EXPECT_FALSE(connack->session_present);
  EXPECT_EQ(connack->server_keep_alive_s, 30);
  EXPECT_EQ(connack->packet_bytes_max, 200'000U);
  EXPECT_EQ(connack->receive_maximum, 20);
  EXPECT_EQ(connack->maximum_qos, 2);
}

TEST(Decoding, connack_with_a_session_of_both_versions) {
  const ByteVector now = bytes_of("200e01000b22000a2700030d40210014");  // seen
  EXPECT_TRUE(decode_connack(view_of(now), Version::k5)->session_present);
  const ByteVector old = bytes_of("20020100");  // seen
  EXPECT_TRUE(decode_connack(view_of(old), Version::k311)->session_present);
}

TEST(Decoding, connack_that_refuses) {
  const ByteVector now = bytes_of("2003008700");  // seen: a wrong password
  EXPECT_EQ(decode_connack(view_of(now), Version::k5)->reason, 0x87);
  const ByteVector old = bytes_of("20020005");  // seen: the same
  EXPECT_EQ(decode_connack(view_of(old), Version::k311)->reason, 5);
}

TEST(Decoding, an_old_broker_answers_connect_of_mqtt_5_in_its_own_words) {
  const ByteVector bytes = bytes_of("20020001");
  const auto connack = decode_connack(view_of(bytes), Version::k5);
  ASSERT_TRUE(connack);
  EXPECT_EQ(connack->answered_in, Version::k311);
  EXPECT_THAT(refusal_words(connack->answered_in, connack->reason),
              HasSubstr("unsupported protocol version (return code 1): choose the other version"));
}

TEST(Decoding, publish_with_all_the_properties_of_a_message) {
  const ByteVector bytes = bytes_of(  // seen
      "323400046f6b2f7000022703000a746578742f706c61696e26000161000162080003722f7409000378797a010102"
      "0000006374657874");
  const auto publish = decode_publish(view_of(bytes), Version::k5);
  ASSERT_TRUE(publish) << publish.error().what;
  EXPECT_EQ(publish->topic, "ok/p");
  EXPECT_EQ(as_text(publish->payload), "text");
  EXPECT_EQ(publish->packet_id, 2);
  EXPECT_EQ(publish->qos, 1);
  EXPECT_FALSE(publish->retained);
}

TEST(Decoding, a_retained_message_says_so) {
  const ByteVector bytes = bytes_of("331000076f6b2f6b6570740001006b657074");  // seen
  const auto publish = decode_publish(view_of(bytes), Version::k5);
  ASSERT_TRUE(publish);
  EXPECT_TRUE(publish->retained);
  EXPECT_EQ(as_text(publish->payload), "kept");
}

TEST(Decoding, puback_says_what_became_of_a_message) {
  const std::map<std::string, unsigned> seen{
      {"40020001", 0}, {"4003000110", 0x10}, {"4003000187", 0x87}, {"4003000195", 0x95}};
  for (const auto& [hex, reason] : seen) {
    const ByteVector bytes = bytes_of(hex);
    const auto puback = decode_acknowledgement(view_of(bytes), Version::k5);
    ASSERT_TRUE(puback) << hex;
    EXPECT_EQ(puback->packet_id, 1) << hex;
    EXPECT_EQ(puback->reason, reason) << hex;
  }
  const ByteVector with_text = bytes_of("400a00018706 1f00036e6f21");
  const auto puback = decode_acknowledgement(view_of(with_text), Version::k5);
  ASSERT_TRUE(puback) << puback.error().what;
  EXPECT_EQ(puback->text, "no!");
}

TEST(Decoding, suback_has_a_reason_for_each_filter) {
  const ByteVector now = bytes_of("90050001000187");
  const auto suback = decode_suback(view_of(now), Version::k5);
  ASSERT_TRUE(suback);
  EXPECT_EQ(hex_of(suback->reasons), "0187");
  const ByteVector old = bytes_of("900400010101");  // seen
  EXPECT_EQ(hex_of(decode_suback(view_of(old), Version::k311)->reasons), "0101");
}

TEST(Decoding, disconnect_with_and_without_a_reason) {
  const ByteVector bare = bytes_of("e000");
  EXPECT_EQ(decode_disconnect(view_of(bare))->reason, 0);
  const ByteVector reason = bytes_of("e0018e");
  EXPECT_EQ(decode_disconnect(view_of(reason))->reason, 0x8E);
  const ByteVector moved = bytes_of("e0109d 0e 1f0003627965 1c0005 622e636f6d");
  const auto disconnect = decode_disconnect(view_of(moved));
  ASSERT_TRUE(disconnect) << disconnect.error().what;
  EXPECT_EQ(disconnect->text, "bye");
  EXPECT_EQ(disconnect->server_reference, "b.com");
}

// --- Every truncation ---

struct Sample {
  Version version;
  std::string hex;
  /// Lengths of the body at which less is a whole packet too, by the standard.
  std::set<std::size_t> whole_at;
};

/// Decodes as what the packet says it is. True: it is well-formed.
bool well_formed(const PacketView& packet, Version version) {
  switch (packet.type) {
    case PacketType::kConnack:
      return decode_connack(packet, version).has_value();
    case PacketType::kPublish:
      return decode_publish(packet, version).has_value();
    case PacketType::kSuback:
      return decode_suback(packet, version).has_value();
    case PacketType::kDisconnect:
      return decode_disconnect(packet).has_value();
    case PacketType::kPingresp:
      return decode_pingresp(packet).has_value();
    default:
      return decode_acknowledgement(packet, version).has_value();
  }
}

std::set<std::size_t> from_to(std::size_t first, std::size_t last) {
  std::set<std::size_t> all;
  for (std::size_t i = first; i <= last; ++i) all.insert(i);
  return all;
}

std::vector<Sample> samples() {
  return {
      // A bare CONNACK is one of 3.1.1.
      {Version::k5, "201100000e22000a13001e2700030d40210014", {2, 17}},
      {Version::k311, "20020000", {2}},
      {Version::k5, "320c00046f6b2f61000200686579", from_to(9, 12)},
      {Version::k311, "320b00046f6b2f610002686579", from_to(8, 11)},
      {Version::k5, "300700046f6b2f6100", {7}},
      {Version::k5,
       "323400046f6b2f7000022703000a746578742f706c61696e26000161000162080003722f7409000378797a01010"
       "2"
       "0000006374657874",
       from_to(48, 52)},
      {Version::k5, "400a0001870 61f00036e6f21", {2, 3, 10}},
      {Version::k311, "40020001", {2}},
      {Version::k5, "6209000192052600000000", {2, 3, 9}},
      {Version::k5, "90050001000187", from_to(4, 5)},
      {Version::k311, "900400010101", from_to(3, 4)},
      {Version::k5, "e0109d0e1f00036279651c0005622e636f6d", {0, 1, 16}},
      {Version::k5, "d000", {0}},
  };
}

TEST(Decoding, every_truncation_of_every_packet_waits_for_more_bytes) {
  for (const Sample& sample : samples()) {
    const ByteVector bytes = bytes_of(sample.hex);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_EQ(split_packet(Bytes(bytes).first(cut)).kind, Split::Kind::kNeedMore)
          << sample.hex << " cut at " << cut;
    }
    EXPECT_TRUE(well_formed(view_of(bytes), sample.version)) << sample.hex;
  }
}

TEST(Decoding, every_packet_that_says_it_is_shorter_is_whole_only_where_the_standard_allows) {
  for (const Sample& sample : samples()) {
    const ByteVector bytes = bytes_of(sample.hex);
    for (std::size_t length = 0; length < bytes.size() - 2; ++length) {
      ByteVector shorter(bytes.begin(), bytes.begin() + 2 + static_cast<std::ptrdiff_t>(length));
      shorter[1] = static_cast<std::byte>(length);
      EXPECT_EQ(well_formed(view_of(shorter), sample.version), sample.whole_at.contains(length))
          << sample.hex << " with a body of " << length;
    }
  }
}

TEST(Decoding, bytes_behind_the_end_are_refused_where_nothing_may_follow) {
  for (const Sample& sample : samples()) {
    ByteVector longer = bytes_of(sample.hex);
    longer.push_back(std::byte{0});
    longer[1] = static_cast<std::byte>(std::to_integer<unsigned>(longer[1]) + 1);
    const PacketView packet = view_of(longer);
    // Payloads and lists of reasons may have any length; 02 00 of 3.1.1 cannot be told from more.
    const bool open_end = packet.type == PacketType::kPublish || packet.type == PacketType::kSuback;
    EXPECT_EQ(well_formed(packet, sample.version), open_end) << sample.hex;
  }
}

TEST(Decoding, flags_are_those_of_the_standard) {
  for (const Sample& sample : samples()) {
    ByteVector bytes = bytes_of(sample.hex);
    const unsigned first = std::to_integer<unsigned>(bytes[0]);
    if (first >> 4U == 3) continue;
    for (unsigned flags = 0; flags < 16; ++flags) {
      bytes[0] = static_cast<std::byte>((first & 0xF0U) | flags);
      EXPECT_EQ(well_formed(view_of(bytes), sample.version), flags == (first & 15U))
          << sample.hex << " with flags " << flags;
    }
  }
}

TEST(Decoding, flags_of_publish) {
  for (unsigned flags = 0; flags < 16; ++flags) {
    const unsigned qos = (flags >> 1U) & 3U;
    const bool duplicate = (flags & 8U) != 0;
    ByteVector bytes = bytes_of(qos == 0 ? "3003000174" : "30050001740001");
    bytes[0] = static_cast<std::byte>(0x30U | flags);
    const auto publish = decode_publish(view_of(bytes), Version::k311);
    ASSERT_EQ(publish.has_value(), qos != 3 && !(qos == 0 && duplicate)) << flags;
    if (!publish) continue;
    EXPECT_EQ(publish->qos, qos);
    EXPECT_EQ(publish->duplicate, duplicate);
    EXPECT_EQ(publish->retained, (flags & 1U) != 0);
  }
}

struct Wrong {
  std::string name;
  std::string hex;
  Version version;
  std::uint8_t reason;
  std::string words;
};

TEST(Decoding, what_is_wrong_is_said) {
  const std::vector<Wrong> all{
      {"topic not UTF-8", "30030001ff", Version::k311, 0x81, "PUBLISH whose topic is not valid"},
      {"topic with NUL", "3003000100", Version::k311, 0x81, "not valid UTF-8"},
      {"wildcard", "3003000123", Version::k311, 0x81, "wildcard"},
      {"no topic", "30020000", Version::k311, 0x82, "without a topic"},
      {"no topic", "3003000000", Version::k5, 0x82, "without a topic"},
      {"packet id 0", "32050001740000", Version::k311, 0x82, "packet identifier 0"},
      {"alias", "300700017403230001", Version::k5, 0x94, "topic alias"},
      {"alias alone", "300600000323 0001", Version::k5, 0x94, "topic alias"},
      {"puback 0", "40020000", Version::k5, 0x82, "PUBACK with packet identifier 0"},
      {"connack flags", "20020200", Version::k311, 0x81, "reserved flags"},
      {"refuses and has", "20020105", Version::k311, 0x82, "refuses"},
      {"no reasons", "9003000100", Version::k5, 0x81, "SUBACK without a reason"},
      {"receive maximum 0", "2006000003210000", Version::k5, 0x82, "0x21 whose value"},
      {"packet size 0", "20080000052700000000", Version::k5, 0x82, "0x27 whose value"},
      {"maximum QoS 2", "20050000022402", Version::k5, 0x82, "0x24 whose value"},
      {"twice", "20090000062100012100 02", Version::k5, 0x82, "0x21 twice"},
      {"unknown", "20050000027700", Version::k5, 0x81, "0x77 that does not exist"},
      {"of another packet", "20050000020101", Version::k5, 0x81, "0x01 that belongs"},
      {"ping with a body", "d00100", Version::k5, 0x81, "PINGRESP that is too long"},
  };
  for (const Wrong& wrong : all) {
    const ByteVector bytes = bytes_of(wrong.hex);
    const PacketView packet = view_of(bytes);
    Violation said{0, "it was well-formed"};
    const auto note = [&said](const auto& decoded) {
      if (!decoded) said = decoded.error();
    };
    if (packet.type == PacketType::kPublish) note(decode_publish(packet, wrong.version));
    if (packet.type == PacketType::kConnack) note(decode_connack(packet, wrong.version));
    if (packet.type == PacketType::kPuback) note(decode_acknowledgement(packet, wrong.version));
    if (packet.type == PacketType::kSuback) note(decode_suback(packet, wrong.version));
    if (packet.type == PacketType::kPingresp) note(decode_pingresp(packet));
    EXPECT_EQ(said.reason, wrong.reason) << wrong.name;
    EXPECT_THAT(said.what, HasSubstr(wrong.words)) << wrong.name;
  }
}

// --- Every property in every packet ---

// Table 2-4 of MQTT 5: identifier, type of the value, and the packets of a broker that have it:
// c CONNACK, p PUBLISH, a the four acknowledgements, s SUBACK, u UNSUBACK, d DISCONNECT, x AUTH.
struct Row {
  unsigned id;
  std::string_view type;
  std::string_view packets;
};
constexpr std::array<Row, 27> kTable{{
    {0x01, "byte", "p"},  {0x02, "four", "p"},       {0x03, "text", "p"},
    {0x08, "text", "p"},  {0x09, "data", "p"},       {0x0B, "variable", "p"},
    {0x11, "four", "c"},  {0x12, "text", "c"},       {0x13, "two", "c"},
    {0x15, "text", "cx"}, {0x16, "data", "cx"},      {0x17, "byte", ""},
    {0x18, "four", ""},   {0x19, "byte", ""},        {0x1A, "text", "c"},
    {0x1C, "text", "cd"}, {0x1F, "text", "casudx"},  {0x21, "two", "c"},
    {0x22, "two", "c"},   {0x23, "two", "p"},        {0x24, "byte", "c"},
    {0x25, "byte", "c"},  {0x26, "pair", "cpasudx"}, {0x27, "four", "c"},
    {0x28, "byte", "c"},  {0x29, "byte", "c"},       {0x2A, "byte", "c"},
}};

std::string value_of(std::string_view type) {
  if (type == "byte" || type == "variable") return "01";
  if (type == "two") return "0001";
  if (type == "four") return "00000001";
  if (type == "pair") return "00016b000176";
  return "000161";
}

bool reads(const std::string& property_hex, PacketType type, std::size_t* count = nullptr) {
  std::string hex = property_hex;
  std::erase(hex, ' ');
  ByteVector bytes{static_cast<std::byte>(hex.size() / 2)};
  const ByteVector value = bytes_of(hex);
  bytes.insert(bytes.end(), value.begin(), value.end());
  Reader reader(bytes);
  std::size_t seen = 0;
  const auto read = read_properties(reader, type, [&seen](const Property&) { ++seen; });
  if (count != nullptr) *count = seen;
  return read.has_value() && reader.empty();
}

const std::map<PacketType, char> kLetters{
    {PacketType::kConnack, 'c'}, {PacketType::kPublish, 'p'},  {PacketType::kPuback, 'a'},
    {PacketType::kPubrec, 'a'},  {PacketType::kPubrel, 'a'},   {PacketType::kPubcomp, 'a'},
    {PacketType::kSuback, 's'},  {PacketType::kUnsuback, 'u'}, {PacketType::kDisconnect, 'd'},
    {PacketType::kAuth, 'x'}};

TEST(Properties, each_is_taken_in_its_packets_and_in_no_other) {
  for (const auto& [type, letter] : kLetters) {
    for (unsigned id = 0; id < 128; ++id) {
      const auto* row =
          std::find_if(kTable.begin(), kTable.end(), [id](const Row& r) { return r.id == id; });
      const bool known = row != kTable.end();
      ByteVector first{static_cast<std::byte>(id)};
      const std::string hex = hex_of(first) + value_of(known ? row->type : "byte");
      const bool allowed = known && row->packets.find(letter) != std::string_view::npos;
      std::size_t count = 0;
      EXPECT_EQ(reads(hex, type, &count), allowed) << packet_name(type) << " " << hex;
      EXPECT_EQ(count, allowed ? 1U : 0U);
      if (!allowed) continue;
      const bool repeats = id == 0x26 || id == 0x0B;
      EXPECT_EQ(reads(hex + hex, type), repeats) << packet_name(type) << " " << hex << " twice";
      for (std::size_t cut = 2; cut < hex.size(); cut += 2) {
        EXPECT_FALSE(reads(hex.substr(0, cut), type)) << packet_name(type) << " " << hex;
      }
    }
  }
}

TEST(Properties, identifiers_of_two_bytes_do_not_exist) {
  EXPECT_FALSE(reads("800101", PacketType::kConnack));
  EXPECT_FALSE(reads("a100 0001", PacketType::kConnack));  // 0x21, written too long
}

TEST(Properties, texts_must_be_texts_and_data_may_be_anything) {
  EXPECT_FALSE(reads("1f0001ff", PacketType::kConnack));
  EXPECT_FALSE(reads("260001ff000161", PacketType::kConnack));
  EXPECT_FALSE(reads("26000161000100", PacketType::kConnack));
  EXPECT_TRUE(reads("090001ff", PacketType::kPublish));
  EXPECT_FALSE(reads("0b00", PacketType::kPublish)) << "subscription identifier 0";
}

// --- Texts ---

/// By the definition of UTF-8, bit by bit, without the tables the code uses.
bool reference_is_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t more = first < 0x80              ? 0
                             : (first & 0xE0U) == 0xC0 ? 1
                             : (first & 0xF0U) == 0xE0 ? 2
                             : (first & 0xF8U) == 0xF0 ? 3
                                                       : 9;
    if (more == 9 || i + more >= text.size() + (more == 0 ? 1 : 0)) return false;
    std::uint32_t point = more == 0 ? first : first & (0x3FU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0U) != 0x80) return false;
      point = (point << 6U) | (next & 0x3FU);
    }
    constexpr std::array<std::uint32_t, 4> kLeast{1, 0x80, 0x800, 0x10000};
    if (point < kLeast.at(more) || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

TEST(Texts, are_utf_8_as_its_definition_says) {
  std::string text(3, '\0');
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      text.assign({static_cast<char>(a), static_cast<char>(b)});
      ASSERT_EQ(is_text(text), reference_is_text(text)) << hex_of(as_bytes(text));
      if (a < 0xC0) continue;
      for (unsigned c = 0; c < 256; c += b < 0xC0 ? 1 : 37) {
        text.assign({static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)});
        ASSERT_EQ(is_text(text), reference_is_text(text)) << hex_of(as_bytes(text));
        if (a < 0xF0) continue;
        for (const char d : {'\x7f', '\x80', '\xbf', '\xc0'}) {
          const std::string four = text + d;
          ASSERT_EQ(is_text(four), reference_is_text(four)) << hex_of(as_bytes(four));
        }
      }
    }
  }
  EXPECT_TRUE(is_text(std::string(65'535, 'a')));
  EXPECT_FALSE(is_text(std::string(65'536, 'a')));
}

TEST(Texts, topic_names_and_filters_are_those_of_the_standard) {
  for (const std::string_view good : {"a", "/", "a/b", "/a", "a/", "$SYS/x", "Accounts payable"}) {
    EXPECT_TRUE(is_topic_name(good)) << good;
    EXPECT_TRUE(is_topic_filter(good)) << good;
  }
  for (const std::string_view good : {"#", "+", "sport/#", "sport/+/player1", "+/+", "/+", "+/#"}) {
    EXPECT_FALSE(is_topic_name(good)) << good;
    EXPECT_TRUE(is_topic_filter(good)) << good;
  }
  for (const std::string_view bad :
       {"", "sport/tennis#", "sport/tennis/#/ranking", "sport+", "##", "a/b+/c", "#/a"}) {
    EXPECT_FALSE(is_topic_filter(bad)) << bad;
  }
}

TEST(Reasons, have_the_names_of_the_standard_and_advice_where_it_helps) {
  EXPECT_EQ(reason_with_code(0x8E), "session taken over (0x8e)");
  EXPECT_EQ(reason_with_code(0x00), "success (0x00)");
  EXPECT_EQ(reason_with_code(0xA2), "wildcard subscriptions not supported (0xa2)");
  EXPECT_EQ(reason_with_code(0x77), "unknown reason (0x77)");
  EXPECT_THAT(refusal_words(Version::k5, 0x86), HasSubstr("(0x86): check the user name and the"));
  EXPECT_THAT(refusal_words(Version::k311, 4),
              HasSubstr("bad user name or password (return code 4"));
  EXPECT_THAT(refusal_words(Version::k311, 9), HasSubstr("unknown reason (return code 9)"));
}

}  // namespace
}  // namespace weir::mqtt
