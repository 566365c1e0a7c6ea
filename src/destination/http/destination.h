#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "destination/http/response.h"
#include "destination/http_transport.h"
#include "destination/options.h"
#include "destination/url.h"
#include "exporter/destination.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weir::destination::http {

/// POSTs messages to the address a client named: one by one, or as a JSON array of a batch.
///
/// Messages are sent in order. What the receiver refuses for its content is isolated (an array is
/// halved until the message is alone) and rejected; at any other failure the rest waits. Cloud
/// credentials never go here.
class HttpDestination final : public exporter::Destination {
 public:
  struct Setup {
    Url target;
    model::ExportFormat format = model::ExportFormat::kRawNotBatched;
    HttpOptions options;
    std::unique_ptr<HttpTransport> transport;
  };

  /// Lifetime: `clock` and `metrics` outlive the destination.
  HttpDestination(Setup setup, Clock& clock, metrics::Registry& metrics);

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  [[nodiscard]] std::string host() const override { return setup_.target.origin(); }

 private:
  class Delivery;
  struct Answer {
    Judgement judgement;
    bool connection_failed = false;
  };

  Answer post(const std::string& stream_name, std::span<const exporter::Message> messages,
              const std::string& bearer_token, std::stop_token stop);
  Result<std::string> bearer_token() const;

  Setup setup_;
  Clock& clock_;
  metrics::Registry& metrics_;
};

/// Refuses header names and values that would break a request, and names that weir sets itself.
/// Errors: kInvalidArgument.
Result<void> validate(const HttpOptions& options);

}  // namespace weir::destination::http
