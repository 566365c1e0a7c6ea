#include "destination/kinesis/response.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::destination::kinesis {
namespace {

using Json = nlohmann::json;

// Takes the answer member by member: with 500 results a document would cost more than the rest
// of the delivery. Depth 1 is the answer, 2 its Records, 3 one result; deeper is ignored.
class AnswerReader final : public nlohmann::json_sax<Json> {
 public:
  std::vector<FailedRecord> failed;
  std::size_t results = 0;
  bool has_records = false;
  bool sound = true;
  std::string sequence;  // of PutRecord

  bool null() override { return value({}); }
  bool boolean(bool) override { return value({}); }
  bool number_integer(number_integer_t) override { return value({}); }
  bool number_unsigned(number_unsigned_t) override { return value({}); }
  bool number_float(number_float_t, const string_t&) override { return value({}); }
  bool binary(binary_t&) override { return false; }
  bool string(string_t& text) override { return value(&text); }
  bool key(string_t& name) override {
    if (depth_ == 1 || depth_ == 3) key_ = name;
    return true;
  }
  bool start_object(std::size_t) override {
    if (depth_ == 0) in_object_ = true;
    if (depth_ == 2 && in_records_) {
      has_code_ = has_sequence_ = false;
      current_ = {results, {}, {}};
    }
    return enter();
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 2 && in_records_) {
      ++results;
      if (has_code_) {
        failed.push_back(std::move(current_));
      } else if (!has_sequence_) {
        sound = false;
      }
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ == 0) return false;
    if (depth_ == 1 && key_ == "Records") {
      if (std::exchange(has_records, true)) sound = false;
      in_records_ = true;
    }
    if (depth_ == 2 && in_records_) sound = false;  // a result that is a list
    return enter();
  }
  bool end_array() override {
    --depth_;
    if (depth_ == 1) in_records_ = false;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

  [[nodiscard]] bool in_object() const { return in_object_; }

 private:
  bool enter() {
    ++depth_;
    return depth_ <= kDepthMax;
  }
  bool value(std::string* text) {
    if (depth_ == 0) return false;  // the whole answer is a bare value
    if (depth_ == 2 && in_records_) sound = false;
    if (text == nullptr) return true;
    if (depth_ == 1) {
      if (key_ == "SequenceNumber") sequence = std::move(*text);
    } else if (depth_ == 3 && in_records_) {
      if (key_ == "ErrorCode") {
        has_code_ = true;
        current_.code = std::move(*text);
      } else if (key_ == "ErrorMessage") {
        current_.message = std::move(*text);
      } else if (key_ == "SequenceNumber") {
        has_sequence_ = true;
      }
    }
    return true;
  }

  static constexpr int kDepthMax = 16;
  int depth_ = 0;
  bool in_object_ = false;
  bool in_records_ = false;
  bool has_code_ = false;
  bool has_sequence_ = false;
  std::string key_;
  FailedRecord current_;
};

bool read(std::string_view body, AnswerReader& reader) {
  return Json::sax_parse(body.begin(), body.end(), &reader) && reader.in_object() && reader.sound;
}

}  // namespace

Result<std::vector<FailedRecord>> read_put_records(std::string_view body,
                                                   std::size_t record_count) {
  AnswerReader reader;
  if (!read(body, reader) || !reader.has_records) {
    return fail(Errc::kCorrupt,
                "the answer is not one of Kinesis; is there a proxy or a captive "
                "portal on the way?");
  }
  if (reader.results != record_count) {
    return fail(Errc::kCorrupt, "the answer has " + std::to_string(reader.results) +
                                    " results for " + std::to_string(record_count) + " records");
  }
  return std::move(reader.failed);
}

Result<std::string> read_put_record(std::string_view body) {
  AnswerReader reader;
  if (!read(body, reader) || reader.sequence.empty()) {
    return fail(Errc::kCorrupt,
                "the answer is not one of Kinesis; is there a proxy or a captive "
                "portal on the way?");
  }
  return std::move(reader.sequence);
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
