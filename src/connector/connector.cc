#include "connector/connector.h"

#include "base/log.h"
#include "connector/metrics.h"
#include "connector/streams.h"
#include "mqtt/reasons.h"
#include "stream/catalog.h"

#include <algorithm>
#include <utility>

namespace weir::connector {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using State = ConnectorView::State;

constexpr auto kDrainMax = std::chrono::seconds(1);
constexpr auto kStartAgain = std::chrono::seconds(30);
// The largest record with every byte of it escaped fits. A broker of MQTT 5 does not send more;
// what one of 3.1.1 sends beyond is passed over, see `on_too_large`.
constexpr std::uint32_t kPacketBytesMax = 8 << 20;
constexpr std::size_t kGroupBytesMax = std::size_t{1} << 20;
constexpr std::size_t kGroupMessagesMax = 1'000;

}  // namespace

const char* state_name(State state) {
  switch (state) {
    case State::kStarting:
      return "starting";
    case State::kConnected:
      return "connected";
    case State::kDisconnected:
      return "disconnected";
    case State::kBroken:
      return "broken";
    case State::kStopped:
      return "stopped";
  }
  return "unknown";
}

Connector::Connector(Options options, const Environment& environment)
    : options_(std::move(options)),
      environment_(environment),
      publisher_(options_, environment_.metrics),
      intake_(options_,
              {environment_.appends, environment_.core, environment_.metrics, environment_.later,
               [this](const stream::Stream& stream) {
                 return progress_.beyond(stream.definition().name, environment_.sent_below(stream));
               },
               [this](std::vector<mqtt::Receipt> receipts, std::size_t bytes) {
                 release(std::move(receipts), bytes);
               }}),
      first_messages_(environment_.metrics.counter(kMessagesTotal, {options_.name, "first"})),
      repeated_messages_(environment_.metrics.counter(kMessagesTotal, {options_.name, "again"})),
      retained_messages_(environment_.metrics.counter(kMessagesTotal, {options_.name, "retained"})),
      reader_(options_),
      group_(std::make_shared<Group>()) {}

Connector::~Connector() { stop(); }

void Connector::start() {
  {
    const MutexLock lock(mutex_);
    if (stopped_ || client_ != nullptr) return;
  }
  mqtt::Options broker = options_.broker;
  broker.filters = {options_.message_topic, options_.binary_filter};
  broker.packet_bytes_max = kPacketBytesMax;
  auto made = environment_.make_client(std::move(broker));
  if (!made) {
    log::error("A connector cannot start; it tries again.",
               {{"connector", options_.name}, {"error", made.error().what}});
    {
      const MutexLock lock(mutex_);
      state_ = State::kBroken;
      reason_ = made.error().what;
      next_try_ = environment_.clock.now() + kStartAgain;
    }
    environment_.later(kStartAgain, [this] { start(); });
    return;
  }
  std::shared_ptr<mqtt::Client> client = std::move(*made);
  publisher_.use(*client);
  {
    const MutexLock lock(mutex_);
    if (stopped_) return;
    client_ = client;
    state_ = State::kStarting;
    reason_ = "connecting";
  }
  client->start(*this);
}

void Connector::stop() {
  draining_ = true;
  {
    const MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    changed_.notify_all();
    const auto until = steady_clock::now() + kDrainMax;
    while (client_ != nullptr && waiting_messages_ > 0 && steady_clock::now() < until) {
      changed_.wait_until(mutex_, until);
    }
    state_ = State::kStopped;
    reason_ = "weir is stopping";
  }
  publisher_.stop();
  if (const auto running = client()) running->stop();
}

std::shared_ptr<mqtt::Client> Connector::client() const {
  const MutexLock lock(mutex_);
  return client_;
}

ConnectorView Connector::view() const {
  ConnectorView view;
  view.name = options_.name;
  view.broker = options_.broker_url;
  view.mqtt_version = options_.broker.version;
  view.version = options_.version;
  view.default_arn = options_.default_target.text();
  const std::string complaint = publisher_.complaint();
  const MutexLock lock(mutex_);
  view.state = state_;
  view.reason = reason_;
  if (state_ == State::kConnected) {
    for (const auto& [filter, why] : refused_filters_) {
      view.reason += (view.reason.empty() ? "" : "; ") + why;
    }
  }
  if (view.reason.empty()) view.reason = complaint;
  view.unacknowledged_messages = static_cast<std::int64_t>(waiting_messages_);
  if (state_ == State::kDisconnected || state_ == State::kBroken) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(next_try_ - environment_.clock.now());
    view.next_try_in_ms = std::max<std::int64_t>(0, left.count());
  }
  return view;
}

void Connector::on_connected(bool session_present) {
  {
    const MutexLock lock(mutex_);
    if (stopped_) return;
    state_ = State::kConnected;
    reason_.clear();
    refused_filters_.clear();
  }
  environment_.metrics.gauge(kConnected, {options_.name}).set(1);
  environment_.metrics
      .counter(kConnectionsTotal, {options_.name, session_present ? "resumed" : "new"})
      .add();
  log::info("A connector is connected to its broker.",
            {{"connector", options_.name},
             {"broker", options_.broker_url},
             {"session", session_present ? "resumed" : "new"}});
  publisher_.connected();
  environment_.core.post([this] { wake_answers(); });
}

// Answers that waited for a connection need not wait for the end of their export's backoff.
void Connector::wake_answers() {
  stream::Catalog* catalog = environment_.appends.catalog();
  if (catalog == nullptr) return;
  const stream::Stream* answers = catalog->find(answers_stream_name(options_.name));
  if (answers != nullptr) environment_.retry_now(answers->id(), kAnswersExport);
}

void Connector::on_disconnected(const Error& why, Duration next_try) {
  {
    const MutexLock lock(mutex_);
    if (stopped_) return;
    state_ = State::kDisconnected;
    reason_ = why.what;
    next_try_ = environment_.clock.now() + next_try;
  }
  environment_.metrics.gauge(kConnected, {options_.name}).set(0);
  environment_.metrics.counter(kDisconnectionsTotal, {options_.name}).add();
  log::warn("A connector has no connection to its broker.",
            {{"connector", options_.name},
             {"broker", options_.broker_url},
             {"error", why.what},
             {"next_try_ms", std::chrono::duration_cast<milliseconds>(next_try).count()}});
  publisher_.disconnected(why.what);
}

void Connector::on_filter_refused(std::string_view filter, std::uint8_t reason) {
  const std::string why = "the broker refuses to send '" + log::escaped(filter) +
                          "': " + mqtt::reason_with_code(reason) +
                          "; allow it in the broker's access list";
  log::error("The broker does not let a connector listen.",
             {{"connector", options_.name}, {"error", why}});
  const MutexLock lock(mutex_);
  refused_filters_[std::string(filter)] = why;
}

void Connector::on_filter_granted(std::string_view filter) {
  log::info("The broker lets a connector listen now.",
            {{"connector", options_.name}, {"filter", log::escaped(filter)}});
  const MutexLock lock(mutex_);
  refused_filters_.erase(std::string(filter));
}

void Connector::on_arrival(const mqtt::Arrival& arrival) {
  // Not acknowledged, so the broker keeps it for the next connection.
  if (draining_) return;
  auto& kind = arrival.duplicate  ? repeated_messages_
               : arrival.retained ? retained_messages_
                                  : first_messages_;
  kind.add();
  if (const char* reason = reader_.read(arrival, *group_); reason != nullptr) {
    note_refusal(arrival.topic, arrival.payload.size(), reason);
  }
  pass_on_if_large();
}

void Connector::on_too_large(std::string_view topic, std::uint64_t packet_bytes) {
  if (draining_) return;
  first_messages_.add();
  note_refusal(topic, packet_bytes, reader_.refuse_too_large(topic, packet_bytes, *group_));
  pass_on_if_large();
}

void Connector::note_refusal(std::string_view topic, std::uint64_t bytes, const char* reason) {
  environment_.metrics.counter(kRefusedMessagesTotal, {options_.name, reason}).add();
  log::warn("A message was refused.", {{"connector", options_.name},
                                       {"destination", options_.name},
                                       {"topic", log::escaped(topic, 128)},
                                       {"bytes", bytes},
                                       {"reason", reason},
                                       {"error", group_->refusals.back().message}});
}

void Connector::pass_on_if_large() {
  if (group_->cost >= kGroupBytesMax || group_->items.size() >= kGroupMessagesMax) pass_on();
}

void Connector::on_arrivals_end() {
  pass_on();
  const MutexLock lock(mutex_);
  while (waiting_bytes_ > kWaitingBytesMax && !stopped_) changed_.wait(mutex_);
}

void Connector::pass_on() {
  if (group_->empty()) return;
  std::shared_ptr<const Group> group = std::exchange(group_, std::make_shared<Group>());
  {
    const MutexLock lock(mutex_);
    waiting_bytes_ += group->cost;
    waiting_messages_ += group->items.size();
  }
  environment_.core.post([this, group = std::move(group)] { intake_.take(group); });
}

void Connector::release(std::vector<mqtt::Receipt> receipts, std::size_t bytes) {
  const std::size_t messages = receipts.size();
  std::erase_if(receipts, [](const mqtt::Receipt& one) { return one.packet == 0; });
  const auto connection = client();
  if (!receipts.empty() && connection != nullptr) connection->acknowledge(std::move(receipts));
  const MutexLock lock(mutex_);
  waiting_bytes_ -= bytes;
  waiting_messages_ -= messages;
  changed_.notify_all();
}

void Connector::on_published(const mqtt::Published& published) { publisher_.published(published); }

}  // namespace weir::connector
