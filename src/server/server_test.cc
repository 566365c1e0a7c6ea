#include "server/server.h"

#include "server/testing_fixture.h"

namespace weir::server {
namespace {

using testing::Client;
using testing::ServerTest;

TEST_F(ServerTest, AppendsAndReadsBack) {
  start();
  Client client(port());
  client.connect();
  EXPECT_EQ(0, client.create("pumps").status());
  for (int i = 0; i < 10; ++i) {
    const auto reply = client.append("pumps", "message " + std::to_string(i));
    EXPECT_EQ(9, reply.operation);
    EXPECT_EQ(0, reply.status());
    EXPECT_EQ("append", reply.id());
    EXPECT_EQ(i, reply.body["sequenceNumber"].number);
  }
  const auto reply = client.read("pumps", {.from = 3, .least = 1, .most = 100});
  EXPECT_EQ(10, reply.operation);
  ASSERT_EQ(7U, reply.body["messages"].list.size());
  EXPECT_EQ("message 3", reply.body["messages"].list[0]["payload"].text);
  EXPECT_EQ(9, reply.body["messages"].list[6]["sequenceNumber"].number);
}

}  // namespace
}  // namespace weir::server
