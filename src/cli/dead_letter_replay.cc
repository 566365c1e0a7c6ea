#include "cli/dead_letter_replay.h"

#include "base/log.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <fmt/format.h>
#include <map>
#include <optional>
#include <unistd.h>
#include <utility>

namespace weir::cli {
namespace {

constexpr std::size_t kReasonsMax = 8;

class Replayer {
 public:
  Replayer(Client& client, const Replay& replay, DeadLetters letters)
      : client_(client), replay_(replay), letters_(std::move(letters)) {
    std::int64_t total = 0;
    for (const LetterRange& range : replay_.ranges) total += letters_.count(range);
    progress_.emplace("replaying", total, Progress::Unit::kMessages, STDERR_FILENO, out_.fd());
  }

  Result<void> run() {
    for (; at_ < replay_.ranges.size(); ++at_) {
      next_ = replay_.ranges[at_].first;
      auto done = read(replay_.ranges[at_]);
      if (!done) return fail(broken_off(std::move(done).error()));
    }
    progress_->clear();
    letters_.note_strays();
    if (left_out_ > 0) return fail(Errc::kNotFound, summary());
    if (replayed_ == 0) note("no dead letters to replay");
    return {};
  }

 private:
  Result<void> read(const LetterRange& range) {
    const auto visit = [this](const protocol::StoredMessage& message,
                              const DeadLetterView& letter) -> Result<void> {
      next_ = message.sequence_number;
      if (wanted(letter)) WEIR_RETURN_IF_ERROR(append(message.sequence_number, letter));
      next_ = message.sequence_number + 1;
      progress_->at(++seen_);
      return {};
    };
    if (!range.single()) return letters_.read(range, visit);
    auto done = letters_.read_one(range.first, visit);
    const bool absent = !done && (done.error().code == Errc::kNotFound ||
                                  done.error().code == Errc::kInvalidArgument);
    if (!absent || unanswered_) return done;
    leave_out(done.error().what);
    return {};
  }

  [[nodiscard]] bool wanted(const DeadLetterView& letter) const {
    return (replay_.only_stream.empty() || letter.stream == replay_.only_stream) &&
           (replay_.only_identifier.empty() || letter.identifier == replay_.only_identifier);
  }

  // Appends the payload where it came from, or where it is wanted.
  Result<void> append(std::int64_t number, const DeadLetterView& letter) {
    const std::string& stream = replay_.to.empty() ? letter.stream : replay_.to;
    const std::string doing =
        fmt::format("append letter {} to stream {}", number, log::escaped(stream));
    auto response = client_.call(protocol::AppendRequest{{}, stream, letter.payload});
    if (!response) {
      unanswered_ = true;
      return fail(with_context(doing, std::move(response).error()));
    }
    if (response->status == protocol::Status::kResourceNotFound && replay_.to.empty()) {
      stream_missing_ = true;
      leave_out(fmt::format("stream '{}' does not exist", log::escaped(stream)));
      return {};
    }
    if (response->status != protocol::Status::kSuccess) {
      return fail(Errc::kUnavailable,
                  fmt::format("{}: {} ({})", doing, log::escaped(response->error_message, 4096),
                              protocol::status_name(response->status)));
    }
    ++replayed_;
    out_.write(fmt::format("letter {} is message {} of stream {} now\n", number,
                           response->sequence_number, log::escaped(stream)));
    out_.flush();
    return {};
  }

  void leave_out(const std::string& why) {
    ++left_out_;
    const bool room = reasons_.size() < kReasonsMax || reasons_.contains(why);
    ++reasons_[room ? why : "other reasons"];
  }

  // "12 replayed, 3 left out: stream 'a' does not exist (3); --to names another stream"
  [[nodiscard]] std::string summary() const {
    std::string text = fmt::format("{} replayed", replayed_);
    if (left_out_ == 0) return text;
    text += fmt::format(", {} left out: ", left_out_);
    bool first = true;
    for (const auto& [why, count] : reasons_) {
      text += fmt::format("{}{} ({})", first ? "" : ", ", why, count);
      first = false;
    }
    return text + (stream_missing_ ? "; --to names another stream" : "");
  }

  // What to type to go on, so that nothing is replayed twice but the one whose answer is missing.
  Error broken_off(Error error) {
    progress_->clear();
    letters_.note_strays();
    if (seen_ == 0 && !unanswered_) return error;
    std::string rest;
    for (std::size_t i = at_; i < replay_.ranges.size(); ++i) {
      const LetterRange range{i == at_ ? next_ : replay_.ranges[i].first, replay_.ranges[i].last};
      if (range.first <= range.last) rest += text_of(range) + " ";
    }
    std::string on = summary();
    if (!rest.empty()) {
      on += fmt::format("; go on with weir dlq replay {}and the same options without --all", rest);
      if (unanswered_) {
        on += fmt::format("; letter {} may have been appended: look at the end of its stream first",
                          next_);
      }
    }
    if (error.code == Errc::kCancelled) {
      note("weir: interrupted: " + on);  // such an error is not said
      return error;
    }
    error.what += "; " + on;
    return error;
  }

  Client& client_;
  const Replay& replay_;
  DeadLetters letters_;
  Output out_;
  std::optional<Progress> progress_;
  std::size_t at_ = 0;     // the range
  std::int64_t next_ = 0;  // the first number in it that is not done
  std::int64_t seen_ = 0;
  std::int64_t replayed_ = 0;
  std::int64_t left_out_ = 0;
  bool unanswered_ = false;      // the append of next_
  bool stream_missing_ = false;  // a letter's own
  std::map<std::string, std::int64_t> reasons_;
};

}  // namespace

Result<void> replay_letters(Client& client, const Replay& replay) {
  WEIR_TRY(DeadLetters letters, DeadLetters::open(client, replay.from));
  return Replayer(client, replay, std::move(letters)).run();
}

}  // namespace weir::cli
