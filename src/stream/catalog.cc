#include "stream/catalog.h"

#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "stream/context.h"
#include "stream/layout.h"
#include "stream/managed_stream.h"
#include "stream/metrics.h"
#include "stream/names_file.h"
#include "stream/store.h"
#include "stream/update.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace weir::stream {
namespace {

/// More streams than this that wait for a sync in one commit share the syncer's thread.
constexpr std::size_t kInlineSyncsMax = 4;
constexpr Duration kTickInterval = std::chrono::seconds(1);

using ManagedPtr = std::shared_ptr<ManagedStream>;

/// Looks up a name without making a string of it.
struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const {
    return std::hash<std::string_view>{}(name);
  }
};

class Streams final : public Catalog {
 public:
  Streams(const Options& options, Environment& environment, std::unique_ptr<Store> store)
      : context_(options, environment),
        store_(std::move(store)),
        names_(environment.disk),
        random_(environment.random_seed),
        unreadable_(environment.metrics.gauge(metric::kUnreadableStreams)) {
    context_.epoch = store_->epoch();
    context_.wall_ms = environment.clock.wall_ms();
  }
  ~Streams() override {
    closed_ = true;
    // Jobs under way use the streams.
    context_.syncer.stop();
  }

  Result<void> recover();

  void create(model::StreamDefinition definition, Done done) override;
  void update(model::StreamDefinition definition, Done done) override;
  void remove(std::string_view name, Done done) override;
  Stream* find(std::string_view name) override;
  Stream* find(StreamId id) override;
  [[nodiscard]] std::vector<Stream*> streams() override;
  [[nodiscard]] const std::vector<UnavailableStream>& unavailable() const override {
    return unavailable_;
  }
  void append(Stream& stream, Bytes payload, std::uint64_t token) override;
  void commit() override;
  void flush(Stream& stream, std::uint64_t token) override {
    static_cast<ManagedStream&>(stream).flush(token);
  }
  void set_min_free_bytes(std::int64_t bytes) override {
    context_.space.set_min_free_bytes(bytes);
    context_.space.look(context_.env.clock.now());
  }
  Instant tick() override;
  void close() override;
  bool run_syncer_once() override { return context_.syncer.run_once(); }

 private:
  /// A change of a stream that is being stored; later ones wait for it.
  struct Pending {
    std::vector<std::function<void()>> waiting;
  };

  void recover_stream_in(const std::string& name, StreamId id, const NamesFile::Names& names);
  void leave_out(StreamId id, std::string name, const Error& why);
  void note_names(const NamesFile::Names& before);
  [[nodiscard]] Error no_such_stream(std::string_view name) const;
  void clean_up(const std::vector<file::Entry>& entries);
  void empty_trash();
  void add(ManagedPtr stream);
  void later(Done done, Result<void> outcome);
  bool wait_for_change(const std::string& name, std::function<void()> again);
  void change_done(const std::string& name);
  void start_create(model::StreamDefinition definition, Done done);
  void start_update(model::StreamDefinition definition, Done done);
  void start_remove(const std::string& name, Done done);

  Context context_;
  const std::unique_ptr<Store> store_;
  NamesFile names_;  ///< the syncer's, once recovered
  Rng random_;
  metrics::Gauge& unreadable_;
  std::vector<UnavailableStream> unavailable_;
  std::unordered_map<std::string, ManagedPtr, NameHash, std::equal_to<>> by_name_;
  std::unordered_map<StreamId, ManagedPtr> by_id_;
  /// Names with a change under way, and what waits for it to end.
  std::map<std::string, Pending, std::less<>> changing_;
  std::size_t creating_ = 0;
  std::vector<ManagedStream*> staged_;
  bool committing_ = false;
  bool closed_ = false;
};

// --- start ------------------------------------------------------------------------------------

Result<void> Streams::recover() {
  context_.quarantine.load();
  context_.space.look(context_.env.clock.now());
  WEIR_TRY(const auto entries, context_.env.disk.list(layout::kStreams));
  clean_up(entries);
  const NamesFile::Names names = names_.load();
  for (const file::Entry& entry : entries) {
    const auto id = layout::stream_id_from(entry.name);
    if (!id || entry.kind != file::EntryKind::kDirectory) continue;
    store_->saw_id(*id);
    recover_stream_in(entry.name, *id, names);
  }
  note_names(names);
  if (const auto noted = store_->recovered(unavailable_.empty()); !noted) {
    return fail(with_context("open the store", noted.error()));
  }
  empty_trash();
  for (Stream* const stream : streams()) context_.env.observer.stream_opened(*stream);
  return {};
}

void Streams::clean_up(const std::vector<file::Entry>& entries) {
  for (const file::Entry& entry : entries) {
    if (!layout::is_unfinished(entry.name) || entry.kind != file::EntryKind::kDirectory) continue;
    const std::string path = layout::join(layout::kStreams, entry.name);
    if (!file::remove_tree(context_.env.disk, path)) {
      log::warn("A stream whose creation was cut off could not be cleaned up.", {{"path", path}});
    }
  }
}

void Streams::leave_out(StreamId id, std::string name, const Error& why) {
  unreadable_.add(1);
  log::error(
      "A stream is unavailable: it cannot be read. Nothing of it is touched, its name stays "
      "taken, and the next start tries again; weir fsck says more.",
      {{"stream", name}, {"directory", layout::stream_directory(id)}, {"error", why.what}});
  unavailable_.push_back({id, std::move(name),
                          "the message stream is unavailable: " + why.what +
                              "; nothing of it was touched, weir tries again at its next start"});
}

void Streams::note_names(const NamesFile::Names& before) {
  NamesFile::Names now;
  for (const auto& [id, stream] : by_id_) now.emplace(id, stream->definition().name);
  for (const UnavailableStream& one : unavailable_) {
    if (!one.name.empty()) now.emplace(one.id, one.name);
  }
  if (now != before) names_.replace(now);
}

void Streams::recover_stream_in(const std::string& name, StreamId id,
                                const NamesFile::Names& names) {
  const std::string directory = layout::join(layout::kStreams, name);
  auto loaded = load_definition(context_.env.disk, directory);
  std::string stream_name = loaded ? loaded->stored.definition.name : std::string();
  if (loaded && loaded->stored.id != id) {
    loaded = fail(Errc::kCorrupt, "the definition names another stream");
  }
  if (loaded && by_name_.contains(loaded->stored.definition.name)) {
    loaded = fail(Errc::kCorrupt, "another stream has the same name");
  }
  if (!loaded) {
    const auto known = names.find(id);
    if (stream_name.empty() && known != names.end()) stream_name = known->second;
    leave_out(id, std::move(stream_name), loaded.error());
    return;
  }
  if (loaded->from_previous) {
    log::error("A definition was unreadable; the stream goes on with the one before it.",
               {{"stream", loaded->stored.definition.name}, {"error", loaded->problem}});
  }
  const bool from_previous = loaded->from_previous;
  StoredDefinition stored = std::move(loaded->stored);
  if (stored.definition.persistence_or_default() == model::Persistence::kMemory) {
    add(std::make_shared<ManagedStream>(context_, std::move(stored)));
    return;
  }
  auto recovered =
      recover_stream(context_.env.disk, directory, stored, store_->last_run(), context_.log_shared);
  if (!recovered) {
    leave_out(id, stored.definition.name, recovered.error());
    return;
  }
  if (from_previous) recovered->cursors->hide_unknown(stored.definition);
  auto stream = std::make_shared<ManagedStream>(context_, std::move(stored), std::move(*recovered));
  stream->trim();
  add(std::move(stream));
}

void Streams::add(ManagedPtr stream) {
  by_id_.emplace(stream->id(), stream);
  by_name_.emplace(stream->definition().name, std::move(stream));
  context_.counters.streams.set(static_cast<std::int64_t>(by_name_.size()));
}

void Streams::empty_trash() {
  context_.syncer.submit(Syncer::Urgency::kPeriodic, [&disk = context_.env.disk] {
    const auto entries = disk.list(layout::kTrash);
    for (std::size_t i = 0; entries && i < entries->size(); ++i) {
      const std::string path = layout::join(layout::kTrash, (*entries)[i].name);
      if (!file::remove_tree(disk, path)) {
        log::warn("The remains of a deleted stream could not be removed.", {{"path", path}});
      }
    }
    return Syncer::Then();
  });
}

// --- create, update, remove -------------------------------------------------------------------

void Streams::later(Done done, Result<void> outcome) {
  context_.env.core.post([done = std::move(done), outcome = std::move(outcome)] { done(outcome); });
}

bool Streams::wait_for_change(const std::string& name, std::function<void()> again) {
  const auto at = changing_.find(name);
  if (at == changing_.end()) return false;
  at->second.waiting.push_back(std::move(again));
  return true;
}

void Streams::change_done(const std::string& name) {
  auto node = changing_.extract(name);
  for (auto& again : node.mapped().waiting) again();
}

void Streams::create(model::StreamDefinition definition, Done done) {
  const std::string name = definition.name;
  if (changing_.contains(name)) {
    wait_for_change(name, [this, definition = std::move(definition), done = std::move(done)] {
      create(definition, done);
    });
    return;
  }
  if (by_name_.contains(name)) {
    later(std::move(done), fail(Errc::kAlreadyExists, "the message stream already exists"));
    return;
  }
  if (const auto* one = find_unavailable(name)) {
    later(std::move(done), fail(Errc::kAlreadyExists, one->why));
    return;
  }
  const auto streams_max = static_cast<std::size_t>(context_.options.streams_max);
  if (by_id_.size() + unavailable_.size() + creating_ >= streams_max) {
    later(std::move(done), fail(Errc::kFull, "there are " + std::to_string(streams_max) +
                                                 " streams already, which is the limit "
                                                 "(streams_max)"));
    return;
  }
  start_create(std::move(definition), std::move(done));
}

/// The first numbers are reserved already, so that the first append does not wait for the disk.
StreamState first_state(const StoredDefinition& stored, std::uint64_t epoch) {
  StreamState state;
  if (stored.definition.durable_before_answer()) return state;
  state.bound = SequenceNumber(kNumbersReservedMin);
  state.epoch = epoch;
  return state;
}

/// Puts a stream's directory together under another name and gives it its own, all or nothing.
Result<void> make_stream(file::FileSystem& disk, const StoredDefinition& stored,
                         const StreamState& state, const segment::Header& header) {
  const std::string unfinished = layout::unfinished_directory(stored.id);
  const auto write = [&](std::string_view name, Bytes content, bool sync) -> Result<void> {
    WEIR_TRY(const auto file,
             disk.open(layout::join(unfinished, name), file::OpenMode::kCreateNew));
    const std::array<Bytes, 1> pieces{content};
    WEIR_RETURN_IF_ERROR(file->write_at(0, pieces));
    return sync ? file->sync() : Result<void>();
  };
  const auto build = [&]() -> Result<void> {
    WEIR_RETURN_IF_ERROR(disk.make_directory(unfinished));
    const std::string text = encode_definition(stored);
    WEIR_RETURN_IF_ERROR(write(layout::kDefinition, as_bytes(text), true));
    // The same once more, so that damage to one of them does not hide the stream.
    WEIR_RETURN_IF_ERROR(write(layout::kDefinitionBefore, as_bytes(text), false));
    if (stored.definition.persistence_or_default() == model::Persistence::kFile) {
      WEIR_RETURN_IF_ERROR(create_slots(disk, layout::join(unfinished, layout::kStreamState),
                                        kStateSlotBytes, encode(state), true));
      // Creating a file may take a while; the first append shall not. What it holds becomes
      // durable with the first messages; until then it may be gone or empty.
      std::array<std::byte, segment::kHeaderBytes> head{};
      segment::encode_header(header, head);
      WEIR_RETURN_IF_ERROR(write(layout::segment_name(header.base), Bytes(head), false));
    }
    WEIR_RETURN_IF_ERROR(disk.sync_directory(unfinished));
    return disk.rename(unfinished, layout::stream_directory(stored.id));
  };
  auto made = build();
  if (made) made = disk.sync_directory(layout::kStreams);
  if (made) return {};
  // A refused create leaves nothing behind (F5).
  for (const std::string& path : {unfinished, layout::stream_directory(stored.id)}) {
    if (const auto gone = file::remove_tree(disk, path); !gone) {
      log::debug("Nothing to clean up.", {{"path", path}});
    }
  }
  return fail(with_context("create the stream", std::move(made).error()));
}

/// What `recover_stream` would find in a directory just made.
RecoveredStream new_stream(Context& context, const StoredDefinition& stored,
                           const segment::Header& header) {
  RecoveredStream fresh;
  fresh.log = std::make_shared<Log>(context.log_shared, stored.id, stored.definition.name);
  fresh.cursors =
      std::make_shared<CursorFiles>(context.env.disk, layout::stream_directory(stored.id));
  fresh.state = first_state(stored, context.epoch);
  fresh.state_slot.generation = 1;
  fresh.state_durable = true;
  auto segment = std::make_shared<Segment>(
      header, layout::join(layout::stream_directory(stored.id), layout::segment_name(header.base)));
  segment->newest_append_ms = header.created_ms;
  segment->last_append = context.env.clock.now();
  fresh.log->append_segment(std::move(segment));
  return fresh;
}

void Streams::start_create(model::StreamDefinition definition, Done done) {
  const std::string name = definition.name;
  StoredDefinition stored{store_->take_id(), random_.next(), std::move(definition)};
  const segment::Header header{stored.identity, SequenceNumber(0), context_.env.clock.wall_ms()};
  ++creating_;
  changing_.emplace(name, Pending{});
  context_.syncer.submit(Syncer::Urgency::kWaitedFor, [this, stored, header,
                                                       done = std::move(done)] {
    auto made = store_->reserve_ids(stored.id);
    if (made) {
      made = make_stream(context_.env.disk, stored, first_state(stored, context_.epoch), header);
    }
    if (made) names_.add(stored.id, stored.definition.name);
    return [this, stored, header, done, made = std::move(made)] {
      --creating_;
      if (made) {
        auto stream = stored.definition.persistence_or_default() == model::Persistence::kMemory
                          ? std::make_shared<ManagedStream>(context_, stored)
                          : std::make_shared<ManagedStream>(context_, stored,
                                                            new_stream(context_, stored, header));
        add(stream);
        context_.env.observer.stream_opened(*stream);
      }
      done(made);
      change_done(stored.definition.name);
    };
  });
}

void Streams::update(model::StreamDefinition definition, Done done) {
  const std::string name = definition.name;
  if (changing_.contains(name)) {
    wait_for_change(name, [this, definition = std::move(definition), done = std::move(done)] {
      update(definition, done);
    });
    return;
  }
  start_update(std::move(definition), std::move(done));
}

void Streams::start_update(model::StreamDefinition definition, Done done) {
  const auto at = by_name_.find(definition.name);
  if (at == by_name_.end()) {
    later(std::move(done), fail(no_such_stream(definition.name)));
    return;
  }
  const ManagedPtr stream = at->second;
  if (!definition.persistence) definition.persistence = stream->definition().persistence;
  auto checked = check_update(stream->definition(), definition, stream->storage_status());
  if (!checked || same_definition(stream->definition(), definition)) {
    later(std::move(done), std::move(checked));
    return;
  }
  // While it is being stored, the smaller of both limits is in force.
  const std::int64_t before = stream->definition().max_size_or_default();
  stream->apply_limits(std::min(before, definition.max_size_or_default()));
  changing_.emplace(definition.name, Pending{});
  StoredDefinition after = stream->stored();
  after.definition = std::move(definition);
  context_.syncer.submit(Syncer::Urgency::kWaitedFor, [this, stream, before, old = stream->stored(),
                                                       after, done = std::move(done)] {
    auto stored = replace_definition(context_.env.disk, stream->directory(), old, after);
    if (!stored) stored = fail(with_context("store the definition", stored.error()));
    return [this, stream, before, after, done, stored = std::move(stored)] {
      if (stored) {
        stream->apply(after.definition);
        context_.env.observer.stream_updated(*stream);
      } else {
        stream->apply_limits(before);
      }
      done(stored);
      change_done(after.definition.name);
    };
  });
}

void Streams::remove(std::string_view name, Done done) {
  const std::string key(name);
  if (changing_.contains(key)) {
    wait_for_change(key, [this, key, done = std::move(done)] { remove(key, done); });
    return;
  }
  if (!by_name_.contains(key)) {
    later(std::move(done), fail(no_such_stream(key)));
    return;
  }
  start_remove(key, std::move(done));
}

/// One rename takes a stream away. Both directories are synced before anything in it is removed,
/// so that no crash brings back half a stream.
Result<void> throw_away(file::FileSystem& disk, const ManagedStream& stream) {
  const std::string trash = layout::trash_directory(stream.id());
  WEIR_RETURN_IF_ERROR(disk.rename(stream.directory(), trash));
  auto synced = disk.sync_directory(layout::kTrash);
  if (synced) synced = disk.sync_directory(layout::kStreams);
  if (synced) return {};
  if (const auto back = disk.rename(trash, stream.directory()); !back) {
    log::error("A stream whose removal failed could not be put back; the next start decides.",
               {{"stream", stream.definition().name}, {"error", back.error().what}});
  }
  return synced;
}

void Streams::start_remove(const std::string& name, Done done) {
  // A create of the same name waits in `changing_` until the old directory is out of the way.
  const ManagedPtr stream = by_name_.find(name)->second;
  by_name_.erase(name);
  changing_.emplace(name, Pending{});
  stream->begin_removal();
  context_.syncer.submit(
      Syncer::Urgency::kWaitedFor,
      [this, stream, name, definition = stream->definition(), done = std::move(done)] {
        if (context_.env.before_removal) {
          context_.env.before_removal(stream->id(), definition, stream->log());
        }
        auto moved = throw_away(context_.env.disk, *stream);
        return [this, stream, name, done, moved = std::move(moved)] {
          if (moved) {
            by_id_.erase(stream->id());
            stream->finish_removal();
            context_.counters.streams.set(static_cast<std::int64_t>(by_name_.size()));
            context_.env.observer.stream_removed(stream->id(), name);
            empty_trash();
          } else {
            stream->undo_removal();
            by_name_.emplace(name, stream);
          }
          done(moved ? Result<void>()
                     : Result<void>(fail(with_context("delete the stream", moved.error()))));
          change_done(name);
        };
      });
}

// --- looking up -------------------------------------------------------------------------------

Error Streams::no_such_stream(std::string_view name) const {
  if (const auto* one = find_unavailable(name)) return {Errc::kIo, one->why, 0};
  return {Errc::kNotFound, "the requested message stream does not exist", 0};
}

Stream* Streams::find(std::string_view name) {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second.get();
}

Stream* Streams::find(StreamId id) {
  const auto at = by_id_.find(id);
  return at == by_id_.end() || at->second->removing() ? nullptr : at->second.get();
}

std::vector<Stream*> Streams::streams() {
  std::vector<Stream*> all;
  all.reserve(by_name_.size());
  for (const auto& [name, stream] : by_name_) all.push_back(stream.get());
  std::sort(all.begin(), all.end(), [](const Stream* a, const Stream* b) {
    return a->definition().name < b->definition().name;
  });
  return all;
}

// --- appending --------------------------------------------------------------------------------

void Streams::append(Stream& stream, Bytes payload, std::uint64_t token) {
  WEIR_CHECK(!payload.empty(), "the protocol refuses empty messages");
  auto& managed = static_cast<ManagedStream&>(stream);
  if (managed.stage(payload, token)) staged_.push_back(&managed);
}

void Streams::commit() {
  if (committing_ || (staged_.empty() && context_.want_sync.empty())) return;
  committing_ = true;
  context_.wall_ms = context_.env.clock.wall_ms();
  // By index: an outcome may make the caller stage more.
  for (std::size_t i = 0; i < staged_.size(); ++i) staged_[i]->commit();
  staged_.clear();
  std::vector<ManagedStream*>& wanting = context_.want_sync;
  const bool here =
      wanting.size() <= kInlineSyncsMax &&
      context_.pace.average() < std::chrono::microseconds(context_.options.inline_sync_us);
  for (std::size_t i = 0; i < wanting.size(); ++i) {
    ManagedStream& stream = *wanting[i];
    stream.in_want_sync = false;
    if (!stream.waits_for_sync()) continue;
    if (!here || !stream.sync_inline()) stream.start_sync(Syncer::Urgency::kWaitedFor);
  }
  wanting.clear();
  committing_ = false;
}

Instant Streams::tick() {
  const Instant now = context_.env.clock.now();
  context_.wall_ms = context_.env.clock.wall_ms();
  context_.space.look(now);
  const auto interval = std::chrono::milliseconds(context_.options.sync_interval_ms);
  std::optional<Instant> oldest;
  std::vector<ManagedStream*> due;
  std::vector<ManagedStream*> dirty;
  // A copy, because outcomes reported meanwhile may change the catalog.
  std::vector<ManagedPtr> all;
  all.reserve(by_id_.size());
  for (const auto& [id, stream] : by_id_) all.push_back(stream);
  for (const ManagedPtr& stream : all) {
    stream->tick(now);
    const auto since = stream->unsynced_since();
    if (!since) continue;
    if (!oldest || *since < *oldest) oldest = since;
    if (stream->removing() || stream->waits_for_sync()) continue;
    (now - *since >= interval ? due : dirty).push_back(stream.get());
  }
  const bool together = std::ssize(due) + std::ssize(dirty) >= context_.options.sync_together_min;
  if (!due.empty() && together) {
    // Syncing the file system writes them all, and each would soon call for a round of its own.
    due.insert(due.end(), dirty.begin(), dirty.end());
    dirty.clear();
  }
  ManagedStream::sync_together(context_, due);
  Instant next = now + kTickInterval;
  for (const ManagedStream* const stream : dirty) {
    next = std::min(next, *stream->unsynced_since() + interval);
  }
  const Duration age = oldest ? now - *oldest : Duration(0);
  context_.figures->unsynced_age = age.count();
  return next;
}

void Streams::close() {
  if (closed_) return;
  commit();
  for (const auto& [id, stream] : by_id_) {
    if (stream->waits_for_sync()) stream->start_sync(Syncer::Urgency::kWaitedFor);
  }
  context_.syncer.finish_all();
  std::vector<ManagedStream*> dirty;
  for (const auto& [id, stream] : by_id_) {
    if (stream->dirty()) dirty.push_back(stream.get());
  }
  ManagedStream::sync_together(context_, dirty);
  context_.syncer.finish_all();
  closed_ = true;
  bool clean = true;
  for (const auto& [id, stream] : by_id_) clean = stream->close() && clean;
  const bool together = std::ssize(by_id_) >= context_.options.sync_together_min;
  if (!together || !context_.env.disk.sync_all()) {
    for (const auto& [id, stream] : by_id_) clean = stream->confirm_close() && clean;
  }
  context_.syncer.finish_all();
  if (!clean) {
    log::warn(
        "Not everything could be stored at the stop; the next start looks through the "
        "newest messages of every stream.");
    return;
  }
  if (const auto closed = store_->close(); !closed) {
    log::warn("The orderly stop could not be noted; the next start takes longer.",
              {{"error", closed.error().what}});
  }
}

}  // namespace

const UnavailableStream* Catalog::find_unavailable(std::string_view name) const {
  const auto& all = unavailable();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const auto& one) { return !name.empty() && one.name == name; });
  return at == all.end() ? nullptr : &*at;
}

Result<std::unique_ptr<Catalog>> Catalog::open(const Options& options, Environment environment) {
  WEIR_RETURN_IF_ERROR(options.validate());
  WEIR_TRY(auto store, Store::open(environment.disk, environment.boot_id));
  auto streams = std::make_unique<Streams>(options, environment, std::move(store));
  WEIR_RETURN_IF_ERROR(streams->recover());
  return std::unique_ptr<Catalog>(std::move(streams));
}

Result<void> Options::validate() const {
  struct Range {
    const char* name;
    std::int64_t value;
    std::int64_t least;
    std::int64_t most;
  };
  constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
  const std::array<Range, 10> ranges{{
      {"sync_interval_ms", sync_interval_ms, 1, 3'600'000},
      {"sync_bytes", sync_bytes, 4'096, kAny},
      {"sync_together_min", sync_together_min, 1, kAny},
      {"slow_write_ms", slow_write_ms, 1, 3'600'000},
      {"inline_sync_us", inline_sync_us, 0, 10'000'000},
      {"zeros_ahead_bytes", zeros_ahead_bytes, 0, 1 << 30},
      {"streams_max", streams_max, 1, 1'000'000},
      {"open_files_max", open_files_max, 8, 1'000'000},
      {"min_free_bytes", min_free_bytes, 0, kAny},
      {"quarantine_bytes_max", quarantine_bytes_max, 0, kAny},
  }};
  for (const Range& range : ranges) {
    if (range.value >= range.least && range.value <= range.most) continue;
    return fail(Errc::kInvalidArgument, std::string(range.name) + ": " +
                                            std::to_string(range.value) + " is out of range, " +
                                            std::to_string(range.least) + " to " +
                                            std::to_string(range.most));
  }
  return {};
}

}  // namespace weir::stream
