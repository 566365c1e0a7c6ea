#include "server/wait_list.h"

#include "base/rng.h"
#include "stream/stream.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <vector>

namespace weir::server {
namespace {

using std::chrono::seconds;

ParkedRead read_of(std::uint32_t peer, std::uint64_t stream, Instant deadline,
                   std::string id = "r") {
  ParkedRead read;
  read.peer = {peer, 1};
  read.stream = StreamId(stream);
  read.deadline = deadline;
  read.request_id = std::move(id);
  return read;
}

std::vector<std::string> ids(const std::vector<ParkedRead>& reads) {
  std::vector<std::string> out;
  for (const auto& read : reads) out.push_back(read.request_id);
  return out;
}

const Instant kLater{std::chrono::hours(1)};

TEST(WaitList, GivesOutAReadWhenItsStreamIsLongEnough) {
  WaitList list;
  list.park(read_of(1, 7, kLater), SequenceNumber(5));
  EXPECT_TRUE(list.take_ready(StreamId(7), SequenceNumber(4)).empty());
  EXPECT_TRUE(list.take_ready(StreamId(8), SequenceNumber(9)).empty());
  EXPECT_EQ(1U, list.take_ready(StreamId(7), SequenceNumber(5)).size());
  EXPECT_TRUE(list.empty());
  EXPECT_TRUE(list.take_ready(StreamId(7), SequenceNumber(5)).empty());
}

TEST(WaitList, ServesThoseThatNeedLeastFirstThenThoseThatWaitLongest) {
  WaitList list;
  list.park(read_of(1, 7, kLater, "a"), SequenceNumber(5));
  list.park(read_of(2, 7, kLater, "b"), SequenceNumber(3));
  list.park(read_of(3, 7, kLater, "c"), SequenceNumber(5));
  EXPECT_EQ((std::vector<std::string>{"b", "a", "c"}),
            ids(list.take_ready(StreamId(7), SequenceNumber(9))));
}

TEST(WaitList, ExpiresByDeadlineAndTellsTheNextOne) {
  WaitList list;
  EXPECT_EQ(Instant::max(), list.next_deadline());
  list.park(read_of(1, 7, kLater + seconds(2), "late"), SequenceNumber(1));
  list.park(read_of(1, 7, kLater + seconds(1), "early"), SequenceNumber(1));
  EXPECT_EQ(kLater + seconds(1), list.next_deadline());
  EXPECT_TRUE(list.take_expired(kLater).empty());
  EXPECT_EQ((std::vector<std::string>{"early"}), ids(list.take_expired(kLater + seconds(1))));
  EXPECT_EQ(kLater + seconds(2), list.next_deadline());
}

TEST(WaitList, ForgetsThePeerThatIsGoneAndTheStreamThatIsDeleted) {
  WaitList list;
  list.park(read_of(1, 7, kLater, "a"), SequenceNumber(1));
  list.park(read_of(2, 7, kLater, "b"), SequenceNumber(1));
  list.park(read_of(1, 8, kLater, "c"), SequenceNumber(1));
  EXPECT_EQ((std::vector<std::string>{"a", "c"}), ids(list.take_peer({1, 1})));
  EXPECT_TRUE(list.take_peer({2, 2}).empty()) << "another client in the same place";
  EXPECT_EQ((std::vector<std::string>{"b"}), ids(list.take_stream(StreamId(7))));
  EXPECT_TRUE(list.empty());
}

TEST(WaitList, TakesOneByItsNumberOnce) {
  WaitList list;
  const auto id = list.park(read_of(1, 7, kLater), SequenceNumber(1));
  EXPECT_TRUE(list.take(id).has_value());
  EXPECT_FALSE(list.take(id).has_value());
}

// The same operations on a plain list, which looks at everything every time.
class Model {
 public:
  struct Entry {
    ParkedRead read;
    SequenceNumber needed_end;
  };
  void park(ParkedRead read, SequenceNumber needed_end) {
    entries_.push_back({std::move(read), needed_end});
  }
  template <class Condition>
  std::vector<std::string> take(Condition condition) {
    std::vector<std::string> taken;
    std::erase_if(entries_, [&](const Entry& e) {
      if (!condition(e)) return false;
      taken.push_back(e.read.request_id);
      return true;
    });
    std::sort(taken.begin(), taken.end());
    return taken;
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  std::vector<Entry> entries_;
};

std::vector<std::string> sorted(std::vector<std::string> in) {
  std::sort(in.begin(), in.end());
  return in;
}

TEST(WaitList, AgreesWithAPlainListOverRandomOperations) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    WaitList list;
    Model model;
    for (int step = 0; step < 300; ++step) {
      const StreamId stream(rng.below(4));
      const PeerId peer{static_cast<std::uint32_t>(rng.below(5)), 1};
      const SequenceNumber end(static_cast<std::int64_t>(rng.below(20)));
      const Instant now{seconds(rng.below(50))};
      switch (rng.below(8)) {
        case 0:
          EXPECT_EQ(model.take([&](const auto& e) {
            return e.read.stream == stream && e.needed_end <= end;
          }),
                    sorted(ids(list.take_ready(stream, end))));
          break;
        case 1:
          EXPECT_EQ(model.take([&](const auto& e) { return e.read.deadline <= now; }),
                    sorted(ids(list.take_expired(now))));
          break;
        case 2:
          EXPECT_EQ(model.take([&](const auto& e) { return e.read.peer == peer; }),
                    sorted(ids(list.take_peer(peer))));
          break;
        case 3:
          EXPECT_EQ(model.take([&](const auto& e) { return e.read.stream == stream; }),
                    sorted(ids(list.take_stream(stream))));
          break;
        default: {
          auto read = read_of(peer.slot, stream.value(), now, std::to_string(step));
          model.park(read, end);
          list.park(std::move(read), end);
        }
      }
      ASSERT_EQ(model.size(), list.size());
    }
    EXPECT_EQ(model.take([](const auto&) { return true; }), sorted(ids(list.take_all())));
  }
}

}  // namespace
}  // namespace weir::server
