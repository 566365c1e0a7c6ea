#include "base/bytes.h"
#include "base/check.h"
#include "destination/aws_error.h"
#include "destination/http/response.h"
#include "destination/http/target.h"
#include "destination/http_date.h"
#include "destination/kinesis/response.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

// What a destination, or somebody who plays it, may send back. The first byte is the number of
// records that were sent, the second chooses a status, the rest is the body. The JSON library's
// document is the oracle for answers that we believe.
namespace {

using namespace weir;
using namespace weir::destination;

constexpr int kStatuses[] = {200, 204, 301, 400, 401, 403, 408, 413, 418, 429, 500, 503, 599, 0};

void check_believed(std::string_view body, std::size_t records) {
  const auto failed = kinesis::read_put_records(body, records);
  if (!failed) return;
  const auto document = nlohmann::json::parse(body, nullptr, false);
  WEIR_CHECK(document.is_object(), "an answer that is no object was believed");
  const auto& results = document.at("Records");
  WEIR_CHECK(results.size() == records, "a wrong number of results was believed");
  std::size_t codes = 0;
  for (const auto& result : results) {
    const auto code = result.find("ErrorCode");
    if (code != result.end() && code->is_string()) ++codes;
  }
  // A member that appears twice keeps its last value in the document: ours may count more.
  WEIR_CHECK(codes <= failed->size(), "a failed record was taken for a stored one");
  for (const auto& one : *failed) WEIR_CHECK(one.index < records, "an index beyond the request");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t records = data[0];
  HttpResponse response;
  response.status = kStatuses[data[1] % (sizeof kStatuses / sizeof kStatuses[0])];
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  response.body = body;
  response.headers = {{"retry-after", std::string(body.substr(0, 40))},
                      {"x-amzn-errortype", std::string(body.substr(0, body.size() % 50))},
                      {"location", std::string(body.substr(0, 300))}};

  check_believed(body, records);
  static_cast<void>(kinesis::read_put_record(body));
  if (const auto blamed = kinesis::blamed_record(body, records)) {
    WEIR_CHECK(*blamed < records, "a record is blamed that was not sent");
  }
  const AwsError error = read_aws_error(response);
  const std::string shown = error.text(response.status) + http::judge(response, 0).error;
  WEIR_CHECK(shown.find('\n') == std::string::npos, "an answer forged a line");
  WEIR_CHECK(shown.size() < 2000, "an answer filled the log");
  static_cast<void>(parse_http_date(body));
  if (const auto wait = parse_retry_after(body, 0)) {
    WEIR_CHECK(*wait >= Duration(0) && *wait <= std::chrono::seconds(300), "an endless wait");
  }
  if (const auto url = http::check_target(body)) {
    WEIR_CHECK(parse_url(url->text()).has_value(), "an accepted address does not read back");
  }
  return 0;
}
