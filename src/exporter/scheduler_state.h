#pragma once

#include "exporter/scheduler.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::exporter {

/// One export as the scheduler keeps it; for the scheduler's own sources.
struct Scheduler::Export {
  Export(std::uint64_t its_serial, StreamId its_stream, Exporter its_machine,
         std::uint64_t its_saved_revision)
      : serial(its_serial),
        stream(its_stream),
        machine(std::move(its_machine)),
        priority(std::make_shared<std::atomic<std::int64_t>>(machine.priority())),
        saved_revision(its_saved_revision) {}

  std::uint64_t serial;
  StreamId stream;
  Exporter machine;
  std::shared_ptr<std::atomic<std::int64_t>> priority;  // the machine's, for the destination
  std::shared_ptr<Destination> destination;
  std::string host;
  std::uint64_t job = 0;      // under way, else 0
  std::uint64_t route = 0;    // as wanted
  std::uint64_t options = 0;  // as wanted
  bool anew = false;          // the destination is made with other options when the job has ended

  // Where it is registered.
  std::optional<ReadyKey> ready;
  std::optional<Timer> deadline;
  std::optional<Timer> save_time;
  std::optional<Timer> visit;
  std::optional<std::string> waits_for;

  std::uint64_t saved_revision;
  std::uint64_t moved_revision = 0;  ///< when a person moved it last; 0 = never
  bool tell_moved = false;           ///< the destination has not heard of that yet
  bool forgive_refusals = false;     ///< nor that it is to try again what it refused
  bool passed = false;               ///< messages were left out since the destination heard of any
  bool saving = false;
  bool save_soon = false;
  Instant next_save{};
  Instant idle_deadline = Instant::max();  // the destination's

  void was_moved() {
    moved_revision = machine.revision();
    tell_moved = true;
    save_soon = true;
  }
  /// It was moved, and that is not on stable storage yet: nothing is delivered before, so that
  /// what the destination notes from then on is of the new position.
  [[nodiscard]] bool move_unsaved() const { return moved_revision > saved_revision; }
};

/// One stream and what its exports share; for the scheduler's own sources.
struct Scheduler::StreamState {
  StreamId id;
  std::string name;
  std::shared_ptr<stream::LogReader> log;
  std::shared_ptr<stream::CursorStore> cursors;
  std::vector<std::uint64_t> serials;  // in definition order
  bool loading = true;
  std::vector<Engine::Wanted> wanted;  // while loading
  bool had_messages = false;           // when it was opened
  SequenceNumber defined_oldest;       // when its exports were defined
  std::optional<MoveFilter::Interest> interest;
  std::map<std::string, std::shared_ptr<Farewell>> left_behind;  // when it is being removed
  Settling settling;
};

}  // namespace weir::exporter
