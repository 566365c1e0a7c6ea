#include "base/testing_allocations.h"
#include "mqtt/session.h"
#include "mqtt/testing.h"

#include <gtest/gtest.h>

namespace weir::mqtt {
namespace {

using weir::testing::allocations;
using weir::testing::counting_allocations;

class Quiet final : public Listener {
 public:
  Quiet() { receipts.reserve(1'000); }
  void on_connected(bool) override {}
  void on_disconnected(const Error&, Duration) override {}
  void on_filter_refused(std::string_view, std::uint8_t) override {}
  void on_arrival(const Arrival& arrival) override { receipts.push_back(arrival.receipt); }
  void on_arrivals_end() override {}
  void on_published(const Published&) override {}
  std::vector<Receipt> receipts;
};

TEST(MqttAllocations, a_message_that_arrives_and_is_acknowledged_allocates_nothing) {
  Quiet owner;
  const Instant now{std::chrono::hours(1)};
  Options options;
  options.client_id = "weir";
  Session session(options, owner, now);
  session.begin(now);
  session.on_open(now, std::nullopt);
  (void)session.on_bytes(now, testing::bytes_of("2003000000"));
  ByteBuffer group;
  const std::string payload(512, 'x');
  for (std::uint16_t id = 1; id <= 1'000; ++id) {
    encode_publish(group, Version::k5, "kinesisfirehose/message", as_bytes(payload), id, false);
  }
  for (int round = 0; round < 20; ++round) {
    counting_allocations = round > 0;  // the buffers have their size after the first
    ASSERT_EQ(session.on_bytes(now, group.bytes()), group.size());
    session.acknowledge(owner.receipts);
    session.on_sent(now, session.output().size());
    counting_allocations = false;
    ASSERT_EQ(owner.receipts.size(), 1'000U);
    owner.receipts.clear();
  }
  EXPECT_EQ(allocations, 0);
}

}  // namespace
}  // namespace weir::mqtt
