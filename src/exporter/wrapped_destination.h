#pragma once

#include "exporter/destination.h"

#include <memory>
#include <stop_token>
#include <string>
#include <utility>

namespace weir::exporter {

/// A destination in front of another one, to which it passes everything on. Those that derive from
/// it override what they add to, so that whatever else a destination can do comes through.
class WrappedDestination : public Destination {
 public:
  [[nodiscard]] Limits limits() const override { return inner_->limits(); }
  Outcome deliver(const Batch& batch, std::stop_token stop) override {
    return inner_->deliver(batch, std::move(stop));
  }
  [[nodiscard]] bool prepares() const override { return inner_->prepares(); }
  std::unique_ptr<Preparation> prepare(const Batch& batch,
                                       std::unique_ptr<Preparation> old) override {
    return inner_->prepare(batch, std::move(old));
  }
  [[nodiscard]] Instant idle_deadline() const override { return inner_->idle_deadline(); }
  void on_idle(std::stop_token stop) override { inner_->on_idle(std::move(stop)); }
  void moved() override { inner_->moved(); }
  void forgive_refusals() override { inner_->forgive_refusals(); }
  [[nodiscard]] bool wants_farewell() const override { return inner_->wants_farewell(); }
  void passed(SequenceNumber next, std::stop_token stop) override {
    inner_->passed(next, std::move(stop));
  }
  void farewell(const Farewell& farewell, std::stop_token stop) override {
    inner_->farewell(farewell, std::move(stop));
  }
  [[nodiscard]] std::string host() const override { return inner_->host(); }
  [[nodiscard]] bool uses_credentials() const override { return inner_->uses_credentials(); }

 protected:
  explicit WrappedDestination(std::unique_ptr<Destination> inner) : inner_(std::move(inner)) {}

 private:
  const std::unique_ptr<Destination> inner_;
};

}  // namespace weir::exporter
