#include "stream/quarantine.h"

#include "base/log.h"
#include "stream/copy.h"
#include "stream/layout.h"
#include "stream/metrics.h"

#include <algorithm>
#include <charconv>

namespace weir::stream {
namespace {

constexpr std::size_t kNumberDigits = 10;

std::string item_name(std::uint64_t number, StreamId stream, const std::string& path,
                      std::uint64_t offset) {
  const std::string digits = std::to_string(number);
  const std::string file = path.substr(path.rfind('/') + 1);
  const std::size_t zeros = kNumberDigits - std::min(kNumberDigits, digits.size());
  return std::string(zeros, '0') + digits + "-" + std::to_string(stream.value()) + "-" + file +
         "-" + std::to_string(offset);
}

}  // namespace

Quarantine::Quarantine(file::FileSystem& disk, metrics::Registry& metrics, std::int64_t bytes_max)
    : disk_(disk),
      quarantined_bytes_(metrics.counter(metric::kQuarantinedBytes)),
      bytes_max_(static_cast<std::uint64_t>(bytes_max)) {}

void Quarantine::load() {
  auto entries = disk_.list(layout::kQuarantine);
  if (!entries) return;
  std::sort(entries->begin(), entries->end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const MutexLock lock(mutex_);
  for (const file::Entry& entry : *entries) {
    if (entry.kind != file::EntryKind::kFile) continue;
    const auto file =
        disk_.open(layout::join(layout::kQuarantine, entry.name), file::OpenMode::kRead);
    const auto size = file ? (*file)->size() : Result<std::uint64_t>(0);
    items_.push_back({entry.name, size.value_or(0)});
    bytes_ += size.value_or(0);
    std::uint64_t number = 0;
    std::from_chars(entry.name.data(), entry.name.data() + entry.name.size(), number);
    number_ = std::max(number_, number);
  }
}

bool Quarantine::make_room(std::uint64_t bytes) {
  if (bytes > bytes_max_) return false;
  while (bytes_ + bytes > bytes_max_ && !items_.empty()) {
    const Item oldest = items_.front();
    if (!disk_.remove_file(layout::join(layout::kQuarantine, oldest.name))) return false;
    bytes_ -= oldest.bytes;
    items_.pop_front();
  }
  return true;
}

void Quarantine::keep(StreamId stream, const std::string& path, std::uint64_t offset,
                      std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  if (!make_room(bytes)) {
    log::warn("Damaged bytes were not set aside: more than the quarantine may hold.",
              {{"file", path}, {"offset", offset}, {"bytes", bytes}});
    return;
  }
  const std::string name = item_name(++number_, stream, path, offset);
  const std::string target = layout::join(layout::kQuarantine, name);
  const auto copied = copy_part(disk_, path, offset, bytes, target);
  if (!copied) {
    log::warn(
        "Damaged bytes were not set aside.",
        {{"file", path}, {"offset", offset}, {"bytes", bytes}, {"error", copied.error().what}});
    // Part of a copy is of no use, and space may be what is missing.
    if (!disk_.remove_file(target)) log::debug("No partial copy to remove.");
    return;
  }
  items_.push_back({name, copied->bytes});
  bytes_ += copied->bytes;
  quarantined_bytes_.add(copied->bytes);
}

}  // namespace weir::stream
