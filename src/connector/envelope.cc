#include "connector/envelope.h"

#include "base/check.h"
#include "connector/options.h"

namespace weir::connector {
namespace {

constexpr auto kVersion = std::byte{1};

}  // namespace

void append_envelope(ByteBuffer& to, std::string_view id, Bytes data) {
  WEIR_CHECK(id.size() <= kIdBytesMax, "an id that is too long is refused when it arrives");
  std::byte* head = to.extend(kEnvelopeHeadBytes);
  head[0] = kVersion;
  store_big16(head + 1, static_cast<std::uint16_t>(id.size()));
  to.append(as_bytes(id));
  to.append(data);
}

std::optional<Enveloped> read_envelope(Bytes stored) {
  if (stored.size() < kEnvelopeHeadBytes || stored[0] != kVersion) return std::nullopt;
  const std::size_t id_bytes = load_big16(stored.data() + 1);
  if (id_bytes > stored.size() - kEnvelopeHeadBytes) return std::nullopt;
  return Enveloped{as_text(stored.subspan(kEnvelopeHeadBytes, id_bytes)),
                   stored.subspan(kEnvelopeHeadBytes + id_bytes)};
}

}  // namespace weir::connector
