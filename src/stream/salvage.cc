#include "stream/salvage.h"

#include "segment/segment.h"
#include "stream/definition_file.h"
#include "stream/layout.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::stream {
namespace {

constexpr std::size_t kDefinitionBytesMax = std::size_t{1} << 20U;

/// A file that has, or had, the name of a segment.
struct Candidate {
  SequenceNumber base;
  std::string path;
  bool set_aside = false;
};

/// The number in "00000000000000000042.seg", "00000000000000000042.seg.bad" or "... .bad.2".
std::optional<Candidate> candidate_from(const std::string& name) {
  if (const auto base = layout::segment_base_from(name)) return Candidate{*base, name, false};
  const auto bad = name.find(".bad");
  if (bad == std::string::npos) return std::nullopt;
  const auto base = layout::segment_base_from(name.substr(0, bad));
  if (!base) return std::nullopt;
  return Candidate{*base, name, true};
}

class StreamSalvage {
 public:
  StreamSalvage(file::FileSystem& disk, const StreamReport& report, SalvageSink& sink)
      : disk_(disk), report_(report), sink_(sink) {}

  Result<void> run() {
    WEIR_RETURN_IF_ERROR(sink_.stream(report_, definition()));
    auto loaded = load_definition(disk_, report_.directory);
    if (loaded) identity_ = loaded->stored.identity;
    for (const Candidate& candidate : candidates()) {
      WEIR_RETURN_IF_ERROR(read_segment(candidate));
    }
    return sink_.stream_done();
  }

 private:
  /// The JSON of the version in force; its checksum stands in a line behind it.
  std::string definition() {
    for (const std::string_view name : {layout::kDefinition, layout::kDefinitionBefore}) {
      const auto content =
          file::read_file(disk_, layout::join(report_.directory, name), kDefinitionBytesMax);
      if (!content || !decode_definition(as_text(*content))) continue;
      std::string text(as_text(*content));
      const auto sum = text.rfind("crc32c");
      return text.substr(0, sum);
    }
    return {};
  }

  std::vector<Candidate> candidates() {
    std::vector<Candidate> found;
    const auto names = disk_.list(report_.directory);
    if (!names) return found;
    for (const file::Entry& entry : *names) {
      auto candidate = candidate_from(entry.name);
      if (!candidate || entry.kind != file::EntryKind::kFile) continue;
      candidate->path = layout::join(report_.directory, entry.name);
      found.push_back(std::move(*candidate));
    }
    std::sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
      return std::tie(a.set_aside, a.base, a.path) < std::tie(b.set_aside, b.base, b.path);
    });
    return found;
  }

  /// What cannot be read is left out: the report says so already.
  Result<void> read_segment(const Candidate& candidate) {
    const auto file = disk_.open(candidate.path, file::OpenMode::kRead);
    if (!file) return {};
    std::array<std::byte, segment::kHeaderBytes> head{};
    const auto got = (*file)->read_at(0, head);
    if (!got) return {};
    auto header = segment::decode_header(Bytes(head).first(*got));
    std::uint32_t seed = 0;
    if (header) {
      if (header->base != candidate.base) return {};
      // Of a stream without a definition, the first segment says which one it is.
      if (!identity_) identity_ = header->stream_identity;
      if (header->stream_identity != *identity_) return {};
      seed = segment::record_seed(*header);
    } else {
      const auto found = segment::find_seed(**file, candidate.base);
      if (!found) return {};
      seed = *found;
      header = segment::Header{identity_.value_or(0), candidate.base, 0};
    }
    bool stopped = false;
    const auto scanned = segment::scan_as(
        **file, *header, seed, [&](const segment::RecordPlace& place) -> Result<void> {
          payload_.resize(static_cast<std::size_t>(place.payload_bytes));
          const auto read = (*file)->read_at(place.payload_offset, payload_);
          if (!read || *read != payload_.size()) return {};
          auto taken =
              sink_.message(place.sequence, place.append_ms, payload_, candidate.set_aside);
          stopped = !taken;
          return taken;
        });
    if (stopped) return fail(scanned.error());
    return {};
  }

  file::FileSystem& disk_;
  const StreamReport& report_;
  SalvageSink& sink_;
  std::optional<std::uint64_t> identity_;
  ByteVector payload_;
};

}  // namespace

Result<StoreReport> salvage_store(file::FileSystem& disk, SalvageSink& sink) {
  WEIR_TRY(StoreReport report, check_store(disk));
  for (const StreamReport& stream : report.streams) {
    WEIR_RETURN_IF_ERROR(StreamSalvage(disk, stream, sink).run());
  }
  return report;
}

}  // namespace weir::stream
