#pragma once

#include "segment/segment.h"
#include "stream/context.h"
#include "stream/cursor_files.h"
#include "stream/definition_file.h"
#include "stream/recovery.h"
#include "stream/state_keeper.h"

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weir::stream {

/// One stream as the catalog runs it: what is staged, the segment being written, what waits for a
/// sync, what retention removes. Internal to the folder.
///
/// An append goes through steps: reserve numbers, roll to a new segment, write. Each is done at
/// once on core, or, while the disk is slow, on the syncer thread; then the stream is `busy` and
/// what comes meanwhile waits its turn. So there is never more than one writer.
///
/// Threads: core, except `perform` and the `do_` functions, which run where the step runs.
class ManagedStream final : public Stream, public std::enable_shared_from_this<ManagedStream> {
 public:
  /// A stream found on disk, or just created there.
  ManagedStream(Context& context, StoredDefinition stored, RecoveredStream recovered);
  /// A Memory stream, empty.
  ManagedStream(Context& context, StoredDefinition stored);
  ~ManagedStream() override;

  [[nodiscard]] StreamId id() const override { return stored_.id; }
  [[nodiscard]] const model::StreamDefinition& definition() const override {
    return stored_.definition;
  }
  [[nodiscard]] model::StorageStatus storage_status() const override;
  [[nodiscard]] const std::shared_ptr<LogReader>& log() const override { return reader_; }
  [[nodiscard]] const std::shared_ptr<CursorStore>& cursors() const override { return cursors_; }
  [[nodiscard]] std::string fault() const override;
  [[nodiscard]] std::int64_t lost_messages() const override { return log_->lost_messages(); }

  [[nodiscard]] const StoredDefinition& stored() const { return stored_; }
  [[nodiscard]] std::string directory() const { return directory_; }
  [[nodiscard]] bool in_memory() const { return memory_ != nullptr; }

  /// After recovery: removes what a power cut brought back although retention had removed it.
  void trim();

  // --- appending ----------------------------------------------------------------------------
  /// True if the stream had nothing staged before.
  bool stage(Bytes payload, std::uint64_t token);
  /// Decides and writes what is staged, as far as possible now; keeps copies of the rest.
  void commit();
  /// Syncs here and now if nothing speaks against it; false if the syncer has to.
  bool sync_inline();
  /// Hands everything unsynced to the syncer, unless that is under way.
  void start_sync(Syncer::Urgency urgency);
  /// The same for many streams with one wait for the disk, if it can do that.
  static void sync_together(Context& context, const std::vector<ManagedStream*>& streams);
  /// Answers `token` when everything appended so far is durable; see `Catalog::flush`.
  void flush(std::uint64_t token);
  [[nodiscard]] bool waits_for_sync() const { return !waiters_.empty(); }
  bool in_want_sync = false;  ///< listed in `Context::want_sync`

  // --- periodic -----------------------------------------------------------------------------
  /// Time to live, idle files, and what a failing disk left to be tried again.
  void tick(Instant now);
  [[nodiscard]] std::optional<Instant> unsynced_since() const { return dirty_since_; }

  // --- life ---------------------------------------------------------------------------------
  /// A new definition that the catalog has stored. `apply_limits` comes before it is stored.
  void apply_limits(std::int64_t max_size);
  void apply(model::StreamDefinition definition);
  /// The stream is being removed: appends fail from now on. `undo` if that failed.
  void begin_removal();
  void undo_removal();
  void finish_removal();
  [[nodiscard]] bool removing() const { return removing_; }
  /// Something was written and is not known to be durable.
  [[nodiscard]] bool dirty() const;
  /// Ordered stop; nothing is under way and everything is synced. Says where the log ends, which
  /// `confirm_close` makes durable. Blocks. False: not everything is as stored.
  bool close();
  bool confirm_close();
  /// Closes the segment being written; it is opened again when needed. False: not now.
  bool release_writer();

 private:
  using Entry = segment::Writer::Entry;
  struct Waiter {
    std::uint64_t token = 0;
    SequenceNumber number;
  };
  /// A segment that is complete and may not have reached the disk, with the file it was written
  /// through: only that one is sure to tell of failed writes.
  struct Sealed {
    std::shared_ptr<Segment> segment;
    std::shared_ptr<file::File> file;
  };
  enum class Step : std::uint8_t { kNone, kAgain, kReserve, kRoll, kWrite };
  struct Todo {
    Step step = Step::kNone;
    std::size_t count = 0;
  };
  /// What a step running elsewhere needs and brings back.
  struct Roll {
    segment::Header header;
    std::string path;
    std::optional<segment::Writer> writer;
  };
  struct SyncBatch {
    std::vector<Sealed> sealed;
    std::shared_ptr<Segment> active;
    std::shared_ptr<file::File> active_file;  ///< null: opened by path
    bool directory = false;
    std::uint64_t state = 0;  ///< generation of the state to sync first; 0 = none
    SequenceNumber up_to;
    std::uint64_t active_end = 0;
    std::optional<Duration> took;  ///< none: synced together with others
  };
  /// Everything below `number` is on stable storage; it ends at `offset` of `segment`.
  struct Mark {
    std::shared_ptr<Segment> segment;
    std::uint64_t offset = segment::kHeaderBytes;
    SequenceNumber number;
  };
  struct Rescue;

  // managed_append.cc
  void advance();
  Todo next_step();
  bool make_room(std::int64_t need, Todo& todo);
  bool has_space(std::int64_t need, Todo& todo);
  [[nodiscard]] bool must_roll(std::int64_t need) const;
  [[nodiscard]] std::size_t run_length() const;
  void run(Todo todo);
  [[nodiscard]] bool hand_over(Step step) const;
  Result<void> prepare(Step step);
  Result<void> perform(Step step, std::span<const Entry> entries);
  Result<void> do_roll();
  Result<void> do_write(std::span<const Entry> entries);
  void finish(Step step, std::size_t count, Result<void> outcome);
  void finish_roll();
  void finish_write(std::size_t count);
  [[nodiscard]] bool one_of_many(Instant now) const;
  void acknowledge(std::size_t count, SequenceNumber first);
  void reject(std::size_t count, const Error& why, metrics::Counter& counter);
  void keep_copies();
  void drop_staged(std::size_t count);
  void touch_writer(Instant now);
  void close_other_writers();
  void after_steps();
  void extend_reservation();
  [[nodiscard]] std::int64_t numbers_to_reserve() const;

  // managed_sync.cc
  [[nodiscard]] std::shared_ptr<SyncBatch> begin_sync();
  Result<void> do_sync(SyncBatch& batch);
  void finish_sync(const SyncBatch& batch, const Result<void>& outcome, bool elsewhere);
  void note_unsynced(std::int64_t bytes);
  void became_durable(SequenceNumber up_to);
  void zeros_ahead();
  void sync_failed(const Error& why);
  void start_rescue();
  void do_rescue(Rescue& rescue);
  void finish_rescue(Rescue& rescue);
  void rescue_failed(const Error& why);
  void rescue_if_due(Instant now);
  void fail_waiters(const Error& why);

  // managed_stream.cc
  /// The last segment, null if there is none. Good until segments come or go.
  [[nodiscard]] const std::shared_ptr<Segment>& active() const;
  /// How large a segment becomes.
  [[nodiscard]] std::int64_t segment_size() const;
  [[nodiscard]] SequenceNumber first_number() const;
  [[nodiscard]] bool reserves() const;
  void drop_oldest(metrics::Counter& reason);
  bool note_floor();
  void retire();
  void expire(Instant now);
  [[nodiscard]] bool expired(const Segment& segment, Instant now) const;
  void fail_all(const Error& why);
  bool store_end();

  Context& context_;
  StoredDefinition stored_;
  const std::string directory_;
  const std::unique_ptr<file::FileSystem> memory_;  ///< of Memory streams
  file::FileSystem& files_;
  const std::shared_ptr<Log> log_;
  const std::shared_ptr<LogReader> reader_;
  std::shared_ptr<CursorStore> cursors_;
  std::shared_ptr<StreamFigures> figures_;
  std::optional<StateKeeper> state_;  ///< of File streams
  std::int64_t max_size_ = 0;

  // The segment being written.
  std::optional<segment::Writer> writer_;
  std::shared_ptr<file::File> cut_;  ///< zeros were cut off at the stop; `confirm_close` syncs it
  std::optional<std::list<ManagedStream*>::iterator> in_writers_;
  Instant written_at_{};
  SequenceNumber next_;     ///< of the next message
  bool seal_last_ = false;  ///< nothing more goes into the last segment
  bool slow_ = false;       ///< steps run on the syncer thread
  Duration write_took_{0};
  std::optional<Roll> roll_;
  std::uint64_t indexed_offset_ = 0;  ///< of the last index point made here

  // Appends on their way.
  std::vector<Entry> entries_;
  std::vector<std::uint64_t> tokens_;
  std::size_t head_ = 0;           ///< entries before are decided
  std::size_t stamped_until_ = 0;  ///< entries before have their append time
  std::size_t owned_until_ = 0;    ///< entries before point into `copies_`
  std::deque<ByteVector> copies_;
  std::uint64_t copied_bytes_ = 0;
  std::vector<Entry> in_flight_;  ///< of the step that runs elsewhere
  bool busy_ = false;             ///< a step runs elsewhere
  bool advancing_ = false;
  bool out_of_files_ = false;  ///< the last step failed for want of descriptors
  bool moved_ = false;         ///< the visible end or the oldest changed in this round

  // Durability.
  SequenceNumber durable_bound_;  ///< numbers below may be shown
  bool extending_ = false;
  std::uint64_t reserve_generation_ = 0;
  std::vector<Waiter> waiters_;
  std::vector<Sealed> sealed_;
  bool active_dirty_ = false;
  bool directory_dirty_ = false;
  bool syncing_ = false;
  std::int64_t unsynced_bytes_ = 0;
  std::optional<Instant> dirty_since_;
  Mark mark_;
  bool hint_due_ = false;  ///< `StreamState::durable` is behind
  std::string fault_;
  bool rescuing_ = false;
  std::optional<Instant> rescue_again_;       ///< set while a rescue that failed waits
  Duration rescue_pause_ = Duration::zero();  ///< before that one; zero: the last one worked

  // Retention.
  std::vector<std::shared_ptr<Segment>> retired_;
  bool retiring_ = false;
  /// Generation of the state that the log must not become durable without: it has the floor, or
  /// says which numbers were never used. And the newest one known to be durable.
  std::uint64_t state_written_ = 0;
  std::uint64_t state_synced_ = 0;
  std::int64_t space_credit_ = 0;  ///< bytes freed by this stream while the disk is nearly full
  Instant expiry_checked_{};
  bool removing_ = false;
};

}  // namespace weir::stream
