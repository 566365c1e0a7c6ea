#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "destination/s3/client.h"
#include "destination/s3/input_file.h"
#include "destination/s3/note.h"
#include "destination/s3/status.h"
#include "destination/s3/task.h"
#include "destination/s3/upload.h"
#include "exporter/destination.h"
#include "exporter/local_streams.h"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace weir::destination::s3 {

/// Does the tasks of one stream, one after the other: each message names a file and the object it
/// is to become (protocol.md §7). What becomes of a task is told in its status stream: one
/// completed state for each, also when weir is killed in between.
///
/// How that holds: before a task's end is told, or nobody wants to hear of it, the note beside the
/// position says how it ended and where in the status stream the message can stand at the earliest.
/// Whoever finds such a note after a start looks there before telling it again. Tasks before the
/// one in the note are done.
class S3Destination final : public exporter::Destination, private UploadEvents {
 public:
  struct Setup {
    std::string stream_name;
    std::string identifier;
    std::string status_stream;  ///< "" = nobody is told
    model::StatusLevel status_level = model::StatusLevel::kInfo;
    std::int64_t threshold_bytes = kPartBytesMin;
    std::int64_t part_bytes = kPartBytesMin;
    InputRules input;
    /// What is denied at the moment, beside `input.denied`; null: nothing.
    std::function<std::vector<std::string>()> denied;
    std::unique_ptr<Client> client;
    std::shared_ptr<exporter::LocalStreams> streams;  ///< null: as without a status stream
    std::shared_ptr<exporter::Notes> notes;           ///< null: nothing survives the process
  };
  S3Destination(Setup setup, Clock& clock, metrics::Registry& metrics);
  ~S3Destination() override;

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  [[nodiscard]] std::string host() const override { return setup_.client->host(); }
  [[nodiscard]] bool uses_credentials() const override { return true; }
  void moved() override;
  void forgive_refusals() override;
  [[nodiscard]] bool wants_farewell() const override { return true; }
  void passed(SequenceNumber next, std::stop_token stop) override;
  /// Tells of every task that it is canceled and aborts the upload under way.
  void farewell(const exporter::Farewell& farewell, std::stop_token stop) override;

 private:
  /// The task under way.
  struct Run {
    TaskName name;
    TaskDocument document;
    bool in_progress_told = false;
    /// Stays open between tries: it is uploaded as it was when the upload began.
    std::unique_ptr<InputFile> file;
    std::unique_ptr<Upload> upload;
    std::optional<TaskEnd> decided;  ///< how it will end once its parts are removed
    std::optional<TaskEnd> end;
    bool maybe_told = false;  ///< an earlier process may have told the end
  };

  void upload_changed(const BegunUpload& upload) override;
  void part_stored(std::int64_t number, std::int64_t count) override;
  void left_behind(const std::string& why) override;

  void recall();
  bool inherit(std::string_view text);
  void distrust_note();
  /// These three: nothing, or an outcome to retry.
  std::optional<exporter::Outcome> take_up(const exporter::Message& message,
                                           const std::stop_token& stop);
  std::optional<exporter::Outcome> leave(SequenceNumber next, const std::stop_token& stop);
  std::optional<exporter::Outcome> give_up_other_upload(const std::stop_token& stop);
  [[nodiscard]] Run run_of_note() const;
  void cancel_all(const exporter::Farewell& farewell, const std::stop_token& stop);
  bool cancel(Run run, const std::stop_token& stop);
  void abandon_for_good(const std::stop_token& stop);
  exporter::Outcome work(const exporter::Message& message, const std::stop_token& stop);
  exporter::Outcome upload(const std::stop_token& stop);
  std::optional<std::string> plan(const Task& task);
  exporter::Outcome end(TaskStatus status, std::string message, const std::stop_token& stop);
  exporter::Outcome tell_end(const std::stop_token& stop);
  [[nodiscard]] bool end_was_told() const;
  [[nodiscard]] bool expired(const exporter::Message& message) const;
  [[nodiscard]] bool is_told(model::StatusLevel level) const;
  bool tell(TaskStatus status, model::StatusLevel level, const std::string& message,
            const std::stop_token& stop);
  void dropped(const Error& error);
  void remember();

  Setup setup_;
  Clock& clock_;
  metrics::Registry& metrics_;
  Note note_;
  bool recalled_ = false;
  /// The note is from an earlier process or definition: tasks before it were done by that.
  bool note_is_inherited_ = false;
  std::optional<Run> run_;
  /// It was begun, and then the position was moved.
  std::optional<Run> left_;
  /// Of a farewell: the task that was under way.
  std::optional<TaskName> begun_;
  bool noted_ = false;  ///< the task under way
  /// The task that failed last. Whoever asks for it again (a policy that holds on to what was
  /// refused) is told the same; it is not done, nor told of, a second time.
  std::optional<std::pair<SequenceNumber, std::string>> refused_;
  std::stop_token stop_;  // of the delivery under way, for what happens during an upload
  bool status_trouble_logged_ = false;
  bool week_year_logged_ = false;
  bool note_trouble_logged_ = false;
};

}  // namespace weir::destination::s3
