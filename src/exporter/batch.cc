#include "base/check.h"
#include "exporter/destination.h"

namespace weir::exporter {

void Batch::add(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) {
  WEIR_CHECK(messages_.empty(), "a batch is not added to after it was looked at");
  WEIR_CHECK(heads_.empty() || sequence > heads_.back().sequence, "a batch is in stream order");
  heads_.push_back({sequence, append_ms, payloads_.size(), payload.size()});
  payloads_.append(payload);
}

const std::vector<Message>& Batch::messages() const {
  if (messages_.size() != heads_.size()) {
    messages_.reserve(heads_.size());
    for (const Head& head : heads_) {
      messages_.push_back(
          {head.sequence, head.append_ms, payloads_.bytes().subspan(head.offset, head.bytes)});
    }
  }
  return messages_;
}

void Batch::clear() {
  heads_.clear();
  payloads_.clear();
  messages_.clear();
}

const char* failure_class_name(FailureClass value) {
  switch (value) {
    case FailureClass::kNone:
      return "none";
    case FailureClass::kTransient:
      return "transient";
    case FailureClass::kThrottle:
      return "throttle";
    case FailureClass::kCredentials:
      return "credentials";
    case FailureClass::kClock:
      return "clock";
    case FailureClass::kOperator:
      return "operator";
    case FailureClass::kPoison:
      return "poison";
    case FailureClass::kBug:
      return "bug";
  }
  return "unknown";
}

}  // namespace weir::exporter
