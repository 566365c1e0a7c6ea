#include "destination/record_results.h"

#include "destination/json_reader.h"

#include <utility>

namespace weir::destination {
namespace {

bool read_result(JsonReader& in, std::string_view success, FailedRecord& failed, bool& has_code) {
  has_code = false;
  failed.code.clear();
  failed.message.clear();
  bool succeeded = false;
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    bool was_text = false;
    if (in.name() == "ErrorCode") {
      in.text_or_skip(failed.code, was_text);
      has_code = has_code || was_text;
    } else if (in.name() == "ErrorMessage") {
      in.text_or_skip(failed.message, was_text);
    } else {
      succeeded = succeeded || (in.name() == success && in.kind() == '"');
      in.skip();
    }
  }
  return in.ok() && (has_code || succeeded);
}

bool read_results(JsonReader& in, std::string_view success, std::size_t& results,
                  std::vector<FailedRecord>& failed) {
  FailedRecord current;
  if (!in.enter_array()) return false;
  while (in.next_element()) {
    bool has_code = false;
    if (!read_result(in, success, current, has_code)) return false;
    if (has_code) {
      current.index = results;
      failed.push_back(std::move(current));
    }
    ++results;
  }
  return in.ok();
}

}  // namespace

Error no_answer_of(std::string_view service) {
  return {Errc::kCorrupt, "the answer is not one of " + std::string(service) +
                              "; is there a proxy or a captive portal on the way?"};
}

Result<std::vector<FailedRecord>> read_record_results(std::string_view body,
                                                      const RecordResults& format,
                                                      std::size_t record_count) {
  JsonReader in(body);
  std::vector<FailedRecord> failed;
  std::size_t results = 0;
  bool has_results = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.name() != format.list || in.kind() != '[') {
      in.skip();
    } else if (std::exchange(has_results, true) ||
               !read_results(in, format.success, results, failed)) {
      return fail(no_answer_of(format.service));
    }
  }
  if (!in.done() || !has_results) return fail(no_answer_of(format.service));
  if (results != record_count) {
    return fail(Errc::kCorrupt, "the answer has " + std::to_string(results) + " results for " +
                                    std::to_string(record_count) + " records");
  }
  return failed;
}

}  // namespace weir::destination
