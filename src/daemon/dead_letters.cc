#include "daemon/dead_letters.h"

#include "base/log.h"
#include "base/mutex.h"
#include "base/pause.h"
#include "exporter/poison_policy.h"

#include <chrono>
#include <optional>
#include <utility>

namespace weir::daemon {
namespace {

// A stream that does not flush on write is synced within a second and one flush.
constexpr auto kDurableWithin = std::chrono::seconds(10);
constexpr auto kLookEvery = std::chrono::milliseconds(20);

auto stopping() { return fail(Errc::kCancelled, "weir or the export is stopping"); }

model::StreamDefinition definition_of(const std::string& name) {
  model::StreamDefinition definition;
  definition.name = name;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  definition.flush_on_write = true;
  return definition;
}

Result<void> wait_durable(const stream::LogReader& log, SequenceNumber number, Clock& clock,
                          const std::stop_token& stop) {
  const Instant until = clock.now() + kDurableWithin;
  while (log.durable_end() <= number) {
    if (clock.now() >= until) {
      return fail(Errc::kUnavailable, "it is not on stable storage yet");
    }
    pause_for(kLookEvery, stop);
    if (stop.stop_requested()) return stopping();
  }
  return {};
}

}  // namespace

// A question from a worker to the core thread, and its answer.
struct DeadLetterStreams::Opening {
  std::string stream;
  Mutex mutex;
  CondVar changed;
  bool given_up WEIR_GUARDED_BY(mutex) = false;
  std::optional<Result<std::shared_ptr<stream::LogReader>>> answer WEIR_GUARDED_BY(mutex);

  void finish(Result<std::shared_ptr<stream::LogReader>> result) {
    const MutexLock lock(mutex);
    answer = std::move(result);
    changed.notify_all();
  }
};

Result<void> DeadLetterStreams::keep(const std::string& stream, const exporter::DeadLetter& letter,
                                     const std::stop_token& stop) {
  WEIR_TRY(const auto log, open(stream, stop));
  const ByteVector message = exporter::encode_dead_letter(letter);
  WEIR_TRY(const SequenceNumber number, streams_.append(stream, message, stop));
  return wait_durable(*log, number, clock_, stop);
}

Result<std::shared_ptr<stream::LogReader>> DeadLetterStreams::open(const std::string& stream,
                                                                   const std::stop_token& stop) {
  if (stop.stop_requested()) return stopping();
  auto opening = std::make_shared<Opening>();
  opening->stream = stream;
  core_.post([this, opening] { start_opening(opening); });
  const std::stop_callback wake(stop, [&opening] {
    const MutexLock lock(opening->mutex);
    opening->given_up = true;
    opening->changed.notify_all();
  });
  const MutexLock lock(opening->mutex);
  while (!opening->answer && !opening->given_up) opening->changed.wait(opening->mutex);
  if (opening->answer) return *opening->answer;
  return stopping();
}

void DeadLetterStreams::start_opening(const std::shared_ptr<Opening>& opening) {
  if (catalog_ == nullptr) {
    opening->finish(stopping());
    return;
  }
  if (const stream::Stream* found = catalog_->find(opening->stream); found != nullptr) {
    opening->finish(found->log());
    return;
  }
  catalog_->create(definition_of(opening->stream), [this, opening](const Result<void>& created) {
    const stream::Stream* found = catalog_ == nullptr ? nullptr : catalog_->find(opening->stream);
    if (found != nullptr) {
      if (created) log::info("A dead-letter stream was created.", {{"stream", opening->stream}});
      opening->finish(found->log());
    } else if (created) {
      opening->finish(fail(Errc::kUnavailable, "it was deleted a moment ago"));
    } else {
      opening->finish(fail(with_context("create it", created.error())));
    }
  });
}

exporter::DestinationFactory with_poison_policies(exporter::DestinationFactory factory,
                                                  destination::OptionsLookup lookup,
                                                  exporter::DeadLetters& letters, Clock& clock) {
  return [factory = std::move(factory), lookup = std::move(lookup), &letters, &clock](
             const exporter::ExportSpec& spec) -> Result<std::unique_ptr<exporter::Destination>> {
    WEIR_TRY(auto made, factory(spec));
    return exporter::with_poison_policy(std::move(made), lookup(spec).poison.policy(), spec,
                                        &letters, clock);
  };
}

}  // namespace weir::daemon
