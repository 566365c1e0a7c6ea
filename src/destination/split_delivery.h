#pragma once

#include "base/metrics.h"
#include "destination/aws_client.h"
#include "destination/record_results.h"
#include "exporter/destination.h"

#include <cstddef>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination {

/// Messages that travel as one record: `count` places of the delivery's order from `begin` on.
struct Unit {
  std::size_t begin = 0;
  std::size_t count = 1;
};

/// A unit of a call that was not taken although others were.
struct FailedUnit {
  std::size_t unit = 0;  ///< index in the call
  exporter::RecordOutcome outcome;
};

/// What became of one call.
struct CallResult {
  /// Failure kNone: every unit was taken, except those in `failed`.
  AwsReply reply;
  std::vector<FailedUnit> failed;  ///< ascending
  /// When the call was refused because of one unit (kPoison): which, if the answer says so.
  std::optional<std::size_t> blamed;
};

/// Reads a 2xx answer that cannot be believed as "nothing is known of any record".
AwsReply unbelievable(AwsReply reply, const Error& error);

/// Adds to `result` what a 2xx answer says of its records, with the class that `class_of` gives to
/// each failure; an answer that cannot be believed becomes one.
void add_results(CallResult& result, const Result<std::vector<FailedRecord>>& failed,
                 exporter::FailureClass (*class_of)(const FailedRecord&));

/// One delivery to a service that takes many records in a call and may fail some of them.
///
/// Units are sent in order, as many in a call as fit. A call that is refused because of one of them
/// is divided until that one is alone; a unit of several messages is then divided too, so that
/// only a message that was refused alone is rejected. At the first failure that is worth another
/// try it stops, so that nothing is sent before what came earlier was taken or refused.
///
/// Use: `reject` what can never fit, `run`, then `outcome`. Threads: one.
class SplitDelivery {
 public:
  /// What the destination contributes.
  class Service {
   public:
    /// How many of `units` (not empty) fit into one call; at least 1.
    [[nodiscard]] virtual std::size_t fit(std::span<const Unit> units) = 0;
    virtual CallResult send(std::span<const Unit> units, const std::stop_token& stop) = 0;

   protected:
    ~Service() = default;
  };

  /// `destination` is the label in metrics. Lifetime: everything outlives the delivery.
  SplitDelivery(const exporter::Batch& batch, std::string_view destination,
                metrics::Registry& metrics, std::stop_token stop);

  /// This message (an index in the batch) can never be delivered. `reason` is the metric's label.
  void reject(std::size_t message, const char* reason, std::string text);

  /// `order` has the indices in the batch that units refer to by place.
  void run(Service& service, const std::vector<std::size_t>& order, std::vector<Unit> units);

  /// What is known of each message, by index in the batch; may be changed before `outcome`.
  [[nodiscard]] std::vector<exporter::RecordOutcome>& records() { return records_; }
  /// Ends the delivery here; messages of which nothing is known stay untried.
  void leave_rest();
  /// Notes that a call outside of `run` failed in a way that is worth another try.
  void halt(AwsReply reply);
  /// False when the delivery must end here; it is halted then.
  [[nodiscard]] bool may_call();
  [[nodiscard]] bool halted() const { return halted_; }
  /// The failure it stopped at. Requires: `halted()`.
  [[nodiscard]] const AwsReply& last() const { return last_; }

  /// Everything together, once.
  [[nodiscard]] exporter::Outcome outcome();

 private:
  void take(std::span<const Unit> sent, CallResult result, const std::vector<std::size_t>& order);
  void isolate(const std::vector<Unit>& sent, const CallResult& result,
               const std::vector<std::size_t>& order);
  void push(std::span<const Unit> units);

  const std::string destination_;
  metrics::Registry& metrics_;
  const std::stop_token stop_;
  std::vector<exporter::RecordOutcome> records_;
  std::vector<std::vector<Unit>> waiting_;  // the next ones last
  int calls_ = 0;
  bool halted_ = false;
  bool left_rest_ = false;
  AwsReply last_;
};

}  // namespace weir::destination
