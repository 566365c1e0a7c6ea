#include "destination/iot_analytics/destination.h"

#include "base/log.h"
#include "destination/iot_analytics/request.h"
#include "destination/sigv4.h"
#include "destination/split_delivery.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace weir::destination::iot_analytics {
namespace {

using exporter::FailureClass;
using exporter::Outcome;

constexpr std::size_t kMessagesPerCallMax = 100;
constexpr std::size_t kChannelCharactersMax = 128;
constexpr std::size_t kPrefixBytesMax = 64;  // what follows it needs 37, an id has 128
constexpr std::size_t kStreamDigits = 16;

AwsCall batch_put(Bytes body) {
  AwsCall call;
  call.operation = "BatchPutMessage";
  call.path = "/messages/batch";
  call.headers = {{"Content-Type", "application/json"}};
  call.body = body;
  return call;
}

}  // namespace

Error service_retired() {
  return {Errc::kNotFound,
          "service retired: AWS IoT Analytics ended on 15 December 2025. Messages stay in the "
          "stream. Redirect this export, or name an endpoint that speaks its protocol "
          "(AWS_ENDPOINT_URL_IOTANALYTICS)"};
}

Result<void> validate(const std::string& channel, const std::string& id_prefix) {
  const bool named = !channel.empty() && channel.size() <= kChannelCharactersMax &&
                     !channel.starts_with("__") &&
                     std::all_of(channel.begin(), channel.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '_';
                     });
  if (!named) {
    return fail(Errc::kInvalidArgument,
                "iotChannel '" + log::escaped(channel, 80) +
                    "' is not the name of a channel: 1 to 128 letters, digits and '_', not "
                    "beginning with two '_'");
  }
  const bool printable =
      std::all_of(id_prefix.begin(), id_prefix.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (!printable || id_prefix.size() > kPrefixBytesMax) {
    return fail(Errc::kInvalidArgument,
                "iotMsgIdPrefix must have at most 64 printable ASCII characters");
  }
  return {};
}

class IotAnalyticsDestination::Delivery final : private SplitDelivery::Service {
 public:
  Delivery(IotAnalyticsDestination& owner, const exporter::Batch& batch, std::stop_token stop)
      : owner_(owner),
        messages_(batch.messages()),
        split_(batch, "iotanalytics", owner.metrics_, std::move(stop)) {}

  Outcome run() {
    std::vector<Unit> units;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      order_.push_back(i);
      units.push_back({i, 1});
    }
    split_.run(*this, order_, std::move(units));
    return split_.outcome();
  }

 private:
  std::size_t fit(std::span<const Unit> units) override {
    return std::min(units.size(), kMessagesPerCallMax);
  }

  CallResult send(std::span<const Unit> units, const std::stop_token& stop) override {
    std::vector<AnalyticsMessage> sent;
    sent.reserve(units.size());
    for (const Unit& unit : units) {
      const exporter::Message& message = messages_[unit.begin];
      sent.push_back(
          {owner_.id_start_ + std::to_string(message.sequence.value()), message.payload});
    }
    const ByteBuffer body = batch_put_body(owner_.setup_.channel, sent);
    CallResult result;
    result.reply = owner_.setup_.client->call(batch_put(body.bytes()), stop);
    if (result.reply.failure != FailureClass::kNone) return result;
    const auto failed = read_batch_put(result.reply.http.body);
    if (!failed) {
      result.reply = unbelievable(std::move(result.reply), failed.error());
      return result;
    }
    for (const FailedMessage& message : *failed) {
      const auto at = std::find_if(sent.begin(), sent.end(),
                                   [&](const auto& known) { return known.id == message.id; });
      if (at == sent.end()) {
        result.failed.clear();
        result.reply =
            unbelievable(std::move(result.reply),
                         {Errc::kCorrupt, "the answer names a message that was not sent", 0});
        return result;
      }
      result.failed.push_back({static_cast<std::size_t>(at - sent.begin()), outcome_of(message)});
    }
    std::sort(result.failed.begin(), result.failed.end(),
              [](const FailedUnit& a, const FailedUnit& b) { return a.unit < b.unit; });
    return result;
  }

  const IotAnalyticsDestination& owner_;
  const std::vector<exporter::Message>& messages_;
  SplitDelivery split_;
  std::vector<std::size_t> order_;
};

IotAnalyticsDestination::IotAnalyticsDestination(Setup setup, metrics::Registry& metrics)
    : setup_(std::move(setup)),
      // Streams that share a channel must not share ids; names of streams are not for ids.
      id_start_(setup_.id_prefix +
                sha256_hex(as_bytes(setup_.stream_name)).substr(0, kStreamDigits) + "-"),
      metrics_(metrics) {}

exporter::Destination::Limits IotAnalyticsDestination::limits() const {
  Limits limits;
  limits.messages_max = std::int64_t{kMessagesPerCallMax};
  return limits;
}

Outcome IotAnalyticsDestination::deliver(const exporter::Batch& batch, std::stop_token stop) {
  return Delivery(*this, batch, std::move(stop)).run();
}

}  // namespace weir::destination::iot_analytics
