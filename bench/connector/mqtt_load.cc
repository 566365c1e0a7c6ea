// The two ends of an MQTT broker for bench/connector.py, by libmosquitto.
//
// usage: mqtt_load publish PORT COUNT      requests of 512 bytes in JSON on
// kinesisfirehose/message, QoS 1,
//                                          as fast as the broker acknowledges
//        mqtt_load subscribe PORT COUNT    takes and acknowledges as many and does nothing else
//
// Both print "ready" when they are connected (the second: subscribed), and at the end
// "seconds S", from the first message to the last.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mosquitto.h>
#include <string>

namespace {

constexpr const char* kTopic = "kinesisfirehose/message";
constexpr std::size_t kMessageBytes = 512;
constexpr int kInFlight = 200;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Run {
  long count = 0;
  long sent = 0;
  long done = 0;
  double began = 0;
  double ended = 0;
};

std::string request(long number) {
  const std::string tail = R"("},"id":")" + std::to_string(1'000'000 + number) + "\"}";
  std::string text = R"({"request":{"data":")";
  text.append(kMessageBytes - text.size() - tail.size(), 'x');
  return text + tail;
}

void say_ready() {
  std::puts("ready");
  std::fflush(stdout);
}

void send_next(mosquitto* client, Run& run) {
  if (run.sent == run.count) return;
  if (run.sent == 0) run.began = now();
  const std::string text = request(run.sent++);
  mosquitto_publish(client, nullptr, kTopic, static_cast<int>(text.size()), text.data(), 1, false);
}

void note_done(mosquitto* client, Run& run) {
  if (++run.done < run.count) return;
  run.ended = now();
  mosquitto_disconnect(client);
}

void publish(mosquitto* client) {
  mosquitto_connect_callback_set(client, [](mosquitto* who, void* data, int) {
    say_ready();
    if (std::getchar() == EOF) std::exit(1);  // "go"
    for (int i = 0; i < kInFlight; ++i) send_next(who, *static_cast<Run*>(data));
  });
  mosquitto_publish_callback_set(client, [](mosquitto* who, void* data, int) {
    send_next(who, *static_cast<Run*>(data));
    note_done(who, *static_cast<Run*>(data));
  });
}

void subscribe(mosquitto* client) {
  mosquitto_connect_callback_set(
      client, [](mosquitto* who, void*, int) { mosquitto_subscribe(who, nullptr, kTopic, 1); });
  mosquitto_subscribe_callback_set(client,
                                   [](mosquitto*, void*, int, int, const int*) { say_ready(); });
  mosquitto_message_callback_set(client, [](mosquitto* who, void* data, const mosquitto_message*) {
    Run& run = *static_cast<Run*>(data);
    if (run.done == 0) run.began = now();
    note_done(who, run);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string role = argv[1];
  Run run;
  run.count = std::atol(argv[3]);
  mosquitto_lib_init();
  mosquitto* client = mosquitto_new(role.c_str(), true, &run);
  mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, kInFlight);
  role == "publish" ? publish(client) : subscribe(client);
  if (mosquitto_connect(client, "127.0.0.1", std::atoi(argv[2]), 60) != MOSQ_ERR_SUCCESS) return 1;
  mosquitto_loop_forever(client, -1, 1);
  std::printf("seconds %f\n", run.ended - run.began);
  mosquitto_destroy(client);
  return run.done == run.count ? 0 : 1;
}
