#include "server/testing_fixture.h"

namespace weir::server {
namespace {

using testing::Client;
using testing::integer;
using testing::Reply;
using testing::ServerTest;
using testing::text;

class WaitingReadsTest : public ServerTest {
 protected:
  void SetUp() override {
    start();
    writer.emplace(port());
    writer->connect();
    ASSERT_EQ(0, writer->create("s").status());
    reader.emplace(port());
    reader->connect();
  }
  void park(Client& client, const Client::ReadOptions& read, const std::string& id = "read") {
    const auto before = server->counts().parked_reads;
    client.send(Client::read_frame(id, "s", read));
    ASSERT_TRUE(eventually([&] { return server->counts().parked_reads == before + 1; }));
  }
  testing::FakeCatalog& streams() { return *catalog; }

  std::optional<Client> writer;
  std::optional<Client> reader;
};

TEST_F(WaitingReadsTest, AnAppendAnswersAReadThatWaits) {
  park(*reader, {.least = 2, .most = 10, .timeout_ms = 20'000});
  writer->append("s", "first");
  EXPECT_TRUE(reader->quiet());
  EXPECT_EQ(1, server->counts().parked_reads);
  writer->append("s", "second");
  const auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(0, reply->status());
  ASSERT_EQ(2U, reply->body["messages"].list.size());
  EXPECT_EQ("second", reply->body["messages"].list[1]["payload"].text);
  EXPECT_EQ(0, server->counts().parked_reads);
}

TEST_F(WaitingReadsTest, AFollowerBeyondTheEndWaitsForItsMessage) {
  writer->append("s", "zero");
  park(*reader, {.from = 2, .timeout_ms = 20'000});
  writer->append("s", "one");
  EXPECT_TRUE(reader->quiet());
  writer->append("s", "two");
  const auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ("two", reply->body["messages"].list.at(0)["payload"].text);
}

TEST_F(WaitingReadsTest, TimeIsUpALittleBeforeTheClientGivesUp) {
  const auto begin = std::chrono::steady_clock::now();
  const Reply reply = reader->read("s", {.least = 1, .timeout_ms = 200});
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(13, reply.status());
  EXPECT_EQ("not enough messages to return before time out", reply.message());
  EXPECT_TRUE(reply.body["messages"].list.empty());
  EXPECT_GE(took, std::chrono::milliseconds(180));
}

TEST_F(WaitingReadsTest, AtTheTimeLimitNothingIsReturnedAlthoughSomeIsThere) {
  writer->append("s", "x");
  const Reply reply = reader->read("s", {.least = 2, .timeout_ms = 30});
  EXPECT_EQ(13, reply.status());
  EXPECT_TRUE(reply.body["messages"].list.empty());
}

TEST_F(WaitingReadsTest, AWaitingReadDoesNotHoldUpItsConnection) {
  park(*reader, {.least = 1, .timeout_ms = 20'000}, "waits");
  EXPECT_EQ(0, reader->append("s", "x").status() + 0);
  const auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ("waits", reply->id());
}

TEST_F(WaitingReadsTest, DeletingTheStreamAnswersItsReads) {
  park(*reader, {.timeout_ms = 20'000});
  writer->remove("s");
  const auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(5, reply->status());
  EXPECT_EQ("the requested message stream does not exist", reply->message());
}

TEST_F(WaitingReadsTest, ReadsOfADeletedStreamAreNotAnsweredByItsSuccessor) {
  park(*reader, {.timeout_ms = 20'000});
  writer->remove("s");
  ASSERT_TRUE(reader->receive().has_value());
  writer->create("s");
  writer->append("s", "other");
  EXPECT_TRUE(reader->quiet());
}

TEST_F(WaitingReadsTest, RetentionMovesTheStartAndTheReadWaitsOn) {
  for (int i = 0; i < 3; ++i) writer->append("s", "old");
  park(*reader, {.from = 0, .least = 4, .timeout_ms = 20'000});
  on_core([this] { streams().stream("s").fake->forget_below(2); });
  writer->append("s", "3");
  writer->append("s", "4");
  EXPECT_TRUE(reader->quiet());
  writer->append("s", "5");
  const auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  ASSERT_EQ(4U, reply->body["messages"].list.size());
  EXPECT_EQ(2, reply->body["messages"].list[0]["sequenceNumber"].number);
}

TEST_F(WaitingReadsTest, AClientThatGoesAwayTakesItsReadsWithIt) {
  for (int i = 0; i < 10; ++i) park(*reader, {.timeout_ms = 20'000});
  reader->reset();
  ASSERT_TRUE(eventually([this] { return server->counts().parked_reads == 0; }));
  EXPECT_EQ(0, writer->append("s", "x").status());
  reader.emplace(port());
  reader->connect();
  park(*reader, {.from = 1, .timeout_ms = 20'000});
  reader->close();
  ASSERT_TRUE(eventually([this] { return server->counts().parked_reads == 0; }));
}

TEST_F(WaitingReadsTest, AHugeTimeLimitOrStartDoesNotOverflow) {
  park(*reader, {.least = 1, .timeout_ms = 9'223'372'036'854}, "patient");
  park(*reader, {.from = std::numeric_limits<std::int64_t>::max(),
                 .least = 2'147'483'647,
                 .timeout_ms = 9'223'372'036'854});
  writer->append("s", "x");
  const auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ("patient", reply->id());
  EXPECT_EQ(1, server->counts().parked_reads);
}

TEST_F(WaitingReadsTest, AThousandWaitOnOneConnectionAndAllAreAnsweredOnce) {
  std::string burst;
  for (int i = 0; i < 1'000; ++i) {
    burst += Client::read_frame(std::to_string(i), "s", {.from = i, .timeout_ms = 20'000});
  }
  reader->send(burst);
  ASSERT_TRUE(eventually([this] { return server->counts().parked_reads == 1'000; }));
  std::string appends;
  for (int i = 0; i < 1'000; ++i) appends += Client::append_frame("a", "s", std::to_string(i));
  writer->send(appends);
  std::vector<bool> seen(1'000);
  for (int i = 0; i < 1'000; ++i) {
    const auto reply = reader->receive();
    ASSERT_TRUE(reply.has_value());
    const auto which = static_cast<std::size_t>(std::stoi(reply->id()));
    EXPECT_FALSE(seen[which]);
    seen[which] = true;
    EXPECT_EQ(reply->id(), reply->body["messages"].list.at(0)["payload"].text);
  }
  EXPECT_TRUE(reader->quiet());
}

TEST_F(WaitingReadsTest, NoResponseComesTwiceWhenTimeAndMessageMeet) {
  for (int i = 0; i < 50; ++i) {
    reader->send(Client::read_frame(std::to_string(i), "s", {.from = i, .timeout_ms = 3}));
    writer->send(Client::append_frame("a", "s", "x"));
    const auto reply = reader->receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(std::to_string(i), reply->id());
    ASSERT_TRUE(writer->receive().has_value());
  }
  EXPECT_TRUE(reader->quiet());
}

// ---- reads that need the disk -----------------------------------------------------------------

TEST_F(WaitingReadsTest, AReadThatNeedsTheDiskIsAnsweredByAReaderThread) {
  for (int i = 0; i < 5; ++i) writer->append("s", std::to_string(i));
  on_core([this] { streams().stream("s").fake->set_cold(true); });
  reader->send(Client::read_frame("a", "s", {.from = 1, .least = 1, .most = 3}) +
               Client::read_frame("b", "s", {.from = 4}) +
               Client::append_frame("c", "s", "behind"));
  auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ("a", reply->id());
  ASSERT_EQ(3U, reply->body["messages"].list.size());
  EXPECT_EQ("3", reply->body["messages"].list[2]["payload"].text);
  EXPECT_EQ("b", reader->receive()->id()) << "in the order sent";
  EXPECT_EQ("c", reader->receive()->id());
}

TEST_F(WaitingReadsTest, AWaitingReadMayNeedTheDiskWhenItsTimeComes) {
  park(*reader, {.least = 2, .timeout_ms = 20'000});
  writer->append("s", "x");
  on_core([this] { streams().stream("s").fake->set_cold(true); });
  writer->append("s", "y");
  const auto reply = reader->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(2U, reply->body["messages"].list.size());
}

TEST_F(WaitingReadsTest, AClientThatGoesAwayDuringADiskReadHurtsNobody) {
  writer->append("s", "x");
  on_core([this] { streams().stream("s").fake->set_cold(true); });
  for (int i = 0; i < 20; ++i) {
    Client client(port());
    client.connect();
    client.send(Client::read_frame("r", "s", {}));
    client.reset();
  }
  EXPECT_EQ(0, reader->read("s", {}).status());
}

TEST_F(WaitingReadsTest, DamageIsTold) {
  writer->append("s", "x");
  on_core([this] { streams().stream("s").fake->set_damaged(true); });
  const Reply reply = reader->read("s", {});
  EXPECT_EQ(14, reply.status());
  EXPECT_EQ("record 0 is damaged", reply.message());
}

// ---- limits -----------------------------------------------------------------------------------

class ReadLimitsTest : public WaitingReadsTest {
 protected:
  ReadLimitsTest() {
    options.parked_reads_per_connection_max = 5;
    options.parked_reads_max = 8;
    options.read_bytes_soft_max = 50'000;
    options.response_budget_bytes = 200'000;
  }
};

TEST_F(ReadLimitsTest, TooManyWaitingReadsAreRefused) {
  for (int i = 0; i < 5; ++i) park(*reader, {.timeout_ms = 20'000});
  Reply reply = reader->read("s", {.timeout_ms = 20'000});
  EXPECT_EQ(6, reply.status());
  EXPECT_TRUE(metric("weir_server_limit_hits_total{limit=\"parked_reads_per_connection\"} 1"));
  for (int i = 0; i < 3; ++i) park(*writer, {.timeout_ms = 20'000});
  reply = writer->read("s", {.timeout_ms = 20'000});
  EXPECT_EQ(6, reply.status());
  EXPECT_TRUE(metric("weir_server_limit_hits_total{limit=\"parked_reads\"} 1"));
}

TEST_F(ReadLimitsTest, AnAnswerEndsAtTheSoftLimitOnceTheMinimumIsThere) {
  for (int i = 0; i < 20; ++i) writer->append("s", std::string(10'000, 'x'));
  EXPECT_EQ(4U, reader->read("s", {.least = 1, .most = 20}).body["messages"].list.size());
  EXPECT_EQ(9U, reader->read("s", {.least = 9, .most = 20}).body["messages"].list.size());
  const Reply reply = reader->read("s", {.least = 20});
  EXPECT_EQ(7, reply.status());
  EXPECT_TRUE(metric("weir_server_limit_hits_total{limit=\"read_bytes\"} 1"));
}

TEST_F(ReadLimitsTest, ColdAnswersKeepTheSameLimits) {
  for (int i = 0; i < 20; ++i) writer->append("s", std::string(10'000, 'x'));
  on_core([this] { streams().stream("s").fake->set_cold(true); });
  EXPECT_EQ(4U, reader->read("s", {.least = 1, .most = 20}).body["messages"].list.size());
  EXPECT_EQ(9U, reader->read("s", {.least = 9, .most = 20}).body["messages"].list.size());
  EXPECT_EQ(7, reader->read("s", {.least = 20}).status());
}

TEST_F(WaitingReadsTest, ALargeAnswerIsMadeOnAReaderThreadAndIsWhole) {
  std::string appends;
  for (int i = 0; i < 60; ++i) {
    appends = Client::append_frame("a", "s", std::string(100'000, static_cast<char>('a' + i % 26)));
    writer->send(appends);
    ASSERT_TRUE(writer->receive().has_value());
  }
  const Reply reply = reader->read("s", {.least = 1, .most = 100});
  ASSERT_EQ(60U, reply.body["messages"].list.size());
  for (int i = 0; i < 60; ++i) {
    const auto& payload = reply.body["messages"].list[static_cast<std::size_t>(i)]["payload"].text;
    ASSERT_EQ(100'000U, payload.size());
    ASSERT_EQ(static_cast<char>('a' + i % 26), payload[99'999]);
  }
}

}  // namespace
}  // namespace weir::server
