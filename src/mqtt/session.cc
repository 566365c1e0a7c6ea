#include "mqtt/session.h"

#include "base/check.h"
#include "base/log.h"
#include "mqtt/reasons.h"

#include <algorithm>
#include <fmt/format.h>

namespace weir::mqtt {
namespace {

constexpr std::uint32_t kNever = 0xFFFF'FFFF;  // as a session's expiry: it does not

std::uint32_t expiry_seconds(Duration expiry) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(expiry).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 0, kNever));
}

std::uint16_t keep_alive_seconds(Duration keep_alive) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(keep_alive).count();
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>(seconds, 0, 0xFFFF));
}

std::size_t cost_of(std::size_t topic_bytes, std::size_t payload_bytes) {
  return topic_bytes + payload_bytes + kMessageOverheadBytes;
}

}  // namespace

Session::Session(Options options, Listener& listener, Instant now)
    : options_(std::move(options)),
      broker_(fmt::format("{}:{}", options_.host, options_.port)),
      listener_(listener),
      backoff_({options_.backoff_min, options_.backoff_max}, options_.seed),
      now_(now),
      next_try_(now),
      client_id_(options_.client_id) {}

Error Session::error(std::string_view what) const {
  return {Errc::kUnavailable, fmt::format("MQTT broker {}: {}", broker_, what)};
}

void Session::begin(Instant now) {
  WEIR_CHECK(state_ == State::kWaiting, "a connection begins while there is one");
  now_ = now;
  state_ = State::kOpening;
  deadline_ = now + options_.connect_timeout;
  output_.clear();
  output_begin_ = 0;
}

void Session::on_open(Instant now, const std::optional<std::string>& password) {
  WEIR_CHECK(state_ == State::kOpening, "a connection opens that was not begun");
  now_ = now;
  state_ = State::kGreeting;
  ++connection_;
  skip_bytes_ = 0;
  bytes_needed_ = 0;
  goodbye_.reset();
  ping_sent_.reset();
  last_received_ = last_sent_ = now;
  unacknowledged_.clear();
  subscriptions_.clear();
  refused_.clear();
  Connect connect;
  connect.version = options_.version;
  connect.client_id = client_id_;
  if (!options_.user.empty()) connect.user = options_.user;
  if (password) connect.password = *password;
  connect.session_expiry_s = expiry_seconds(options_.session_expiry);
  connect.clean = connect.session_expiry_s == 0;
  connect.keep_alive_s = keep_alive_seconds(options_.keep_alive);
  connect.receive_maximum = options_.receive_maximum;
  connect.packet_bytes_max = options_.packet_bytes_max;
  encode_connect(output_, connect);
}

void Session::end(const Error& why) {
  if (open() && state_ == State::kConnected && now_ - connected_at_ >= kSteadyAfter) {
    backoff_.reset();
  }
  state_ = State::kWaiting;
  bytes_needed_ = 0;
  const Duration wait = backoff_.next();
  next_try_ = now_ + wait;
  listener_.on_disconnected(why, wait);
}

void Session::on_closed(Instant now) {
  now_ = now;
  if (state_ == State::kGreeting) {
    return end(error(fmt::format(
        "closed the connection instead of answering CONNECT: is it a broker that speaks MQTT {}, "
        "and does it expect {}?",
        options_.version == Version::k5 ? "5" : "3.1.1", options_.tls ? "no TLS" : "TLS")));
  }
  if (state_ != State::kConnected) return on_lost(now, error("closed the connection"));
  end(
      error(fmt::format("closed the connection without a reason; should this repeat at once, "
                        "another client may use the client id '{}'",
                        log::escaped(client_id_))));
}

void Session::on_lost(Instant now, const Error& why) {
  now_ = now;
  if (state_ == State::kOpening || open()) end(why);
}

Instant Session::next_ping() const { return std::min(last_received_, last_sent_) + patience(); }
Instant Session::ping_deadline() const { return *ping_sent_ + patience(); }

Instant Session::next_event() const {
  switch (state_) {
    case State::kWaiting:
      return next_try_;
    case State::kOpening:
    case State::kGreeting:
      return deadline_;
    case State::kStopped:
      return Instant::max();
    case State::kConnected:
      break;
  }
  Instant next = Instant::max();
  if (keep_alive_ > Duration{0}) next = ping_sent_ ? ping_deadline() : next_ping();
  if (!subscriptions_.empty()) next = std::min(next, subscribe_deadline_);
  if (!refused_.empty()) next = std::min(next, refused_retry_);
  return next;
}

void Session::on_time(Instant now) {
  now_ = now;
  if ((state_ == State::kOpening || state_ == State::kGreeting) && now >= deadline_) {
    return end(error(fmt::format(
        "no {} within {} ms", state_ == State::kOpening ? "connection" : "answer to CONNECT",
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.connect_timeout).count())));
  }
  if (state_ != State::kConnected) return;
  // What was not read cannot be missed.
  if (!reading_wanted()) {
    subscribe_deadline_ = std::max(subscribe_deadline_, now + options_.connect_timeout);
    if (ping_sent_ && now >= ping_deadline()) ping_sent_ = now;
  }
  if (!subscriptions_.empty() && now >= subscribe_deadline_) {
    encode_disconnect(output_, options_.version, kProtocolError);
    return end(error("did not answer SUBSCRIBE"));
  }
  if (!refused_.empty() && now >= refused_retry_) subscribe(std::exchange(refused_, {}), true);
  if (keep_alive_ <= Duration{0}) return;
  if (ping_sent_ && now >= ping_deadline()) {
    return end(error(fmt::format(
        "keep alive expired: nothing came for {} ms, not even an answer to PINGREQ",
        std::chrono::duration_cast<std::chrono::milliseconds>(now - last_received_).count())));
  }
  if (!ping_sent_ && now >= next_ping()) {
    encode_pingreq(output_);
    ping_sent_ = now;
  }
}

void Session::on_sent(Instant now, std::size_t bytes) {
  now_ = now;
  if (bytes > 0) last_sent_ = now;
  output_begin_ += bytes;
  if (output_begin_ == output_.size()) {
    output_.clear();
    output_begin_ = 0;
    // One large message leaves a large buffer behind.
    if (output_.capacity() > 2 * kOutputBytesMax) output_.release();
  }
  if (state_ == State::kConnected) send_waiting();
}

bool Session::reading_wanted() const {
  // Some brokers of MQTT 5 send more than was agreed (mosquitto 2.0.11 does once it has a queue),
  // and leaving them would bring the same again: they are kept waiting as those of 3.1.1 are.
  const std::size_t slack = options_.version == Version::k5 ? 1 : 0;
  if (unacknowledged_.size() < options_.receive_maximum + slack) return true;
  // An owner may need to hear what became of its own messages before it can acknowledge.
  return outgoing_.size() > 0;
}

bool Session::admit(std::string_view topic, std::size_t payload_bytes) {
  if (!is_topic_name(topic)) return false;
  const std::size_t bytes = publish_bytes(options_.version, topic.size(), payload_bytes, true);
  const std::size_t most = broker_packet_bytes_max_.load(std::memory_order_relaxed);
  if (bytes > kRemainingLengthMax || (most > 0 && bytes > most)) return false;
  const std::size_t cost = cost_of(topic.size(), payload_bytes);
  std::size_t waiting = waiting_bytes_.load(std::memory_order_relaxed);
  do {
    if (cost > kWaitingBytesMax || waiting > kWaitingBytesMax - cost) return false;
  } while (!waiting_bytes_.compare_exchange_weak(waiting, waiting + cost));
  return true;
}

void Session::publish(std::uint64_t token, std::string topic, std::string payload) {
  if (state_ == State::kStopped) return;
  outgoing_.add({token, std::move(topic), std::move(payload), 0});
  if (state_ == State::kConnected) send_waiting();
}

void Session::answer(std::uint64_t token, std::size_t cost, std::uint8_t reason,
                     std::string_view text) {
  // Before the owner hears of it, so that it can publish more from within.
  waiting_bytes_.fetch_sub(cost);
  listener_.on_published({token, reason, log::escaped(text)});
}

void Session::send_waiting() {
  const std::size_t most = broker_packet_bytes_max_.load(std::memory_order_relaxed);
  const bool answered = maximum_qos_ > 0;
  while (OutgoingMessage* message = outgoing_.next()) {
    if (outgoing_.unanswered() >= window_ || output_bytes() >= kOutputBytesMax) return;
    const std::size_t cost = cost_of(message->topic.size(), message->payload.size());
    const std::size_t bytes =
        publish_bytes(options_.version, message->topic.size(), message->payload.size(), answered);
    if (most > 0 && bytes > most) {
      const OutgoingMessage dropped = outgoing_.take_next();
      answer(dropped.token, cost, kPacketTooLarge,
             fmt::format("{} bytes, and the broker takes {}", bytes, most));
      continue;
    }
    if (!answered) {
      const OutgoingMessage taken = outgoing_.take_next();
      encode_publish(output_, options_.version, taken.topic, as_bytes(taken.payload), 0, false);
      answer(taken.token, cost, 0, {});
      continue;
    }
    const bool again = message->packet_id != 0;
    if (!again) message->packet_id = outgoing_.take_id();
    encode_publish(output_, options_.version, message->topic, as_bytes(message->payload),
                   message->packet_id, again);
    outgoing_.sent();
  }
}

void Session::acknowledge(const std::vector<Receipt>& receipts) {
  if (state_ != State::kConnected) return;
  for (const Receipt& receipt : receipts) {
    if (receipt.connection == connection_ && receipt.packet != 0) {
      (void)unacknowledged_.acknowledge(receipt.packet);
    }
  }
  while (const auto released = unacknowledged_.release()) {
    encode_acknowledgement(output_, released->qos == 2 ? PacketType::kPubrec : PacketType::kPuback,
                           released->packet_id);
  }
}

void Session::subscribe(const std::vector<std::string>& filters, bool again) {
  for (std::size_t first = 0; first < filters.size(); first += kFiltersInPacketMax) {
    const std::size_t count = std::min(kFiltersInPacketMax, filters.size() - first);
    const auto begin = filters.begin() + static_cast<std::ptrdiff_t>(first);
    Subscription subscription{
        outgoing_.take_id(), {begin, begin + static_cast<std::ptrdiff_t>(count)}, again};
    const std::vector<std::string_view> views(subscription.filters.begin(),
                                              subscription.filters.end());
    encode_subscribe(output_, options_.version, subscription.packet_id, views);
    subscriptions_.push_back(std::move(subscription));
  }
  subscribe_deadline_ = now_ + options_.connect_timeout;
}

void Session::stop() {
  if (state_ == State::kConnected) encode_disconnect(output_, options_.version, 0);
  state_ = State::kStopped;
}

}  // namespace weir::mqtt
