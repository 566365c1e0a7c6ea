#include "daemon/dead_letters.h"

#include "exporter/poison_policy.h"

#include <utility>
#include <vector>

namespace weir::daemon {
namespace {

using exporter::DeadLetter;
using exporter::KeptLetters;

// Copies made at a time: a batch may be large, and the core thread has others to serve.
constexpr std::size_t kCopiedAtOnce = 1 << 20;

model::StreamDefinition definition_of(const std::string& name) {
  model::StreamDefinition definition;
  definition.name = name;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  definition.flush_on_write = true;
  return definition;
}

std::vector<ByteVector> encode_some(std::span<const DeadLetter> letters) {
  std::vector<ByteVector> some;
  std::size_t bytes = 0;
  for (const DeadLetter& letter : letters) {
    some.push_back(exporter::encode_dead_letter(letter));
    bytes += some.back().size();
    if (bytes >= kCopiedAtOnce) break;
  }
  return some;
}

}  // namespace

KeptLetters DeadLetterStreams::keep(const std::string& stream, std::span<const DeadLetter> letters,
                                    const std::stop_token& stop) {
  const model::StreamDefinition definition = definition_of(stream);
  std::size_t kept = 0;
  while (kept < letters.size()) {
    if (stop.stop_requested()) {
      return {kept, fail(Errc::kCancelled, "weir or the export is stopping")};
    }
    auto stored = appends_.append_in_order(definition, encode_some(letters.subspan(kept)), stop);
    kept += stored.count;
    if (!stored.outcome) return {kept, std::move(stored.outcome)};
  }
  return {kept, {}};
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
