#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// The load generator: the same work against weir, the ceiling and other brokers.
namespace weir::load {

/// Ends the program with a message; a benchmark that cannot run has no other use.
[[noreturn]] void die(const std::string& why);

/// Blocking helpers for handshakes.
void send_all(int fd, std::string_view bytes);
std::string receive_some(int fd);

/// What the work looks like.
struct Work {
  int clients = 1;
  int window = 1;  ///< messages in flight per client
  int streams = 1;
  std::int64_t messages = 100'000;
  int payload_bytes = 512;
  int read_batch = 100;
  bool existing = false;  // do not create the streams
  bool durable = false;
};

/// An acknowledged message; `number` -1 where the peer only says "the next one".
struct Acknowledged {
  std::int64_t number = -1;
  std::int64_t sequence = -1;  ///< -1 where the peer tells none
};

/// A message read back. `payload` points into the receive buffer.
struct Stored {
  std::int64_t sequence = -1;
  std::string_view payload;
};

/// One server and how to talk to it. Encoding must cost little: client and server share two cores.
class Target {
 public:
  virtual ~Target() = default;
  /// Handshake on a fresh connection, then whatever one client needs.
  virtual void greet(int fd, int client) = 0;
  /// Creates the streams, on the first connection.
  virtual void create_streams(int fd, const Work& work) = 0;

  virtual void append(std::string& out, std::int64_t number, int stream,
                      std::string_view payload) = 0;
  /// Parses whole answers at the start of `in`, returns how many bytes they took.
  virtual std::size_t parse_acknowledged(std::string_view in, std::vector<Acknowledged>& out) = 0;

  [[nodiscard]] virtual bool can_read() const { return true; }
  virtual void read(std::string& out, std::int64_t from, int count) = 0;
  /// The same for one read answer; 0 while it is incomplete.
  virtual std::size_t parse_read(std::string_view in, int count, std::vector<Stored>& out) = 0;
};

std::unique_ptr<Target> make_weir_target();
std::unique_ptr<Target> make_redis_target();
std::unique_ptr<Target> make_nats_target();
std::unique_ptr<Target> make_mqtt_target();

/// Name of stream `i`, legal for every target.
std::string stream_name(int i);

}  // namespace weir::load
