// What one PutRecords call of 500 x 512 B costs beside the network.

#include "base/rng.h"
#include "destination/kinesis/request.h"
#include "destination/kinesis/response.h"
#include "destination/sigv4.h"

#include <benchmark/benchmark.h>
#include <string>
#include <vector>

namespace weir::destination {
namespace {

constexpr std::size_t kRecords = 500;

std::vector<std::string> payloads() {
  Rng random(1);
  std::vector<std::string> all(kRecords, std::string(512, ' '));
  for (std::string& text : all) {
    for (char& c : text) c = static_cast<char>(random.below(256));
  }
  return all;
}

ByteBuffer body_of(const std::vector<std::string>& payloads) {
  std::vector<kinesis::Record> records;
  records.reserve(payloads.size());
  for (const std::string& text : payloads) {
    records.push_back({as_bytes(text), "0f8fad5b-d9cb-469f-a165-70867728950e"});
  }
  ByteBuffer body;
  kinesis::put_records_body("telemetry", records, body);
  return body;
}

void building_the_body(benchmark::State& state) {
  const auto texts = payloads();
  std::size_t bytes = 0;
  for (auto _ : state) {
    const ByteBuffer body = body_of(texts);
    bytes = body.size();
    benchmark::DoNotOptimize(body.bytes().data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}
BENCHMARK(building_the_body)->Unit(benchmark::kMicrosecond);

void hashing_the_body(benchmark::State& state) {
  const ByteBuffer body = body_of(payloads());
  for (auto _ : state) benchmark::DoNotOptimize(sha256_hex(body.bytes()));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}
BENCHMARK(hashing_the_body)->Unit(benchmark::kMicrosecond);

void signing(benchmark::State& state) {
  SigV4Signer signer("eu-west-1", "kinesis");
  Credentials keys;
  keys.access_key_id = "AKIDEXAMPLE";
  keys.secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  const std::vector<HttpHeader> headers{{"Host", "kinesis.eu-west-1.amazonaws.com"},
                                        {"Content-Type", "application/x-amz-json-1.1"},
                                        {"X-Amz-Target", "Kinesis_20131202.PutRecords"}};
  const std::string hash(64, 'a');
  for (auto _ : state) {
    const auto added = signer.sign({"POST", "/", "", &headers, hash}, keys, 1'700'000'000'000);
    benchmark::DoNotOptimize(added.data());
  }
}
BENCHMARK(signing)->Unit(benchmark::kMicrosecond);

void reading_the_answer(benchmark::State& state) {
  std::string answer = R"({"FailedRecordCount":0,"Records":[)";
  for (std::size_t i = 0; i < kRecords; ++i) {
    if (i > 0) answer += ',';
    answer += R"({"SequenceNumber":"49543463076548007577105092703039560359975228518395019266",)"
              R"("ShardId":"shardId-000000000000"})";
  }
  answer += "]}";
  for (auto _ : state) {
    const auto failed = kinesis::read_put_records(answer, kRecords);
    if (!failed) state.SkipWithError("not an answer");
    benchmark::DoNotOptimize(failed);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(answer.size()));
}
BENCHMARK(reading_the_answer)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weir::destination
