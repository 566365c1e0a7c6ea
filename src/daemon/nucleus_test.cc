// How clients are let in where a nucleus judges their tokens.

#include "daemon/nucleus.h"

#include "daemon/refused_tokens.h"
#include "daemon/testing.h"
#include "greengrass/component.h"

#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

namespace weir::daemon {
namespace {

using server::TokenVerdict;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A nucleus whose verdicts the test gives.
class FakeNucleus final : public greengrass::Component {
 public:
  void announce(std::uint16_t, bool) override {}
  void judge(const std::string& token, Judged done) override {
    asked.push_back(token);
    if (later) {
      held.push_back(std::move(done));
    } else {
      done(verdict, "because");
    }
  }
  [[nodiscard]] greengrass::View view() const override { return {}; }
  void stop() override {}

  greengrass::TokenVerdict verdict = greengrass::TokenVerdict::kGood;
  bool later = false;
  std::vector<std::string> asked;
  std::deque<Judged> held;
};

class FakeEndpoint final : public server::Verifier {
 public:
  explicit FakeEndpoint(std::vector<std::string>& asked) : asked_(asked) {}
  void verify(std::string token, Done done) override {
    asked_.push_back(token);
    done(token == "of-the-endpoint" ? TokenVerdict::kGood : TokenVerdict::kBad, "endpoint");
  }

 private:
  std::vector<std::string>& asked_;
};

class Core final : public Executor {
 public:
  void post(std::function<void()> work) override { work_.push_back(std::move(work)); }
  void run() {
    while (!work_.empty()) {
      const auto work = std::move(work_.front());
      work_.pop_front();
      work();
    }
  }

 private:
  std::deque<std::function<void()>> work_;
};

class NucleusVerifierTest : public ::testing::Test {
 protected:
  void make(bool with_endpoint) {
    verifier_ = make_nucleus_verifier(
        nucleus_, with_endpoint ? std::make_unique<FakeEndpoint>(endpoint_asked_) : nullptr, clock_,
        core_);
  }
  TokenVerdict verify(const std::string& token) {
    std::optional<TokenVerdict> verdict;
    verifier_->verify(token, [&](TokenVerdict found, std::string why) {
      verdict = found;
      why_ = std::move(why);
    });
    core_.run();
    EXPECT_TRUE(verdict.has_value());
    return verdict.value_or(TokenVerdict::kUnchecked);
  }

  testing::LogCapture log_;
  ManualClock clock_;
  Core core_;
  FakeNucleus nucleus_;
  std::vector<std::string> endpoint_asked_;
  std::unique_ptr<server::Verifier> verifier_;
  std::string why_;
};

TEST_F(NucleusVerifierTest, a_welcome_is_asked_for_each_time_a_refusal_once_a_second) {
  make(false);
  EXPECT_EQ(verify("A"), TokenVerdict::kGood);
  EXPECT_EQ(verify("A"), TokenVerdict::kGood);
  EXPECT_THAT(nucleus_.asked, ElementsAre("A", "A"));
  nucleus_.verdict = greengrass::TokenVerdict::kBad;
  EXPECT_EQ(verify("A"), TokenVerdict::kBad) << "it was let in before, which counts for nothing";
  EXPECT_EQ(verify("A"), TokenVerdict::kBad);
  EXPECT_EQ(nucleus_.asked.size(), 3U);
  nucleus_.verdict = greengrass::TokenVerdict::kGood;
  EXPECT_EQ(verify("B"), TokenVerdict::kGood) << "only that token is remembered";
  clock_.advance(RefusedTokens::kRememberedFor);
  EXPECT_EQ(verify("A"), TokenVerdict::kGood);
}

TEST_F(NucleusVerifierTest, what_could_not_be_checked_is_not_remembered) {
  make(true);
  nucleus_.verdict = greengrass::TokenVerdict::kUnchecked;
  EXPECT_EQ(verify("A"), TokenVerdict::kUnchecked);
  EXPECT_EQ(why_, "because");
  nucleus_.verdict = greengrass::TokenVerdict::kGood;
  EXPECT_EQ(verify("A"), TokenVerdict::kGood);
  EXPECT_THAT(endpoint_asked_, IsEmpty()) << "a nucleus that is late is no reason to ask others";
}

TEST_F(NucleusVerifierTest, the_endpoint_is_asked_once_the_nucleus_says_it_tells_only_others) {
  make(true);
  nucleus_.verdict = greengrass::TokenVerdict::kNotOurs;
  EXPECT_EQ(verify("of-the-endpoint"), TokenVerdict::kGood);
  EXPECT_EQ(verify("of-nobody"), TokenVerdict::kBad);
  EXPECT_THAT(nucleus_.asked, ElementsAre("of-the-endpoint"));
  EXPECT_THAT(endpoint_asked_, ElementsAre("of-the-endpoint", "of-nobody"));
  EXPECT_THAT(testing::LogCapture::all(), HasSubstr("the token exchange endpoint is asked"));
}

TEST_F(NucleusVerifierTest, without_an_endpoint_nobody_is_let_in_and_the_nucleus_is_asked_again) {
  make(false);
  nucleus_.verdict = greengrass::TokenVerdict::kNotOurs;
  EXPECT_EQ(verify("A"), TokenVerdict::kUnchecked);
  nucleus_.verdict = greengrass::TokenVerdict::kGood;
  EXPECT_EQ(verify("A"), TokenVerdict::kGood);
}

TEST_F(NucleusVerifierTest, two_clients_that_wait_are_both_sent_on) {
  make(true);
  nucleus_.later = true;
  std::vector<TokenVerdict> verdicts;
  for (const char* token : {"of-the-endpoint", "of-nobody"}) {
    verifier_->verify(token,
                      [&](TokenVerdict found, const std::string&) { verdicts.push_back(found); });
  }
  for (auto& done : nucleus_.held) done(greengrass::TokenVerdict::kNotOurs, "others");
  EXPECT_THAT(verdicts, IsEmpty()) << "answers come on the core thread only";
  core_.run();
  EXPECT_THAT(verdicts, ElementsAre(TokenVerdict::kGood, TokenVerdict::kBad));
}

TEST(NucleusStart, without_a_nucleus_there_is_no_component) {
  testing::LogCapture log;
  metrics::Registry metrics;
  const SystemClock clock;
  EXPECT_EQ(start_component({}, clock, metrics), nullptr);
  EXPECT_THAT(testing::LogCapture::all(), IsEmpty());
  greengrass::Options half;
  half.socket = "/greengrass/v2/ipc.socket";
  EXPECT_EQ(start_component(half, clock, metrics), nullptr);
  EXPECT_THAT(testing::LogCapture::all(), HasSubstr("no SVCUID"));
}

}  // namespace
}  // namespace weir::daemon
