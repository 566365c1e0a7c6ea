#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::mqtt {

enum class Version : std::uint8_t { k311 = 4, k5 = 5 };

/// How a client reaches its broker and what it asks of it.
struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 1883;
  bool tls = false;
  std::string ca_file;           ///< empty: the system's
  std::string certificate_file;  ///< PEM; empty: none
  std::string key_file;
  std::string user;
  std::string password_file;  ///< read at each connect, so that it can be replaced; at most 64 KiB
  std::string client_id;
  Version version = Version::k5;
  Duration keep_alive = std::chrono::seconds(60);  ///< 0 s: none; to 65,535 s
  Duration session_expiry = std::chrono::hours(24 * 7);
  std::uint16_t receive_maximum = 1'000;  ///< unacknowledged messages the broker may have sent
  /// Of what the broker may send. One of MQTT 5 keeps larger ones back; see `on_too_large`.
  std::uint32_t packet_bytes_max = 4 * 1024 * 1024;
  Duration connect_timeout = std::chrono::seconds(10);
  Duration backoff_min = std::chrono::seconds(1);
  Duration backoff_max = std::chrono::minutes(2);
  std::uint64_t seed = 0;            ///< of the backoff's jitter
  std::vector<std::string> filters;  ///< subscribed with QoS 1 at each connection
};

/// Names one received message of one connection. Worthless after the connection is lost: the
/// broker sends what was not acknowledged again.
struct Receipt {
  std::uint64_t connection = 0;
  std::uint16_t packet = 0;  ///< 0: QoS 0, nothing to acknowledge
};

/// A message as it arrived. The views are good during the call only.
struct Arrival {
  std::string_view topic;
  Bytes payload;
  bool retained = false;
  bool duplicate = false;
  Receipt receipt;
};

/// What became of a message given to `publish`.
struct Published {
  std::uint64_t token = 0;
  /// 0: taken. 0x10: taken, nobody listens. From 0x80: the broker's reason for refusing (MQTT 5).
  std::uint8_t reason = 0;
  std::string text;  ///< the broker's own words, escaped and cut; often empty
};

/// What a client tells its owner. Every call comes from the client's thread and must not block.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void on_connected(bool session_present) = 0;
  /// The connection is gone or was refused; `why` is what a person needs to know. A new one is
  /// tried after `next_try`.
  virtual void on_disconnected(const Error& why, Duration next_try) = 0;
  /// The broker refused a filter; the others work. Told once a connection; it is asked for again
  /// every `backoff_max`.
  virtual void on_filter_refused(std::string_view filter, std::uint8_t reason) = 0;
  /// A filter that was refused in this connection is granted now.
  virtual void on_filter_granted(std::string_view filter) { (void)filter; }
  virtual void on_arrival(const Arrival& arrival) = 0;
  /// All that one read of the socket held was handed over: the moment to pass a group on.
  virtual void on_arrivals_end() = 0;
  virtual void on_published(const Published& published) = 0;
  /// A message of more than `packet_bytes_max` came and was thrown away, acknowledged; only a
  /// broker of 3.1.1 sends such (one of MQTT 5 keeps them back). Data is lost: count it.
  virtual void on_too_large(std::string_view topic, std::uint64_t packet_bytes) {
    (void)topic;
    (void)packet_bytes;
  }
};

/// A connection to an MQTT broker that comes back by itself, with acknowledgements in the hands of
/// its owner: QoS 1 arrivals are acknowledged when `acknowledge` is called, not before.
///
/// Threads: one of its own, which calls the listener; `publish`, `acknowledge` and `stop` from any.
class Client {
 public:
  virtual ~Client() = default;

  /// Begins to connect. The listener must outlive the client.
  virtual void start(Listener& listener) = 0;

  /// Acknowledges messages; those of an earlier connection are passed over. The broker hears of
  /// them in the order of arrival, as the standard demands: one that is never acknowledged holds
  /// back all behind it.
  virtual void acknowledge(std::vector<Receipt> receipts) = 0;

  /// Sends with QoS 1 as soon as there is a connection and the broker's window has room, in order.
  /// What was sent and not answered when a connection is lost is sent again. False: too much is
  /// waiting already (`kWaitingBytesMax`), or the message can never be sent (too large for the
  /// broker); nothing was taken.
  virtual bool publish(std::uint64_t token, std::string topic, std::string payload) = 0;

  /// Disconnects in order, ends the thread; at most about a second. No call of the listener after
  /// it. Idempotent. Not from within a call of the listener.
  virtual void stop() = 0;
};

/// Bytes of messages that may wait in `publish`.
inline constexpr std::size_t kWaitingBytesMax = std::size_t{4} * 1024 * 1024;

/// A client over TCP or TLS. Errors: kInvalidArgument for files that cannot be read.
Result<std::unique_ptr<Client>> make_client(Options options);

}  // namespace weir::mqtt
