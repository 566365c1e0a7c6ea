#include "broker.h"
#include "destination/testing/raw_server.h"
#include "gate.h"

#include <gmock/gmock.h>
#include <set>
#include <thread>

namespace weir::mqtt {
namespace {

using destination::testing::Peer;
using destination::testing::RawServer;
using testing::Broker;
using testing::numbers;
using testing::options_for;
using testing::Owner;
using testing::Program;
using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BothVersions : public ::testing::TestWithParam<Version> {
 protected:
  BothVersions() { broker.start(); }
  Options options() { return options_for(broker, GetParam()); }
  Broker broker;
};

INSTANTIATE_TEST_SUITE_P(Mqtt, BothVersions, ::testing::Values(Version::k5, Version::k311),
                         [](const auto& version) {
                           return version.param == Version::k5 ? "mqtt_5" : "mqtt_3_1_1";
                         });

TEST_P(BothVersions, messages_of_others_arrive_in_order_and_are_done_with) {
  {
    Owner owner(options());
    owner.start();
    ASSERT_TRUE(owner.wait_connected());
    broker.publish("in/1", numbers(1, 2'000));
    ASSERT_TRUE(owner.wait_messages(2'000));
    EXPECT_EQ(owner.payloads(), numbers(1, 2'000));
    EXPECT_THAT(owner.seen().messages, Each(Field(&Owner::Message::topic, "in/1")));
  }
  Owner again(options());
  again.start();
  ASSERT_TRUE(again.wait_connected());
  broker.publish("in/1", {"last"});
  ASSERT_TRUE(again.wait([](const auto& seen) {
    return !seen.messages.empty() && seen.messages.back().payload == "last";
  }));
  // Only what the broker had not yet read of our acknowledgements may come again.
  EXPECT_LT(again.payloads().size(), 1'001U);
  EXPECT_EQ(again.seen().with_session, 1);
}

TEST_P(BothVersions, what_was_not_acknowledged_comes_again) {
  {
    Owner owner(options());
    owner.acknowledges = false;
    owner.start();
    ASSERT_TRUE(owner.wait_connected());
    broker.publish("in/1", numbers(1, 10));
    ASSERT_TRUE(owner.wait_messages(10));
  }
  Owner again(options());
  again.start();
  ASSERT_TRUE(again.wait_messages(10));
  EXPECT_EQ(again.payloads(), numbers(1, 10));
  EXPECT_THAT(again.seen().messages, Each(Field(&Owner::Message::duplicate, true)));
}

TEST_P(BothVersions, what_we_publish_reaches_other_programs_in_order) {
  Program subscriber({"mosquitto_sub", "-h", "127.0.0.1", "-p", std::to_string(broker.port()), "-q",
                      "1", "-t", "out/#", "-v"});
  Owner owner(options());
  owner.start();
  // Greeted until its first line shows that it listens.
  std::uint64_t token = 0;
  std::atomic<bool> heard{false};
  std::thread greeter([&] {
    while (!heard) {
      ASSERT_TRUE(owner.client->publish(++token, "out/hello", "you"));
      ASSERT_TRUE(owner.wait_published(token));
    }
  });
  std::string line;
  EXPECT_TRUE(subscriber.line(line));
  heard = true;
  greeter.join();
  const std::vector<std::string> all = numbers(1, 800);
  for (const std::string& number : all) {
    ASSERT_TRUE(owner.client->publish(++token, "out/n", number));
  }
  while (line == "out/hello you") ASSERT_TRUE(subscriber.line(line));
  for (const std::string& number : all) {
    ASSERT_EQ(line, "out/n " + number);
    if (number != all.back()) {
      ASSERT_TRUE(subscriber.line(line));
    }
  }
  ASSERT_TRUE(owner.wait_published(token));
  const auto published = owner.seen().published;
  for (std::uint64_t i = 0; i < token; ++i) ASSERT_EQ(published[i].token, i + 1);
}

TEST_P(BothVersions, a_retained_message_says_so) {
  broker.publish("in/kept", {"old"}, {"-r"});
  Owner owner(options());
  owner.start();
  ASSERT_TRUE(owner.wait_messages(1));
  EXPECT_TRUE(owner.seen().messages[0].retained);
  broker.publish("in/kept", {"new"}, {"-r"});
  ASSERT_TRUE(owner.wait_messages(2));
  EXPECT_FALSE(owner.seen().messages[1].retained) << "it arrives as it is published";
}

TEST_P(BothVersions, a_broker_that_is_killed_is_found_again_and_nothing_published_is_lost) {
  Owner owner(options());
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  std::uint64_t token = 0;
  for (int life = 1; life <= 3; ++life) {
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(owner.client->publish(++token, "out", "x"));
    broker.kill();
    ASSERT_TRUE(owner.wait([&](const auto& seen) { return seen.losses.size() >= 1; }));
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(owner.client->publish(++token, "out", "x"));
    broker.start();
    ASSERT_TRUE(owner.wait_connected(life + 1));
  }
  ASSERT_TRUE(owner.wait_published(token));
  // Each answered once, in order.
  const auto published = owner.seen().published;
  ASSERT_EQ(published.size(), token);
  for (std::uint64_t i = 0; i < token; ++i) ASSERT_EQ(published[i].token, i + 1);
  EXPECT_EQ(owner.seen().with_session, 0) << "a broker that was killed knows nothing";
  // The subscription was made anew.
  broker.publish("in/1", {"hello"});
  EXPECT_TRUE(owner.wait_messages(1));
}

TEST_P(BothVersions, a_message_over_the_limit_does_not_stop_the_next_one) {
  Options limited = options();
  limited.packet_bytes_max = 100'000;
  Owner owner(limited);
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  broker.publish("in/1", {"before", std::string(150'000, 'x'), "after"});
  ASSERT_TRUE(owner.wait_messages(2));
  EXPECT_EQ(owner.payloads(), (std::vector<std::string>{"before", "after"}));
  // A broker of MQTT 5 keeps it back; one of 3.1.1 cannot know.
  EXPECT_THAT(owner.seen().too_large, SizeIs(GetParam() == Version::k5 ? 0 : 1));
  EXPECT_THAT(owner.seen().losses, IsEmpty());
}

TEST_P(BothVersions, large_messages_come_whole) {
  Owner owner(options());
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  const std::string large(1'000'000, 'x');
  broker.publish("in/1", {large, "small", large});
  ASSERT_TRUE(owner.wait_messages(3));
  EXPECT_EQ(owner.payloads(), (std::vector<std::string>{large, "small", large}));
}

TEST_P(BothVersions, a_broker_that_stands_still_is_noticed) {
  Options impatient = options();
  impatient.keep_alive = 1s;
  Owner owner(impatient);
  owner.start();
  broker.publish("in/1", {"before"}, {"-r"});
  ASSERT_TRUE(owner.wait_messages(1));
  broker.signal(SIGSTOP);
  EXPECT_THAT(owner.first_loss(), HasSubstr("keep alive expired"));
  broker.signal(SIGCONT);
  ASSERT_TRUE(owner.wait_connected(2));
  broker.publish("in/2", {"after"});
  EXPECT_TRUE(owner.wait([](const auto& seen) { return seen.messages.back().payload == "after"; }));
}

TEST_P(BothVersions, a_broker_that_reads_slowly_gets_everything_in_the_end) {
  Owner owner(options());
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  EXPECT_EQ(testing::publish_to_a_stopped_broker(owner, broker), "");
}

TEST_P(BothVersions, a_second_client_with_our_name_is_thought_of) {
  Owner owner(options());
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  Owner other(options());
  other.start();
  EXPECT_THAT(owner.first_loss(), HasSubstr("client id 'weir-test'"));
}

/// The first time of each, in order.
std::vector<std::string> first_times(const std::vector<std::string>& all) {
  std::vector<std::string> firsts;
  std::set<std::string> seen;
  for (const std::string& one : all) {
    if (seen.insert(one).second) firsts.push_back(one);
  }
  return firsts;
}

TEST(MqttLive, a_connection_that_is_cut_anywhere_loses_nothing_in_either_direction) {
  Broker broker("allow_anonymous true\nmax_queued_messages 0\n");
  broker.start();
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    testing::Gate gate(broker.port(), seed, 25, 20'000);
    Program subscriber({"mosquitto_sub", "-h", "127.0.0.1", "-p", std::to_string(broker.port()),
                        "-q", "1", "-t", "out/#", "-t", "ready", "-F", "%p"});
    std::string line;
    std::jthread greeter([&broker](const std::stop_token& stop) {
      while (!stop.stop_requested()) broker.publish("ready", {"ready"});
    });
    ASSERT_TRUE(subscriber.line(line));
    greeter.request_stop();
    greeter.join();
    Options options = options_for(broker, seed == 2 ? Version::k311 : Version::k5);
    options.port = gate.port();
    options.client_id += std::to_string(seed);
    options.backoff_max = 20ms;
    Owner owner(options);
    owner.start();
    ASSERT_TRUE(owner.wait_connected());
    ASSERT_TRUE(owner.client->publish(1, "in/0", "start"));
    ASSERT_TRUE(owner.wait_messages(1));
    broker.publish("in/1", numbers(1, 3'000));
    for (std::uint64_t i = 1; i <= 3'000; ++i) {
      ASSERT_TRUE(owner.client->publish(i + 1, "out/n", std::to_string(i)));
    }
    ASSERT_TRUE(owner.wait([](const auto& seen) {
      return !seen.messages.empty() && seen.messages.back().payload == "3000";
    }));
    ASSERT_TRUE(owner.wait_published(3'001));
    EXPECT_LT(gate.cuts_left(), 20) << "hardly anything was cut";
    std::vector<std::string> arrived = first_times(owner.payloads());
    std::erase(arrived, "start");
    EXPECT_EQ(arrived, numbers(1, 3'000));
    const auto published = owner.seen().published;
    ASSERT_EQ(published.size(), 3'001U);
    for (std::size_t i = 0; i < published.size(); ++i) EXPECT_EQ(published[i].token, i + 1);
    std::vector<std::string> heard;
    while (line == "ready") ASSERT_TRUE(subscriber.line(line));
    heard.push_back(line);
    while (line != "3000") {
      ASSERT_TRUE(subscriber.line(line));
      heard.push_back(line);
    }
    EXPECT_EQ(first_times(heard), numbers(1, 3'000));
  }
}

TEST(MqttLive, a_broker_sends_no_more_than_may_be_unacknowledged) {
  Broker broker;
  broker.start();
  Options options = options_for(broker);
  options.receive_maximum = 5;
  Owner owner(options);
  owner.acknowledges = false;
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  broker.publish("in/1", numbers(1, 12));
  ASSERT_TRUE(owner.wait_messages(5));
  EXPECT_THAT(owner.payloads(), SizeIs(5));
  owner.acknowledge_all();
  ASSERT_TRUE(owner.wait_messages(10));
  owner.acknowledge_all();
  ASSERT_TRUE(owner.wait_messages(12));
  EXPECT_EQ(owner.payloads(), numbers(1, 12));
  EXPECT_THAT(owner.seen().losses, IsEmpty());
}

TEST(MqttLive, a_broker_of_3_1_1_waits_while_nothing_is_read) {
  Broker broker("allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n");
  broker.start();
  Options options = options_for(broker, Version::k311);
  options.receive_maximum = 5;
  options.keep_alive = 1s;
  Owner owner(options);
  owner.acknowledges = false;
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  broker.publish("in/1", numbers(1, 5'000));
  // Whatever a read brings is taken; then nothing is read until it is acknowledged.
  for (std::size_t got = 0; got < 5'000;) {
    ASSERT_TRUE(owner.wait_messages(got + 1));
    got = owner.payloads().size();
    owner.acknowledge_all();
  }
  EXPECT_EQ(owner.payloads(), numbers(1, 5'000));
  EXPECT_THAT(owner.seen().losses, IsEmpty());
}

TEST(MqttLive, a_session_outlives_the_broker_that_saved_it) {
  Broker broker("allow_anonymous true\npersistence true\npersistence_location %D/\n");
  broker.start();
  Owner owner(options_for(broker));
  owner.acknowledges = false;
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  broker.publish("in/1", numbers(1, 3));
  ASSERT_TRUE(owner.wait_messages(3));
  broker.stop();
  (void)owner.first_loss();
  owner.acknowledges = true;
  broker.start();
  ASSERT_TRUE(owner.wait_messages(6));
  EXPECT_EQ(owner.seen().with_session, 1);
  EXPECT_EQ(owner.payloads(), (std::vector<std::string>{"1", "2", "3", "1", "2", "3"}));
}

class AccessList : public ::testing::Test {
 protected:
  AccessList()
      : broker(
            "allow_anonymous false\npassword_file %D/passwords\nacl_file %D/acl\n"
            "message_size_limit 5000\nmax_packet_size 20000\n") {
    broker.directory.write("acl", "user weir\ntopic readwrite ok/#\n");
    testing::run_script("mosquitto_passwd -c -b passwords weir secret", broker.directory.path());
    password = broker.directory.write("password", "secret\n");
    broker.start();
  }
  Options options(Version version = Version::k5) {
    Options made = options_for(broker, version);
    made.user = "weir";
    made.password_file = password;
    made.filters = {"ok/in"};
    return made;
  }
  Broker broker;
  std::string password;
};

TEST_F(AccessList, refusals_of_single_messages_have_their_reason) {
  Owner owner(options());
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  ASSERT_TRUE(owner.client->publish(1, "denied/x", "1"));
  ASSERT_TRUE(owner.client->publish(2, "ok/x", "2"));
  ASSERT_TRUE(owner.client->publish(3, "ok/in", "3"));
  ASSERT_TRUE(owner.client->publish(4, "ok/in", std::string(6'000, 'x')));
  EXPECT_FALSE(owner.client->publish(5, "ok/in", std::string(21'000, 'x')));
  ASSERT_TRUE(owner.wait_published(4));
  std::vector<unsigned> reasons;
  for (const Published& published : owner.seen().published) reasons.push_back(published.reason);
  EXPECT_THAT(reasons, ElementsAre(0x87, 0x10, 0x00, 0x95));
  ASSERT_TRUE(owner.wait_messages(1));
}

// What that costs: 3.1.1 has no words for it.
TEST_F(AccessList, a_broker_of_3_1_1_takes_what_it_throws_away) {
  Owner owner(options(Version::k311));
  owner.start();
  ASSERT_TRUE(owner.wait_connected());
  ASSERT_TRUE(owner.client->publish(1, "denied/x", "1"));
  ASSERT_TRUE(owner.wait_published(1));
  EXPECT_EQ(owner.seen().published[0].reason, 0);
}

TEST_F(AccessList, a_wrong_password_is_said_and_a_new_one_is_read) {
  for (const Version version : {Version::k5, Version::k311}) {
    broker.directory.write("password", "wrong\n");
    Owner owner(options(version));
    owner.start();
    EXPECT_THAT(owner.first_loss(), HasSubstr("check user name, password file"));
    broker.directory.write("password", "secret\r\n");
    EXPECT_TRUE(owner.wait_connected());
  }
}

TEST_F(AccessList, a_password_file_that_vanished_is_named) {
  Owner owner(options());
  std::filesystem::remove(password);
  owner.start();
  EXPECT_THAT(owner.first_loss(), HasSubstr("password: No such file"));
  broker.directory.write("password", "secret");
  EXPECT_TRUE(owner.wait_connected());
}

// --- What is no broker, and ends ---

Options options_for_port(std::uint16_t port) {
  Options options;
  options.port = port;
  options.client_id = "weir-test";
  options.connect_timeout = 30s;
  options.backoff_min = options.backoff_max = 1h;
  return options;
}

TEST(MqttLive, nobody_there) {
  Owner owner(options_for_port(testing::free_port()));
  owner.start();
  EXPECT_THAT(owner.first_loss(), HasSubstr("Connection refused: no broker listens there"));
}

TEST(MqttLive, a_name_nobody_knows) {
  Options options = options_for_port(1883);
  options.host = "no-such-broker.invalid";
  Owner owner(options);
  owner.start();
  EXPECT_THAT(owner.first_loss(), HasSubstr("no-such-broker.invalid"));
}

TEST(MqttLive, a_name_with_several_addresses_is_tried_through) {
  Broker broker;
  broker.start();  // on 127.0.0.1 only; localhost may be ::1 first
  Options options = options_for(broker);
  options.host = "localhost";
  Owner owner(options);
  owner.start();
  EXPECT_TRUE(owner.wait_connected());
}

TEST(MqttLive, a_web_server_is_no_broker) {
  RawServer server([](Peer& peer, int) {
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.hang();
  });
  Owner owner(options_for_port(server.port()));
  owner.start();
  EXPECT_THAT(owner.first_loss(),
              HasSubstr("does not speak MQTT; its answer begins with 'HTTP/1.1"));
}

TEST(MqttLive, somebody_who_never_answers_is_left_and_does_not_delay_a_stop) {
  RawServer server([](Peer& peer, int) { peer.hang(); });
  Options options = options_for_port(server.port());
  options.connect_timeout = 100ms;
  Owner owner(options);
  owner.start();
  EXPECT_THAT(owner.first_loss(), HasSubstr("no answer to CONNECT within 100 ms"));
  options.connect_timeout = 1h;
  Owner waiting(options);
  waiting.start();
  waiting.client->stop();
}

TEST(MqttLive, a_stop_in_a_flood_keeps_what_was_acknowledged) {
  Broker broker("allow_anonymous true\nmax_queued_messages 0\n");
  broker.start();
  {
    Owner first(options_for(broker));
    first.start();
    ASSERT_TRUE(first.wait_connected());
  }
  broker.publish("in/1", numbers(1, 20'000));
  std::size_t got = 0;
  {
    Owner owner(options_for(broker));
    owner.start();
    ASSERT_TRUE(owner.wait_messages(100));
    owner.client->stop();
    got = owner.payloads().size();
    ASSERT_EQ(owner.payloads(), numbers(1, static_cast<int>(got)));
  }
  Owner rest(options_for(broker));
  rest.start();
  ASSERT_TRUE(rest.wait([](const auto& seen) {
    return !seen.messages.empty() && seen.messages.back().payload == "20000";
  })) << rest.payloads().size();
  EXPECT_THAT(rest.seen().losses, IsEmpty());
  // No gap; and what was acknowledged in time does not come twice.
  const int first = std::stoi(rest.payloads()[0]);
  EXPECT_GT(first, 1);
  EXPECT_LE(first, static_cast<int>(got) + 1);
  EXPECT_EQ(rest.payloads(), numbers(first, 20'000));
}

TEST(MqttLive, many_threads_publish_at_once) {
  Broker broker;
  broker.start();
  Owner owner(options_for(broker));
  owner.start();
  std::vector<std::jthread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&owner, thread] {
      for (std::uint64_t i = 0; i < 500; ++i) {
        ASSERT_TRUE(owner.client->publish(thread * 1'000 + i, "in/x", "y"));
      }
    });
  }
  EXPECT_TRUE(owner.wait_published(2'000));
  EXPECT_TRUE(owner.wait_messages(2'000));
}

TEST(MqttLive, options_that_cannot_work_are_refused_at_once) {
  const auto wrong = [](const std::function<void(Options&)>& change) {
    Options options = options_for_port(1883);
    change(options);
    const auto made = make_client(options);
    if (made) return std::string("accepted");
    EXPECT_EQ(made.error().code, Errc::kInvalidArgument);
    return made.error().what;
  };
  EXPECT_THAT(wrong([](Options& o) { o.filters = {"a/#/b"}; }),
              HasSubstr("'a/#/b' is not a topic filter"));
  EXPECT_THAT(wrong([](Options& o) { o.password_file = "/nowhere"; }),
              HasSubstr("/nowhere: No such file"));
  EXPECT_THAT(wrong([](Options& o) { o.receive_maximum = 0; }), HasSubstr("receive_maximum"));
  EXPECT_THAT(wrong([](Options& o) { o.keep_alive = 70'000s; }), HasSubstr("keep_alive"));
  EXPECT_THAT(wrong([](Options& o) { o.host = ""; }), HasSubstr("no address"));
  EXPECT_THAT(wrong([](Options& o) { o.user = "\xff"; }), HasSubstr("user name"));
  EXPECT_THAT(wrong([](Options& o) { o.certificate_file = "x"; }), HasSubstr("needs TLS"));
  EXPECT_THAT(wrong([](Options& o) {
                o.version = Version::k311;
                o.client_id = "";
              }),
              HasSubstr("needs a client id"));
}

}  // namespace
}  // namespace weir::mqtt
