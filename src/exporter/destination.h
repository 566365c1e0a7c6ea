#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "model/definition.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace weir::exporter {

/// One message on its way out. `payload` points into its batch.
struct Message {
  SequenceNumber sequence;
  std::int64_t append_ms = 0;
  Bytes payload;
};

/// What a destination has made ready for one batch; `Destination::prepare` makes it, the batch
/// carries it.
class Preparation {
 public:
  virtual ~Preparation() = default;
};

/// Consecutive messages of one stream for one export, ascending; owns their bytes.
class Batch {
 public:
  Batch(std::string stream_name, std::string identifier)
      : stream_name_(std::move(stream_name)), identifier_(std::move(identifier)) {}
  Batch(Batch&&) = default;
  Batch& operator=(Batch&&) = default;

  /// Copies the payload. All adds come before the first `messages()`.
  void add(SequenceNumber sequence, std::int64_t append_ms, Bytes payload);

  [[nodiscard]] const std::string& stream_name() const { return stream_name_; }
  [[nodiscard]] const std::string& identifier() const { return identifier_; }
  /// Views that stay valid while the batch lives and is not added to.
  [[nodiscard]] const std::vector<Message>& messages() const;
  [[nodiscard]] bool empty() const { return heads_.empty(); }
  [[nodiscard]] std::size_t size() const { return heads_.size(); }
  [[nodiscard]] std::size_t payload_bytes() const { return payloads_.size(); }

  /// Forgets all messages; the memory stays, for the next ones.
  void clear();
  /// What the destination made ready for these messages; null: nothing.
  [[nodiscard]] Preparation* preparation() const { return preparation_.get(); }
  void set_preparation(std::unique_ptr<Preparation> preparation) {
    preparation_ = std::move(preparation);
  }
  [[nodiscard]] std::unique_ptr<Preparation> take_preparation() { return std::move(preparation_); }

 private:
  struct Head {
    SequenceNumber sequence;
    std::int64_t append_ms;
    std::size_t offset;
    std::size_t bytes;
  };
  std::string stream_name_;
  std::string identifier_;
  std::vector<Head> heads_;
  ByteBuffer payloads_;
  mutable std::vector<Message> messages_;
  std::unique_ptr<Preparation> preparation_;
};

/// The classes of destinations.md §2; each has its own action in the engine.
enum class FailureClass : std::uint8_t {
  kNone,
  kTransient,    ///< backoff, for ever
  kThrottle,     ///< longer backoff, smaller batches
  kCredentials,  ///< refreshed already without success
  kClock,        ///< measured and re-signed already without success
  kOperator,     ///< somebody must fix a policy, name or key: slow retries, never dropped
  kPoison,       ///< this record can never be accepted
  kBug,          ///< our request is malformed: as kOperator, logged loudly
};
const char* failure_class_name(FailureClass value);

enum class Verdict : std::uint8_t {
  kDelivered,
  kRetry,
  kRejected,  ///< definitely refused for good: poison policy decides
  /// Its turn did not come, because others are to have the worker meanwhile. No failure: it is
  /// handed over again as soon as a worker is free. Never the verdict for a whole batch.
  kUntried,
};

struct RecordOutcome {
  Verdict verdict = Verdict::kRetry;
  FailureClass failure = FailureClass::kNone;
  std::string reason;      ///< empty when delivered
  bool set_aside = false;  ///< kRejected: it is kept in a dead-letter stream, so it is not lost
};

/// How long a delivery that takes one call a message may go on before it leaves the rest untried:
/// exports with a better priority wait meanwhile, and all it did is done again after a crash.
inline constexpr Duration kDeliveryTime = std::chrono::seconds(1);

/// What became of a batch. Either one verdict for all (`records` empty) or one per record, in the
/// batch's order.
struct Outcome {
  Verdict verdict = Verdict::kRetry;
  FailureClass failure = FailureClass::kNone;
  std::string error;                    ///< plain words, cut and escaped; empty when delivered
  std::optional<Duration> retry_after;  ///< what the destination asked for
  bool connection_failed = false;       ///< no answer at all: DNS, connect, TLS, reset, timeout
  std::vector<RecordOutcome> records;
  bool without_keys = false;  ///< nothing was sent, because there are no credentials to sign with

  static Outcome delivered() {
    return {Verdict::kDelivered, FailureClass::kNone, {}, {}, false, {}, false};
  }
  static Outcome retry(FailureClass failure, std::string error) {
    return {Verdict::kRetry, failure, std::move(error), {}, false, {}, false};
  }
  static Outcome rejected(std::string error) {
    return {Verdict::kRejected, FailureClass::kPoison, std::move(error), {}, false, {}, false};
  }
};

/// What an export that is removed leaves behind.
struct Farewell {
  /// The first message that was never delivered, and the newest. Where they are large together the
  /// older ones come without their payload.
  Batch pending;
  std::int64_t older = 0;  ///< how many more there are in between
  std::string note;        ///< what the export had noted; its store is gone
};

/// Where batches go. One per export. It classifies; it never sleeps, retries on its own schedule or
/// touches cursors.
///
/// Threads: one call at a time, on any worker; only `prepare` may run beside `deliver`. Blocking
/// calls honour the stop token within 5 s.
class Destination {
 public:
  /// Bounds the engine respects when it builds a batch.
  struct Limits {
    std::int64_t messages_max = 500;
    std::int64_t batch_bytes_max =
        std::int64_t{4} * 1024 * 1024;  ///< payloads + overhead of each message
    std::int64_t message_overhead_bytes = 0;
  };

  virtual ~Destination() = default;
  [[nodiscard]] virtual Limits limits() const = 0;

  /// Tries once to deliver `batch` (not empty) and says what became of every record. A message that
  /// can never fit is answered kRejected without being sent. A batch is at most
  /// `limits()`, except that one message alone may exceed `batch_bytes_max`.
  virtual Outcome deliver(const Batch& batch, std::stop_token stop) = 0;

  /// True if `prepare` does something. A worker may then stay for several batches while the
  /// destination answers quickly, and have each prepared while the one before is delivered.
  [[nodiscard]] virtual bool prepares() const { return false; }
  /// Makes ready what delivering `batch` takes beside the network: whatever does not depend on the
  /// time of sending or on what becomes of earlier batches. The result goes with the batch to
  /// `deliver`, or is thrown away: then the same messages may be prepared again. `old`, which may
  /// be null, was made here before and lends its memory.
  ///
  /// One call at a time, in stream order, perhaps beside `deliver` of an earlier batch that was
  /// prepared too, and on another thread. Does not block on the network.
  virtual std::unique_ptr<Preparation> prepare(const Batch&, std::unique_ptr<Preparation> old) {
    return old;
  }

  /// When `on_idle` wants to be called if nothing is delivered before, for destinations that have
  /// something to finish while no messages come (a file to close by age); `Instant::max()`: never.
  /// Cheap. Asked once after the destination is made, then after each `deliver` and `on_idle`.
  [[nodiscard]] virtual Instant idle_deadline() const { return Instant::max(); }

  /// Called when a worker is free at or after `idle_deadline`, never beside `deliver`. It logs what
  /// fails by itself and moves its deadline before it returns. Blocks as `deliver` may.
  // By value as in `deliver`: those that override it may keep it.
  virtual void on_idle(std::stop_token) {}  // NOLINT(performance-unnecessary-value-param)

  /// A person (or the definition) moved the position: what was done before does not count, and the
  /// next `deliver` may bring any message, also one that was delivered or refused. Called on a
  /// worker before that. The note of one that keeps notes was marked (`kMovedMark`), and nothing
  /// was noted since.
  virtual void moved() {}

  /// A person wants what was refused for good to be tried again. Called as `moved` is.
  virtual void forgive_refusals() {}

  /// True if it keeps notes, so that `farewell` and `passed` have something to do.
  [[nodiscard]] virtual bool wants_farewell() const { return false; }

  /// Messages below `next` will not come any more although they were not delivered: retention
  /// removed them, or the position was moved beyond them. Called on a worker, never beside
  /// `deliver`; where the next `deliver` is sooner, that is how it learns of it. Blocks as
  /// `deliver` may.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): by value as in `deliver`
  virtual void passed(SequenceNumber /*next*/, std::stop_token) {}

  /// The export or its stream was removed. Called once at most, on a worker, behind the last
  /// `deliver`; not when weir merely stops. Blocks as `deliver` may.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): by value as in `deliver`
  virtual void farewell(const Farewell&, std::stop_token) {}

  /// Which host failures concern, so that a success elsewhere can wake exports that wait on
  /// connection errors to the same host; "" if not a network destination.
  [[nodiscard]] virtual std::string host() const = 0;

  /// True if what it sends is signed with credentials, so that a success of it can wake exports
  /// that wait for want of some (`Outcome::without_keys`).
  [[nodiscard]] virtual bool uses_credentials() const { return false; }
};

/// Begins a note whose export was moved by a person since: what the note says of messages before
/// or behind a position is no longer so.
inline constexpr char kMovedMark = '!';

/// What an export remembers beside its position, for as long as it exists. Threads: any.
class Notes {
 public:
  virtual ~Notes() = default;
  /// "" if nothing was saved; perhaps with `kMovedMark` before what was. Does not block.
  virtual std::string load() = 0;
  /// Durable on return, as a position is; "" removes it. Less than `stream::kNoteBytesMax`.
  /// Blocks: on disk.
  virtual Result<void> save(const std::string& note) = 0;
};

/// Priority of an export that names none: after all that do.
inline constexpr std::int64_t kPriorityLowest = 11;

/// An export to run: the client's (or the configuration's) definition and the stream it reads.
struct ExportSpec {
  std::string stream_name;
  model::ExportConfig config;
  std::shared_ptr<Notes> notes = nullptr;  ///< null: nothing can be remembered
  /// As it is at any time, also while a delivery is under way: 1 goes before 2. Null: the lowest.
  std::shared_ptr<const std::atomic<std::int64_t>> priority = nullptr;
};

/// Makes the destination of an export. Errors say what is wrong with the configuration; the export
/// then waits in that state until it is redefined. An unsupported type gives kUnsupported,
/// a service that has ended kNotFound.
/// Threads: called on the scheduler thread; must not block.
using DestinationFactory = std::function<Result<std::unique_ptr<Destination>>(const ExportSpec&)>;

}  // namespace weir::exporter
