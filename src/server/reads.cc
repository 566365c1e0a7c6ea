#include "server/reads.h"

#include "protocol/codec.h"
#include "server/answers.h"
#include "server/reader_pool.h"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace weir::server {
namespace {

using protocol::Operation;
using protocol::Status;

// A larger answer is made on a reader thread: copying and checking it would hold up everybody.
constexpr std::size_t kInlineBytesMax = 2 << 20;
constexpr std::size_t kFrameBytesMax = std::size_t{protocol::kFrameLengthMax} + 4;
// What a message costs in an answer beside payload and stream name, and how far the sparse index
// may be off. For an estimate.
constexpr std::int64_t kMessageOverheadBytes = 80;
constexpr std::int64_t kIndexSlackBytes = 128 * 1024;
// Time limits beyond this are as good as none, and do not overflow an Instant.
constexpr std::int64_t kTimeoutMsMax = std::int64_t{10} * 365 * 24 * 3600 * 1000;
constexpr SequenceNumber kNever{std::numeric_limits<std::int64_t>::max()};

// The answer has to reach the client before it gives up (protocol.md §1.8).
Duration wait_of(std::int64_t timeout_ms) {
  const std::int64_t ms = std::min(timeout_ms, kTimeoutMsMax);
  return std::chrono::microseconds(ms * 1000 - std::min<std::int64_t>(250'000, ms * 100));
}

SequenceNumber plus(SequenceNumber a, std::int64_t n) { return n > kNever - a ? kNever : a + n; }

}  // namespace

struct Reads::PoolRead {
  ParkedRead read;
  ReadPlan plan;
  std::int64_t reserved = 0;
  bool whole_room = false;  // it had all there is; more would not come by waiting
  ByteBuffer out;
  std::int64_t found = 0;
  Result<ReadFit> result = ReadFit::kShort;

  void run() {
    try {
      result = encode_read_answer(*read.log, plan, stream::ReadMode::kMayBlock, out, found);
    } catch (const std::bad_alloc&) {
      out.release();
      result = ReadFit::kWouldBlock;  // cannot occur otherwise: stands for "out of memory"
    }
  }
};

Reads::~Reads() {
  if (timer_ != 0) environment_.loop.cancel(timer_);
}

Verdict Reads::start(Peer& peer, const protocol::ReadRequest& request,
                     const stream::Stream& stream) {
  ParkedRead read;
  read.peer = peer.id();
  read.request_id = request.request_id;
  read.stream_name = request.stream_name;
  read.stream = stream.id();
  read.log = stream.log();
  read.desired_start = SequenceNumber(request.desired_start);
  read.count_min = request.count_min;
  read.count_max = request.count_max;
  read.answer_by = environment_.clock.now() + wait_of(request.timeout_ms);
  read.holds_peer = true;  // unless it has to wait for messages

  SequenceNumber needed_end;
  const Outcome outcome = attempt(peer, read, needed_end);
  if (outcome == Outcome::kAnswered) return Verdict::kDone;
  if (outcome == Outcome::kPool) return Verdict::kBusy;
  if (outcome == Outcome::kNoRoom) {
    starve(peer, std::move(read));
    return Verdict::kBusy;
  }
  read.holds_peer = false;
  if (request.timeout_ms == 0) {
    answer(peer, read, Status::kNotEnoughMessages, protocol::kTextNotEnoughMessages);
    return Verdict::kDone;
  }
  return park(peer, std::move(read), needed_end);
}

Verdict Reads::park(Peer& peer, ParkedRead read, SequenceNumber needed_end) {
  const auto& options = environment_.options;
  if (peer.reads.parked >= options.parked_reads_per_connection_max) {
    environment_.instruments.count(Limit::kParkedReadsPerConnection);
    answer(peer, read, Status::kServerTimeout, "too many reads of this connection are waiting");
    return Verdict::kDone;
  }
  if (static_cast<std::int64_t>(waiting_.size()) >= options.parked_reads_max) {
    environment_.instruments.count(Limit::kParkedReads);
    answer(peer, read, Status::kServerTimeout, "too many reads are waiting");
    return Verdict::kDone;
  }
  read.deadline = read.answer_by;
  insert(peer, std::move(read), needed_end);
  return Verdict::kDone;
}

void Reads::starve(Peer& peer, ParkedRead read) {
  read.enough = true;
  read.deadline =
      read.holds_peer
          ? std::max(read.answer_by,
                     environment_.clock.now() +
                         std::chrono::milliseconds(environment_.options.request_deadline_ms))
          : read.answer_by;
  starved_.push_back(insert(peer, std::move(read), kNever));
}

WaitList::Id Reads::insert(Peer& peer, ParkedRead read, SequenceNumber needed_end) {
  const WaitList::Id id = waiting_.park(std::move(read), needed_end);
  ++peer.reads.parked;
  parked_.store(static_cast<std::int64_t>(waiting_.size()), std::memory_order_relaxed);
  environment_.instruments.parked_reads.add(1);
  if (waiting_.next_deadline() < timer_at_) set_timer();
  return id;
}

// `read` left the wait list.
void Reads::took(const ParkedRead& read) {
  if (Peer* peer = environment_.peers.find(read.peer)) --peer->reads.parked;
  parked_.store(static_cast<std::int64_t>(waiting_.size()), std::memory_order_relaxed);
  environment_.instruments.parked_reads.add(-1);
}

Reads::Outcome Reads::attempt(Peer& peer, const ParkedRead& read, SequenceNumber& needed_end) {
  const auto& room = environment_.room;
  ReadPlan plan;
  plan.request_id = read.request_id;
  plan.stream_name = read.stream_name;
  plan.end = read.log->visible_end();
  plan.start = std::max(read.desired_start, read.log->oldest());
  plan.count_min = read.count_min;
  plan.count_max = read.count_max;
  if (plan.end - plan.start < read.count_min) {
    needed_end = plus(plan.start, read.count_min);
    return Outcome::kShort;
  }
  if (room.left() <= 0) {
    environment_.instruments.count(Limit::kResponseBudget);
    return Outcome::kNoRoom;
  }
  if (!environment_.peers.has_room(peer.id())) return Outcome::kNoRoom;
  plan.hard_bytes_max = std::min(static_cast<std::size_t>(room.whole()), kFrameBytesMax);
  plan.soft_bytes_max = std::min(static_cast<std::size_t>(environment_.options.read_bytes_soft_max),
                                 plan.hard_bytes_max);
  return attempt_inline(peer, read, plan, needed_end);
}

Reads::Outcome Reads::attempt_inline(Peer& peer, const ParkedRead& read, ReadPlan plan,
                                     SequenceNumber& needed_end) {
  ReadPlan small = plan;
  small.soft_bytes_max = std::min(plan.soft_bytes_max, kInlineBytesMax);
  small.hard_bytes_max = std::min(plan.hard_bytes_max, kInlineBytesMax);
  ByteBuffer& out = peer.output();
  const std::size_t begin = out.size();
  std::int64_t found = 0;
  const auto fit = encode_read_answer(*read.log, small, stream::ReadMode::kCachedOnly, out, found);
  if (!fit) {
    answer_error(peer, read, fit.error());
    return Outcome::kAnswered;
  }
  switch (*fit) {
    case ReadFit::kAnswered:
      environment_.room.added(peer.id());
      return Outcome::kAnswered;
    case ReadFit::kCut:
      if (small.soft_bytes_max == plan.soft_bytes_max) {
        environment_.room.added(peer.id());
        return Outcome::kAnswered;
      }
      out.truncate(begin);
      break;
    case ReadFit::kTooLarge:
      if (small.hard_bytes_max == plan.hard_bytes_max) {
        answer_too_large(peer, read);
        return Outcome::kAnswered;
      }
      break;
    case ReadFit::kShort:
      needed_end = plus(plan.end, read.count_min - found);
      return Outcome::kShort;
    case ReadFit::kWouldBlock:
      break;
  }
  return attempt_on_pool(peer, read, plan);
}

Reads::Outcome Reads::attempt_on_pool(Peer& peer, const ParkedRead& read, ReadPlan plan) {
  if (peer.reads.under_way) return Outcome::kNoRoom;
  auto& room = environment_.room;
  const std::int64_t count = std::min(plan.count_max, plan.end - plan.start);
  const auto name_bytes = static_cast<std::int64_t>(read.stream_name.size());
  const std::int64_t estimate = read.log->bytes_from(plan.start) -
                                read.log->bytes_from(plan.start + count) +
                                count * (kMessageOverheadBytes + name_bytes) + kIndexSlackBytes;
  if (estimate > room.left() && room.left() < room.whole()) {
    environment_.instruments.count(Limit::kResponseBudget);
    return Outcome::kNoRoom;
  }
  auto job = std::make_shared<PoolRead>();
  job->whole_room = room.left() >= room.whole();
  job->read = read;
  job->plan = plan;
  job->plan.request_id = job->read.request_id;
  job->plan.stream_name = job->read.stream_name;
  const auto limit = static_cast<std::size_t>(room.left());
  job->plan.hard_bytes_max = std::min(plan.hard_bytes_max, limit);
  job->plan.soft_bytes_max = std::min(plan.soft_bytes_max, limit);
  job->reserved = std::min(estimate, room.left());
  room.reserve(job->reserved);
  peer.reads.under_way = true;
  environment_.pool.submit([this, job, &loop = environment_.loop] {
    job->run();
    loop.post([this, job] { pool_done(*job); });
  });
  return Outcome::kPool;
}

void Reads::pool_done(PoolRead& job) {
  environment_.room.reserve(-job.reserved);
  look_at_starved_ = true;
  Peer* peer = environment_.peers.find(job.read.peer);
  if (peer == nullptr) return;
  peer->reads.under_way = false;
  if (!job.result) {
    answer_error(*peer, job.read, job.result.error());
    return release(*peer, job.read);
  }
  switch (*job.result) {
    case ReadFit::kAnswered:
    case ReadFit::kCut: {
      ByteBuffer& out = peer->output();
      if (out.empty()) {
        out = std::move(job.out);
      } else {
        out.append(job.out.bytes());
      }
      environment_.room.added(job.read.peer);
      return release(*peer, job.read);
    }
    case ReadFit::kTooLarge:
      if (!job.whole_room) return starve(*peer, std::move(job.read));
      answer_too_large(*peer, job.read);
      return release(*peer, job.read);
    case ReadFit::kShort:
      return wait_again(*peer, std::move(job.read), Outcome::kShort,
                        plus(job.plan.end, job.plan.count_min - job.found));
    case ReadFit::kWouldBlock:
      answer(*peer, job.read, Status::kOutOfMemory, "out of memory");
      return release(*peer, job.read);
  }
}

// The requests behind `read` may go on.
void Reads::release(Peer& peer, ParkedRead& read) {
  if (!read.holds_peer) return;
  read.holds_peer = false;
  peer.finished();
  environment_.peers.resume(peer.id());
}

void Reads::wait_again(Peer& peer, ParkedRead read, Outcome outcome, SequenceNumber needed_end) {
  if (outcome == Outcome::kNoRoom) return starve(peer, std::move(read));
  release(peer, read);
  read.enough = false;
  read.deadline = read.answer_by;
  if (read.answer_by <= environment_.clock.now()) {
    return answer(peer, read, Status::kNotEnoughMessages, protocol::kTextNotEnoughMessages);
  }
  insert(peer, std::move(read), needed_end);
}

void Reads::try_again(ParkedRead read) {
  took(read);
  Peer* peer = environment_.peers.find(read.peer);
  if (peer == nullptr) return;
  SequenceNumber needed_end;
  Outcome outcome = Outcome::kAnswered;
  try {
    outcome = attempt(*peer, read, needed_end);
  } catch (const std::bad_alloc&) {
    answer(*peer, read, Status::kOutOfMemory, "out of memory");
  }
  if (outcome == Outcome::kAnswered) return release(*peer, read);
  if (outcome != Outcome::kPool) wait_again(*peer, std::move(read), outcome, needed_end);
}

void Reads::stream_moved(const stream::Stream& stream) {
  if (waiting_.empty()) return;
  const Moved moved{stream.id(), stream.log()->visible_end()};
  if (!moved_.empty() && moved_.back().stream == moved.stream) {
    moved_.back() = moved;
  } else {
    moved_.push_back(moved);
  }
}

void Reads::stream_removed(StreamId id) {
  for (auto& read : waiting_.take_stream(id)) {
    took(read);
    Peer* peer = environment_.peers.find(read.peer);
    if (peer == nullptr) continue;
    answer(*peer, read, Status::kResourceNotFound, protocol::kTextNoSuchStream);
    release(*peer, read);
  }
}

void Reads::room_freed() {
  if (starved_.empty() || look_at_starved_) return;
  look_at_starved_ = true;
  environment_.loop.post([] {});  // the turn may be past `settle`
}

void Reads::peer_gone(const Peer& peer) {
  if (peer.reads.parked == 0) return;
  for (const auto& read : waiting_.take_peer(peer.id())) took(read);
}

void Reads::settle() {
  if (!moved_.empty()) {
    const auto moved = std::exchange(moved_, {});
    for (const auto& [stream, end] : moved) {
      for (auto& read : waiting_.take_ready(stream, end)) try_again(std::move(read));
    }
  }
  if (look_at_starved_) retry_starved();
}

void Reads::retry_starved() {
  look_at_starved_ = false;
  if (starved_.empty()) return;
  const auto starved = std::exchange(starved_, {});
  for (std::size_t i = 0; i < starved.size(); ++i) {
    if (environment_.room.left() <= 0) {
      starved_.insert(starved_.end(), starved.begin() + static_cast<std::ptrdiff_t>(i),
                      starved.end());
      return;
    }
    if (auto read = waiting_.take(starved[i])) try_again(std::move(*read));
  }
}

void Reads::fail_all() {
  for (auto& read : waiting_.take_all()) {
    took(read);
    Peer* peer = environment_.peers.find(read.peer);
    if (peer == nullptr) continue;
    answer(*peer, read, Status::kServerTimeout, "the server is shutting down");
    release(*peer, read);
  }
}

void Reads::set_timer() {
  if (timer_ != 0) environment_.loop.cancel(timer_);
  timer_at_ = waiting_.next_deadline();
  timer_ = environment_.loop.call_at(timer_at_, [this] {
    timer_ = 0;
    timer_at_ = Instant::max();
    expire();
  });
}

void Reads::expire() {
  const Instant now = environment_.clock.now();
  for (auto& read : waiting_.take_expired(now)) {
    took(read);
    Peer* peer = environment_.peers.find(read.peer);
    if (peer == nullptr) continue;
    if (read.holds_peer && read.answer_by < read.deadline) {
      environment_.peers.drop(read.peer, CloseReason::kRequestDeadline);
    } else if (read.enough) {
      answer(*peer, read, Status::kServerTimeout, "no room for the answer in time");
      release(*peer, read);
    } else {
      answer(*peer, read, Status::kNotEnoughMessages, protocol::kTextNotEnoughMessages);
    }
  }
  if (!waiting_.empty()) set_timer();
}

void Reads::answer(Peer& peer, const ParkedRead& read, Status status, std::string_view text) {
  peer.answer(Operation::kReadMessages, read.request_id, status, text);
}

void Reads::answer_error(Peer& peer, const ParkedRead& read, const Error& error) {
  const Answer said = answer_for(error, Operation::kReadMessages);
  answer(peer, read, said.status, said.text);
}

void Reads::answer_too_large(Peer& peer, const ParkedRead& read) {
  environment_.instruments.count(Limit::kReadBytes);
  answer(peer, read, Status::kResponsePayloadTooLarge,
         "minMessageCount messages are larger than an answer may be");
}

}  // namespace weir::server
