#include "daemon/connector_config.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <unistd.h>
#include <utility>

namespace weir::daemon {
namespace {

constexpr std::size_t kConnectorsMax = 16;
constexpr std::size_t kNameCharactersMax = 32;
constexpr std::size_t kTopicBytesMax = 1'024;
constexpr std::uint16_t kPlainPort = 1883;
constexpr std::uint16_t kTlsPort = 8883;

struct Broker {
  bool tls = false;
  std::string host;
  std::uint16_t port = 0;
};

std::optional<Broker> broker_of(std::string_view url) {
  Broker broker;
  constexpr std::string_view kPlain = "mqtt://";
  constexpr std::string_view kTls = "mqtts://";
  broker.tls = url.starts_with(kTls);
  if (!broker.tls && !url.starts_with(kPlain)) return std::nullopt;
  url.remove_prefix(broker.tls ? kTls.size() : kPlain.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  if (url.find_first_of("/?#@ \\") != std::string_view::npos) return std::nullopt;
  broker.port = broker.tls ? kTlsPort : kPlainPort;
  const bool bracketed = url.starts_with('[');
  const std::size_t close = bracketed ? url.find(']') : 0;
  if (close == std::string_view::npos) return std::nullopt;
  const std::size_t colon = url.find(':', close);
  broker.host = url.substr(bracketed ? 1 : 0, bracketed ? close - 1 : colon);
  if (bracketed && close + 1 != url.size() && colon != close + 1) return std::nullopt;
  if (colon != std::string_view::npos) {
    const std::string_view port = url.substr(colon + 1);
    const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), broker.port);
    if (error != std::errc{} || stop != port.data() + port.size()) return std::nullopt;
  }
  if (broker.host.empty() || broker.port == 0) return std::nullopt;
  return broker;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "gateway";
  return name.data();
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= kNameCharactersMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

std::string topic_problem(const std::string& topic) {
  if (topic.size() > kTopicBytesMax) return fmt::format("has more than {} bytes", kTopicBytesMax);
  if (topic.find_first_of("+#") != std::string::npos) return "must not contain + or #";
  return {};
}

class Checker {
 public:
  Checker(DeclaredConnector& connector, std::string path,
          const std::function<void(Position, std::string)>& report)
      : connector_(connector),
        options_(connector.options),
        path_(std::move(path)),
        report_(report) {}

  void check() {
    if (!is_name(options_.name)) {
      report("name", "'" + log::escaped(options_.name, 64) +
                         "' is not a name of 1 to 32 letters, digits, _ and -");
    }
    check_settings();
    check_access();
    check_topics();
    if (options_.broker.client_id.empty()) {
      options_.broker.client_id = "weir-" + options_.name + "-" + host_name();
    }
  }

 private:
  void report(const std::string& key, const std::string& what) {
    const auto found = connector_.keys.find(key);
    const bool known = found != connector_.keys.end();
    report_(known ? found->second : connector_.where,
            known ? fmt::format("{}.{}: {}", path_, key, what) : path_ + " " + what);
  }

  void check_settings() {
    // One that was written and is wrong was reported when it was read.
    const bool written = connector_.keys.contains("default_delivery_stream_arn") ||
                         connector_.keys.contains("DefaultDeliveryStreamArn") ||
                         connector_.keys.contains("DEFAULT_DELIVERY_STREAM_ARN");
    if (!written) {
      report("",
             "has no default_delivery_stream_arn (DefaultDeliveryStreamArn), which is required");
    }
    for (const auto& [setting, names] : connector_.given) {
      for (const auto& [key, value] : names) {
        if (value == names.front().second) continue;
        report(key, fmt::format("{} is another name of {}, which is {} here; write one of them",
                                key, names.front().first, names.front().second));
      }
    }
    const auto interval = connector_.given.find("interval");
    if (options_.version == 1 && interval != connector_.given.end() &&
        options_.publish_interval_s != 0) {
      report(interval->second.front().first,
             "version 1 knows no interval, it sends each record at once; remove it or choose "
             "version 2 to 5");
    }
  }

  void check_access() {
    const mqtt::Options& broker = options_.broker;
    const std::array<std::pair<const char*, const std::string*>, 3> files = {{
        {"ca_file", &broker.ca_file},
        {"certificate_file", &broker.certificate_file},
        {"key_file", &broker.key_file},
    }};
    for (const auto& [key, file] : files) {
      if (!file->empty() && !broker.tls) {
        report(key, "is for TLS, but the broker's address begins with mqtt://; write mqtts://");
      }
    }
    if (broker.certificate_file.empty() != broker.key_file.empty()) {
      report(broker.key_file.empty() ? "certificate_file" : "key_file",
             "certificate_file and key_file belong together");
    }
    if (!broker.password_file.empty() && broker.user.empty()) {
      report("password_file", "a password needs a user");
    }
  }

  void check_topics() {
    for (const auto& [key, topic] : {std::pair{"message_topic", options_.message_topic},
                                     std::pair{"status_topic", options_.status_topic}}) {
      if (const auto why = topic_problem(topic); !why.empty()) report(key, why);
    }
    const std::string& filter = options_.binary_filter;
    if (!filter.ends_with("/#") || filter.size() < 3) {
      report("binary_topic", "must end in /#, which stands for the id");
      return;
    }
    const std::string prefix(options_.binary_prefix());
    if (const auto why = topic_problem(prefix); !why.empty()) report("binary_topic", why);
    const auto is_binary = [&](const std::string& topic) {
      return topic.starts_with(prefix) || topic + "/" == prefix;
    };
    if (options_.status_topic == options_.message_topic || is_binary(options_.status_topic)) {
      report("status_topic", "the connector would take its own answers for requests");
    }
    if (is_binary(options_.message_topic)) {
      report("message_topic", "lies below binary_topic, so each request would arrive twice");
    }
  }

  DeclaredConnector& connector_;
  connector::Options& options_;
  const std::string path_;
  const std::function<void(Position, std::string)>& report_;
};

// Whether a message for one would be taken by the other too.
bool share_topics(const connector::Options& a, const connector::Options& b) {
  const std::string_view first = a.binary_prefix();
  const std::string_view second = b.binary_prefix();
  return a.message_topic == b.message_topic || first.starts_with(second) ||
         second.starts_with(first) || std::string_view(a.message_topic).starts_with(second) ||
         std::string_view(b.message_topic).starts_with(first);
}

}  // namespace

std::string check_broker_url(const std::string& url) {
  return broker_of(url) ? ""
                        : "is not the address of a broker; write mqtt://host[:port] or "
                          "mqtts://host[:port], without a user or a path";
}

void set_broker_url(const std::string& url, connector::Options& options) {
  const auto broker = broker_of(url);
  if (!broker) return;
  options.broker_url = url;
  options.broker.tls = broker->tls;
  options.broker.host = broker->host;
  options.broker.port = broker->port;
}

void check_connectors(std::vector<DeclaredConnector>& connectors,
                      const std::function<void(Position, std::string)>& report) {
  if (connectors.size() > kConnectorsMax) {
    report(connectors.back().where, fmt::format("there are {} connectors; at most {} are allowed",
                                                connectors.size(), kConnectorsMax));
  }
  for (std::size_t i = 0; i < connectors.size(); ++i) {
    const std::string path = fmt::format("connectors[{}]", i);
    Checker(connectors[i], path, report).check();
    const auto& mine = connectors[i].options;
    for (std::size_t j = 0; j < i; ++j) {
      const auto& other = connectors[j].options;
      if (mine.name == other.name) {
        report(connectors[i].where, fmt::format("{}: connectors[{}] has the name '{}' already; "
                                                "give each its own",
                                                path, j, mine.name));
      }
      // One without an address was reported for that; where it listens nobody knows.
      const bool same_broker = !mine.broker_url.empty() && !other.broker_url.empty() &&
                               mine.broker.host == other.broker.host &&
                               mine.broker.port == other.broker.port;
      if (!same_broker) continue;
      if (share_topics(mine, other)) {
        report(connectors[i].where,
               fmt::format("{}: connectors[{}] listens to topics of the same broker that overlap "
                           "with this one's; set message_topic and binary_topic",
                           path, j));
      }
      if (mine.broker.client_id == other.broker.client_id && mine.name != other.name) {
        report(connectors[i].where,
               fmt::format("{}: connectors[{}] has the same client_id for the same broker, which "
                           "would disconnect each other",
                           path, j));
      }
    }
  }
}

}  // namespace weir::daemon
