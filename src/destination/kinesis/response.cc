#include "destination/kinesis/response.h"

#include "destination/json_reader.h"

#include <charconv>
#include <utility>

namespace weir::destination::kinesis {
namespace {

Error not_kinesis() {
  return {Errc::kCorrupt,
          "the answer is not one of Kinesis; is there a proxy or a captive portal on the way?"};
}

// One result of PutRecords; judged by the presence of ErrorCode.
bool read_result(JsonReader& in, FailedRecord& failed, bool& has_code) {
  has_code = false;
  failed.code.clear();
  failed.message.clear();
  bool has_sequence = false;
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    bool was_text = false;
    if (in.name() == "ErrorCode") {
      in.text_or_skip(failed.code, was_text);
      has_code = has_code || was_text;
    } else if (in.name() == "ErrorMessage") {
      in.text_or_skip(failed.message, was_text);
    } else if (in.name() == "SequenceNumber") {
      has_sequence = has_sequence || in.kind() == '"';
      in.skip();
    } else {
      in.skip();
    }
  }
  return in.ok() && (has_code || has_sequence);
}

bool read_results(JsonReader& in, std::size_t& results, std::vector<FailedRecord>& failed) {
  FailedRecord current;
  if (!in.enter_array()) return false;
  while (in.next_element()) {
    bool has_code = false;
    if (!read_result(in, current, has_code)) return false;
    if (has_code) {
      current.index = results;
      failed.push_back(std::move(current));
    }
    ++results;
  }
  return in.ok();
}

}  // namespace

Result<std::vector<FailedRecord>> read_put_records(std::string_view body,
                                                   std::size_t record_count) {
  JsonReader in(body);
  std::vector<FailedRecord> failed;
  std::size_t results = 0;
  bool has_records = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.name() != "Records" || in.kind() != '[') {
      in.skip();
    } else if (std::exchange(has_records, true) || !read_results(in, results, failed)) {
      return fail(not_kinesis());
    }
  }
  if (!in.done() || !has_records) return fail(not_kinesis());
  if (results != record_count) {
    return fail(Errc::kCorrupt, "the answer has " + std::to_string(results) + " results for " +
                                    std::to_string(record_count) + " records");
  }
  return failed;
}

Result<std::string> read_put_record(std::string_view body) {
  JsonReader in(body);
  std::string sequence;
  in.enter_object();
  while (in.next_member()) {
    bool was_text = false;
    if (in.name() == "SequenceNumber") {
      in.text_or_skip(sequence, was_text);
    } else {
      in.skip();
    }
  }
  if (!in.done() || sequence.empty()) return fail(not_kinesis());
  return sequence;
}

std::optional<std::size_t> blamed_record(std::string_view message, std::size_t record_count) {
  constexpr std::string_view kStart = "records.";
  const auto at = message.find(kStart);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = message.substr(at + kStart.size());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  const std::string_view behind = rest.substr(static_cast<std::size_t>(end - rest.data()));
  if (error != std::errc{} || !behind.starts_with(".member.")) return std::nullopt;
  if (number < 1 || number > record_count) return std::nullopt;
  return number - 1;
}

}  // namespace weir::destination::kinesis
