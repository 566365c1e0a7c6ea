#include "segment/search.h"
#include "segment/segment.h"

#include <algorithm>
#include <array>

namespace weir::segment {
namespace {

Result<Header> read_header(file::File& file, std::uint64_t stream_identity) {
  std::array<std::byte, kHeaderBytes> bytes;
  WEIR_TRY(const std::size_t read, file.read_at(0, bytes));
  WEIR_TRY(Header header, decode_header(Bytes(bytes).first(read)));
  if (header.stream_identity != stream_identity) {
    return fail(Errc::kCorrupt, "the segment belongs to another stream");
  }
  return header;
}

void take(const Located& record, Scan& scan) {
  if (scan.index.empty() || record.offset - scan.index.back().offset >= kIndexStrideBytes) {
    scan.index.push_back({record.sequence, record.offset});
  }
  scan.newest_append_ms = std::max(scan.newest_append_ms, record.append_ms);
  scan.record_bytes += record.bytes;
  scan.valid_end = record.offset + record.bytes;
  scan.next = record.sequence + 1;
}

}  // namespace

Result<Scan> scan(file::File& file, std::uint64_t stream_identity) {
  return scan(file, stream_identity, nullptr);
}

Result<Scan> scan(file::File& file, std::uint64_t stream_identity, const RecordVisitor& visit) {
  WEIR_TRY(const Header header, read_header(file, stream_identity));
  return scan_as(file, header, record_seed(header), visit);
}

Result<Scan> scan_as(file::File& file, const Header& header, std::uint32_t seed,
                     const RecordVisitor& visit) {
  Scan found;
  found.header = header;
  WEIR_TRY(found.file_bytes, file.size());
  found.next = found.header.base;

  Window window(file, found.file_bytes);
  RecordSearch search(window, seed);
  for (;;) {
    WEIR_TRY(std::optional<Located> record, search.at(found.valid_end, found.next));
    if (!record) {
      WEIR_TRY(const bool end, search.only_zeros_from(found.valid_end));
      if (end) return found;
      WEIR_TRY(record, search.behind(found.valid_end, found.next));
      if (!record) {
        found.torn_tail = true;
        return found;
      }
      found.holes.push_back(
          {found.valid_end, record->offset - found.valid_end, found.next, record->sequence});
    }
    take(*record, found);
    if (visit) {
      WEIR_RETURN_IF_ERROR(
          visit({record->sequence, record->append_ms, record->offset + kRecordOverheadBytes,
                 record->bytes - kRecordOverheadBytes}));
    }
  }
}

}  // namespace weir::segment
