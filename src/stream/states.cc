#include "stream/states.h"

#include <algorithm>
#include <cstring>

namespace weir::stream {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kBootIdBytesMax = 64;

/// Writes fixed-width little-endian fields one behind the other.
class Packer {
 public:
  template <class T>
  Packer& add(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    store_little(bytes_.data() + bytes_.size() - sizeof value, value);
    return *this;
  }
  Packer& add(SequenceNumber number) { return add(number.value()); }
  void add_text(const std::string& text) {
    add(static_cast<std::uint32_t>(text.size()));
    const Bytes bytes = as_bytes(text);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  ByteVector take() { return std::move(bytes_); }

 private:
  ByteVector bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(Bytes from) : from_(from) {}
  template <class T>
  T take() {
    if (from_.size() < sizeof(T)) {
      good_ = false;
      return T{};
    }
    const T value = load_little<T>(from_.data());
    from_ = from_.subspan(sizeof(T));
    return value;
  }
  SequenceNumber take_number() {
    const auto value = take<std::int64_t>();
    if (value < -1) good_ = false;
    return SequenceNumber(value);
  }
  std::string take_text(std::size_t bytes_max) {
    const auto size = take<std::uint32_t>();
    if (size > bytes_max || size > from_.size()) {
      good_ = false;
      return {};
    }
    std::string text(as_text(from_.first(size)));
    from_ = from_.subspan(size);
    return text;
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  Bytes from_;
  bool good_ = true;
};

}  // namespace

ByteVector encode(const StoreState& state) {
  Packer packer;
  packer.add(kVersion).add(std::uint32_t{state.clean}).add(state.epoch).add(state.next_id);
  packer.add_text(state.boot_id.substr(0, kBootIdBytesMax));
  return packer.take();
}

std::optional<StoreState> decode_store_state(Bytes from) {
  Unpacker unpacker(from);
  if (unpacker.take<std::uint32_t>() != kVersion) return std::nullopt;
  StoreState state;
  state.clean = unpacker.take<std::uint32_t>() == 1;
  state.epoch = unpacker.take<std::uint64_t>();
  state.next_id = unpacker.take<std::uint64_t>();
  state.boot_id = unpacker.take_text(kBootIdBytesMax);
  if (!unpacker.good()) return std::nullopt;
  return state;
}

SequenceNumber used_before(const std::vector<Jump>& jumps, SequenceNumber base,
                           SequenceNumber least) {
  for (auto jump = jumps.rbegin(); jump != jumps.rend(); ++jump) {
    if (jump->to == base && jump->from >= least && jump->from < base) base = jump->from;
  }
  return base;
}

ByteVector encode(const StreamState& state) {
  Packer packer;
  const std::size_t jumps = std::min(state.jumps.size(), kJumpsMax);
  packer.add(kVersion).add(static_cast<std::uint32_t>(jumps));
  packer.add(state.bound).add(state.epoch).add(state.floor).add(state.at_least).add(state.durable);
  packer.add(state.last_base).add(state.last_end_offset).add(state.next);
  packer.add(state.last_newest_append_ms).add(state.lost_messages);
  for (std::size_t i = state.jumps.size() - jumps; i < state.jumps.size(); ++i) {
    packer.add(state.jumps[i].from).add(state.jumps[i].to);
  }
  return packer.take();
}

std::optional<StreamState> decode_stream_state(Bytes from) {
  Unpacker unpacker(from);
  if (unpacker.take<std::uint32_t>() != kVersion) return std::nullopt;
  const auto jumps = unpacker.take<std::uint32_t>();
  if (jumps > kJumpsMax) return std::nullopt;
  StreamState state;
  state.bound = unpacker.take_number();
  state.epoch = unpacker.take<std::uint64_t>();
  state.floor = unpacker.take_number();
  state.at_least = unpacker.take_number();
  state.durable = unpacker.take_number();
  state.last_base = unpacker.take_number();
  state.last_end_offset = unpacker.take<std::uint64_t>();
  state.next = unpacker.take_number();
  state.last_newest_append_ms = unpacker.take<std::int64_t>();
  state.lost_messages = unpacker.take<std::int64_t>();
  for (std::uint32_t i = 0; i < jumps; ++i) {
    const SequenceNumber begin = unpacker.take_number();
    state.jumps.push_back({begin, unpacker.take_number()});
  }
  if (!unpacker.good()) return std::nullopt;
  return state;
}

}  // namespace weir::stream
