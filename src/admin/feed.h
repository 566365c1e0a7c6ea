#pragma once

#include "admin/event_source.h"
#include "admin/figures.h"
#include "admin/history.h"
#include "base/clock.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::admin {

/// A rate that forgets: what happened `memory` ago counts a third of what happens now.
class Rate {
 public:
  explicit Rate(float memory_seconds = 10) : memory_seconds_(memory_seconds) {}
  void add(double amount, double seconds);
  [[nodiscard]] double per_second() const { return value_; }

 private:
  float memory_seconds_;
  float quiet_seconds_ = 0;  // how long nothing has happened
  double value_ = 0;
};

/// How long until `amount` is gone when it shrinks by so much a second; 0 = it does not.
double seconds_until_gone(std::int64_t amount, double per_second);

/// Everything the dashboard shows: looks at the figures, makes rates and histories of them, and
/// tells each reader what has changed since it was told last.
///
/// Of each stream it keeps a few numbers and a digest, not what it looks like: a reader's rows are
/// made when the reader can take them. Threads: the admin thread.
class Feed {
 public:
  /// What a page must know that no figure says.
  struct Terms {
    bool actions = false;
    bool payloads_need_token = false;
  };
  /// Lifetime: the clock outlives the feed, the feed its readers.
  Feed(FigureSources sources, Terms terms, Clock& clock);

  /// Takes a point of every history. Call every `HistoryClock::kStepMs`.
  void step();
  /// GET /events. Reading it makes the feed look more often than the histories need.
  std::unique_ptr<EventSource> reader();
  /// GET /history?streams=NUMBER,...: both resolutions of these streams and their exports, as
  /// JSON. With `short_only` only what small curves need.
  [[nodiscard]] std::string history(std::string_view numbers, bool short_only) const;

 private:
  struct ExportState {
    explicit ExportState(std::string name, HistoryClock& clock)
        : identifier(std::move(name)),
          sent(clock, History::Kind::kRate),
          waiting(clock, History::Kind::kLevel) {}
    std::string identifier;
    Rate out;
    Rate out_bytes;
    std::int64_t exported_messages = 0;
    std::int64_t exported_bytes = 0;
    std::int64_t waiting_messages = 0;
    std::int64_t exported_at_step = 0;
    std::int64_t next_try_ms = 0;
    std::int64_t last_sent_ms = 0;
    History sent;
    History waiting;
  };
  struct StreamState {
    explicit StreamState(HistoryClock& clock)
        : appended(clock, History::Kind::kRate), stored(clock, History::Kind::kLevel) {}
    std::uint64_t version = 0;
    std::size_t digest = 0;
    std::uint64_t seen = 0;  ///< the look that met it last
    Rate in;
    Rate in_bytes;
    Rate growth{60};
    std::int64_t next = 0;
    std::int64_t oldest = 0;
    std::int64_t bytes = 0;
    std::int64_t next_at_step = 0;
    History appended;
    History stored;
    std::list<ExportState> exports;
  };
  class Reader;

  void look();
  void look_if_due();
  [[nodiscard]] Duration interval() const;
  void look_at(const StreamFigures& stream, double seconds);
  void look_at(ExportState& state, const ExportFigures& figures, double seconds, bool is_new) const;
  void look_at_weir(double seconds);
  void forget_what_is_gone();
  static void write_row(JsonText& json, const StreamState& state, const StreamFigures& stream);
  static void write_export(JsonText& json, const ExportState& state, const ExportFigures& one,
                           double in);
  static void write_history(JsonText& json, std::uint64_t id, const StreamState& state,
                            bool short_only);
  [[nodiscard]] std::string weir_json() const;

  const FigureSources sources_;
  const Terms terms_;
  Clock& clock_;
  HistoryClock history_clock_;
  Instant looked_;
  Instant stepped_;
  Duration spent_{0};        // on the present look, and on telling readers of it
  std::uint64_t looks_ = 0;  // also the version that what changes in a look gets
  std::map<std::uint64_t, StreamState> streams_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> gone_;  // version, stream; bounded
  std::uint64_t gone_complete_since_ = 0;                      // readers that are older begin anew
  WeirFigures weir_;
  // Others write to the disk too, and in fits: only what lasts is worth a warning.
  Rate disk_use_{600};
  Instant first_look_;
  std::uint64_t weir_version_ = 0;
  std::size_t weir_digest_ = 0;
};

}  // namespace weir::admin
