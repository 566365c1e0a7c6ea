#include "destination/sitewise/response.h"

#include "base/log.h"
#include "destination/json_reader.h"

#include <utility>

namespace weir::destination::sitewise {
namespace {

using exporter::FailureClass;
using exporter::RecordOutcome;
using exporter::Verdict;

Error not_sitewise() {
  return {Errc::kCorrupt,
          "the answer is not one of SiteWise; is there a proxy or a captive portal on the way?"};
}

bool read_error_of_entry(JsonReader& in, EntryError& error) {
  bool has_code = false;
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    bool was_text = false;
    if (in.name() == "errorCode") {
      in.text_or_skip(error.code, was_text);
      has_code = was_text && !error.code.empty();
    } else if (in.name() == "errorMessage") {
      in.text_or_skip(error.message, was_text);
    } else if (in.name() == "timestamps" && in.kind() == '[') {
      in.enter_array();
      for (error.values = 0; in.next_element(); ++error.values) in.skip();
    } else {
      in.skip();
    }
  }
  return in.ok() && has_code;
}

bool read_failed_entry(JsonReader& in, FailedEntry& entry) {
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    if (in.name() == "entryId") {
      in.text(entry.id);
    } else if (in.name() == "errors" && in.kind() == '[') {
      in.enter_array();
      while (in.next_element()) {
        EntryError error;
        if (!read_error_of_entry(in, error)) return false;
        entry.errors.push_back(std::move(error));
      }
    } else {
      in.skip();
    }
  }
  return in.ok() && !entry.id.empty() && !entry.errors.empty();
}

// Of several errors of one entry, the one that has to be cured first.
int urgency(FailureClass failure) {
  switch (failure) {
    case FailureClass::kPoison:
    case FailureClass::kNone:
      return 0;
    case FailureClass::kTransient:
      return 1;
    case FailureClass::kThrottle:
      return 2;
    default:
      return 3;
  }
}

}  // namespace

Result<std::vector<FailedEntry>> read_batch_put(std::string_view body) {
  JsonReader in(body);
  std::vector<FailedEntry> failed;
  bool has_list = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.name() != "errorEntries" || in.kind() != '[') {
      in.skip();
      continue;
    }
    if (std::exchange(has_list, true)) return fail(not_sitewise());
    in.enter_array();
    while (in.next_element()) {
      FailedEntry entry;
      if (!read_failed_entry(in, entry)) return fail(not_sitewise());
      failed.push_back(std::move(entry));
    }
  }
  if (!in.done() || !has_list) return fail(not_sitewise());
  return failed;
}

FailureClass classify(std::string_view code, std::string_view message) {
  if (code == "TimestampOutOfRangeException") return FailureClass::kPoison;
  if (code == "LimitExceededException") return FailureClass::kOperator;
  if (code == "ConflictingOperationException") return FailureClass::kTransient;
  return classify_aws_code(code, message);
}

RecordOutcome outcome_of(const FailedEntry& entry) {
  const EntryError* worst = nullptr;
  FailureClass failure = FailureClass::kNone;
  for (const EntryError& error : entry.errors) {
    FailureClass own = classify(error.code, error.message);
    if (own == FailureClass::kNone) own = FailureClass::kBug;  // kept until somebody looks
    if (worst == nullptr || urgency(own) > urgency(failure)) {
      worst = &error;
      failure = own;
    }
  }
  if (worst == nullptr) return {Verdict::kRetry, FailureClass::kBug, "refused without a reason"};
  std::string text = worst->code + ": " + worst->message;
  if (worst->values > 0) text += " (" + std::to_string(worst->values) + " of its values)";
  const Verdict verdict = failure == FailureClass::kPoison ? Verdict::kRejected : Verdict::kRetry;
  return {verdict, failure, log::escaped(text)};
}

AwsError read_error(const HttpResponse& response) {
  AwsError error = read_aws_error(response);
  const FailureClass own = classify(error.code, error.message);
  if (own != FailureClass::kNone && own != classify_aws_code(error.code, error.message)) {
    error.failure = own;
  }
  return error;
}

}  // namespace weir::destination::sitewise
