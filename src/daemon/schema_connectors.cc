#include "connector/arn.h"
#include "daemon/connector_config.h"
#include "daemon/schema.h"
#include "daemon/schema_builder.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace weir::daemon {

using build::checked;
using build::list;
using build::of_kind;
using build::one_of;
using build::required;
using build::with_sample;
using build::within;
using connector::Options;

namespace {

constexpr std::int64_t kRecordsMax = 1'000'000'000;
constexpr std::int64_t kDocumentedRecordsMin = 2'000;
constexpr std::int64_t kBytesMin = 2 << 20;
constexpr std::int64_t kBytesMax = std::int64_t{1} << 40;
constexpr std::int64_t kIntervalMaxS = 900;
constexpr std::int64_t kKeepAliveMaxS = 65'535;
constexpr std::int64_t kSessionMaxS = 4'294'967'294;

std::string check_arn(const std::string& text) {
  const auto arn = connector::parse_arn(text);
  if (arn) return {};
  const std::string& why = arn.error().what;  // begins with the text in quotes
  return why.substr(why.find("' ") + 2);
}

std::string check_memory_size(const std::string& text) {
  return text.find_first_not_of("0123456789") == std::string::npos
             ? ""
             : "is not a number of kilobytes; write digits only";
}

// A setting with several names; all of them that are written must agree.
Key named(Kind kind, const std::string& name, const char* setting, std::string doc,
          std::string fallback, std::function<void(Options&, const Value&)> apply) {
  return of_kind(kind, name, std::move(doc), std::move(fallback),
                 [name, setting, apply = std::move(apply)](Target& t, const Value& v) {
                   const std::string value = v.text.empty() ? std::to_string(v.integer) : v.text;
                   t.connector->given[setting].emplace_back(name, value);
                   apply(t.connector->options, v);
                 });
}

Key arn_key(const std::string& name, std::string doc) {
  return with_sample("arn:aws:firehose:eu-west-1:123456789012:deliverystream/machines",
                     checked(check_arn, named(Kind::kText, name, "default target", std::move(doc),
                                              "", [](Options& o, const Value& v) {
                                                o.default_target = *connector::parse_arn(v.text);
                                              })));
}

Key records_key(const std::string& name, std::string doc, std::int64_t min) {
  return within(min, kRecordsMax,
                named(Kind::kInteger, name, "queue size", std::move(doc), "5000",
                      [](Options& o, const Value& v) { o.queue_records_max = v.integer; }));
}

Key interval_key(const std::string& name, std::string doc) {
  return within(0, kIntervalMaxS,
                named(Kind::kInteger, name, "interval", std::move(doc), "10",
                      [](Options& o, const Value& v) { o.publish_interval_s = v.integer; }));
}

Key text_key(std::string name, std::string doc, std::string fallback, std::string sample,
             std::function<std::string&(Options&)> field) {
  return with_sample(std::move(sample),
                     of_kind(Kind::kText, std::move(name), std::move(doc), std::move(fallback),
                             [field = std::move(field)](Target& t, const Value& v) {
                               field(t.connector->options) = v.text;
                             }));
}

Key seconds_key(std::string name, std::string doc, std::string fallback, std::int64_t max,
                Duration mqtt::Options::*field) {
  return within(0, max,
                of_kind(Kind::kInteger, std::move(name), std::move(doc), std::move(fallback),
                        [field](Target& t, const Value& v) {
                          t.connector->options.broker.*field = std::chrono::seconds(v.integer);
                        }));
}

Key flag_key(std::string name, std::string doc, bool Options::*field) {
  return of_kind(Kind::kFlag, std::move(name), std::move(doc), "false",
                 [field](Target& t, const Value& v) { t.connector->options.*field = v.flag; });
}

std::vector<Key> who_keys() {
  return {
      required(with_sample(
          "firehose",
          one_of({"firehose"}, of_kind(Kind::kChoice, "type",
                                       "What it is: firehose takes the place of the Kinesis "
                                       "Firehose connector of Greengrass.",
                                       "", [](Target&, const Value&) {})))),
      text_key("name",
               "Name in logs, metrics and names of streams: 1 to 32 letters, digits, _ and -. "
               "Keep it: its queues are found by it.",
               "firehose", "", [](Options& o) -> std::string& { return o.name; }),
      within(1, 5,
             of_kind(Kind::kInteger, "version",
                     "Which version's answers and pace: 1 sends each record at once and answers "
                     "with one object each, 2 to 5 with an array for each batch.",
                     "5",
                     [](Target& t, const Value& v) {
                       t.connector->options.version = static_cast<int>(v.integer);
                     })),
  };
}

std::vector<Key> broker_keys() {
  return {
      required(with_sample(
          "mqtts://broker.local:8883",
          checked(check_broker_url, of_kind(Kind::kText, "broker",
                                            "The MQTT broker: mqtt://host[:port] (1883) or "
                                            "mqtts://host[:port] (TLS, 8883).",
                                            "",
                                            [](Target& t, const Value& v) {
                                              set_broker_url(v.text, t.connector->options);
                                            })))),
      text_key("ca_file",
               "PEM file with the authorities that the broker's certificate may come "
               "from.",
               "the system's", "/etc/weir/broker-ca.pem",
               [](Options& o) -> std::string& { return o.broker.ca_file; }),
      text_key("certificate_file", "PEM file with weir's own certificate, if the broker wants one.",
               "", "/etc/weir/device.pem",
               [](Options& o) -> std::string& { return o.broker.certificate_file; }),
      text_key("key_file", "PEM file with its private key.", "", "/etc/weir/device.key",
               [](Options& o) -> std::string& { return o.broker.key_file; }),
      text_key("user", "User name for the broker.", "", "weir",
               [](Options& o) -> std::string& { return o.broker.user; }),
      text_key("password_file",
               "File with the password alone; read again for each connection, so that it can be "
               "replaced.",
               "", "/etc/weir/broker-password",
               [](Options& o) -> std::string& { return o.broker.password_file; }),
      text_key("client_id",
               "Name of this client for the broker; the broker keeps under it what arrives while "
               "there is no connection. No two clients of a broker may have the same.",
               "weir-NAME-HOSTNAME", "weir-line-7",
               [](Options& o) -> std::string& { return o.broker.client_id; }),
      one_of({"5", "3.1.1"},
             of_kind(Kind::kChoice, "mqtt_version",
                     "3.1.1 for brokers that know no other: these cannot say that they refuse an "
                     "answer, so such answers are lost unseen.",
                     "5",
                     [](Target& t, const Value& v) {
                       t.connector->options.broker.version =
                           v.text == "5" ? mqtt::Version::k5 : mqtt::Version::k311;
                     })),
      seconds_key("keep_alive_s",
                  "A connection on which nothing was heard for this long is tested and then given "
                  "up; 0 = never.",
                  "60", kKeepAliveMaxS, &mqtt::Options::keep_alive),
      seconds_key("session_expiry_s",
                  "How long the broker shall keep messages while there is no connection (MQTT 5).",
                  "604800", kSessionMaxS, &mqtt::Options::session_expiry),
  };
}

std::vector<Key> documented_keys() {
  return {
      arn_key("default_delivery_stream_arn",
              "Where records go that name no other delivery stream. Required under one of its "
              "names."),
      arn_key("DefaultDeliveryStreamArn", "The same, as the V1 connector calls it."),
      arn_key("DEFAULT_DELIVERY_STREAM_ARN", "The same, as the V2 component calls it."),
      records_key("queue_records_max",
                  "How many records of one delivery stream may wait; further ones are answered "
                  "with QueueFull.",
                  1),
      records_key("DeliveryStreamQueueSize", "The same, as the V1 connector calls it.",
                  kDocumentedRecordsMin),
      records_key("DELIVERY_STREAM_QUEUE_SIZE", "The same, as the V2 component calls it.",
                  kDocumentedRecordsMin),
      interval_key("publish_interval_s",
                   "Records are sent when the oldest has waited for this long, or 500 wait; 0 = "
                   "each at once and alone. Not for version 1, which always does that."),
      interval_key("PublishInterval", "The same, as the V1 connector calls it."),
      interval_key("PUBLISH_INTERVAL", "The same, as the V2 component calls it."),
      with_sample("65535",
                  checked(check_memory_size,
                          of_kind(Kind::kText, "MemorySize",
                                  "Accepted and without effect: weir is no Lambda function.", "",
                                  [](Target&, const Value&) {}))),
      one_of({"NoContainer", "GreengrassContainer"},
             with_sample("NoContainer", of_kind(Kind::kChoice, "IsolationMode",
                                                "Accepted and without effect, as MemorySize.", "",
                                                [](Target&, const Value&) {}))),
  };
}

std::vector<Key> queue_keys() {
  return {
      with_sample(
          "268435456",
          within(kBytesMin, kBytesMax,
                 of_kind(Kind::kInteger, "queue_bytes_max",
                         "How many bytes of records of one delivery stream may wait. On the disk "
                         "a queue takes up to about half as much again, because what was sent "
                         "goes in larger pieces.",
                         "268435456, or 16777216 with memory_only",
                         [](Target& t, const Value& v) {
                           t.connector->options.queue_bytes_max = v.integer;
                         }))),
      one_of({"tail", "keep"},
             of_kind(Kind::kChoice, "queue_order",
                     "A record that was failed for a while goes to the end of its queue (tail, as "
                     "documented), or before everything later (keep).",
                     "tail",
                     [](Target& t, const Value& v) {
                       t.connector->options.order = v.text == "keep" ? connector::QueueOrder::kKeep
                                                                     : connector::QueueOrder::kTail;
                     })),
      flag_key("memory_only",
               "true keeps queues in memory only, as the original does: they are lost when weir "
               "stops.",
               &Options::memory_only),
      of_kind(
          Kind::kFlag, "flush_on_write",
          "true: a record is on stable storage before the broker hears that it is safe. false: a "
          "crash of weir loses none, but a power cut may lose the last second, and records are "
          "sent up to a second later.",
          "true where records are sent one by one, else false",
          [](Target& t, const Value& v) { t.connector->options.flush_on_write = v.flag; }),
      text_key("message_topic", "Topic of requests in JSON.", Options().message_topic, "",
               [](Options& o) -> std::string& { return o.message_topic; }),
      text_key("binary_topic", "Filter of binary data; ends in /#, which stands for the id.",
               Options().binary_filter, "\"kinesisfirehose/message/binary/#\"",
               [](Options& o) -> std::string& { return o.binary_filter; }),
      text_key("status_topic", "Topic of answers.", Options().status_topic, "",
               [](Options& o) -> std::string& { return o.status_topic; }),
  };
}

}  // namespace

Key connectors_section() {
  std::vector<Key> keys;
  for (auto part : {who_keys, broker_keys, documented_keys, queue_keys}) {
    for (Key& key : part()) keys.push_back(std::move(key));
  }
  Key connectors = list("connectors",
                        "What takes the place of connectors and components of Greengrass; see "
                        "docs/firehose-connector.md.",
                        std::move(keys));
  connectors.begin = [](Target& target, const Position& where) {
    target.connector = &target.config.connectors.emplace_back();
    target.connector->where = where;
  };
  return connectors;
}

}  // namespace weir::daemon
