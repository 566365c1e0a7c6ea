#include "server/peer.h"

#include "base/rng.h"
#include "protocol/codec.h"
#include "server/testing_client.h"

#include <gtest/gtest.h>
#include <new>

namespace weir::server {
namespace {

using testing::Client;
using testing::frame;
using testing::map;
using testing::text;

/// Answers nothing by itself; writes down what it was asked.
class FakeHost final : public PeerHost {
 public:
  ByteBuffer& output(PeerId) override { return out; }
  bool has_room(PeerId) override { return room; }
  void authenticate(Peer& peer, std::string token) override {
    asked.push_back("token " + token);
    if (at_once) peer.verified(TokenVerdict::kGood);
  }
  Verdict append(Peer&, const protocol::AppendRequest& request) override {
    if (out_of_memory) throw std::bad_alloc();
    if (verdict != Verdict::kLater) {
      asked.push_back("append " + std::string(request.request_id) + " " +
                      std::string(as_text(request.payload)));
    }
    return verdict;
  }
  Verdict request(Peer&, protocol::Operation operation, protocol::Request&) override {
    if (out_of_memory) throw std::bad_alloc();
    if (verdict != Verdict::kLater) {
      asked.push_back("operation " + std::to_string(static_cast<int>(operation)));
    }
    return verdict;
  }

  ByteBuffer out;
  std::vector<std::string> asked;
  bool room = true;
  bool at_once = true;
  bool out_of_memory = false;
  Verdict verdict = Verdict::kDone;
};

class PeerTest : public ::testing::Test {
 protected:
  PeerTest() { open(); }
  void open() { peer.emplace(PeerId{0, 1}, 1, shared); }
  Peer::Taken take(std::string_view bytes) { return peer->take(as_bytes(bytes)); }
  static std::string hello() { return "\x01" + Client::connect_frame(); }
  static std::string list(const std::string& id) {
    return frame(11, map({{"requestId", text(id)}}));
  }
  void greet() {
    EXPECT_EQ(hello().size(), take(hello()).bytes);
    EXPECT_TRUE(peer->open());
    host.asked.clear();
    host.out.clear();
  }
  std::int64_t last_status() {
    std::string_view bytes = as_text(host.out.bytes());
    testing::Parser parser(bytes.substr(5));
    return parser.item()["status"].number;
  }

  FakeHost host;
  protocol::DecodeScratch scratch;
  metrics::Registry registry;
  Instruments instruments{registry};
  Peer::Shared shared{host, scratch, instruments, 10'000};
  std::optional<Peer> peer;
};

/// A conversation cut into pieces must lead to the same requests and answers however it is cut.
struct Outcome {
  std::vector<std::string> asked;
  std::string out;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

TEST_F(PeerTest, TheCutsBetweenReadsChangeNothing) {
  const std::string conversation = hello() + Client::append_frame("a", "s", "one") + list("b") +
                                   frame(42, map({{"requestId", text("c")}})) +
                                   Client::append_frame("d", "s", std::string(12'000, 'x')) +
                                   Client::append_frame("e", "s", "two");
  const auto run = [&](auto next_cut) {
    host.asked.clear();
    host.out.clear();
    open();
    std::string waiting;
    std::size_t at = 0;
    while (at < conversation.size()) {
      const std::size_t n = std::min<std::size_t>(next_cut(), conversation.size() - at);
      waiting += conversation.substr(at, n);
      at += n;
      const Peer::Taken taken = take(waiting);
      EXPECT_EQ(Peer::Next::kMore, taken.next);
      waiting.erase(0, taken.bytes);
    }
    EXPECT_TRUE(waiting.empty());
    return Outcome{host.asked, std::string(as_text(host.out.bytes()))};
  };
  const Outcome whole = run([&] { return conversation.size(); });
  EXPECT_EQ(4U, whole.asked.size());
  EXPECT_EQ(whole, run([] { return 1; }));
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const std::size_t most = 1 + rng.below(3'000);
    EXPECT_EQ(whole, run([&] { return 1 + rng.below(most); }));
  }
}

TEST_F(PeerTest, SaysHowMuchItNeeds) {
  greet();
  const std::string request = list("r");
  EXPECT_EQ(5U, take(request.substr(0, 2)).needed);
  for (std::size_t n = 5; n < request.size(); ++n) {
    const Peer::Taken taken = take(request.substr(0, n));
    EXPECT_EQ(0U, taken.bytes);
    EXPECT_EQ(request.size(), taken.needed);
  }
  EXPECT_TRUE(host.asked.empty());
}

TEST_F(PeerTest, NothingBehindABusyRequestBeginsBeforeItIsFinished) {
  greet();
  host.verdict = Verdict::kBusy;
  const std::string two = list("a") + list("b");
  const Peer::Taken taken = take(two);
  EXPECT_EQ(two.size() / 2, taken.bytes);
  EXPECT_EQ(Peer::Next::kPaused, taken.next);
  EXPECT_TRUE(peer->paused());
  EXPECT_EQ(0U, take(list("b")).bytes);
  peer->finished();
  host.verdict = Verdict::kDone;
  EXPECT_EQ(list("b").size(), take(list("b")).bytes);
  EXPECT_EQ(2U, host.asked.size());
}

TEST_F(PeerTest, ARequestThatIsNotTakenIsOfferedAgain) {
  greet();
  host.verdict = Verdict::kLater;
  for (const auto& request : {list("a"), Client::append_frame("a", "s", "x")}) {
    const Peer::Taken taken = take(request);
    EXPECT_EQ(0U, taken.bytes);
    EXPECT_EQ(Peer::Next::kPaused, taken.next);
  }
  host.verdict = Verdict::kDone;
  EXPECT_EQ(list("a").size(), take(list("a")).bytes);
  EXPECT_EQ(1U, host.asked.size());
}

TEST_F(PeerTest, NothingIsTakenWhileTheClientDoesNotTakeItsAnswers) {
  greet();
  host.room = false;
  EXPECT_EQ(Peer::Next::kPaused, take(list("a")).next);
  EXPECT_TRUE(host.asked.empty());
  host.room = true;
  EXPECT_EQ(Peer::Next::kMore, take(list("a")).next);
}

TEST_F(PeerTest, OutOfMemoryIsTheEndOfOneRequestOnly) {
  greet();
  host.out_of_memory = true;
  for (const auto& request : {Client::append_frame("a", "s", "x"), list("b")}) {
    host.out.clear();
    EXPECT_EQ(request.size(), take(request).bytes);
    EXPECT_EQ(15, last_status());
  }
  host.out_of_memory = false;
  take(list("c"));
  EXPECT_EQ(1U, host.asked.size());
}

TEST_F(PeerTest, NothingIsDoneBeforeTheTokenIsAccepted) {
  host.at_once = false;
  const Peer::Taken taken = take(hello() + list("a"));
  EXPECT_EQ(hello().size(), taken.bytes);
  EXPECT_EQ(Peer::Next::kPaused, taken.next);
  EXPECT_EQ((std::vector<std::string>{"token "}), host.asked);
  EXPECT_TRUE(host.out.empty());
  peer->verified(TokenVerdict::kBad);
  EXPECT_TRUE(peer->ended());
  EXPECT_EQ(0U, take(list("a")).bytes);
  EXPECT_EQ(1U, host.asked.size());
  peer->verified(TokenVerdict::kGood);
  EXPECT_TRUE(peer->ended()) << "a second verdict changes nothing";
}

// Random bytes, and sound frames with random damage, never do more than end the peer, and what it
// answers is always whole frames.
TEST_F(PeerTest, GarbageLeadsToWholeAnswersOrTheEnd) {
  for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    open();
    host.out.clear();
    std::string bytes = hello() + Client::append_frame("a", "s", "one") + list("b") +
                        Client::read_frame("c", "s", {.from = 0, .least = 1}) + list("d");
    const std::size_t spared = rng.chance(0.8) ? hello().size() : 0;
    for (std::uint64_t damage = rng.below(6); damage > 0; --damage) {
      const std::size_t at = spared + rng.below(bytes.size() - spared);
      bytes[at] = static_cast<char>(rng.next());
    }
    std::string waiting;
    for (const char c : bytes) {
      waiting += c;
      const Peer::Taken taken = take(waiting);
      ASSERT_LE(taken.bytes, waiting.size());
      waiting.erase(0, taken.bytes);
      if (taken.next == Peer::Next::kEnd) break;
    }
    std::string_view out = as_text(host.out.bytes());
    if (!out.empty()) out.remove_prefix(1);
    while (!out.empty()) {
      ASSERT_GE(out.size(), 5U);
      const std::size_t whole = 4 + load_big32(as_bytes(out).data());
      ASSERT_LE(whole, out.size());
      testing::Parser parser(out.substr(5, whole - 5));
      parser.item();
      ASSERT_TRUE(parser.at_end());
      out.remove_prefix(whole);
    }
  }
}

}  // namespace
}  // namespace weir::server
