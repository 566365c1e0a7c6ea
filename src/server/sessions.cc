#include "server/sessions.h"

#include "base/log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace weir::server {
namespace {

constexpr std::size_t kArenaBytes = 1 << 20;
// One receive takes at most this much: a turn stays short, and the bytes stay in the cache until
// they are decoded.
constexpr std::size_t kReceiveBytesMax = 256 * 1024;
constexpr std::size_t kReceiveBytesMin = 64 * 1024;
// A frame that needs more than this is received straight into memory of its own; smaller ones
// always get in (R2).
constexpr std::size_t kDirectFrameBytes = 64 * 1024;
// With more than this unsent, a connection's next request has to wait (R3).
constexpr std::size_t kUnsentBytesMax = 1 << 20;
// An answer of this size does not wait for the end of the turn.
constexpr std::size_t kSendAtOnceBytes = 64 * 1024;
constexpr auto kDrain = std::chrono::seconds(5);
constexpr rlim_t kReservedDescriptors = 128;  // for segments, cursors, exports

std::int64_t connections_max(std::int64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  const rlim_t free =
      limit.rlim_cur > kReservedDescriptors ? limit.rlim_cur - kReservedDescriptors : 1;
  return std::min(wanted, static_cast<std::int64_t>(free));
}

}  // namespace

void Session::ready(std::uint32_t events) { owner_.ready(*this, events); }

Sessions::Sessions(Environment environment)
    : environment_(std::move(environment)),
      connections_max_(connections_max(environment_.options.connections_max)),
      arena_(std::make_unique_for_overwrite<std::byte[]>(kArenaBytes)) {}

Sessions::~Sessions() {
  if (tick_timer_ != 0) environment_.loop.cancel(tick_timer_);
  environment_.peer_gone = [](const Peer&) {};
  drop_all();
}

Session* Sessions::session(PeerId id) {
  if (id.slot >= slots_.size()) return nullptr;
  auto& slot = slots_[id.slot];
  return slot.generation == id.generation ? slot.session.get() : nullptr;
}

Peer* Sessions::find(PeerId id) {
  Session* s = session(id);
  return s == nullptr ? nullptr : &s->peer;
}

ByteBuffer& Sessions::output(PeerId id) {
  Session& s = *session(id);
  touch(s);
  if (s.out.capacity() == 0) s.out = spare_.take();
  return s.out;
}

bool Sessions::has_room(PeerId id) {
  const Session* s = session(id);
  return s != nullptr && s->unsent() < kUnsentBytesMax;
}

const std::string& Sessions::source(PeerId id) const { return slots_[id.slot].session->source; }

Instant Sessions::now() {
  if (turn_now_ == Instant{}) turn_now_ = environment_.clock.now();
  return turn_now_;
}

void Sessions::touch(Session& s) {
  if (s.touched) return;
  s.touched = true;
  touched_.push_back(&s);
}

void Sessions::watch(Session& s) {
  if (s.watched) return;
  s.watched = true;
  watched_.push_back(s.peer.id());
}

void Sessions::accept(int socket, std::string source) {
  if (stopping_ || count() >= connections_max_) {
    environment_.instruments.refused_connections_max.add();
    ::close(socket);
    return;
  }
  if (static_cast<std::int64_t>(handshaking_.size()) >=
      environment_.options.unauthenticated_connections_max) {
    free_oldest_handshake();
  }
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_slots_.back();
  const PeerId id{index, ++slots_[index].generation};
  auto session = std::make_unique<Session>(*this, socket, std::move(source), id, next_serial_++,
                                           environment_.shared);
  if (const auto added = environment_.loop.add(socket, EPOLLIN, *session); !added) {
    log::warn("Cannot serve a client.", {{"why", added.error().what}});
    ::close(socket);
    return;
  }
  free_slots_.pop_back();
  session->interest = EPOLLIN;
  session->accepted_at = now();
  handshaking_.emplace(session->serial, session.get());
  watch(*session);
  slots_[index].session = std::move(session);
  count_.fetch_add(1, std::memory_order_relaxed);
  environment_.instruments.accepted.add();
  environment_.instruments.connections.add(1);
}

// Whoever has said nothing for longest makes place; if all speak, the one that has taken longest.
void Sessions::free_oldest_handshake() {
  environment_.instruments.refused_unauthenticated_max.add();
  const auto silent = std::find_if(handshaking_.begin(), handshaking_.end(),
                                   [](const auto& entry) { return entry.second->peer.silent(); });
  Session* oldest = silent == handshaking_.end() ? handshaking_.begin()->second : silent->second;
  bury(*oldest, CloseReason::kHandshakeTimeout);
}

// ---- receiving ------------------------------------------------------------------------------

void Sessions::ready(Session& s, std::uint32_t events) {
  touch(s);
  // Nothing can be sent or received any more; what was received already keeps its effect.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    bury(s, s.peer.ended() ? s.peer.end_reason() : CloseReason::kClient);
    return;
  }
  if ((events & EPOLLOUT) != 0) flush(s);
  if ((events & EPOLLIN) != 0 && !s.gone) receive(s);
}

// Room behind everything that staged appends still refer to.
MutableBytes Sessions::arena_room(std::size_t bytes) {
  if (environment_.appends.staged() == 0) arena_used_ = 0;
  if (kArenaBytes - arena_used_ < bytes) {
    environment_.appends.commit();
    arena_used_ = 0;
  }
  return {arena_.get() + arena_used_, kArenaBytes - arena_used_};
}

void Sessions::receive(Session& s) {
  if (s.half_closed || s.peer.ended()) return throw_away(s);
  if (s.in_needed > kDirectFrameBytes) return receive_large(s);
  const Bytes carried = s.input();
  const MutableBytes room = arena_room(carried.size() + kReceiveBytesMin);
  const std::size_t bytes = std::min(room.size() - carried.size(), kReceiveBytesMax);
  const auto received = ::recv(s.socket, room.data() + carried.size(), bytes, 0);
  if (received <= 0) return receive_end(s, received);
  received_bytes_ += static_cast<std::uint64_t>(received);
  if (!carried.empty()) std::memcpy(room.data(), carried.data(), carried.size());
  offer(s, room.first(carried.size() + static_cast<std::size_t>(received)));
}

void Sessions::receive_end(Session& s, long received) {
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (received < 0) {
    bury(s, CloseReason::kClient);
    return;
  }
  s.input_ended = true;
  environment_.peer_gone(s.peer);  // nobody waits for parked reads any more
}

// A client that is told to go away may still be sending; closing on unread bytes would reset the
// connection and take the answer with it.
void Sessions::throw_away(Session& s) {
  const MutableBytes room = arena_room(kReceiveBytesMin);
  const auto received = ::recv(s.socket, room.data(), room.size(), 0);
  if (received <= 0) receive_end(s, received);
}

void Sessions::receive_large(Session& s) {
  const std::size_t have = s.in.size();
  // Memory grows with what was received, never with what was announced.
  const std::size_t step = std::min(s.in_needed - have, std::max(have, kReceiveBytesMax));
  if (!charge_large(s, step)) return;
  std::byte* at = nullptr;
  try {
    at = s.in.extend(step);
  } catch (const std::bad_alloc&) {
    return refuse_for_memory(s);
  }
  const auto received = ::recv(s.socket, at, step, 0);
  s.in.truncate(have + static_cast<std::size_t>(std::max<long>(received, 0)));
  if (received <= 0) return receive_end(s, received);
  received_bytes_ += static_cast<std::uint64_t>(received);
  // Frames of this size hold much of the budget: a trickle does not count as progress.
  if (s.in.size() / kReceiveBytesMin != have / kReceiveBytesMin) s.in_progress_at = now();
  account(s);
  if (s.in.size() < s.in_needed) return;
  offer_kept(s);
}

// False if the budget has no room at present; the socket is not read until it has.
bool Sessions::charge_large(Session& s, std::size_t bytes) {
  const std::int64_t left = environment_.options.request_budget_bytes - request_used_;
  if (static_cast<std::int64_t>(bytes) <= left) return true;
  if (session(overrun_holder_) == nullptr) overrun_holder_ = s.peer.id();
  if (overrun_holder_ == s.peer.id()) return true;
  environment_.instruments.count(Limit::kRequestBudget);
  s.waits_for_budget = true;
  budget_waiters_.push_back(s.peer.id());
  return false;
}

void Sessions::refuse_for_memory(Session& s) {
  log::warn("Out of memory for a request; closing its connection.",
            {{"bytes", static_cast<std::uint64_t>(s.in_needed)}});
  bury(s, CloseReason::kOutOfMemory);
}

// `input` is in the arena.
void Sessions::offer(Session& s, Bytes input) {
  const Peer::Taken what = s.peer.take(input);
  if (environment_.appends.staged() > 0) {
    arena_used_ = static_cast<std::size_t>(input.data() - arena_.get()) + input.size();
  }
  if (s.gone) return;
  const Bytes rest = input.subspan(what.bytes);
  if (rest.empty() || what.next == Peer::Next::kEnd) {
    if (s.in.capacity() > 0) spare_.give(std::exchange(s.in, {}));
  } else {
    if (s.in.capacity() == 0) s.in = spare_.take();
    s.in.clear();
    s.in.append(rest);
  }
  s.in_begin = 0;
  taken(s, what, rest);
}

// Input that the session keeps: a large frame, or what a pause has left.
void Sessions::offer_kept(Session& s) {
  const Peer::Taken what = s.peer.take(s.input());
  // What was staged refers to memory that is about to be reused.
  environment_.appends.commit();
  if (s.gone) return;
  s.in_begin += what.bytes;
  if (s.in_begin == s.in.size() || what.next == Peer::Next::kEnd) {
    spare_.give(std::exchange(s.in, {}));
    s.in_begin = 0;
  } else if (what.next == Peer::Next::kMore) {
    s.in.consume(s.in_begin);
    s.in_begin = 0;
  }
  if (overrun_holder_ == s.peer.id()) overrun_holder_ = {};
  account(s);
  taken(s, what, s.input());
}

void Sessions::taken(Session& s, const Peer::Taken& what, Bytes rest) {
  touch(s);
  s.in_needed = rest.empty() ? 0 : what.needed;
  if (what.next == Peer::Next::kMore && !rest.empty()) {
    s.in_progress_at = now();
    watch(s);
  }
  if (s.peer.busy() && !s.was_busy) {
    s.busy_since = now();
    watch(s);
  }
  s.was_busy = s.peer.busy();
  // An answer carries the acknowledgement of what was received. Where none is due, a client with
  // Nagle's algorithm on would wait 40 ms before it sends the rest.
  if (s.out.empty() && s.peer.appends.waiting == 0 && what.next != Peer::Next::kEnd) {
    const int on = 1;
    ::setsockopt(s.socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  }
}

void Sessions::resume(PeerId id) {
  Session* s = session(id);
  if (s == nullptr || s->resuming) return;
  s->resuming = true;
  resuming_.push_back(id);
}

bool Sessions::offer_resumed() {
  if (resuming_.empty()) return false;
  const auto resuming = std::exchange(resuming_, {});
  for (const PeerId id : resuming) {
    Session* s = session(id);
    if (s == nullptr) continue;
    s->resuming = false;
    offer_kept(*s);
  }
  return true;
}

// ---- sending --------------------------------------------------------------------------------

void Sessions::flush(Session& s) {
  if (s.unsent() == 0 || s.gone) return;
  const bool full = !has_room(s.peer.id());
  const auto sent =
      ::send(s.socket, s.out.data() + s.out_sent, s.unsent(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    bury(s, CloseReason::kClient);
    return;
  }
  const auto bytes = static_cast<std::size_t>(std::max<long>(sent, 0));
  sent_bytes_ += bytes;
  s.out_sent += bytes;
  if (s.unsent() == 0) {
    spare_.give(std::exchange(s.out, {}));
    s.out_sent = 0;
    s.out_stuck = false;
  } else {
    if (s.out_sent >= kSendAtOnceBytes && s.out_sent >= s.out.size() / 2) {
      s.out.consume(s.out_sent);
      s.out_sent = 0;
    }
    if (bytes > 0 || !s.out_stuck) s.out_progress_at = now();
    s.out_stuck = true;
    watch(s);
  }
  account(s);
  if (full && has_room(s.peer.id())) {
    if (s.peer.paused()) resume(s.peer.id());
    environment_.room_freed();
  }
}

std::int64_t Sessions::left() const { return whole() - response_used_; }
std::int64_t Sessions::whole() const { return environment_.options.response_budget_bytes; }
void Sessions::reserve(std::int64_t bytes) { response_used_ += bytes; }

void Sessions::added(PeerId peer) {
  Session* s = session(peer);
  if (s == nullptr) return;
  touch(*s);
  account(*s);
  if (s->unsent() >= kSendAtOnceBytes) flush(*s);
}

void Sessions::account(Session& s) {
  const auto in = static_cast<std::int64_t>(s.in.size());
  const auto out = static_cast<std::int64_t>(s.unsent());
  const std::int64_t in_change = in - std::exchange(s.charged_in, in);
  const std::int64_t out_change = out - std::exchange(s.charged_out, out);
  request_used_ += in_change;
  response_used_ += out_change;
  if (out_change < 0) environment_.room_freed();
  if (in_change >= 0 || budget_waiters_.empty()) return;
  for (const PeerId id : std::exchange(budget_waiters_, {})) {
    Session* waiter = session(id);
    if (waiter == nullptr) continue;
    waiter->waits_for_budget = false;
    waiter->in_progress_at = now();
    touch(*waiter);
  }
}

// ---- the end of a turn ----------------------------------------------------------------------

void Sessions::finish_turn() {
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    Session& s = *touched_[i];
    s.touched = false;
    if (!s.gone) finish(s);
  }
  touched_.clear();
  graveyard_.clear();
  auto& instruments = environment_.instruments;
  if (received_bytes_ > 0) instruments.received_bytes.add(std::exchange(received_bytes_, 0));
  if (sent_bytes_ > 0) instruments.sent_bytes.add(std::exchange(sent_bytes_, 0));
  instruments.request_bytes.set(request_used_);
  instruments.response_bytes.set(response_used_);
  if (tick_timer_ == 0 && (!watched_.empty() || environment_.appends.any_waiting())) arm_tick();
  turn_now_ = {};
  if (!resuming_.empty()) environment_.loop.post([] {});
}

void Sessions::finish(Session& s) {
  flush(s);
  if (s.gone) return;
  if (s.handshaking && !s.peer.in_handshake()) {
    s.handshaking = false;
    handshaking_.erase(s.serial);
  }
  account(s);
  close_if_done(s);
  if (!s.gone) set_interest(s);
}

void Sessions::close_if_done(Session& s) {
  if (!s.input_ended && !s.peer.ended() && !stopping_) return;
  if (s.peer.ended()) environment_.peer_gone(s.peer);
  if (s.half_closed) {
    if (s.input_ended) bury(s, s.peer.end_reason());
    return;
  }
  const bool wants_more = !s.peer.ended() && s.peer.paused() && !s.input().empty();
  if (wants_more || s.unsent() > 0 || s.peer.appends.waiting > 0 || s.peer.busy()) return;
  if (s.input_ended) {
    bury(s, s.peer.ended() ? s.peer.end_reason() : CloseReason::kClient);
  } else {
    half_close(s);
  }
}

void Sessions::half_close(Session& s) {
  s.peer.end(CloseReason::kShutdown);  // keeps an earlier reason
  s.half_closed = true;
  ::shutdown(s.socket, SHUT_WR);
  s.drain_until = stopping_ ? std::min(stop_drain_until_, now() + kDrain) : now() + kDrain;
  watch(s);
}

void Sessions::set_interest(Session& s) {
  const bool reads =
      s.half_closed || s.peer.ended() || (!s.peer.paused() && !s.waits_for_budget && !stopping_);
  const std::uint32_t wanted = (reads && !s.input_ended ? static_cast<std::uint32_t>(EPOLLIN) : 0) |
                               (s.unsent() > 0 ? static_cast<std::uint32_t>(EPOLLOUT) : 0);
  if (wanted == s.interest) return;
  s.interest = wanted;
  environment_.loop.modify(s.socket, wanted, s);
}

void Sessions::drop(PeerId id, CloseReason reason) {
  if (Session* s = session(id)) bury(*s, reason);
}

void Sessions::bury(Session& s, CloseReason reason) {
  if (s.gone) return;
  s.gone = true;
  environment_.peer_gone(s.peer);
  environment_.instruments.count(reason);
  environment_.loop.remove(s.socket, s);
  ::close(s.socket);
  if (s.handshaking) handshaking_.erase(s.serial);
  s.in.release();
  s.in_begin = 0;
  s.out.release();
  s.out_sent = 0;
  account(s);
  environment_.instruments.connections.add(-1);
  count_.fetch_sub(1, std::memory_order_relaxed);
  const std::uint32_t index = s.peer.id().slot;
  ++slots_[index].generation;
  graveyard_.push_back(std::move(slots_[index].session));
  free_slots_.push_back(index);
}

void Sessions::stop(Instant drain_until) {
  stopping_ = true;
  stop_drain_until_ = drain_until;
  for (auto& slot : slots_) {
    if (slot.session) touch(*slot.session);
  }
}

void Sessions::drop_all() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].session) bury(*slots_[i].session, CloseReason::kShutdown);
  }
}

// ---- deadlines ------------------------------------------------------------------------------

void Sessions::arm_tick() {
  const auto& options = environment_.options;
  const std::int64_t shortest = std::min(
      {options.handshake_timeout_ms, options.stall_timeout_ms, options.request_deadline_ms});
  const auto period = std::chrono::milliseconds(std::clamp<std::int64_t>(shortest / 4, 5, 1'000));
  tick_timer_ = environment_.loop.call_at(environment_.clock.now() + period, [this] {
    tick_timer_ = 0;
    tick();
  });
}

void Sessions::tick() {
  const Instant at = now();
  environment_.appends.drop_overdue(
      at - std::chrono::milliseconds(environment_.options.request_deadline_ms));
  for (const PeerId id : std::exchange(watched_, {})) {
    Session* s = session(id);
    if (s == nullptr) continue;
    s->watched = false;
    if (check_deadlines(*s, at) && !s->gone) watch(*s);
  }
}

// False once the session has no deadline any more.
bool Sessions::check_deadlines(Session& s, Instant at) {
  using std::chrono::milliseconds;
  const auto& options = environment_.options;
  if (s.half_closed) {
    if (at >= s.drain_until) bury(s, s.peer.end_reason());
    return true;
  }
  bool any = false;
  if (s.peer.in_handshake()) {
    any = true;
    if (at - s.accepted_at >= milliseconds(options.handshake_timeout_ms)) {
      s.peer.handshake_timed_out();
    }
  }
  if (s.out_stuck) {
    any = true;
    if (at - s.out_progress_at >= milliseconds(options.stall_timeout_ms)) {
      bury(s, CloseReason::kAnswerStall);
      return false;
    }
  }
  if (s.peer.open() && s.peer.busy()) {
    any = true;
    if (at - s.busy_since >= milliseconds(options.request_deadline_ms)) {
      bury(s, CloseReason::kRequestDeadline);
      return false;
    }
  }
  if (s.peer.open() && !s.peer.paused() && !s.waits_for_budget && !s.input().empty()) {
    any = true;
    if (at - s.in_progress_at >= milliseconds(options.stall_timeout_ms)) {
      bury(s, CloseReason::kFrameStall);
      return false;
    }
  }
  return any;
}

}  // namespace weir::server
