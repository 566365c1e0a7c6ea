#pragma once

#include "base/byte_buffer.h"
#include "destination/http_transport.h"
#include "exporter/destination.h"

#include <span>
#include <string>
#include <vector>

/// The requests of HTTP exports (protocol.md §6.4).
namespace weir::destination::http {

/// The body of JSON_BATCHED: an array of Message objects, payloads in base64.
ByteBuffer json_batch_body(const std::string& stream_name,
                           std::span<const exporter::Message> messages);

/// The headers of RAW_NOT_BATCHED for one message, with what lets a receiver drop duplicates.
std::vector<HttpHeader> raw_headers(const std::string& stream_name,
                                    const exporter::Message& message);

/// The headers of JSON_BATCHED for `messages`.
std::vector<HttpHeader> batch_headers(const std::string& stream_name,
                                      std::span<const exporter::Message> messages);

}  // namespace weir::destination::http
