#include "server/server.h"

#include "base/check.h"
#include "base/log.h"
#include "protocol/codec.h"
#include "server/answers.h"
#include "server/appends.h"
#include "server/definitions.h"
#include "server/failed_attempts.h"
#include "server/instruments.h"
#include "server/listener.h"
#include "server/peer.h"
#include "server/reader_pool.h"
#include "server/reads.h"
#include "server/sessions.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace weir::server {
namespace {

using protocol::Operation;
using protocol::Status;

// Appends make answers, answers make room, room resumes peers that append: how often that is
// followed within one turn before others get theirs.
constexpr int kRoundsPerTurn = 4;

bool loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0;
}

struct Bounded {
  const char* name;
  std::int64_t value;
  std::int64_t least;
  std::int64_t most;
};

/// Everything that exists once there is a catalog.
struct Parts {
  Parts(Loop& loop, Clock& clock, Instruments& instruments, const Options& options,
        ExportStatuses& exports, stream::Catalog& streams, Peers& peers, Peer::Shared& shared)
      : catalog(streams),
        appends({streams, peers, clock, instruments}),
        sessions({loop, clock, instruments, options, shared, appends,
                  [this](const Peer& peer) { reads.peer_gone(peer); },
                  [this] { reads.room_freed(); }}),
        pool(static_cast<std::size_t>(options.reader_threads)),
        reads({loop, clock, peers, sessions, pool, instruments, options}),
        definitions({streams, exports, peers, options.multipart_threshold_min}) {}

  stream::Catalog& catalog;
  Appends appends;
  Sessions sessions;
  ReaderPool pool;
  Reads reads;
  Definitions definitions;
};

class TcpServer final : public Server, public PeerHost, public Peers, public Listener::Acceptor {
 public:
  TcpServer(const Options& options, Environment environment, std::unique_ptr<Listener> listener)
      : options_(options),
        environment_(environment),
        instruments_(environment.metrics),
        shared_{*this, scratch_, instruments_,
                static_cast<std::size_t>(
                    std::min(options.frame_bytes_max, options.request_budget_bytes / 2))},
        listener_(std::move(listener)) {}

  ~TcpServer() override {
    environment_.loop.set_turn_end(nullptr);
    if (stop_timer_ != 0) environment_.loop.cancel(stop_timer_);
  }

  std::uint16_t port() const override { return listener_->port(); }
  Counts counts() const override {
    Counts counts;
    if (const Parts* parts = published_.load(std::memory_order_acquire)) {
      counts.connections = parts->sessions.count();
      counts.parked_reads = parts->reads.parked();
    }
    return counts;
  }

  void serve(stream::Catalog& catalog) override {
    WEIR_CHECK(!parts_, "the server serves one catalog");
    parts_ = std::make_unique<Parts>(environment_.loop, environment_.clock, instruments_, options_,
                                     environment_.exports, catalog, *this, shared_);
    published_.store(parts_.get(), std::memory_order_release);
    environment_.loop.set_turn_end([this] { turn_end(); });
    listener_->start(*this);
  }

  void stream_moved(stream::Stream& stream) override {
    if (parts_) parts_->reads.stream_moved(stream);
  }
  void stream_removed(StreamId id) override {
    ++removals_;
    if (parts_) parts_->reads.stream_removed(id);
  }
  void append_done(std::uint64_t token, const Result<SequenceNumber>& outcome) override {
    parts_->appends.done(token, outcome);
  }

  void shutdown(Instant deadline, std::function<void()> done) override {
    listener_->close();
    stopped_ = std::move(done);
    stopping_ = true;
    if (parts_) {
      parts_->reads.fail_all();
      parts_->sessions.stop(deadline);
      stop_timer_ = environment_.loop.call_at(deadline, [this] {
        stop_timer_ = 0;
        parts_->sessions.drop_all();
      });
    }
    environment_.loop.post([this] { report_stopped(); });
  }

 private:
  // ---- a turn ---------------------------------------------------------------------------------

  void turn_end() {
    int rounds = 0;
    do {
      parts_->appends.commit();
      parts_->reads.settle();
    } while (++rounds < kRoundsPerTurn && parts_->sessions.offer_resumed());
    parts_->appends.commit();
    parts_->sessions.finish_turn();
    if (stopping_) report_stopped();
  }

  void report_stopped() {
    if (!stopped_ || (parts_ && parts_->sessions.count() > 0)) return;
    if (stop_timer_ != 0) environment_.loop.cancel(std::exchange(stop_timer_, 0));
    environment_.loop.post(std::exchange(stopped_, nullptr));
  }

  // ---- Listener::Acceptor ---------------------------------------------------------------------

  void accepted(int socket, std::string source) override {
    parts_->sessions.accept(socket, std::move(source));
  }
  void accept_paused() override { instruments_.accept_pauses.add(); }

  // ---- Peers ----------------------------------------------------------------------------------

  Peer* find(PeerId id) override { return parts_->sessions.find(id); }
  void resume(PeerId id) override { parts_->sessions.resume(id); }
  void drop(PeerId id, CloseReason reason) override { parts_->sessions.drop(id, reason); }

  // ---- PeerHost -------------------------------------------------------------------------------

  ByteBuffer& output(PeerId peer) override { return parts_->sessions.output(peer); }
  bool has_room(PeerId peer) override { return parts_->sessions.has_room(peer); }

  void authenticate(Peer& peer, std::string token) override {
    if (!options_.authenticate_client) {
      peer.verified(TokenVerdict::kGood);
      return;
    }
    environment_.verifier.verify(std::move(token),
                                 [this, id = peer.id()](TokenVerdict found, std::string why) {
                                   Peer* asker = find(id);
                                   if (asker == nullptr) return;
                                   if (found == TokenVerdict::kGood) {
                                     verdict(id, found);
                                   } else {
                                     refuse(id, found, std::move(why));
                                   }
                                 });
  }

  void verdict(PeerId id, TokenVerdict found) {
    Peer* peer = find(id);
    if (peer == nullptr) return;
    peer->verified(found);
    if (peer->paused()) resume(id);
  }

  void refuse(PeerId id, TokenVerdict found, std::string why) {
    const std::string& source = parts_->sessions.source(id);
    if (found == TokenVerdict::kUnchecked) {
      instruments_.unchecked_tokens.add();
      log::warn("Refused a client: its token cannot be checked at present.",
                {{"source", source}, {"why", why}});
    } else {
      instruments_.authentication_failures.add();
      log::warn("Refused a client: its token was not accepted.",
                {{"source", source}, {"why", why}});
    }
    const Instant now = environment_.clock.now();
    const Duration delay = failed_attempts_.delay(source, now);
    if (delay == Duration::zero()) return verdict(id, found);
    environment_.loop.call_at(now + delay, [this, id, found] { verdict(id, found); });
  }

  Verdict append(Peer& peer, const protocol::AppendRequest& request) override {
    auto& appends = parts_->appends;
    if (too_many_wait(peer)) [[unlikely]] {
      appends.commit();
      if (too_many_wait(peer)) {
        instruments_.count(Limit::kRequestsQueued);
        return Verdict::kLater;
      }
    }
    stream::Stream* stream = lookup(peer, request.name);
    if (stream == nullptr) [[unlikely]] {
      instruments_.count_request(Operation::kAppendMessage);
      const Answer answer =
          answer_for_missing(parts_->catalog, request.name, Operation::kAppendMessage);
      peer.answer(Operation::kAppendMessage, request.request_id, answer.status, answer.text);
      return Verdict::kDone;
    }
    appends.stage(peer, *stream, request);
    if (scratch_.used()) [[unlikely]] {  // the next request is decoded into the same place
      appends.commit();
      scratch_.clear();
    }
    return Verdict::kDone;
  }

  static bool too_many_wait(const Peer& peer) {
    return peer.appends.waiting >= Appends::kWaitingMax ||
           peer.appends.waiting_bytes >= Appends::kWaitingBytesMax;
  }

  // Most clients append to one stream only: comparing its name is cheaper than finding it.
  stream::Stream* lookup(Peer& peer, std::string_view name) {
    auto& cache = peer.cache;
    if (cache.stream != nullptr && cache.epoch == removals_ &&
        cache.stream->definition().name == name) {
      return cache.stream;
    }
    cache = {parts_->catalog.find(name), removals_};
    return cache.stream;
  }

  Verdict request(Peer& peer, Operation operation, protocol::Request& request) override {
    // Requests of one connection take effect in the order in which they were sent.
    if (peer.appends.waiting > 0) parts_->appends.commit();
    instruments_.count_request(operation);
    auto& definitions = parts_->definitions;
    if (auto* read = std::get_if<protocol::ReadRequest>(&request)) return start_read(peer, *read);
    if (auto* create = std::get_if<protocol::CreateRequest>(&request)) {
      return definitions.create(peer, *create);
    }
    if (auto* update = std::get_if<protocol::UpdateRequest>(&request)) {
      return definitions.update(peer, *update);
    }
    if (auto* remove = std::get_if<protocol::DeleteRequest>(&request)) {
      ++removals_;
      return definitions.remove(peer, *remove);
    }
    if (auto* list = std::get_if<protocol::ListRequest>(&request)) {
      return definitions.list(peer, *list);
    }
    return definitions.describe(peer, std::get<protocol::DescribeRequest>(request));
  }

  Verdict start_read(Peer& peer, const protocol::ReadRequest& read) {
    if (stopping_) {
      peer.answer(Operation::kReadMessages, read.request_id, Status::kServerTimeout,
                  "the server is shutting down");
      return Verdict::kDone;
    }
    const stream::Stream* stream = lookup(peer, read.stream_name);
    if (stream == nullptr) {
      const Answer answer =
          answer_for_missing(parts_->catalog, read.stream_name, Operation::kReadMessages);
      peer.answer(Operation::kReadMessages, read.request_id, answer.status, answer.text);
      return Verdict::kDone;
    }
    return parts_->reads.start(peer, read, *stream);
  }

  const Options options_;
  Environment environment_;
  Instruments instruments_;
  protocol::DecodeScratch scratch_;
  Peer::Shared shared_;
  std::unique_ptr<Listener> listener_;
  FailedAttempts failed_attempts_;
  std::uint64_t removals_ = 0;  // streams removed so far: what a peer remembers of them is old
  std::unique_ptr<Parts> parts_;
  std::atomic<const Parts*> published_{nullptr};
  std::function<void()> stopped_;
  Loop::TimerId stop_timer_ = 0;
  bool stopping_ = false;
};

}  // namespace

Result<void> Options::validate() const {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  const std::array<Bounded, 13> bounds{{
      {"port", port, 0, 65'535},
      {"connections_max", connections_max, 1, 1'000'000},
      {"unauthenticated_connections_max", unauthenticated_connections_max, 1, 1'000'000},
      {"handshake_timeout_ms", handshake_timeout_ms, 1, 3'600'000},
      {"frame_bytes_max", frame_bytes_max, 1'024, 1LL << 30},
      {"request_budget_bytes", request_budget_bytes, 64 * 1'024, kMost},
      {"response_budget_bytes", response_budget_bytes, 64 * 1'024, kMost},
      {"read_bytes_soft_max", read_bytes_soft_max, 1'024, 1LL << 30},
      {"stall_timeout_ms", stall_timeout_ms, 1, 3'600'000},
      {"parked_reads_per_connection_max", parked_reads_per_connection_max, 1, 1'000'000},
      {"parked_reads_max", parked_reads_max, 1, 1'000'000},
      {"request_deadline_ms", request_deadline_ms, 1, 3'600'000},
      {"reader_threads", reader_threads, 1, 64},
  }};
  for (const auto& [name, value, least, most] : bounds) {
    if (value >= least && value <= most) continue;
    return fail(Errc::kInvalidArgument, std::string(name) + " is " + std::to_string(value) +
                                            ", must be " + std::to_string(least) + " to " +
                                            std::to_string(most));
  }
  if (!authenticate_client && !loopback(bind_address)) {
    return fail(Errc::kInvalidArgument,
                "bind_address is " + bind_address +
                    ", which others can reach, while authenticate_client is off; turn it on or "
                    "bind to 127.0.0.1");
  }
  return {};
}

Result<std::unique_ptr<Server>> Server::bind(const Options& options, Environment environment) {
  WEIR_RETURN_IF_ERROR(options.validate());
  if (!loopback(options.bind_address)) {
    log::warn("Listening beyond this machine; the protocol is not encrypted.",
              {{"address", options.bind_address}});
  }
  WEIR_TRY(auto listener,
           Listener::bind(options.bind_address, options.port, environment.loop, environment.clock));
  return std::unique_ptr<Server>(
      std::make_unique<TcpServer>(options, environment, std::move(listener)));
}

}  // namespace weir::server
