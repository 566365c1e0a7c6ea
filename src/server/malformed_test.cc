#include "server/testing_fixture.h"

namespace weir::server {
namespace {

using testing::bytes;
using testing::Client;
using testing::Fields;
using testing::frame;
using testing::head;
using testing::integer;
using testing::map;
using testing::Reply;
using testing::ServerTest;
using testing::text;

std::string raw(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out += static_cast<char>(value);
  return out;
}

class MalformedTest : public ServerTest {
 protected:
  /// Sends `bytes` behind a list request on an open connection: the list is answered, then the
  /// connection is closed in order. A client beside it notices nothing.
  void expect_closed(const std::string& sent, const std::string& what) {
    SCOPED_TRACE(what);
    Client bystander(port());
    bystander.connect();
    Client client(port());
    client.connect();
    client.send(frame(11, map({{"requestId", text("before")}})) + sent);
    const auto before = client.receive();
    ASSERT_TRUE(before.has_value()) << "what was sent before was not answered";
    EXPECT_EQ("before", before->id());
    EXPECT_TRUE(client.closed_in_order());
    EXPECT_EQ(0, bystander.call(11, {{"requestId", text("r")}}).status());
  }
};

TEST_F(MalformedTest, ImpossibleLengthsCloseTheConnection) {
  start();
  expect_closed(raw({0, 0, 0, 0}), "length 0");
  expect_closed(raw({0, 0, 0, 1, 4}), "length 1");
  expect_closed(raw({0xff, 0xff, 0xff, 0xff}), "negative");
  expect_closed(raw({0x80, 0, 0, 0}), "most negative");
  expect_closed(raw({0x40, 0, 0, 1}), "2^30 + 1");
}

TEST_F(MalformedTest, WhatIsNotOneMapClosesTheConnection) {
  start();
  const std::string good = map({{"requestId", text("r")}});
  for (const int operation : {4, 5, 11, 13, 3, 2, 15}) {
    SCOPED_TRACE(operation);
    expect_closed(frame(operation, "\xff"), "no item");
    expect_closed(frame(operation, good + "x"), "bytes behind the map");
    expect_closed(frame(operation, good + good), "two maps");
    expect_closed(frame(operation, text("requestId")), "a text");
    expect_closed(frame(operation, head(4, 0)), "a list");
    expect_closed(frame(operation, good.substr(0, good.size() - 1)), "cut off");
    expect_closed(frame(operation, map({})), "no requestId");
    expect_closed(frame(operation, map({{"requestId", text("")}})), "empty requestId");
    expect_closed(frame(operation, map({{"requestId", integer(1)}})), "requestId a number");
    expect_closed(frame(operation, map({{"requestId", raw({0xf6})}})), "requestId null");
    expect_closed(frame(operation, map({{"requestId", text(std::string(1'025, 'x'))}})),
                  "requestId too long");
  }
}

TEST_F(MalformedTest, BombsCloseTheConnection) {
  start();
  std::string nested = map({{"requestId", text("r")}, {"x", ""}});
  nested += std::string(10'000, '\x81') + '\x00';
  expect_closed(frame(11, nested), "nested 10,000 deep");
  expect_closed(frame(11, map({{"requestId", text("r")}, {"x", head(4, 1ULL << 62U)}})),
                "a list of 2^62");
  expect_closed(
      frame(
          4,
          map({{"requestId", text("r")}, {"name", text("s")}, {"payload", head(2, 1ULL << 40U)}})),
      "a payload of 2^40");
  expect_closed(frame(4, map({{"requestId", text("r")}, {"name", head(3, ~0ULL)}})),
                "a name of 2^64 - 1");
  std::string many = head(4, 70'000);
  many.append(70'000, '\x01');
  expect_closed(frame(11, map({{"requestId", text("r")}, {"x", many}})), "70,000 items");
}

TEST_F(MalformedTest, UnknownOperationsAreAnsweredAndTheConnectionGoesOn) {
  start();
  Client client(port());
  client.connect();
  for (const int code : {0, 6, 7, 8, 9, 10, 12, 14, 16, 17, 18, 42, 127}) {
    const Reply reply = client.call(code, {{"requestId", text("r")}, {"more", integer(1)}});
    EXPECT_EQ(17, reply.operation);
    EXPECT_EQ(18, reply.status());
    EXPECT_EQ("r", reply.id());
    EXPECT_EQ("operation " + std::to_string(code) + " is not recognized by this server",
              reply.message());
  }
  EXPECT_EQ(17, client.call(-1, {{"requestId", text("r")}}).operation);
  EXPECT_EQ(0, client.call(11, {{"requestId", text("r")}}).status());
}

TEST_F(MalformedTest, ASecondConnectIsAnsweredAndTheConnectionGoesOn) {
  start();
  Client client(port());
  client.connect();
  client.send(Client::connect_frame({{"requestId", text("again")}}));
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(6, reply->operation);
  EXPECT_EQ(9, reply->status());
  EXPECT_EQ("again", reply->id());
  EXPECT_EQ(0, client.call(11, {{"requestId", text("r")}}).status());
}

TEST_F(MalformedTest, AFrameAboveTheLimitIsAnsweredAndItsRestThrownAway) {
  options.frame_bytes_max = 100'000;
  start();
  Client client(port());
  client.connect();
  client.create("s");
  const std::string large(150'000, 'x');
  for (int i = 0; i < 3; ++i) {
    client.send(Client::append_frame("large", "s", large) + Client::append_frame("ok", "s", "y"));
    auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(9, reply->operation);
    EXPECT_EQ(4, reply->status());
    EXPECT_EQ("large", reply->id());
    reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ("ok", reply->id());
    EXPECT_EQ(0, reply->status());
  }
  EXPECT_TRUE(metric("weir_server_limit_hits_total{limit=\"frame_bytes\"} 3"));
}

TEST_F(MalformedTest, TheAnswerToAFrameAboveTheLimitDoesNotWaitForTheFrame) {
  start();
  Client client(port());
  client.connect();
  // 2^30 bytes are announced, two thousand come.
  const std::string begin =
      map({{"requestId", text("huge")}, {"name", text("s")}, {"payload", head(2, 1U << 29U)}});
  client.send(raw({0x40, 0, 0, 0, 4}) + begin + std::string(2'100, 'x'));
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(4, reply->status());
  EXPECT_EQ("huge", reply->id());
}

TEST_F(MalformedTest, AFrameAboveTheLimitWithoutARequestIdClosesTheConnection) {
  options.frame_bytes_max = 10'000;
  start();
  expect_closed(frame(4, std::string(20'000, '\0')), "20,000 zeros");
}

// ---- every field of every operation, bad in every way ------------------------------------------

struct Field {
  std::string name;
  std::string good;
  bool required;
};
struct Request {
  int operation;
  std::vector<Field> fields;  // of the map that is varied
  std::string inside;         // the field that holds this map; empty = the request itself
};

std::vector<Request> requests() {
  const std::string definition = Client::definition("other");
  return {
      {2, {{"definition", definition, true}}, ""},
      {3, {{"name", text("gone"), true}}, ""},
      {4, {{"name", text("s"), true}, {"payload", bytes("x"), true}}, ""},
      {5, {{"streamName", text("s"), true}, {"readMessagesOptions", map({}), false}}, ""},
      {5,
       {{"desiredStartSequenceNumber", integer(0), false},
        {"minMessageCount", integer(1), false},
        {"maxMessageCount", integer(1), false},
        {"readTimeoutMillis", integer(0), false}},
       "readMessagesOptions"},
      {13, {{"name", text("s"), true}}, ""},
      {15, {{"definition", definition, true}}, ""},
      {2,
       {{"name", text("other"), true},
        {"strategyOnFull", integer(1), true},
        {"maxSize", integer(4'096), false},
        {"streamSegmentSize", integer(2'048), false},
        {"timeToLiveMillis", integer(60'000), false},
        {"persistence", integer(0), false},
        {"flushOnWrite", raw({0xf4}), false},
        {"exportDefinition", map({}), false}},
       "definition"},
  };
}

std::vector<std::string> bad_values() {
  return {raw({0xf6}),  // null
          raw({0xf7}),  // undefined
          raw({0xf5}),  // true
          integer(-1),
          integer(std::numeric_limits<std::int64_t>::max()),
          head(0, ~0ULL),                       // 2^64 - 1
          raw({0xf9, 0x7e, 0x00}),              // NaN
          raw({0xfa, 0x45, 0x00, 0x08, 0x00}),  // 2048.5
          text(""),
          text(".."),
          text(std::string(256, 'x')),
          text("temp\xc3\xa9rature"),
          text("\xff\xfe"),
          bytes(""),
          bytes("\x01\x02"),
          head(4, 0),
          head(4, 1) + integer(1),
          map({}),
          map({{"a", integer(1)}}),
          raw({0x7f, 0x61, 'a', 0xff}),    // chunked text
          raw({0x9f, 0xff}),               // indefinite list
          raw({0xd9, 0xd9, 0xf7, 0x01})};  // tagged
}

std::string request_payload(const Request& request, const Field* changed,
                            const std::optional<std::string>& value) {
  Fields varied;
  for (const Field& field : request.fields) {
    if (&field != changed) {
      varied.emplace_back(field.name, field.good);
    } else if (value) {
      varied.emplace_back(field.name, *value);
    }
  }
  Fields all{{"requestId", text("r")}};
  if (request.inside.empty()) {
    all.insert(all.end(), varied.begin(), varied.end());
  } else {
    if (request.operation == 5) all.emplace_back("streamName", text("s"));
    all.emplace_back(request.inside, map(varied));
  }
  return map(all);
}

// A client that sends every operation with every field absent, null, of the wrong type or extreme
// gets one answer each time (or, where the bytes are no CBOR, is closed); one beside it notices
// nothing.
TEST_F(MalformedTest, EveryFieldOfEveryOperationMayBeBadInEveryWay) {
  start();
  Client good(port());
  good.connect();
  ASSERT_EQ(0, good.create("s").status());
  int cases = 0;
  for (const Request& request : requests()) {
    for (const Field& field : request.fields) {
      std::vector<std::optional<std::string>> values{std::nullopt};
      for (auto& value : bad_values()) values.emplace_back(std::move(value));
      for (const auto& value : values) {
        SCOPED_TRACE("operation " + std::to_string(request.operation) + " field " + field.name +
                     " case " + std::to_string(&value - values.data()));
        Client client(port());
        client.connect();
        client.send(frame(request.operation, request_payload(request, &field, value)));
        const auto reply = client.receive();
        if (reply) {
          EXPECT_EQ("r", reply->id());
          EXPECT_EQ(request.operation == 4   ? 9
                    : request.operation == 5 ? 10
                    : request.operation == 2 ? 7
                    : request.operation == 3 ? 8
                                             : request.operation + 1,
                    reply->operation);
          if (!value && field.required) {
            EXPECT_EQ(3, reply->status());
            EXPECT_NE(std::string::npos, reply->message().find(field.name)) << reply->message();
          }
        }
        on_core([this] {
          if (catalog->find("other") != nullptr) catalog->remove("other", [](const auto&) {});
        });
        ASSERT_EQ(0, good.append("s", "still here").status());
        ++cases;
      }
    }
  }
  EXPECT_GT(cases, 400);
}

}  // namespace
}  // namespace weir::server
