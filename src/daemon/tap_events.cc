#include "base/log.h"
#include "daemon/dashboard.h"
#include "destination/base64.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::daemon {
namespace {

using nlohmann::json;

class TapEvents final : public admin::EventSource {
 public:
  TapEvents(std::string stream, std::string identifier, Taps& taps)
      : listener_(taps.listen(stream, identifier)),
        stream_(std::move(stream)),
        identifier_(std::move(identifier)) {}

  bool more(std::string& out, std::size_t bytes_max) override {
    TappedBatch batch;
    std::int64_t missed = 0;
    while (out.size() < bytes_max && listener_->take(batch, missed)) {
      if (missed > 0) admin::append_event(out, "missed", fmt::format("{{\"batches\":{}}}", missed));
      admin::append_event(out, "batch", text_of(batch));
    }
    return true;
  }

  [[nodiscard]] Duration pause() const override { return std::chrono::milliseconds(200); }

 private:
  [[nodiscard]] std::string text_of(const TappedBatch& batch) const {
    json document = {
        {"time_ms", batch.time_ms},
        {"stream", stream_},
        {"export", identifier_},
        {"destination", batch.destination},
        {"first", batch.first},
        {"last", batch.last},
        {"messages", batch.messages},
        {"bytes", batch.bytes},
        {"outcome", batch.sent ? "sent" : "failed"},
        {"error", batch.error},
        {"sample", json::array()},
    };
    for (const auto& one : batch.sample) {
      document["sample"].push_back({{"sequence", one.sequence},
                                    {"payload_base64", destination::base64(as_bytes(one.payload))},
                                    {"payload_bytes", one.payload_bytes}});
    }
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  const std::shared_ptr<Taps::Listener> listener_;
  const std::string stream_;
  const std::string identifier_;
};

}  // namespace

Result<std::unique_ptr<admin::EventSource>> open_tap(std::string_view query,
                                                     const Dashboard::Environment& environment) {
  std::string stream = admin::query_value(query, "stream");
  std::string identifier = admin::query_value(query, "export");
  if (const auto slash = identifier.find('/'); stream.empty() && slash != std::string::npos) {
    stream = identifier.substr(0, slash);
    identifier.erase(0, slash + 1);
  }
  if (stream.empty() || identifier.empty()) {
    return fail(Errc::kInvalidArgument, "say which export: /tap?export=STREAM/EXPORT");
  }
  const auto row = environment.board.find(stream);
  if (!row) {
    return fail(Errc::kNotFound, fmt::format("there is no stream '{}'", log::escaped(stream)));
  }
  const auto exports = environment.exports(row->id);
  if (std::none_of(exports.begin(), exports.end(),
                   [&](const auto& view) { return view.config.identifier == identifier; })) {
    return fail(Errc::kNotFound, fmt::format("the stream '{}' has no export '{}'",
                                             log::escaped(stream), log::escaped(identifier)));
  }
  return std::unique_ptr<admin::EventSource>(
      std::make_unique<TapEvents>(std::move(stream), std::move(identifier), environment.taps));
}

}  // namespace weir::daemon
