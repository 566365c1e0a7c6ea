#include "destination/s3/destination.h"

#include "base/log.h"
#include "destination/metrics.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weir::destination::s3 {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using model::StatusLevel;

// A task is a small document; the rest is what digests and the connection use.
constexpr std::int64_t kWorkingBytes = 512 * 1024;
constexpr std::size_t kMessageBytes = 400;

StatusLevel level_of_end(TaskStatus status) {
  switch (status) {
    case TaskStatus::kSuccess:
      return StatusLevel::kInfo;
    case TaskStatus::kCanceled:
      return StatusLevel::kWarn;
    default:
      return StatusLevel::kError;
  }
}

const char* result_name(TaskStatus status) {
  switch (status) {
    case TaskStatus::kSuccess:
      return "success";
    case TaskStatus::kCanceled:
      return "canceled";
    default:
      return "failure";
  }
}

Outcome interrupted() {
  return Outcome::retry(FailureClass::kTransient,
                        "interrupted because weir or the export is stopping");
}

// Of weir's own making, so not the task's fault.
bool is_shortage(const Error& error) {
  return error.os_errno == EMFILE || error.os_errno == ENFILE || error.os_errno == ENOMEM ||
         error.os_errno == EINTR;
}

}  // namespace

S3Destination::S3Destination(Setup setup, Clock& clock, metrics::Registry& metrics)
    : setup_(std::move(setup)), clock_(clock), metrics_(metrics) {}

S3Destination::~S3Destination() = default;

exporter::Destination::Limits S3Destination::limits() const {
  Limits limits;
  limits.messages_max = 1;
  limits.batch_bytes_max = kWorkingBytes;
  return limits;
}

Outcome S3Destination::deliver(const exporter::Batch& batch, std::stop_token stop) {
  const exporter::Message& message = batch.messages().front();
  stop_ = stop;
  recall();
  if (note_is_inherited_ && message.sequence.value() < note_.task) {
    // Done and told; only the position was not saved any more.
    return Outcome::delivered();
  }
  if (refused_ && refused_->first == message.sequence) return Outcome::rejected(refused_->second);
  refused_.reset();
  if (!run_ || run_->name.sequence != message.sequence) {
    if (auto later = take_up(message, stop)) return std::move(*later);
  }
  return work(message, stop);
}

void S3Destination::recall() {
  if (recalled_) return;
  recalled_ = true;
  if (!setup_.notes) return;
  const std::string text = setup_.notes->load();
  if (!text.empty() && !inherit(text)) {
    log::warn("What an S3 export had noted is unreadable; what it did last may be done again.",
              {{"stream", setup_.stream_name}, {"destination", setup_.identifier}});
  }
}

// What an earlier process noted. False: it cannot be read.
bool S3Destination::inherit(std::string_view text) {
  const bool moved = !text.empty() && text.front() == exporter::kMovedMark;
  auto note = decode_note(text.substr(moved ? 1 : 0));
  if (!note) return false;
  note_ = std::move(*note);
  note_is_inherited_ = note_.task >= 0;
  noted_ = true;
  if (moved) distrust_note();
  return true;
}

// As if the marked note were found after a start.
void S3Destination::moved() {
  recall();
  if (run_) {
    left_ = std::exchange(run_, std::nullopt);
  } else {
    distrust_note();
  }
  note_.task = -1;
  note_.end.reset();
  refused_.reset();
}

// Tasks before the noted one are to be done again. What it says of an upload is still so, and that
// is aborted when the next task is taken up.
void S3Destination::distrust_note() {
  if (note_is_inherited_ && !note_.end) left_ = run_of_note();
  note_is_inherited_ = false;
  note_.task = -1;
  note_.end.reset();
}

void S3Destination::forgive_refusals() { refused_.reset(); }

void S3Destination::passed(SequenceNumber next, std::stop_token stop) {
  stop_ = stop;
  recall();
  // If it is interrupted, the next task or the next process does it.
  static_cast<void>(leave(next, stop));
}

// Ends the task that was begun if it lies before `next`: nobody brings it again.
std::optional<Outcome> S3Destination::leave(SequenceNumber next, const std::stop_token& stop) {
  if (run_ && run_->name.sequence < next) {
    left_ = std::exchange(run_, std::nullopt);
  } else if (note_is_inherited_ && !note_.end && note_.task < next.value()) {
    left_ = run_of_note();
  }
  if (!left_ || left_->name.sequence >= next) return std::nullopt;
  note_is_inherited_ = false;
  run_ = std::exchange(left_, std::nullopt);
  note_.task = run_->name.sequence.value();
  note_.end = run_->end;
  Outcome outcome =
      run_->end ? tell_end(stop)
                : end(TaskStatus::kCanceled,
                      "the task was removed from the stream, or the export was moved beyond it, "
                      "before it was done",
                      stop);
  if (outcome.verdict != exporter::Verdict::kRetry) return std::nullopt;
  return outcome;
}

// A task that an earlier process or definition began; what its document was is not known. That it
// ended could perhaps not be noted.
S3Destination::Run S3Destination::run_of_note() const {
  Run run;
  run.maybe_told = true;
  run.name = {setup_.stream_name, setup_.identifier, SequenceNumber(note_.task)};
  return run;
}

void S3Destination::farewell(const exporter::Farewell& farewell, std::stop_token stop) {
  stop_ = stop;
  if (!recalled_) {
    recalled_ = true;
    // An unreadable one is as none: its tasks may be told of twice.
    static_cast<void>(inherit(farewell.note));
  }
  const auto notes = std::move(setup_.notes);  // they go with the export
  setup_.notes = nullptr;
  // Applications first, the network last: it may not be there, and weir may be stopping.
  cancel_all(farewell, stop);
  abandon_for_good(stop);
  // A delivery that was under way may have saved it after the export's position was removed.
  if (notes) static_cast<void>(notes->save(""));
}

void S3Destination::cancel_all(const exporter::Farewell& farewell, const std::stop_token& stop) {
  const auto& pending = farewell.pending.messages();
  const std::int64_t at = note_.task;
  const auto is_begun = [&](const exporter::Message& message) {
    return begun_ && message.sequence == begun_->sequence;
  };
  std::optional<Run> begun = run_ ? std::exchange(run_, std::nullopt) : std::move(left_);
  if (begun) begun_ = begun->name;
  if (!begun && at >= 0 && !note_.end) {
    begun_ = run_of_note().name;
    if (std::none_of(pending.begin(), pending.end(), is_begun)) begun = run_of_note();
  }
  std::int64_t older = farewell.older;
  if (begun && older > 0 && std::none_of(pending.begin(), pending.end(), is_begun)) --older;
  std::int64_t untold = 0;
  const bool told_first = begun.has_value();
  if (begun && !cancel(std::move(*begun), stop)) ++untold;
  for (const exporter::Message& message : pending) {
    const std::int64_t sequence = message.sequence.value();
    if (sequence < at || (told_first && is_begun(message))) continue;  // done
    Run run;
    run.name = {setup_.stream_name, setup_.identifier, message.sequence};
    run.document = read_task(message.payload);
    if (sequence == at && note_.end) {
      run.end = note_.end;
      run.maybe_told = true;
    }
    if (untold > 0 || !cancel(std::move(run), stop)) ++untold;
  }
  if (older > 0) {
    log::warn(
        "More tasks than are told of one by one were canceled.",
        {{"stream", setup_.stream_name}, {"destination", setup_.identifier}, {"tasks", older}});
  }
  if (untold > 0) {
    log::warn(
        "weir stopped before it had told of all tasks of a removed export.",
        {{"stream", setup_.stream_name}, {"destination", setup_.identifier}, {"tasks", untold}});
  }
}

// False if it was interrupted.
bool S3Destination::cancel(Run run, const std::stop_token& stop) {
  run_ = std::move(run);
  if (!run_->end) {
    run_->end = TaskEnd{TaskStatus::kCanceled,
                        "the stream or the export was removed before the task was done", 0};
  }
  return tell_end(stop).verdict != exporter::Verdict::kRetry;
}

// Nobody goes on with it any more, also not after a start.
void S3Destination::abandon_for_good(const std::stop_token& stop) {
  run_.reset();
  if (begun_) {
    Run begun;
    begun.name = *begun_;  // whose Warning it is
    run_ = std::move(begun);
  }
  // Not put off: as often as it takes, which is a few times.
  bool stays = false;
  do {
    stays = give_up_other_upload(stop).has_value();
  } while (stays && !stop.stop_requested());
  if (!stays) return;
  log::warn("An incomplete upload stays at the destination.",
            {{"stream", setup_.stream_name},
             {"destination", setup_.identifier},
             {"bucket", note_.bucket},
             {"key", note_.key},
             {"upload", note_.upload.id},
             {"error", "weir stopped before it was aborted"}});
}

// Begins with a task, or goes on with it where an earlier process was.
std::optional<Outcome> S3Destination::take_up(const exporter::Message& message,
                                              const std::stop_token& stop) {
  const bool inherited = note_is_inherited_ && note_.task == message.sequence.value();
  if (!inherited) {
    if (auto later = leave(message.sequence, stop)) return later;
    if (auto later = give_up_other_upload(stop)) return later;
  }
  note_is_inherited_ = false;
  left_.reset();  // it comes again
  Run run;
  run.name = {setup_.stream_name, setup_.identifier, message.sequence};
  run.document = read_task(message.payload);
  if (inherited) {
    run.end = note_.end;
    run.maybe_told = note_.end.has_value();
  } else {
    note_ = {};
    noted_ = false;
    note_.task = message.sequence.value();
  }
  run_ = std::move(run);
  return std::nullopt;
}

// Aborts the upload that the note names; it is of another task than the next one.
std::optional<Outcome> S3Destination::give_up_other_upload(const std::stop_token& stop) {
  if (note_.upload.id.empty()) return std::nullopt;
  Upload::Plan plan;
  plan.object = {note_.bucket, note_.key};
  Upload other(*setup_.client, *this, std::move(plan), note_.upload);
  return other.abandon(stop);
}

Outcome S3Destination::work(const exporter::Message& message, const std::stop_token& stop) {
  Run& run = *run_;
  if (run.end) return tell_end(stop);
  if (run.decided) return end(run.decided->status, run.decided->message, stop);
  const bool begun = run.in_progress_told || !note_.upload.id.empty();
  if (!begun && expired(message)) {
    return end(TaskStatus::kCanceled, "the stream's time to live passed before the upload began",
               stop);
  }
  if (!run.document.task) return end(TaskStatus::kFailure, run.document.task.error().what, stop);
  if (!run.upload) {
    if (auto why = plan(*run.document.task)) return end(TaskStatus::kFailure, *why, stop);
  }
  return upload(stop);
}

// Decides what the object is called. Returns why it cannot be called anything.
std::optional<std::string> S3Destination::plan(const Task& task) {
  if (note_.key.empty()) {
    auto key = resolve_key(task.key, clock_.wall_ms());
    if (!key) return key.error().what;
    if (key->used_week_year && !std::exchange(week_year_logged_, true)) {
      log::warn(
          "A key uses YYYY, which is the year of the week; around New Year it is not the year of "
          "the day (yyyy).",
          {{"stream", setup_.stream_name}, {"destination", setup_.identifier}});
    }
    note_.bucket = task.bucket;
    note_.key = std::move(key->key);
    // Whoever goes on with this task has to arrive at the same object.
    if (key->had_placeholder) remember();
  }
  Upload::Plan plan;
  plan.object = {note_.bucket, note_.key};
  plan.metadata = task.metadata;
  plan.threshold_bytes = setup_.threshold_bytes;
  plan.part_bytes = setup_.part_bytes;
  UploadEvents& events = *this;
  run_->upload = std::make_unique<Upload>(*setup_.client, events, std::move(plan), note_.upload);
  return std::nullopt;
}

Outcome S3Destination::upload(const std::stop_token& stop) {
  Run& run = *run_;
  if (!run.file) {
    InputRules rules = setup_.input;
    if (setup_.denied) {
      for (std::string& path : setup_.denied()) rules.denied.push_back(std::move(path));
    }
    auto file = open_input(run.document.task->path, rules);
    if (!file) {
      if (is_shortage(file.error())) {
        return Outcome::retry(FailureClass::kTransient, file.error().what);
      }
      return end(TaskStatus::kFailure, file.error().what, stop);
    }
    run.file = std::move(*file);
  }
  if (!run.in_progress_told) {
    if (!tell(TaskStatus::kInProgress, StatusLevel::kInfo, "The upload has begun.", stop)) {
      return interrupted();
    }
    run.in_progress_told = true;
  }
  UploadResult result = run.upload->run(*run.file, stop);
  switch (result.kind) {
    case UploadResult::Kind::kDone:
      return end(TaskStatus::kSuccess, "The file is uploaded.", stop);
    case UploadResult::Kind::kFailed:
      return end(TaskStatus::kFailure, std::move(result.reason), stop);
    case UploadResult::Kind::kRetry:
      break;
  }
  // Should retention take it away while weir does not run, its end is told all the same.
  if (!noted_) remember();
  if (!stop.stop_requested()) {
    tell(TaskStatus::kInProgress, StatusLevel::kDebug,
         "It is tried again after: " + result.outcome.error, stop);
  }
  return std::move(result.outcome);
}

Outcome S3Destination::end(TaskStatus status, std::string message, const std::stop_token& stop) {
  if (status != TaskStatus::kSuccess && !note_.upload.id.empty()) {
    run_->decided = TaskEnd{status, message, 0};
    // What an earlier process began may be known from the note only.
    auto later = run_->upload ? run_->upload->abandon(stop) : give_up_other_upload(stop);
    if (later) return std::move(*later);
  }
  run_->upload.reset();
  run_->file.reset();
  note_.upload = {};
  run_->end = TaskEnd{status, std::move(message), 0};
  const bool told = is_told(level_of_end(status));
  if (told && !run_->maybe_told) {
    if (const auto from = setup_.streams->end(setup_.status_stream)) {
      run_->end->told_from = from->value();
    }
  }
  // Also an end of which nobody is told: the file may be gone when the task is taken up again, and
  // a task that was noted without its end would seem to be under way.
  note_.end = run_->end;
  note_.end->message.resize(std::min(note_.end->message.size(), kMessageBytes));
  remember();
  return tell_end(stop);
}

Outcome S3Destination::tell_end(const std::stop_token& stop) {
  const TaskEnd ended = *run_->end;
  const StatusLevel level = level_of_end(ended.status);
  if (is_told(level) && !(run_->maybe_told && end_was_told())) {
    // From here on it may stand there even if we do not hear of it.
    run_->maybe_told = true;
    if (!tell(ended.status, level, ended.message, stop)) return interrupted();
  }
  metrics_.counter(kS3TasksTotal, {result_name(ended.status)}).add();
  const SequenceNumber sequence = run_->name.sequence;
  run_.reset();
  if (ended.status == TaskStatus::kSuccess) return Outcome::delivered();
  refused_ = {sequence, ended.message};
  return Outcome::rejected(ended.message);
}

bool S3Destination::end_was_told() const {
  bool found = false;
  const auto read = setup_.streams->read(setup_.status_stream, SequenceNumber(run_->end->told_from),
                                         [&](Bytes payload) {
                                           found = says_completed(payload, run_->name);
                                           return !found;
                                         });
  if (!read && read.error().code != Errc::kNotFound) {
    log::warn("A status stream could not be read; a task's end may be told twice.",
              {{"stream", setup_.status_stream}, {"error", read.error().what}});
  }
  return found;
}

bool S3Destination::expired(const exporter::Message& message) const {
  if (!setup_.streams) return false;
  const auto wanted_ms = setup_.streams->time_to_live_ms(setup_.stream_name);
  return wanted_ms && clock_.wall_ms() - message.append_ms > *wanted_ms;
}

bool S3Destination::is_told(StatusLevel level) const {
  // Two streams that get each other's statuses would never come to an end.
  if (run_ && run_->document.is_report) return false;
  return setup_.streams && !setup_.status_stream.empty() && level <= setup_.status_level;
}

// False if it was interrupted; a status that cannot be told otherwise is dropped.
bool S3Destination::tell(TaskStatus status, StatusLevel level, const std::string& message,
                         const std::stop_token& stop) {
  if (!is_told(level)) return true;
  const std::string text =
      status_message(run_->name, run_->document.echo, {status, level, message}, clock_.wall_ms());
  const auto appended = setup_.streams->append(setup_.status_stream, as_bytes(text), stop);
  if (appended) {
    status_trouble_logged_ = false;
    return true;
  }
  if (appended.error().code == Errc::kCancelled) return false;
  dropped(appended.error());
  return true;
}

void S3Destination::dropped(const Error& error) {
  const char* reason = error.code == Errc::kNotFound ? "no_stream"
                       : error.code == Errc::kFull   ? "full"
                                                     : "error";
  metrics_.counter(kDroppedStatusesTotal, {reason}).add();
  if (std::exchange(status_trouble_logged_, true)) return;
  log::error("Statuses of an S3 export cannot be told; its uploads go on.",
             {{"stream", setup_.stream_name},
              {"destination", setup_.identifier},
              {"status_stream", setup_.status_stream},
              {"error", error.what}});
}

void S3Destination::remember() {
  if (!setup_.notes) return;
  noted_ = true;
  const auto saved = setup_.notes->save(encode(note_));
  if (saved || saved.error().code == Errc::kNotFound) {
    note_trouble_logged_ = false;
    return;
  }
  if (std::exchange(note_trouble_logged_, true)) return;
  log::warn("An S3 export cannot note how far it is; after a crash it may do a task again.",
            {{"stream", setup_.stream_name},
             {"destination", setup_.identifier},
             {"error", saved.error().what}});
}

void S3Destination::upload_changed(const BegunUpload& upload) {
  note_.upload = upload;
  remember();
}

void S3Destination::part_stored(std::int64_t number, std::int64_t count) {
  metrics_.counter(kS3PartsTotal).add();
  // Nothing depends on it, so a stop meanwhile is noticed by the next request.
  static_cast<void>(tell(
      TaskStatus::kInProgress, StatusLevel::kTrace,
      "Part " + std::to_string(number) + " of " + std::to_string(count) + " is stored.", stop_));
}

void S3Destination::left_behind(const std::string& why) {
  const std::string message = "The parts that were uploaded to bucket " + note_.bucket +
                              " could not be removed: " + why +
                              ". A lifecycle rule that aborts incomplete uploads removes them.";
  log::warn("An incomplete upload stays at the destination.", {{"stream", setup_.stream_name},
                                                               {"destination", setup_.identifier},
                                                               {"bucket", note_.bucket},
                                                               {"key", note_.key},
                                                               {"error", why}});
  if (run_) static_cast<void>(tell(TaskStatus::kWarning, StatusLevel::kWarn, message, stop_));
}

}  // namespace weir::destination::s3
