#include "greengrass/event_stream.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <type_traits>
#include <utility>
#include <zlib.h>

namespace weir::greengrass {
namespace {

// total length, length of the headers, CRC-32 of these 8 bytes; at the end CRC-32 of all before it
constexpr std::size_t kLengthsBytes = 8;
constexpr std::size_t kPreludeBytes = 12;
constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kOverheadBytes = kPreludeBytes + kCrcBytes;

constexpr std::uint8_t kTrue = 0;
constexpr std::uint8_t kFalse = 1;

std::uint32_t crc_of(std::string_view bytes) {
  // The cast is zlib's interface; the sizes are bounded far below 4 GiB.
  return static_cast<std::uint32_t>(
      ::crc32(0L, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

template <class Integer>
void put(std::string& out, Integer value) {
  const auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
  for (std::size_t i = sizeof bits; i-- > 0;) {
    out += static_cast<char>(static_cast<std::uint8_t>(bits >> (8 * i)));
  }
}

template <class Integer>
Integer get(std::string_view bytes) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    bits = (bits << 8U) | static_cast<std::uint8_t>(bytes[i]);
  }
  return static_cast<Integer>(static_cast<std::make_unsigned_t<Integer>>(bits));
}

struct Writer {
  std::string& out;
  bool fits = true;

  void code(std::uint8_t value) const { out += static_cast<char>(value); }
  template <class Integer>
  void integer(std::uint8_t type, Integer value) const {
    code(type);
    put(out, value);
  }
  void run(std::string_view bytes) {
    fits = fits && bytes.size() <= std::numeric_limits<std::uint16_t>::max();
    if (!fits) return;
    put(out, static_cast<std::uint16_t>(bytes.size()));
    out += bytes;
  }

  void operator()(bool value) const { code(value ? kTrue : kFalse); }
  void operator()(std::int8_t value) const { integer(2, value); }
  void operator()(std::int16_t value) const { integer(3, value); }
  void operator()(std::int32_t value) const { integer(4, value); }
  void operator()(std::int64_t value) const { integer(5, value); }
  void operator()(const Blob& value) {
    code(6);
    run(value.bytes);
  }
  void operator()(const std::string& value) {
    code(7);
    run(value);
  }
  void operator()(Timestamp value) const { integer(8, value.ms); }
  void operator()(const Uuid& value) const {
    code(9);
    for (const std::uint8_t byte : value) out += static_cast<char>(byte);
  }
};

/// Takes bytes off the front; after the first that are missing, `whole` is false.
struct Reader {
  std::string_view rest;
  bool whole = true;

  std::string_view take(std::size_t count) {
    whole = whole && rest.size() >= count;
    if (!whole) return {};
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(count);
    return taken;
  }
  template <class Integer>
  Integer number() {
    const std::string_view bytes = take(sizeof(Integer));
    return whole ? get<Integer>(bytes) : Integer{};
  }
  std::string run() { return std::string(take(number<std::uint16_t>())); }
};

std::optional<HeaderValue> read_value(std::uint8_t code, Reader& reader) {
  switch (code) {
    case kTrue:
      return true;
    case kFalse:
      return false;
    case 2:
      return reader.number<std::int8_t>();
    case 3:
      return reader.number<std::int16_t>();
    case 4:
      return reader.number<std::int32_t>();
    case 5:
      return reader.number<std::int64_t>();
    case 6:
      return Blob{reader.run()};
    case 7:
      return reader.run();
    case 8:
      return Timestamp{reader.number<std::int64_t>()};
    case 9: {
      Uuid uuid{};
      const std::string_view bytes = reader.take(uuid.size());
      std::transform(bytes.begin(), bytes.end(), uuid.begin(),
                     [](char c) { return static_cast<std::uint8_t>(c); });
      return uuid;
    }
    default:
      return std::nullopt;
  }
}

tl::unexpected<Error> damaged(std::string what) {
  return fail(Errc::kCorrupt, "event stream message: " + std::move(what));
}

Result<std::vector<Header>> read_headers(std::string_view bytes) {
  std::vector<Header> headers;
  Reader reader{bytes};
  while (!reader.rest.empty()) {
    if (headers.size() == kHeadersMax) {
      return damaged(fmt::format("more than {} headers", kHeadersMax));
    }
    Header header;
    const auto name_bytes = reader.number<std::uint8_t>();
    header.name = reader.take(name_bytes);
    const auto code = reader.number<std::uint8_t>();
    if (!reader.whole) return damaged("a header is cut off");
    if (name_bytes == 0) return damaged("a header has no name");
    auto value = read_value(code, reader);
    if (!value) return damaged(fmt::format("a header has the unknown type {}", code));
    if (!reader.whole) return damaged("a header is cut off");
    header.value = std::move(*value);
    headers.push_back(std::move(header));
  }
  return headers;
}

}  // namespace

const std::string* Message::text(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [name](const Header& each) { return each.name == name; });
  return found == headers.end() ? nullptr : std::get_if<std::string>(&found->value);
}

std::optional<std::int32_t> Message::int32(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [name](const Header& each) { return each.name == name; });
  if (found == headers.end()) return std::nullopt;
  const auto* value = std::get_if<std::int32_t>(&found->value);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

Result<std::string> encode(const Message& message) {
  const auto refused = [](std::string what) {
    return fail(Errc::kInvalidArgument, "event stream message: " + std::move(what));
  };
  if (message.headers.size() > kHeadersMax) {
    return refused(fmt::format("more than {} headers", kHeadersMax));
  }
  std::string headers;
  for (const Header& header : message.headers) {
    if (header.name.empty() || header.name.size() > std::numeric_limits<std::uint8_t>::max()) {
      return refused("a header's name must have 1 to 255 bytes");
    }
    put(headers, static_cast<std::uint8_t>(header.name.size()));
    headers += header.name;
    Writer writer{headers};
    std::visit(writer, header.value);
    if (!writer.fits) return refused("a header's value has more than 65535 bytes");
  }
  const std::size_t total = kOverheadBytes + headers.size() + message.payload.size();
  if (headers.size() > kHeadersBytesMax || total > kMessageBytesMax) {
    return refused(fmt::format("{} bytes are more than {}", total, kMessageBytesMax));
  }
  std::string out;
  out.reserve(total);
  put(out, static_cast<std::uint32_t>(total));
  put(out, static_cast<std::uint32_t>(headers.size()));
  put(out, crc_of(out));
  out += headers;
  out += message.payload;
  put(out, crc_of(out));
  return out;
}

Result<std::optional<Message>> Decoder::next() {
  const std::string_view bytes = std::string_view(buffer_).substr(begin_);
  const auto need_more = [this]() -> std::optional<Message> {
    buffer_.erase(0, begin_);
    begin_ = 0;
    return std::nullopt;
  };
  if (bytes.size() < kPreludeBytes) return need_more();
  const auto total = get<std::uint32_t>(bytes);
  const auto headers_bytes = get<std::uint32_t>(bytes.substr(4));
  if (get<std::uint32_t>(bytes.substr(kLengthsBytes)) != crc_of(bytes.substr(0, kLengthsBytes))) {
    return damaged("the checksum of its lengths is wrong");
  }
  if (total > kMessageBytesMax || headers_bytes > kHeadersBytesMax) {
    return damaged(fmt::format("{} bytes, {} of them headers, are more than {} and {}", total,
                               headers_bytes, kMessageBytesMax, kHeadersBytesMax));
  }
  if (total < kOverheadBytes || headers_bytes > total - kOverheadBytes) {
    return damaged(fmt::format("{} bytes of headers do not fit into {}", headers_bytes, total));
  }
  if (bytes.size() < total) return need_more();
  const std::string_view whole = bytes.substr(0, total);
  const std::string_view before_crc = whole.substr(0, total - kCrcBytes);
  if (get<std::uint32_t>(whole.substr(total - kCrcBytes)) != crc_of(before_crc)) {
    return damaged("its checksum is wrong");
  }
  Message message;
  auto headers = read_headers(before_crc.substr(kPreludeBytes, headers_bytes));
  if (!headers) return fail(std::move(headers).error());
  message.headers = std::move(*headers);
  message.payload = before_crc.substr(kPreludeBytes + headers_bytes);
  begin_ += total;
  return std::optional<Message>(std::move(message));
}

}  // namespace weir::greengrass
