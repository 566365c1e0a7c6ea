#include "server/testing_fixture.h"

#include <atomic>
#include <cstdlib>

// Counts what the memory allocator is asked for. The sanitizers bring their own allocator, so
// there the test only runs its requests.
#ifdef WEIR_SANITIZED
#define WEIR_COUNTS_ALLOCATIONS 0
#else
#define WEIR_COUNTS_ALLOCATIONS 1
#endif

namespace {
thread_local bool counting = false;
std::atomic<std::int64_t> allocations{0};
}  // namespace

#if WEIR_COUNTS_ALLOCATIONS
extern "C" {
// The names are the C library's own.
void* __libc_malloc(std::size_t size);               // NOLINT(bugprone-reserved-identifier): glibc
void* __libc_realloc(void* from, std::size_t size);  // NOLINT(bugprone-reserved-identifier): glibc

void* malloc(std::size_t size) {
  if (counting) allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* realloc(void* from, std::size_t size) {
  if (counting) allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(from, size);
}
}
#endif

namespace weir::server {
namespace {

using testing::Client;

/// A catalog that keeps nothing, so that only the server's own allocations are seen.
class ForgetfulCatalog final : public stream::Catalog {
 public:
  explicit ForgetfulCatalog(Server& server)
      : server_(server), stream_(StreamId(1), [] {
          model::StreamDefinition definition;
          definition.name = "s";
          return definition;
        }()) {
    staged_.reserve(10'000);
  }
  void create(model::StreamDefinition, Done) override {}
  void update(model::StreamDefinition, Done) override {}
  void remove(std::string_view, Done) override {}
  stream::Stream* find(std::string_view) override { return &stream_; }
  stream::Stream* find(StreamId) override { return &stream_; }
  std::vector<stream::Stream*> streams() override { return {}; }
  const std::vector<stream::UnavailableStream>& unavailable() const override { return none_; }
  void append(stream::Stream&, Bytes, std::uint64_t token) override { staged_.push_back(token); }
  void commit() override {
    for (const auto token : staged_) server_.append_done(token, SequenceNumber(next_++));
    staged_.clear();
    server_.stream_moved(stream_);
  }
  void flush(stream::Stream&, std::uint64_t) override {}
  void set_min_free_bytes(std::int64_t) override {}
  Instant tick() override { return Instant::max(); }
  void close() override {}
  bool run_syncer_once() override { return false; }

 private:
  Server& server_;
  std::vector<stream::UnavailableStream> none_;
  testing::FakeStream stream_;
  std::vector<std::uint64_t> staged_;
  std::int64_t next_ = 0;
};

class AllocationsTest : public testing::ServerTest {
 protected:
  void start_forgetful() {
    server = *Server::bind(options, {*loop, clock, registry, verifier, exports});
    forgetful.emplace(*server);
    server->serve(*forgetful);
    core = std::thread([this] { loop->run(); });
  }
  /// Allocations of the core thread while `burst` is answered with `answers` answers.
  std::int64_t count(Client& client, const std::string& burst, int answers) {
    on_core([] { counting = true; });
    const std::int64_t before = allocations.load();
    client.send(burst);
    for (int i = 0; i < answers; ++i) EXPECT_TRUE(client.receive().has_value());
    on_core([] { counting = false; });
    return allocations.load() - before;
  }
  std::optional<ForgetfulCatalog> forgetful;
};

#if WEIR_COUNTS_ALLOCATIONS
TEST_F(AllocationsTest, TheCounterCounts) {
  start_forgetful();
  const std::int64_t before = allocations.load();
  const auto made = on_core([] {
    counting = true;
    auto text = std::make_shared<std::string>(100, 'x');
    counting = false;
    return text;
  });
  EXPECT_EQ(100U, made->size());
  EXPECT_EQ(2, allocations.load() - before);
}
#endif

TEST_F(AllocationsTest, AnAppendCostsNoAllocationOnTheServersPath) {
  start_forgetful();
  Client client(port());
  client.connect();
  const std::string one =
      Client::append_frame("e5a2c1f0-0000-4000-8000-000000000000", "s", std::string(512, 'x'));
  for (int i = 0; i < 100; ++i) count(client, one, 1);  // whatever grows, grows now
  [[maybe_unused]] std::int64_t total = 0;
  for (int i = 0; i < 1'000; ++i) total += count(client, one, 1);
#if WEIR_COUNTS_ALLOCATIONS
  // What `count` itself makes the core do: two posted closures each time.
  std::int64_t own = 0;
  for (int i = 0; i < 1'000; ++i) own += count(client, "", 0);
  EXPECT_LE(total - own, 10) << total << " for a thousand appends, " << own << " of them ours";
#endif
}

TEST_F(AllocationsTest, AThousandAppendsInOneBurstCostAHandfulOfAllocations) {
  start_forgetful();
  Client client(port());
  client.connect();
  std::string burst;
  for (int i = 0; i < 1'000; ++i) burst += Client::append_frame("r", "s", std::string(512, 'x'));
  for (int i = 0; i < 5; ++i) count(client, burst, 1'000);
  [[maybe_unused]] const std::int64_t allocated = count(client, burst, 1'000);
#if WEIR_COUNTS_ALLOCATIONS
  EXPECT_LE(allocated, 50);
#endif
}

}  // namespace
}  // namespace weir::server
