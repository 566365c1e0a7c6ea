#include "stream/copy.h"

#include <algorithm>
#include <array>

namespace weir::stream {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{64} * 1024;

}  // namespace

Result<Copied> copy_part(file::FileSystem& disk, const std::string& from, std::uint64_t offset,
                         std::uint64_t bytes, const std::string& to) {
  WEIR_TRY(const auto source, disk.open(from, file::OpenMode::kRead));
  Copied copied;
  WEIR_TRY(copied.file, disk.open(to, file::OpenMode::kCreateNew));
  ByteVector buffer(kCopyBytes);
  while (copied.bytes < bytes) {
    const auto want =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), bytes - copied.bytes));
    WEIR_TRY(const std::size_t got,
             source->read_at(offset + copied.bytes, MutableBytes(buffer).first(want)));
    if (got == 0) break;
    const std::array<Bytes, 1> pieces{Bytes(buffer).first(got)};
    WEIR_RETURN_IF_ERROR(copied.file->write_at(copied.bytes, pieces));
    copied.bytes += got;
  }
  return copied;
}

}  // namespace weir::stream
