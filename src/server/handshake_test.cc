#include "server/failed_attempts.h"
#include "server/testing_fixture.h"

namespace weir::server {
namespace {

using testing::Client;
using testing::Fields;
using testing::frame;
using testing::head;
using testing::integer;
using testing::map;
using testing::Reply;
using testing::ServerTest;
using testing::text;

class HandshakeTest : public ServerTest {
 protected:
  /// Sends `bytes` as the first ones of a connection, expects one answer and an orderly close.
  testing::Reply refused(const std::string& bytes) {
    Client client(port());
    client.send(bytes);
    auto reply = client.receive_handshake();
    EXPECT_TRUE(reply.has_value()) << "closed without an answer";
    if (!reply) return {};
    EXPECT_EQ(6, reply->operation);
    EXPECT_TRUE(client.closed_in_order());
    return *reply;
  }
};

TEST_F(HandshakeTest, LetsAClientInAndTellsItWhoItIs) {
  start();
  Client client(port());
  client.send("\x01" + Client::connect_frame({{"requestId", text("abc")}}));
  const auto reply = client.receive_handshake();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(6, reply->operation);
  EXPECT_EQ("abc", reply->id());
  EXPECT_EQ(0, reply->status());
  EXPECT_EQ("", reply->message());
  EXPECT_EQ("1.1.0", reply->body["protocolVersion"].text);
  ASSERT_EQ(2U, reply->body["supportedProtocolVersions"].list.size());
  EXPECT_FALSE(reply->body["serverVersion"].text.empty());

  Client other(port());
  other.send("\x01" + Client::connect_frame());
  const auto other_reply = other.receive_handshake();
  ASSERT_TRUE(other_reply.has_value());
  EXPECT_NE(reply->body["clientIdentifier"].text, other_reply->body["clientIdentifier"].text);
}

TEST_F(HandshakeTest, AnswersEveryMistakeBeforeItCloses) {
  start();
  EXPECT_EQ(8, refused("\x02").status());
  EXPECT_EQ(8, refused("GET / HTTP/1.1\r\n\r\n").status());

  const auto other_operation = refused("\x01" + frame(11, map({{"requestId", text("r")}})));
  EXPECT_EQ(9, other_operation.status());
  EXPECT_EQ("r", other_operation.id());

  EXPECT_EQ(3, refused("\x01" + frame(1, "not cbor at all")).status());
  EXPECT_EQ(3, refused("\x01" + frame(1, map({{"protocolVersion", text("1.1.0")}}))).status());
  EXPECT_EQ(3, refused(std::string("\x01\x00\x00\x00\x00", 5)).status());
  EXPECT_EQ(3, refused(std::string("\x01\xff\xff\xff\xff", 5)).status());
  const auto wrong_type = refused(
      "\x01" + frame(1, map({{"requestId", text("typed")}, {"protocolVersion", integer(1)}})));
  EXPECT_EQ(3, wrong_type.status());
  EXPECT_EQ("typed", wrong_type.id());

  const auto no_common =
      refused("\x01" + Client::connect_frame({{"protocolVersion", text("2.0.0")},
                                              {"otherSupportedProtocolVersions", head(4, 0)}}));
  EXPECT_EQ(10, no_common.status());
  EXPECT_EQ(2U, no_common.body["supportedProtocolVersions"].list.size());
  for (const char* version : {"", "1", "1.1", "one.two.three", "1.1.0.0"}) {
    const auto bad = refused("\x01" + Client::connect_frame({{"protocolVersion", text(version)}}));
    EXPECT_EQ(11, bad.status()) << version;
    EXPECT_EQ("c", bad.id());
  }
  EXPECT_TRUE(metric("weir_server_connections_closed_total{reason=\"malformed\"} 0"));
}

TEST_F(HandshakeTest, RefusesAFirstFrameThatIsTooLargeWithoutWaitingForIt) {
  start();
  EXPECT_EQ(4, refused(std::string("\x01\x00\x01\x00\x01", 5)).status());
  EXPECT_TRUE(metric("weir_server_limit_hits_total{limit=\"handshake_frame_bytes\"} 1"));
}

TEST_F(HandshakeTest, SpeaksTheOldProtocolWithOldClients) {
  start();
  Client client(port());
  client.send("\x01" +
              frame(1, map({{"requestId", text("old")}, {"protocolVersion", text("1.0.0")}})));
  const auto reply = client.receive_handshake();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(0, reply->status());
  EXPECT_EQ("1.0.0", reply->body["protocolVersion"].text);

  // They would stop reading at a status above 14 (docs/wire-compatibility.md).
  for (const int code : {0, 42, 127}) {
    const Reply unknown = client.call(code, {{"requestId", text("r")}});
    EXPECT_EQ(17, unknown.operation);
    EXPECT_EQ(3, unknown.status());
    EXPECT_EQ("r", unknown.id());
  }
  client.create("s");
  const auto memory = Client::definition("s", {{"persistence", integer(1)}});
  EXPECT_EQ(3, client.call(15, {{"requestId", text("r")}, {"definition", memory}}).status())
      << "not 17";
}

TEST_F(HandshakeTest, TakesTheHandshakeByteByByte) {
  start();
  Client client(port());
  for (const char c : "\x01" + Client::connect_frame()) client.send({&c, 1});
  const auto reply = client.receive_handshake();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(0, reply->status());
}

TEST_F(HandshakeTest, TellsASilentClientThatItTookTooLong) {
  options.handshake_timeout_ms = kShortMs;
  start();
  Client silent(port());
  const auto reply = silent.receive_handshake();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(6, reply->status());
  EXPECT_TRUE(silent.closed_in_order());
  Client half(port());
  half.send("\x01\x01");
  EXPECT_TRUE(half.receive_handshake().has_value());
  EXPECT_TRUE(eventually([this] { return server->counts().connections <= 2; }));
}

TEST_F(HandshakeTest, LeavesOpenConnectionsAloneForEver) {
  options.handshake_timeout_ms = kShortMs;
  options.stall_timeout_ms = kShortMs;
  options.request_deadline_ms = kShortMs;
  start();
  Client idle(port());
  idle.connect();
  Client silent(port());
  EXPECT_TRUE(silent.receive_handshake().has_value()) << "the time is up for this one";
  EXPECT_EQ(0, idle.call(11, {{"requestId", text("r")}}).status());
}

// ---- authentication ---------------------------------------------------------------------------

class AuthenticationTest : public HandshakeTest {
 protected:
  AuthenticationTest() { options.authenticate_client = true; }
  static std::string with_token(const std::string& token) {
    return "\x01" + Client::connect_frame({{"authToken", text(token)}});
  }
};

TEST_F(AuthenticationTest, LetsInWhoKnowsTheWordAndNobodyElse) {
  start();
  Client good(port());
  good.connect({{"authToken", text("open sesame")}});
  for (const std::string& token : {std::string("open sesam"), std::string("open sesame "),
                                   std::string("open sesame\0", 12), std::string()}) {
    const auto reply = refused(with_token(token));
    EXPECT_EQ(2, reply.status());
    EXPECT_EQ("Unauthorized", reply.message());
    EXPECT_EQ("c", reply.id());
  }
  EXPECT_EQ(2, refused("\x01" + Client::connect_frame()).status()) << "no token at all";
  EXPECT_TRUE(metric("weir_server_authentication_failures_total 5"));
}

TEST_F(AuthenticationTest, DoesNothingThatStandsBehindARefusedConnect) {
  start();
  Client client(port());
  client.send(with_token("wrong") +
              frame(2, map({{"requestId", text("r")}, {"definition", Client::definition("x")}})));
  const auto reply = client.receive_handshake();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(2, reply->status());
  EXPECT_TRUE(client.closed_in_order());
  EXPECT_EQ(nullptr, on_core([this] { return catalog->find("x"); }));
}

TEST_F(AuthenticationTest, WaitsForTheVerdictAndThenDoesWhatStandsBehindConnect) {
  verifier.later = true;
  start();
  Client client(port());
  client.send(with_token("open sesame") + frame(11, map({{"requestId", text("r")}})));
  ASSERT_TRUE(eventually([this] { return verifier.held != nullptr; }));
  EXPECT_TRUE(client.quiet());
  on_core([this] { verifier.held(TokenVerdict::kGood, ""); });
  ASSERT_TRUE(client.receive_handshake().has_value());
  EXPECT_EQ(12, client.receive()->operation);
}

TEST_F(AuthenticationTest, AVerdictForAClientThatWentAwayHurtsNobody) {
  verifier.later = true;
  start();
  Client client(port());
  client.send(with_token("open sesame"));
  ASSERT_TRUE(eventually([this] { return verifier.held != nullptr; }));
  client.reset();
  ASSERT_TRUE(eventually([this] { return server->counts().connections == 0; }));
  on_core([this] { verifier.held(TokenVerdict::kGood, ""); });
}

TEST_F(AuthenticationTest, TellsWhoseTokenCannotBeCheckedToTryAgain) {
  verifier.later = true;
  start();
  Client client(port());
  client.send(with_token("open sesame"));
  ASSERT_TRUE(eventually([this] { return verifier.held != nullptr; }));
  on_core([this] { verifier.held(TokenVerdict::kUnchecked, "nobody there"); });
  const auto reply = client.receive_handshake();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(2, reply->status());
  EXPECT_NE(std::string::npos, reply->message().find("try again"));
  EXPECT_TRUE(metric("weir_server_unchecked_tokens_total 1"));
  EXPECT_TRUE(metric("weir_server_authentication_failures_total 0"));
}

TEST_F(AuthenticationTest, RefusesWhenTheVerdictTakesTooLong) {
  verifier.later = true;
  options.handshake_timeout_ms = kShortMs;
  start();
  EXPECT_EQ(2, refused(with_token("open sesame")).status());
}

TEST(FailedAttempts, HoldsBackTheAnswerLongerFromFailureToFailure) {
  FailedAttempts attempts;
  const Instant now{std::chrono::hours(1)};
  EXPECT_EQ(Duration::zero(), attempts.delay("a", now));
  EXPECT_EQ(FailedAttempts::kFirst, attempts.delay("a", now));
  EXPECT_EQ(2 * FailedAttempts::kFirst, attempts.delay("a", now));
  EXPECT_EQ(Duration::zero(), attempts.delay("b", now)) << "another source";
  for (int i = 0; i < 100; ++i) EXPECT_LE(attempts.delay("a", now), FailedAttempts::kLongest);
  EXPECT_EQ(Duration::zero(), attempts.delay("a", now + FailedAttempts::kForgottenAfter));
}

TEST(FailedAttempts, RemembersABoundedNumberOfSources) {
  FailedAttempts attempts;
  Instant now{std::chrono::hours(1)};
  for (std::size_t i = 0; i < FailedAttempts::kSourcesMax; ++i) {
    attempts.delay(std::to_string(i), now);
    now += Duration(1);
  }
  attempts.delay("one more", now);
  EXPECT_EQ(Duration::zero(), attempts.delay("0", now)) << "the oldest was forgotten";
  EXPECT_EQ(FailedAttempts::kFirst, attempts.delay("one more", now));
}

// ---- limits before the handshake is done ------------------------------------------------------

TEST_F(HandshakeTest, TheOldestSilentClientMakesPlaceForANewOne) {
  options.unauthenticated_connections_max = 3;
  start();
  std::vector<Client> silent;
  for (int i = 0; i < 3; ++i) {
    silent.emplace_back(port());
    if (i == 0) silent[0].send("\x01");  // not silent any more
    const auto expected = i + 1;
    ASSERT_TRUE(eventually([&] { return server->counts().connections == expected; }));
  }
  Client fourth(port());
  fourth.connect();
  EXPECT_TRUE(silent[1].closed_in_order());
  silent[0].send(Client::connect_frame());
  EXPECT_TRUE(silent[0].receive_handshake().has_value());
  EXPECT_TRUE(metric("weir_server_connections_refused_total{reason=\"unauthenticated_max\"} 1"));
}

TEST_F(HandshakeTest, OneConnectionTooManyIsClosedAtOnceAndTheOthersDoNotNotice) {
  options.connections_max = 2;
  start();
  Client first(port());
  first.connect();
  {
    Client second(port());
    second.connect();
    Client third(port());
    EXPECT_TRUE(third.closed());
    EXPECT_EQ(0, first.call(11, {{"requestId", text("r")}}).status());
  }
  ASSERT_TRUE(eventually([this] { return server->counts().connections == 1; }));
  Client fourth(port());
  fourth.connect();
  EXPECT_TRUE(metric("weir_server_connections_refused_total{reason=\"connections_max\"} 1"));
}

// ---- binding ----------------------------------------------------------------------------------

TEST_F(ServerTest, SaysThatThePortIsInUseAndWhatToDo) {
  start();
  Options second = options;
  second.port = port();
  const auto bound = Server::bind(second, {*loop, clock, registry, verifier, exports});
  ASSERT_FALSE(bound.has_value());
  EXPECT_EQ(Errc::kUnavailable, bound.error().code);
  EXPECT_NE(std::string::npos, bound.error().what.find(std::to_string(port())));
  EXPECT_NE(std::string::npos, bound.error().what.find("choose another one"));
}

TEST_F(ServerTest, RefusesAddressesAndLimitsThatMakeNoSense) {
  const auto refuses = [this](auto change) {
    Options wrong = options;
    change(wrong);
    const auto bound = Server::bind(wrong, {*loop, clock, registry, verifier, exports});
    return !bound && bound.error().code == Errc::kInvalidArgument;
  };
  EXPECT_TRUE(refuses([](Options& o) {
    o.bind_address = "not an address";
    o.authenticate_client = true;
  }));
  EXPECT_TRUE(refuses([](Options& o) {
    o.bind_address = "203.0.113.1";
    o.authenticate_client = true;
  })) << "no interface has it";
  EXPECT_TRUE(refuses([](Options& o) { o.bind_address = "0.0.0.0"; }))
      << "open to the network without authentication";
  EXPECT_TRUE(refuses([](Options& o) { o.port = 65'536; }));
  EXPECT_TRUE(refuses([](Options& o) { o.port = -1; }));
  EXPECT_TRUE(refuses([](Options& o) { o.reader_threads = 0; }));
  EXPECT_TRUE(refuses([](Options& o) { o.request_budget_bytes = 0; }));
}

}  // namespace
}  // namespace weir::server
