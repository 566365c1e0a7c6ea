#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "mqtt/client.h"
#include "mqtt/resolver.h"
#include "mqtt/tls.h"

#include <memory>
#include <vector>

namespace weir::mqtt {

/// One attempt to reach the broker, and the connection it becomes: name, addresses in turn, TCP,
/// TLS. Never waits; its owner polls `descriptor` for `events`. Threads: one.
class Transport {
 public:
  /// `resolver` and `options` must outlive it. `context` is null without TLS.
  Transport(const Options& options, Resolver& resolver, std::shared_ptr<TlsContext> context);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// Goes on with opening; call when `descriptor` is ready or `deadline` is over. True: open now.
  Result<bool> advance(Instant now);
  [[nodiscard]] bool open() const { return stage_ == Stage::kOpen; }
  /// When `advance` is due although nothing happened: it is the next address's turn.
  [[nodiscard]] Instant deadline() const { return deadline_; }
  [[nodiscard]] int descriptor() const;
  /// What to poll for while opening.
  [[nodiscard]] short events() const { return events_; }

  struct Moved {
    std::size_t bytes = 0;
    bool closed = false;  ///< by the other side
    bool more = false;    ///< of a read: the socket will not tell of what is left
  };
  Result<Moved> read(MutableBytes into);
  Result<Moved> write(Bytes bytes);
  /// Nothing more will be written; the other side hears of it.
  void finish();

 private:
  enum class Stage : std::uint8_t { kResolving, kConnecting, kHandshaking, kOpen };

  Result<bool> begin_next(Instant now, Error last);
  Result<void> connected();
  Result<bool> shake_hands();
  void close_socket();
  [[nodiscard]] std::string target() const;

  const Options& options_;
  Resolver& resolver_;
  std::shared_ptr<TlsContext> context_;
  Stage stage_ = Stage::kResolving;
  std::vector<Address> addresses_;
  std::size_t next_address_ = 0;
  Instant deadline_ = Instant::max();
  int socket_ = -1;
  short events_;
  std::unique_ptr<TlsStream> tls_;
};

}  // namespace weir::mqtt
