#include "destination/http_transport.h"

namespace weir::destination {

std::string_view HttpResponse::header(std::string_view lower_name) const {
  for (const HttpHeader& header : headers) {
    if (header.name == lower_name) return header.value;
  }
  return {};
}

}  // namespace weir::destination
