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

class RequestsTest : public ServerTest {
 protected:
  Client& open() {
    client_.emplace(port());
    return client_->connect();
  }

 private:
  std::optional<Client> client_;
};

TEST_F(RequestsTest, AnswersEachErrorWithItsStatusAndText) {
  start();
  Client& client = open();
  EXPECT_EQ(0, client.create("s").status());
  EXPECT_EQ("", client.create("t").message());

  const Reply exists = client.create("s");
  EXPECT_EQ(3, exists.status());
  EXPECT_EQ("the message stream already exists", exists.message());

  const Reply short_read = client.read("s", {.least = 1});
  EXPECT_EQ(13, short_read.status());
  EXPECT_EQ("not enough messages to return before time out", short_read.message());
  EXPECT_TRUE(short_read.body["messages"].list.empty());

  const std::string none = "the requested message stream does not exist";
  for (const Reply& reply :
       {client.append("none", "x"), client.read("none", {}), client.remove("none"),
        client.call(13, {{"requestId", text("r")}, {"name", text("none")}}),
        client.call(15, {{"requestId", text("r")}, {"definition", Client::definition("none")}})}) {
    EXPECT_EQ(5, reply.status());
    EXPECT_EQ(none, reply.message());
  }

  const Reply update =
      client.call(15, {{"requestId", text("r")},
                       {"definition", Client::definition("s", {{"persistence", integer(1)}})}});
  EXPECT_EQ(17, update.status());
  EXPECT_EQ("persistence cannot be updated", update.message());

  EXPECT_EQ(3, client.append("s", "").status()) << "an empty payload";
  EXPECT_EQ(0, client.remove("s").status());
  EXPECT_EQ(5, client.append("s", "x").status());
}

TEST_F(RequestsTest, AppendsThatTheStoreRefusesSayWhy) {
  start();
  Client& client = open();
  client.create("s");
  const auto refuse = [this](Errc code, const char* why) {
    on_core([&] { catalog->refuse_appends = Error{code, why}; });
  };
  refuse(Errc::kFull, "the message stream is full");
  Reply reply = client.append("s", "x");
  EXPECT_EQ(3, reply.status());
  EXPECT_EQ("the message stream is full", reply.message());
  refuse(Errc::kIo, "append to stream s: no space left on device");
  reply = client.append("s", "x");
  EXPECT_EQ(1, reply.status());
  EXPECT_EQ("append to stream s: no space left on device", reply.message());
}

TEST_F(RequestsTest, OldClientsAreNeverSentAStatusTheyDoNotKnow) {
  start();
  Client client(port());
  client.connect(
      {{"protocolVersion", text("1.0.0")}, {"otherSupportedProtocolVersions", head(4, 0)}});
  client.create("s");
  EXPECT_EQ(3,
            client
                .call(15, {{"requestId", text("r")},
                           {"definition", Client::definition("s", {{"persistence", integer(1)}})}})
                .status());
  const Reply unknown = client.call(42, {{"requestId", text("r")}});
  EXPECT_EQ(17, unknown.operation);
  EXPECT_EQ(3, unknown.status());
}

TEST_F(RequestsTest, ListsAllStreamsByName) {
  start();
  Client& client = open();
  EXPECT_EQ(testing::Item::Kind::kList,
            client.call(11, {{"requestId", text("r")}}).body["streams"].kind)
      << "empty, but there";
  for (const char* name : {"b", "a", "c d", "A"}) EXPECT_EQ(0, client.create(name).status());
  std::vector<std::string> names;
  const Reply reply = client.call(11, {{"requestId", text("r")}});
  for (const auto& name : reply.body["streams"].list) names.push_back(name.text);
  EXPECT_EQ((std::vector<std::string>{"A", "a", "b", "c d"}), names);
}

TEST_F(RequestsTest, DescribesAStreamWithItsDefaultsAndItsExports) {
  start();
  Client& client = open();
  const std::string wanted =
      map({{"http", head(4, 1) + map({{"identifier", text("h")}, {"uri", text("http://x/")}})}});
  ASSERT_EQ(0, client.create("s", {{"exportDefinition", wanted}}).status());
  client.append("s", "x");
  const Reply reply = client.call(13, {{"requestId", text("r")}, {"name", text("s")}});
  EXPECT_EQ(14, reply.operation);
  const auto& info = reply.body["messageStreamInfo"];
  EXPECT_EQ("s", info["definition"]["name"].text);
  EXPECT_EQ(268'435'456, info["definition"]["maxSize"].number);
  EXPECT_EQ(16'777'216, info["definition"]["streamSegmentSize"].number);
  for (const char* type : {"http", "iotAnalytics", "kinesis", "IotSitewise", "s3TaskExecutor"}) {
    EXPECT_EQ(testing::Item::Kind::kList, info["definition"]["exportDefinition"][type].kind);
  }
  EXPECT_EQ(0, info["storageStatus"]["newestSequenceNumber"].number);
  ASSERT_EQ(1U, info["exportStatuses"].list.size());
  EXPECT_EQ("h", info["exportStatuses"].list[0]["exportConfigIdentifier"].text);
}

TEST_F(RequestsTest, AStatusStreamMustExistAndBeAnother) {
  start();
  Client& client = open();
  const auto with_status_stream = [](const std::string& name) {
    return Fields{
        {"exportDefinition",
         map({{"s3TaskExecutor",
               head(4, 1) + map({{"identifier", text("u")},
                                 {"statusConfig", map({{"statusStreamName", text(name)}})}})}})}};
  };
  Reply reply = client.create("uploads", with_status_stream("uploads"));
  EXPECT_EQ(3, reply.status());
  EXPECT_NE(std::string::npos,
            reply.message().find(
                "definition.exportDefinition.s3TaskExecutor[0].statusConfig.statusStreamName"))
      << reply.message();
  EXPECT_EQ(3, client.create("uploads", with_status_stream("status")).status());
  client.create("status");
  EXPECT_EQ(0, client.create("uploads", with_status_stream("status")).status());
  reply = client.call(
      15, {{"requestId", text("r")},
           {"definition", Client::definition("uploads", with_status_stream("uploads"))}});
  EXPECT_EQ(3, reply.status());
}

TEST_F(RequestsTest, AMultipartThresholdIsNotBelowTheConfiguredSizeOfParts) {
  options.multipart_threshold_min = 8 << 20;
  start();
  Client& client = open();
  const auto with_threshold = [](std::uint64_t bytes) {
    return Fields{
        {"exportDefinition",
         map({{"s3TaskExecutor",
               head(4, 1) + map({{"identifier", text("u")},
                                 {"sizeThresholdForMultipartUploadBytes", head(0, bytes)}})}})}};
  };
  const Reply reply = client.create("uploads", with_threshold((8 << 20) - 1));
  EXPECT_EQ(3, reply.status());
  EXPECT_NE(
      std::string::npos,
      reply.message().find(
          "definition.exportDefinition.s3TaskExecutor[0].sizeThresholdForMultipartUploadBytes"))
      << reply.message();
  EXPECT_EQ(0, client.create("uploads", with_threshold(8 << 20)).status());
}

TEST_F(RequestsTest, TheLimitOfStreamsIsNamed) {
  start();
  on_core([this] { catalog->streams_max = 1; });
  Client& client = open();
  EXPECT_EQ(0, client.create("a").status());
  const Reply reply = client.create("b");
  EXPECT_EQ(3, reply.status());
  EXPECT_NE(std::string::npos, reply.message().find("streams_max")) << reply.message();
}

// ---- order, pipelining, equal request ids -----------------------------------------------------

TEST_F(RequestsTest, PipelinedAppendsAreNumberedInTheirOrderAndTheWaitingReadIsAnsweredLast) {
  start();
  Client& client = open();
  client.create("s");
  std::string burst = Client::read_frame("waiting", "s", {.least = 100, .timeout_ms = 20'000});
  for (int i = 0; i < 100; ++i) {
    burst += Client::append_frame(std::to_string(i), "s", "m" + std::to_string(i));
  }
  client.send(burst);
  for (int i = 0; i < 100; ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(std::to_string(i), reply->id());
    EXPECT_EQ(i, reply->body["sequenceNumber"].number);
  }
  const auto read = client.receive();
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ("waiting", read->id());
  ASSERT_EQ(100U, read->body["messages"].list.size());
  EXPECT_EQ("m99", read->body["messages"].list[99]["payload"].text);
}

TEST_F(RequestsTest, ABurstOfAppendsIsWrittenTogether) {
  start();
  Client& client = open();
  client.create("s");
  const auto before = on_core([this] { return catalog->commits; });
  std::string burst;
  for (int i = 0; i < 200; ++i) burst += Client::append_frame("r", "s", "x");
  client.send(burst);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client.receive().has_value());
  EXPECT_LT(on_core([this] { return catalog->commits; }) - before, 20);
}

TEST_F(RequestsTest, ARequestSeesTheAppendsBeforeItInTheSameBurst) {
  start();
  Client& client = open();
  client.create("s");
  client.send(Client::append_frame("a", "s", "x") + Client::read_frame("b", "s", {.least = 1}) +
              frame(3, map({{"requestId", text("c")}, {"name", text("s")}})) +
              Client::append_frame("d", "s", "y"));
  std::map<std::string, std::int64_t> status;
  for (int i = 0; i < 4; ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    status[reply->id()] = reply->status();
  }
  EXPECT_EQ((std::map<std::string, std::int64_t>{{"a", 0}, {"b", 0}, {"c", 0}, {"d", 5}}), status);
}

TEST_F(RequestsTest, EqualRequestIdsDoNotConfuseTheServer) {
  start();
  Client& client = open();
  client.create("s");
  client.send(Client::read_frame(" ", "s", {.least = 3, .timeout_ms = 20'000}) +
              Client::append_frame(" ", "s", "x") + Client::append_frame(" ", "s", "y") +
              frame(11, map({{"requestId", text(" ")}})) + Client::append_frame(" ", "s", "z"));
  std::vector<int> operations;
  for (int i = 0; i < 5; ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(" ", reply->id());
    operations.push_back(reply->operation);
  }
  std::sort(operations.begin(), operations.end());
  EXPECT_EQ((std::vector<int>{9, 9, 9, 10, 12}), operations);
}

TEST_F(RequestsTest, AChangeThatTakesLongHoldsUpItsOwnConnectionOnly) {
  start();
  Client& client = open();
  on_core([this] { catalog->hold_changes = true; });
  client.send(
      frame(2, map({{"requestId", text("slow")}, {"definition", Client::definition("s")}})) +
      Client::append_frame("behind", "s", "x") + frame(11, map({{"requestId", text("last")}})));
  Client other(port());
  other.connect();
  EXPECT_EQ(0, other.call(11, {{"requestId", text("r")}}).status());
  EXPECT_TRUE(client.quiet());
  on_core([this] { catalog->finish_changes(); });
  for (const char* id : {"slow", "behind", "last"}) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(id, reply->id());
    EXPECT_EQ(0, reply->status());
  }
}

TEST_F(RequestsTest, AStreamThatCannotBeReadIsListedAndEveryRequestForItSaysWhy) {
  start();
  Client& client = open();
  client.create("valves");
  const std::string why = "the message stream is unavailable: Input/output error";
  on_core([&] {
    catalog->unavailable_streams = {{StreamId(7), "pumps", why}, {StreamId(8), "", why}};
  });
  const auto definition = Client::definition("pumps");
  const std::pair<int, Reply> expected[] = {
      {1, client.append("pumps", "x")},
      {14, client.read("pumps", {})},
      {1, client.call(13, {{"requestId", text("r")}, {"name", text("pumps")}})},
  };
  for (const auto& [status, reply] : expected) {
    EXPECT_EQ(status, reply.status());
    EXPECT_EQ(why, reply.message());
  }
  const Reply created = client.create("pumps");
  EXPECT_EQ(3, created.status());
  EXPECT_EQ("the message stream already exists: " + why, created.message());
  const Reply listed = client.call(11, {{"requestId", text("r")}});
  ASSERT_EQ(2U, listed.body["streams"].list.size());
  EXPECT_EQ("pumps", listed.body["streams"].list.at(0).text);
  EXPECT_EQ("valves", listed.body["streams"].list.at(1).text);
  EXPECT_EQ(0, client.append("valves", "x").status()) << "others do not notice";
}

TEST_F(RequestsTest, AnUpdateIsAnsweredWhenTheExportsItMovedAreStored) {
  start();
  Client& client = open();
  client.create("s");
  on_core([this] { exports.later = true; });
  const std::string update =
      frame(15, map({{"requestId", text("u")}, {"definition", Client::definition("s")}}));
  for (const bool stored : {true, false}) {
    client.send(update);
    ASSERT_TRUE(eventually([this] { return static_cast<bool>(exports.held); }));
    EXPECT_TRUE(client.quiet());
    on_core([&] {
      std::exchange(exports.held, {})(
          stored ? Result<void>() : Result<void>(fail(Errc::kIo, "the position: disk gone")));
    });
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(stored ? 0 : 16, reply->status());
    EXPECT_EQ(stored ? "" : "the position: disk gone", reply->message());
  }
  client.send(frame(15, map({{"requestId", text("u")}, {"definition", Client::definition("t")}})));
  EXPECT_EQ(5, client.receive()->status()) << "what does not exist moves nothing";
}

TEST_F(RequestsTest, ManyChangesInOneBurstHappenInTheirOrder) {
  start();
  Client& client = open();
  std::string burst;
  for (int i = 0; i < 200; ++i) {
    burst += frame(2, map({{"requestId", text("c")}, {"definition", Client::definition("s")}}));
    burst += Client::append_frame("a", "s", std::to_string(i));
    burst += Client::read_frame("r", "s", {.least = 1});
    burst += frame(3, map({{"requestId", text("d")}, {"name", text("s")}}));
  }
  client.send(burst);
  for (int i = 0; i < 200; ++i) {
    for (const char* id : {"c", "a", "r", "d"}) {
      const auto reply = client.receive();
      ASSERT_TRUE(reply.has_value());
      ASSERT_EQ(id, reply->id());
      ASSERT_EQ(0, reply->status()) << reply->message();
      if (reply->id() == "r") {
        ASSERT_EQ(std::to_string(i), reply->body["messages"].list.at(0)["payload"].text);
      }
    }
  }
}

TEST_F(RequestsTest, AChangeWhoseClientWentAwayStillHappens) {
  start();
  Client& client = open();
  on_core([this] { catalog->hold_changes = true; });
  client.send(frame(2, map({{"requestId", text("c")}, {"definition", Client::definition("s")}})));
  ASSERT_TRUE(eventually([this] { return catalog->find("s") != nullptr; }));
  client.reset();
  ASSERT_TRUE(eventually([this] { return server->counts().connections == 0; }));
  on_core([this] { catalog->finish_changes(); });
  EXPECT_EQ(0, open().append("s", "x").status());
}

TEST_F(RequestsTest, AClientThatStopsSendingGetsAllAnswersBeforeTheClose) {
  start();
  Client& client = open();
  client.create("s");
  on_core([this] { catalog->slow_disk = true; });
  client.send(Client::append_frame("a", "s", "x") + Client::append_frame("b", "s", "y"));
  client.half_close();
  ASSERT_TRUE(eventually([this] {
    catalog->sync();
    return catalog->stream("s").fake->visible_end() == SequenceNumber(2);
  }));
  EXPECT_EQ("a", client.receive()->id());
  EXPECT_EQ("b", client.receive()->id());
  EXPECT_TRUE(client.closed_in_order());
}

// ---- disks that take their time ---------------------------------------------------------------

TEST_F(RequestsTest, AppendsAreAnsweredWhenTheDiskIsDoneAndOthersGoOnMeanwhile) {
  start();
  Client& client = open();
  client.create("s");
  on_core([this] { catalog->slow_disk = true; });
  for (int i = 0; i < 50; ++i) {
    client.send(Client::append_frame("request number " + std::to_string(i), "s", "x"));
  }
  EXPECT_EQ(12, client.call(11, {{"requestId", text("r")}}).operation);
  on_core([this] { catalog->sync(); });
  for (int i = 0; i < 50; ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ("request number " + std::to_string(i), reply->id());
    EXPECT_EQ(i, reply->body["sequenceNumber"].number);
  }
}

TEST_F(RequestsTest, AnAppendWhoseClientWentAwayIsKeptAndNobodyIsAnswered) {
  start();
  Client& client = open();
  client.create("s");
  on_core([this] { catalog->slow_disk = true; });
  client.send(Client::append_frame("a", "s", "x"));
  ASSERT_TRUE(eventually([this] { return catalog->commits > 0; }));
  client.reset();
  ASSERT_TRUE(eventually([this] { return server->counts().connections == 0; }));
  Client& next = open();  // may get the place of the one before
  on_core([this] {
    catalog->sync();
    catalog->slow_disk = false;
  });
  const Reply reply = next.append("s", "y");
  EXPECT_EQ("append", reply.id());
  EXPECT_EQ(1, reply.body["sequenceNumber"].number);
}

TEST_F(RequestsTest, AnAnswerThatComesTooLateIsNotSentButTheConnectionClosed) {
  options.request_deadline_ms = kShortMs;
  start();
  Client& client = open();
  client.create("s");
  on_core([this] { catalog->slow_disk = true; });
  client.send(Client::append_frame("a", "s", "x"));
  EXPECT_TRUE(client.closed_in_order()) << "an answer came";
  on_core([this] { catalog->sync(); });
  EXPECT_TRUE(metric("weir_server_connections_closed_total{reason=\"request_deadline\"} 1"));
}

TEST_F(RequestsTest, AChangeThatTakesTooLongClosesTheConnection) {
  options.request_deadline_ms = kShortMs;
  start();
  Client& client = open();
  on_core([this] { catalog->hold_changes = true; });
  client.send(frame(2, map({{"requestId", text("c")}, {"definition", Client::definition("s")}})));
  EXPECT_TRUE(client.closed_in_order());
  on_core([this] { catalog->finish_changes(); });
}

TEST_F(RequestsTest, AClientWithAThousandAppendsWaitingIsNotReadUntilSomeAreAnswered) {
  start();
  Client& client = open();
  client.create("s");
  on_core([this] { catalog->slow_disk = true; });
  std::string burst;
  for (int i = 0; i < 3'000; ++i) burst += Client::append_frame("r", "s", "x");
  client.send(burst);
  const std::string held = "weir_server_limit_hits_total{limit=\"requests_queued\"} 0";
  ASSERT_TRUE(eventually([&] { return !metric(held); }));
  int answered = 0;
  for (int round = 0; answered < 3'000; ++round) {
    ASSERT_LT(round, 3'000);
    on_core([this] { catalog->sync(); });
    while (answered < 3'000 && !client.quiet(5)) {
      const auto reply = client.receive();
      ASSERT_TRUE(reply.has_value());
      EXPECT_EQ(answered, reply->body["sequenceNumber"].number);
      ++answered;
    }
  }
}

}  // namespace
}  // namespace weir::server
