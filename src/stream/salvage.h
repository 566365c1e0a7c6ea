#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "file/file_system.h"
#include "stream/check.h"

#include <cstdint>
#include <string>

/// Reads whatever can be read of a store, however damaged, and changes nothing.
namespace weir::stream {

/// Takes what is found. Errors end the salvage.
class SalvageSink {
 public:
  virtual ~SalvageSink() = default;
  /// Messages of this stream follow. `definition`: its JSON as it is stored, "" if unreadable.
  virtual Result<void> stream(const StreamReport& report, const std::string& definition) = 0;
  /// In ascending order within one stream, except that those of segments which were set aside
  /// come last. `payload` is valid during the call.
  virtual Result<void> message(SequenceNumber sequence, std::int64_t append_ms, Bytes payload,
                               bool set_aside) = 0;
  virtual Result<void> stream_done() = 0;
};

/// Gives every readable message of every stream to `sink`: of sound segments, from behind damage,
/// from segments with a damaged header or under an unreadable definition, and from segments that a
/// start has set aside in the stream's directory. Works on a store in use and on a read-only disk.
/// Errors: as `check_store`; what `sink` returns. Blocks: on disk.
Result<StoreReport> salvage_store(file::FileSystem& disk, SalvageSink& sink);

}  // namespace weir::stream
