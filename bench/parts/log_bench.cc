// The way of a message into a stream and out of it, without sockets: each step by itself, then
// the catalog over a disk in memory. The baselines are the copy that nothing can avoid.

#include "base/crc32c.h"
#include "base/executor.h"
#include "file/memory_file_system.h"
#include "protocol/codec.h"
#include "segment/segment.h"
#include "stream/catalog.h"

#include <array>
#include <benchmark/benchmark.h>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace weir {
namespace {

constexpr std::size_t kPayloadBytes = 512;

std::string payload(std::size_t bytes) {
  std::string text(bytes, 'x');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void copying(benchmark::State& state) {
  const std::string from = payload(static_cast<std::size_t>(state.range(0)));
  std::string to = from;
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::ClobberMemory();
  }
  count_bytes(state, from.size());
}
BENCHMARK(copying)->Arg(536)->Arg(64 * 1024);

void checksum(benchmark::State& state) {
  const std::string of = payload(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(as_bytes(of)));
  count_bytes(state, of.size());
}
BENCHMARK(checksum)->Arg(64)->Arg(536)->Arg(64 * 1024);

void checksum_without_the_instruction(benchmark::State& state) {
  const std::string of = payload(536);
  for (auto _ : state) benchmark::DoNotOptimize(crc32c_portable(as_bytes(of)));
  count_bytes(state, of.size());
}
BENCHMARK(checksum_without_the_instruction);

void decoding_an_append(benchmark::State& state) {
  const std::string text = payload(kPayloadBytes);
  ByteBuffer frame;
  protocol::AppendRequest request;
  request.request_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
  request.name = "telemetry";
  request.payload = as_bytes(text);
  protocol::encode_request(request, frame);
  protocol::DecodeScratch scratch;
  for (auto _ : state) {
    const auto view = protocol::split_frame(frame.bytes());
    auto decoded = protocol::decode_append(view.frame.payload, scratch);
    benchmark::DoNotOptimize(decoded);
  }
}
BENCHMARK(decoding_an_append);

void answering_an_append(benchmark::State& state) {
  ByteBuffer out;
  std::int64_t number = 0;
  for (auto _ : state) {
    out.clear();
    protocol::encode_append_response("0f8fad5b-d9cb-469f-a165-70867728950e", ++number, out);
    benchmark::DoNotOptimize(out.bytes().data());
  }
}
BENCHMARK(answering_an_append);

void encoding_a_read_of_100(benchmark::State& state) {
  const std::string text = payload(kPayloadBytes);
  ByteBuffer out;
  for (auto _ : state) {
    out.clear();
    protocol::ReadResponseEncoder encoder("0f8fad5b-d9cb-469f-a165-70867728950e", "telemetry", 100,
                                          out);
    for (int i = 0; i < 100; ++i) encoder.add(i, 1'700'000'000'000, as_bytes(text));
    encoder.finish();
    benchmark::DoNotOptimize(out.bytes().data());
  }
  state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(encoding_a_read_of_100);

void decoding_a_record(benchmark::State& state) {
  const std::string text = payload(kPayloadBytes);
  std::vector<std::byte> record(segment::kRecordOverheadBytes + text.size());
  segment::encode_record_head(7, SequenceNumber(5), 1, as_bytes(text),
                              std::span<std::byte, segment::kRecordOverheadBytes>(
                                  record.data(), segment::kRecordOverheadBytes));
  std::memcpy(record.data() + segment::kRecordOverheadBytes, text.data(), text.size());
  for (auto _ : state) {
    auto decoded = segment::decode_record(record, 7, SequenceNumber(5));
    if (decoded.kind != segment::Decoded::Kind::kRecord) state.SkipWithError("no record");
    benchmark::DoNotOptimize(decoded);
  }
}
BENCHMARK(decoding_a_record);

/// A store on a disk in memory and everybody it talks to.
class Store final : public Executor,
                    public stream::Observer,
                    public stream::AppendSink,
                    public stream::RecordSink {
 public:
  Store() {
    stream::Options options;
    auto opened = stream::Catalog::open(
        options, {*disk_, clock_, metrics_, *this, *this, *this, "boot", 1, false});
    catalog = std::move(*opened);
    model::StreamDefinition definition;
    definition.name = "telemetry";
    definition.max_size = 64 * 1024 * 1024;
    definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
    catalog->create(definition, [](Result<void>) {});
    settle();
  }
  void settle() {
    while (catalog->run_syncer_once() || !queue_.empty()) {
      while (!queue_.empty()) {
        const auto work = std::move(queue_.front());
        queue_.pop_front();
        work();
      }
    }
  }
  void post(std::function<void()> work) override { queue_.push_back(std::move(work)); }
  void stream_opened(stream::Stream&) override {}
  void stream_updated(stream::Stream&) override {}
  void stream_removed(StreamId, const std::string&) override {}
  void visible_moved(stream::Stream&) override {}
  void durable_moved(stream::Stream&) override {}
  void append_done(std::uint64_t, const Result<SequenceNumber>& outcome) override {
    stored += outcome ? 1 : 0;
  }
  bool record(SequenceNumber, std::int64_t, Bytes bytes) override {
    benchmark::DoNotOptimize(bytes.data());
    ++read;
    return true;
  }

 private:
  std::unique_ptr<file::FileSystem> disk_ = file::make_memory();
  ManualClock clock_;
  metrics::Registry metrics_;
  std::deque<std::function<void()>> queue_;

 public:
  std::unique_ptr<stream::Catalog> catalog;
  std::int64_t stored = 0;
  std::int64_t read = 0;
};

void appending_in_groups(benchmark::State& state) {
  Store store;
  const std::string text = payload(kPayloadBytes);
  stream::Stream& stream = *store.catalog->find("telemetry");
  const auto group = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    for (std::uint64_t i = 0; i < group; ++i) store.catalog->append(stream, as_bytes(text), i);
    store.catalog->commit();
    store.settle();
  }
  if (store.stored != state.iterations() * state.range(0)) state.SkipWithError("not all stored");
  state.SetItemsProcessed(store.stored);
}
BENCHMARK(appending_in_groups)->Arg(1)->Arg(16)->Arg(1000);

void reading_back(benchmark::State& state) {
  Store store;
  const std::string text = payload(kPayloadBytes);
  stream::Stream& stream = *store.catalog->find("telemetry");
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    store.catalog->append(stream, as_bytes(text), i);
    if (i % 100 == 99) store.catalog->commit();
  }
  store.settle();
  stream::LogReader& log = *stream.log();
  SequenceNumber at;
  for (auto _ : state) {
    if (at >= log.visible_end()) at = SequenceNumber(0);
    const auto result =
        log.read(at, log.visible_end(), state.range(0), stream::ReadMode::kCachedOnly, store);
    at = result->next;
  }
  state.SetItemsProcessed(store.read);
}
BENCHMARK(reading_back)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace weir
