#include "destination/kinesis/response.h"

#include "destination/json_reader.h"

#include <charconv>

namespace weir::destination::kinesis {
namespace {

constexpr RecordResults kResults = {"Records", "SequenceNumber", "Kinesis"};

}  // namespace

Result<std::vector<FailedRecord>> read_put_records(std::string_view body,
                                                   std::size_t record_count) {
  return read_record_results(body, kResults, record_count);
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
  if (!in.done() || sequence.empty()) return fail(no_answer_of(kResults.service));
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
