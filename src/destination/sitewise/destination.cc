#include "destination/sitewise/destination.h"

#include "destination/sitewise/entry.h"
#include "destination/sitewise/response.h"
#include "destination/split_delivery.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace weir::destination::sitewise {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;

constexpr std::size_t kEntriesPerCallMax = 10;
constexpr std::int64_t kBatchBytesMax = 1 << 20;
constexpr std::int64_t kDay = 86'400;
// Generous, because times of answers are known to some minutes only.
constexpr std::int64_t kOldestSeconds = 7 * kDay + 600;
constexpr std::int64_t kAheadSeconds = 1200;
constexpr const char* kConflict = "ConflictingOperationException";

AwsCall batch_put(Bytes body) {
  AwsCall call;
  call.operation = "BatchPutAssetPropertyValue";
  call.path = "/properties";
  call.headers = {{"Content-Type", "application/json"}};
  call.body = body;
  return call;
}

}  // namespace

class SitewiseDestination::Delivery final : private SplitDelivery::Service {
 public:
  Delivery(SitewiseDestination& owner, const exporter::Batch& batch, std::stop_token stop)
      : owner_(owner),
        messages_(batch.messages()),
        split_(batch, "iotsitewise", owner.metrics_, std::move(stop)) {}

  Outcome run() {
    const auto now_ms = owner_.client_->service_wall_ms();
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      auto entry = read_entry(messages_[i].payload);
      if (!entry) {
        split_.reject(i, "malformed", entry.error().what);
      } else if (now_ms && out_of_range(*entry, *now_ms / 1000)) {
        split_.reject(i, "out_of_range",
                      "all its values are older than 7 days or more than 10 minutes ahead");
      } else {
        order_.push_back(i);
        entries_.push_back(std::move(*entry));
      }
    }
    std::vector<Unit> units;
    for (std::size_t i = 0; i < order_.size(); ++i) units.push_back({i, 1});
    split_.run(*this, order_, std::move(units));
    if (!order_.empty()) owner_.one_by_one_ = conflict_;
    return split_.outcome();
  }

 private:
  static bool out_of_range(const Entry& entry, std::int64_t now_seconds) {
    return std::all_of(entry.timestamps.begin(), entry.timestamps.end(), [&](const Timestamp& at) {
      return at.seconds < now_seconds - kOldestSeconds || at.seconds > now_seconds + kAheadSeconds;
    });
  }

  std::size_t fit(std::span<const Unit> units) override {
    if (owner_.one_by_one_) return 1;
    std::set<std::string_view> ids;
    std::set<std::pair<std::string_view, Timestamp>> times;
    std::size_t count = 0;
    for (const Unit& unit : units.first(std::min(units.size(), kEntriesPerCallMax))) {
      const Entry& entry = entries_[unit.begin];
      const bool repeats =
          ids.contains(entry.id) ||
          std::any_of(entry.timestamps.begin(), entry.timestamps.end(), [&](const Timestamp& at) {
            return times.contains({entry.property, at});
          });
      if (repeats) break;
      ids.insert(entry.id);
      for (const Timestamp& at : entry.timestamps) times.insert({entry.property, at});
      ++count;
    }
    return count;
  }

  CallResult send(std::span<const Unit> units, const std::stop_token& stop) override {
    std::vector<const Entry*> entries;
    entries.reserve(units.size());
    for (const Unit& unit : units) entries.push_back(&entries_[unit.begin]);
    const ByteBuffer body = batch_put_body(entries);
    CallResult result;
    result.reply = owner_.client_->call(batch_put(body.bytes()), stop);
    if (result.reply.code == kConflict) conflict_ = true;
    if (result.reply.failure != FailureClass::kNone) {
      // A proxy or a portal does not speak the service's codes.
      const AwsReply& refused = result.reply;
      if (classify(refused.code, refused.message) != FailureClass::kNone) {
        owner_.client_->believe_time();
      }
      return result;
    }
    const auto failed = read_batch_put(result.reply.http.body);
    if (!failed) {
      result.reply = unbelievable(std::move(result.reply), failed.error());
      return result;
    }
    for (const FailedEntry& entry : *failed) {
      const auto at = std::find_if(entries.begin(), entries.end(),
                                   [&](const Entry* sent) { return sent->id == entry.id; });
      if (at == entries.end()) {
        result.reply =
            unbelievable(std::move(result.reply),
                         {Errc::kCorrupt, "the answer names an entry that was not sent", 0});
        result.failed.clear();
        return result;
      }
      conflict_ = conflict_ || std::any_of(entry.errors.begin(), entry.errors.end(),
                                           [](const auto& e) { return e.code == kConflict; });
      result.failed.push_back({static_cast<std::size_t>(at - entries.begin()), outcome_of(entry)});
    }
    owner_.client_->believe_time();
    std::sort(result.failed.begin(), result.failed.end(),
              [](const FailedUnit& a, const FailedUnit& b) { return a.unit < b.unit; });
    return result;
  }

  SitewiseDestination& owner_;
  const std::vector<exporter::Message>& messages_;
  SplitDelivery split_;
  std::vector<std::size_t> order_;  // what can be sent, as indices in the batch
  std::vector<Entry> entries_;      // the same, read
  bool conflict_ = false;
};

SitewiseDestination::SitewiseDestination(std::unique_ptr<AwsClient> client,
                                         metrics::Registry& metrics)
    : client_(std::move(client)), metrics_(metrics) {}

exporter::Destination::Limits SitewiseDestination::limits() const {
  Limits limits;
  limits.messages_max = std::int64_t{kEntriesPerCallMax};
  limits.batch_bytes_max = kBatchBytesMax;
  return limits;
}

Outcome SitewiseDestination::deliver(const exporter::Batch& batch, std::stop_token stop) {
  return Delivery(*this, batch, std::move(stop)).run();
}

}  // namespace weir::destination::sitewise
