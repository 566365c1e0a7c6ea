#include "destination/lines.h"

namespace weir::destination {

bool wants_delimiter(Bytes payload, std::string_view delimiter) {
  return !delimiter.empty() && !as_text(payload).ends_with(delimiter);
}

void append_line(ByteBuffer& to, Bytes payload, std::string_view delimiter) {
  to.append(payload);
  if (wants_delimiter(payload, delimiter)) to.append(as_bytes(delimiter));
}

}  // namespace weir::destination
