#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

/// What requesters are told on the status topic (protocol.md §10.4).
namespace weir::connector {

/// One record's. With a code it failed, else it was taken.
struct Answer {
  std::string id;
  std::string record_id;  ///< Firehose's
  std::string code;
  std::string message;
};

/// One message on the status topic has about this many bytes at most, unless a single answer has
/// more: brokers limit theirs.
inline constexpr std::size_t kStatusBytesMax = 512 * 1024;

/// The messages for the status topic that say all of `answers`, in order: of version 1 one for
/// each, of the later ones an array of all as long as that is not beyond `bytes_max`. Pure.
std::vector<std::string> status_messages(std::span<const Answer> answers, int version,
                                         std::size_t bytes_max = kStatusBytesMax);

}  // namespace weir::connector
