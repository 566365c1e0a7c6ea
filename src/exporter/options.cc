#include "exporter/engine.h"

namespace weir::exporter {

Result<void> Options::validate() const {
  const auto require = [](bool good, const char* what) -> Result<void> {
    if (good) return {};
    return fail(Errc::kInvalidArgument, what);
  };
  WEIR_RETURN_IF_ERROR(require(worker_count >= 1 && worker_count <= 1024,
                               "worker_count must be 1 to 1024 (deliveries at a time)"));
  WEIR_RETURN_IF_ERROR(require(backoff_first_ms >= 1, "backoff_first_ms must be at least 1"));
  WEIR_RETURN_IF_ERROR(
      require(backoff_ceiling_ms >= backoff_first_ms && backoff_ceiling_ms <= 86'400'000,
              "backoff_ceiling_ms must be at least backoff_first_ms and at most one day"));
  WEIR_RETURN_IF_ERROR(
      require(operator_retry_min_ms >= 0 && operator_retry_min_ms <= backoff_ceiling_ms,
              "operator_retry_min_ms must be 0 to backoff_ceiling_ms"));
  WEIR_RETURN_IF_ERROR(
      require(cursor_save_interval_ms >= 10 && cursor_save_interval_ms <= 1'000,
              "cursor_save_interval_ms must be 10 to 1000: a restart repeats at most one second"));
  return require(batch_budget_bytes >= std::int64_t{1024} * 1024,
                 "batch_budget_bytes must be at least 1 MiB");
}

}  // namespace weir::exporter
