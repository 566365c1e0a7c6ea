#pragma once

#include "base/clock.h"
#include "base/rng.h"
#include "exporter/delivery.h"
#include "exporter/engine.h"
#include "exporter/exporter.h"
#include "exporter/move_filter.h"
#include "exporter/reporter.h"
#include "exporter/settling.h"
#include "exporter/status_board.h"
#include "stream/stream.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir::exporter {

/// Saving a position, or forgetting one.
struct CursorTask {
  enum class Kind : std::uint8_t { kLoad, kSave, kRemove };
  Kind kind = Kind::kLoad;
  StreamId stream;
  std::uint64_t serial = 0;    ///< kSave: the export
  std::uint64_t revision = 0;  ///< kSave: of what is saved
  std::string stream_name;
  std::shared_ptr<stream::CursorStore> store;
  stream::Cursor cursor;  ///< kRemove: only its identifier
  bool moved = false;     ///< kSave: a person moved it, see `kMovedMark`
};

/// Saves or removes a position, which `task` asks for. Blocks: on disk.
Result<void> carry_out(const CursorTask& task);

/// Does what may block for the scheduler. Results come back, later, as calls of the scheduler's
/// `delivered`, `loaded`, `saved` and `removed`, never from inside these calls.
class Hands {
 public:
  virtual ~Hands() = default;
  virtual void deliver(Job job) = 0;
  /// Tasks are done one at a time in the order given.
  virtual void keep(CursorTask task) = 0;
};

/// Decides which export delivers when: strict priority, round robin within one, as many at a time
/// as there are workers and as fit the memory for batches. Owns the exports and their destinations;
/// saves positions behind deliveries. Idle destinations that asked for it are visited, one at a
/// time, in turn with deliveries.
///
/// Everything happens inside `run_once` and the calls that bring news; nothing blocks except making
/// a destination. Threads: one at a time.
class Scheduler {
 public:
  struct Environment {
    Clock& clock;
    DestinationFactory factory;
    Hands& hands;
    MoveFilter& filter;
    StatusBoard& board;
    Reporter& reporter;
    std::uint64_t random_seed;
  };
  Scheduler(const Options& options, Environment environment);
  ~Scheduler();

  /// See `Engine`; the board's rows were set already. `oldest` and `end` are what the log held when
  /// the change was asked for: what retention removes after that counts as lost.
  void set_exports(StreamId id, const std::string& stream_name,
                   std::shared_ptr<stream::LogReader> log,
                   std::shared_ptr<stream::CursorStore> cursors, std::vector<Engine::Wanted> wanted,
                   SequenceNumber oldest, SequenceNumber end);
  /// See `Engine`.
  void set_options(const Options& options);
  void remove_stream(StreamId id);
  /// What an export of a stream that is about to be removed leaves behind; its log cannot be read
  /// any more when it is.
  void leave_behind(StreamId id, const std::string& identifier, std::shared_ptr<Farewell> left);
  /// See `Engine::when_settled`.
  void when_settled(StreamId id, Settling::Done done);
  /// See `Engine::give_order`.
  void give_order(StreamId id, const std::string& identifier, const Order& order,
                  std::function<void(const Result<std::string>&)> done);
  /// Nobody waits any longer: weir is stopping.
  void give_up_settling();

  void delivered(std::uint64_t job_id, const Delivery& delivery);
  void loaded(StreamId id, const std::vector<stream::Cursor>& cursors);
  void saved(std::uint64_t serial, std::uint64_t revision, const Result<void>& outcome);
  /// A position is gone, or could not be removed. `outcome` is what the store said.
  void removed(StreamId id, const Result<void>& outcome);

  /// Looks at the streams the filter reports, serves deadlines, grants workers, saves positions.
  /// Returns when to call again if nothing happens before.
  Instant run_once();

  /// Grants nothing from now on and interrupts the deliveries that are under way.
  void stop_granting();
  /// Then interrupts the farewells too, which may go on until then.
  void stop_farewells();
  [[nodiscard]] std::size_t deliveries_under_way() const {
    return running_.size() + farewells_.size();
  }
  /// How many have not ended.
  [[nodiscard]] std::size_t farewells_left() const { return leaving_.size(); }
  /// Saves every position that is not saved yet, at once and for the last time: what fails now is
  /// not tried again.
  void save_all();
  [[nodiscard]] std::size_t saves_under_way() const { return saves_under_way_; }

 private:
  struct Export;
  struct StreamState;
  // The names of a stream and of an export that was removed from it, or with it.
  using Leaving = std::pair<std::string, std::string>;
  struct Running {
    std::uint64_t serial;
    std::int64_t reserved_bytes;
    std::stop_source stop;
    std::weak_ptr<Destination> destination;
    bool idle_visit = false;
    std::optional<Leaving> farewell = {};  ///< whose it is
    std::optional<Job> then = {};          ///< what the end of this one lets begin
  };
  // Priority, then who became ready first.
  using ReadyKey = std::tuple<std::int64_t, std::uint64_t, std::uint64_t>;
  using Timer = std::pair<Instant, std::uint64_t>;

  /// `saved`: the positions found at the start; null after the first time.
  void apply_wanted(StreamState& stream, std::vector<Engine::Wanted> wanted,
                    const std::vector<stream::Cursor>* saved);
  void add_export(StreamState& stream, Engine::Wanted want,
                  const std::vector<stream::Cursor>* saved);
  void change_export(StreamState& stream, Export& item, Engine::Wanted want);
  void drop_export(StreamState& stream, std::uint64_t serial, bool forget);
  /// `left`: what it leaves behind; null: it is read from the log.
  void say_farewell(StreamState& stream, Export& item, std::shared_ptr<Farewell> left);
  void queue_farewell(Job job);
  void start_farewells();
  void farewell_ended(const Leaving& leaving);
  [[nodiscard]] bool is_leaving(const Export& item) const;
  void forget_position(StreamState& stream, const stream::Cursor& cursor);
  [[nodiscard]] std::string names_of(const StreamState& stream) const;
  Result<std::string> carry_out(StreamState& stream, Export& item, const Order& order);
  Result<std::string> pause(StreamState& stream, Export& item);
  Result<std::string> resume(StreamState& stream, Export& item);
  Result<std::string> move(StreamState& stream, Export& item, const Order& order);
  Result<std::string> retry_now(StreamState& stream, Export& item);
  void changed_by_hand(StreamState& stream, Export& item);
  void make_destination(StreamState& stream, Export& item);
  void make_destination_anew(StreamState& stream, Export& item);
  void place(StreamState& stream, Export& item);
  void look(StreamState& stream, Export& item);
  void look(StreamId id);
  /// Brings everything derived from an export's state up to date.
  void index(Export& item);
  void unindex(Export& item);
  void plan_save(Export& item);
  void serve_deadlines(Instant now);
  void grant(Instant now);
  void start(Export& item, std::int64_t reserved_bytes, Instant now);
  [[nodiscard]] bool may_look_ahead(std::int64_t batch_bytes) const;
  [[nodiscard]] bool visit_due(Instant now) const;
  void start_visit(Export& item);
  [[nodiscard]] static bool waits_for_save(const Export& item);
  [[nodiscard]] static bool wants_to_hear_of_passed(const Export& item);
  void hand_out(Export& item, Job job);
  void save_due(Instant now);
  void save(Export& item, Instant now);
  bool tell_interest();
  [[nodiscard]] MoveFilter::Interest interest_of(const StreamState& stream) const;
  void wake_host(const std::string& host);
  void wake_those_without_keys();

  Options options_;
  Environment environment_;
  Rng rng_;
  bool granting_ = true;
  bool farewells_stopped_ = false;
  bool closing_ = false;
  std::uint64_t last_serial_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t last_job_ = 0;
  std::int64_t reserved_bytes_ = 0;
  std::size_t saves_under_way_ = 0;
  std::map<StreamId, std::unique_ptr<StreamState>> streams_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Export>> exports_;
  std::unordered_map<std::uint64_t, Running> running_;
  std::deque<Job> farewells_;  // they wait for a worker
  std::size_t farewells_under_way_ = 0;
  std::multiset<Leaving> leaving_;  // farewells that have not ended
  std::set<StreamId> held_back_;    // have exports that wait for the end of one
  std::set<ReadyKey> ready_;
  std::set<Timer> deadlines_;
  std::set<Timer> save_times_;
  std::set<Timer> visits_;
  bool visiting_ = false;      // an idle visit is under way
  bool visited_last_ = false;  // the last job handed out was one
  std::map<std::string, std::set<std::uint64_t>> waiting_for_host_;
  std::set<std::uint64_t> waiting_for_keys_;
  std::set<StreamId> touched_;
};

}  // namespace weir::exporter
