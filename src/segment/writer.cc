#include "base/check.h"
#include "segment/segment.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace weir::segment {
namespace {

/// Payloads up to this size are copied behind their heads, so that a group goes out as one piece;
/// copying more costs more than another entry in the list of pieces.
constexpr std::size_t kCopiedPayloadMax = std::size_t{4} * 1024;
/// A larger group goes out in several writes; keeps the buffer in the processor's cache.
constexpr std::size_t kStagingBytes = std::size_t{256} * 1024;
constexpr std::size_t kPiecesMax = 256;
/// Groups of this size belong to a stream that will fill what is set aside for it.
constexpr std::size_t kReservingGroupBytes = std::size_t{64} * 1024;
constexpr std::uint64_t kReservedBytes = std::uint64_t{4} * 1024 * 1024;

/// A group up to this size counts as small: several fit into a page.
constexpr std::uint64_t kSmallGroupBytes = std::uint64_t{1} * 1024;
/// Pages that small groups are copied into: what is left of the present one and two more. More
/// would save calls and keep more memory resident for each of many streams.
constexpr std::uint64_t kPageBytes = std::uint64_t{4} * 1024;
constexpr std::uint64_t kPagesAhead = 2;

constexpr std::array<std::byte, std::size_t{64} * 1024> kZeros{};

}  // namespace

struct Writer::State {
  std::shared_ptr<file::File> file;
  Header header;
  std::uint32_t seed = 0;
  std::uint64_t end_offset = kHeaderBytes;
  SequenceNumber next;
  std::uint64_t zeros_until = kHeaderBytes;  ///< the file is zero from end_offset up to here
  bool longer = false;  ///< a failed write of zeros may have left the file longer than that
  bool usable = true;
  std::uint64_t size_expected = 0;
  std::uint64_t reserved_until = 0;  ///< room was set aside up to here
  bool small_expected = false;
  std::uint64_t copied_until = 0;  ///< small groups up to here are copied; 0 = none

  // One group on its way to the file; kept between calls so that nothing is allocated.
  std::vector<std::byte> staging;
  std::size_t staged = 0;       ///< bytes of `staging` in use
  std::size_t piece_begin = 0;  ///< of which these and later ones are in no piece yet
  std::vector<Bytes> pieces;
  std::uint64_t write_offset = 0;

  void stage(const Entry& entry, SequenceNumber sequence);
  void finish_piece();
  void reserve();
  void write_zeros(std::uint64_t until);
  void stop_copying();
  void look_ahead(std::uint64_t group_bytes);
  Result<void> flush();
  Result<void> write_all(std::span<const Entry> entries);
};

void Writer::State::finish_piece() {
  if (staged == piece_begin) return;
  pieces.push_back(Bytes(staging).subspan(piece_begin, staged - piece_begin));
  piece_begin = staged;
}

void Writer::State::stage(const Entry& entry, SequenceNumber sequence) {
  const std::span<std::byte, kRecordOverheadBytes> head(staging.data() + staged,
                                                        kRecordOverheadBytes);
  staged += kRecordOverheadBytes;
  if (entry.payload.size() > kCopiedPayloadMax) {
    encode_record_head(seed, sequence, entry.append_ms, entry.payload, head);
    finish_piece();
    pieces.push_back(entry.payload);
    return;
  }
  std::byte* const copy = staging.data() + staged;
  std::memcpy(copy, entry.payload.data(), entry.payload.size());
  staged += entry.payload.size();
  encode_record_head(seed, sequence, entry.append_ms, Bytes(copy, entry.payload.size()), head);
}

/// Before the staged bytes are written.
void Writer::State::reserve() {
  const std::uint64_t end = write_offset + staged;
  if (staged < kReservingGroupBytes || end <= reserved_until) return;
  const std::uint64_t begin = std::max(write_offset, reserved_until);
  const std::uint64_t until = std::min(begin + kReservedBytes, size_expected);
  if (until <= end) return;
  file->reserve(begin, until - begin);
  reserved_until = until;
}

void Writer::State::write_zeros(std::uint64_t until) {
  std::uint64_t at = std::max(zeros_until, end_offset);
  while (at < until) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(until - at, kZeros.size()));
    const std::array<Bytes, 1> zeros{Bytes(kZeros).first(n)};
    if (!file->write_at(at, zeros)) {
      longer = true;
      return;
    }
    at += n;
    zeros_until = at;
  }
}

void Writer::State::stop_copying() {
  if (copied_until != 0) file->expect_small_writes(0, 0);
  copied_until = 0;
}

/// After a group was written: makes ready for another one like it.
void Writer::State::look_ahead(std::uint64_t group_bytes) {
  if (!small_expected || group_bytes > kSmallGroupBytes) {
    stop_copying();
    return;
  }
  if (end_offset + group_bytes <= copied_until) return;
  const std::uint64_t until = (end_offset / kPageBytes + 1 + kPagesAhead) * kPageBytes;
  if (until <= size_expected) write_zeros(until);
  if (zeros_until < until) {
    stop_copying();
    return;
  }
  file->expect_small_writes(end_offset, until - end_offset);
  copied_until = until;
}

Result<void> Writer::State::flush() {
  finish_piece();
  if (pieces.empty()) return {};
  reserve();
  WEIR_RETURN_IF_ERROR(file->write_at(write_offset, pieces));
  for (const Bytes piece : pieces) write_offset += piece.size();
  pieces.clear();
  staged = piece_begin = 0;
  return {};
}

Result<void> Writer::State::write_all(std::span<const Entry> entries) {
  pieces.clear();
  staged = piece_begin = 0;
  write_offset = end_offset;
  // Grown before pieces point into it, and only as far as this stream's groups need.
  std::size_t needed = 0;
  for (const Entry& entry : entries) {
    needed += kRecordOverheadBytes;
    if (entry.payload.size() <= kCopiedPayloadMax) needed += entry.payload.size();
    if (needed >= kStagingBytes) break;
  }
  needed = std::min(needed, kStagingBytes);
  if (staging.size() < needed) staging.resize(needed);

  SequenceNumber sequence = next;
  for (const Entry& entry : entries) {
    const std::size_t copied = entry.payload.size() <= kCopiedPayloadMax ? entry.payload.size() : 0;
    if (staged + kRecordOverheadBytes + copied > staging.size() ||
        pieces.size() + 2 >= kPiecesMax) {
      WEIR_RETURN_IF_ERROR(flush());
    }
    stage(entry, sequence);
    ++sequence;
  }
  return flush();
}

Writer::Writer() : state_(std::make_unique<State>()) {}
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;
Writer::~Writer() = default;

Result<Writer> Writer::create(file::FileSystem& files, std::string_view path,
                              const Header& header) {
  WEIR_TRY(std::shared_ptr<file::File> file, files.open(path, file::OpenMode::kCreateNew));
  std::array<std::byte, kHeaderBytes> bytes;
  encode_header(header, bytes);
  const std::array<Bytes, 1> pieces{bytes};
  Result<void> written = file->write_at(0, pieces);
  if (written) written = file->sync();
  if (!written) {
    // Without a header the file is worthless; recovery removes it if this does not succeed.
    auto ignored = files.remove_file(path);
    static_cast<void>(ignored);
    return fail(std::move(written).error());
  }
  Writer writer;
  writer.state_->file = std::move(file);
  writer.state_->header = header;
  writer.state_->seed = record_seed(header);
  writer.state_->next = header.base;
  return writer;
}

Result<Writer> Writer::resume(std::shared_ptr<file::File> file, const Header& header,
                              std::uint64_t end_offset, SequenceNumber next) {
  WEIR_TRY(const std::uint64_t size, file->size());
  if (size < end_offset) {
    return fail(Errc::kCorrupt, "the segment ends at byte " + std::to_string(size) +
                                    ", before the end of its last record at " +
                                    std::to_string(end_offset));
  }
  if (size > end_offset) {
    // Synced, so that no crash can bring the old bytes back behind what is appended next.
    WEIR_RETURN_IF_ERROR(file->truncate(end_offset));
    WEIR_RETURN_IF_ERROR(file->sync());
  }
  Writer writer;
  writer.state_->file = std::move(file);
  writer.state_->header = header;
  writer.state_->seed = record_seed(header);
  writer.state_->end_offset = end_offset;
  writer.state_->zeros_until = end_offset;
  writer.state_->next = next;
  return writer;
}

Result<void> Writer::append(std::span<const Entry> entries) {
  State& state = *state_;
  WEIR_CHECK(state.usable, "a segment that could not be cut back is appended to");
  if (Result<void> written = state.write_all(entries); !written) {
    if (Result<void> cut = state.file->truncate(state.end_offset); !cut) {
      state.usable = false;
      Error error = std::move(written).error();
      error.what += "; and cutting off the partial record failed: " + cut.error().what;
      return fail(std::move(error));
    }
    state.zeros_until = state.end_offset;
    state.copied_until = 0;
    state.longer = false;
    return written;
  }
  const std::uint64_t group_bytes = state.write_offset - state.end_offset;
  state.end_offset = state.write_offset;
  state.zeros_until = std::max(state.zeros_until, state.end_offset);
  state.next = state.next + static_cast<std::int64_t>(entries.size());
  state.look_ahead(group_bytes);
  return {};
}

void Writer::expect_size(std::uint64_t bytes) { state_->size_expected = bytes; }
void Writer::expect_small_groups(bool expected) { state_->small_expected = expected; }

void Writer::write_zeros_ahead(std::uint64_t ahead_bytes) {
  if (state_->usable) state_->write_zeros(state_->end_offset + ahead_bytes);
}

std::uint64_t Writer::zeros_ready() const { return state_->zeros_until - state_->end_offset; }

Result<void> Writer::sync() { return state_->file->sync(); }

Result<void> Writer::cut_zeros() {
  State& state = *state_;
  const bool reserved = state.reserved_until > state.end_offset;
  if (zeros_ready() == 0 && !state.longer && !reserved) return {};
  WEIR_RETURN_IF_ERROR(state.file->truncate(state.end_offset));
  state.reserved_until = 0;
  state.copied_until = 0;
  state.zeros_until = state.end_offset;
  state.longer = false;
  return {};
}

bool Writer::usable() const { return state_->usable; }
const Header& Writer::header() const { return state_->header; }
const std::shared_ptr<file::File>& Writer::file() const { return state_->file; }
std::uint64_t Writer::end_offset() const { return state_->end_offset; }
SequenceNumber Writer::next() const { return state_->next; }

}  // namespace weir::segment
