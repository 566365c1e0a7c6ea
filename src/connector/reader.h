#pragma once

#include "base/byte_buffer.h"
#include "connector/answer.h"
#include "connector/arn.h"
#include "connector/options.h"
#include "mqtt/client.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination {
class JsonReader;
}

namespace weir::connector {

/// Messages that arrived together, read and ready to be stored.
struct Group {
  struct Item {
    mqtt::Receipt receipt;
    std::size_t begin = 0;  ///< of its envelope, in `bytes`
    std::size_t size = 0;
    std::size_t cost = 0;       ///< memory it takes until it is released, about
    std::uint32_t target = 0;   ///< index in `targets`
    std::int32_t refusal = -1;  ///< index in `refusals`; then it has no envelope
  };
  ByteBuffer bytes;
  std::vector<Item> items;
  std::vector<DeliveryStreamArn> targets;
  std::vector<Answer> refusals;
  std::size_t cost = 0;  ///< of all items

  [[nodiscard]] Bytes envelope(const Item& item) const {
    return bytes.bytes().subspan(item.begin, item.size);
  }
  [[nodiscard]] bool empty() const { return items.empty(); }
};

/// What is answered for a message that is refused before it reached a queue.
inline constexpr const char* kInvalidRequest = "InvalidRequest";
inline constexpr const char* kQueueFull = "QueueFull";

/// Reads messages of the two input topics (protocol.md §10.3) into groups. Everything in a message
/// is untrusted. Threads: one at a time.
class Reader {
 public:
  /// Lifetime: `options` outlives it.
  explicit Reader(const Options& options) : options_(options) {}

  /// Adds the message to `group`, as a record or as a refusal. Returns why it was refused, as a
  /// metric's label, or null.
  const char* read(const mqtt::Arrival& arrival, Group& group);

  /// Adds the refusal of a message that was too large to be received; there is nothing to
  /// acknowledge. Returns why, as `read` does.
  const char* refuse_too_large(std::string_view topic, std::uint64_t bytes, Group& group);

 private:
  struct Refused {
    const char* reason = nullptr;  ///< null: it is not
    std::string why;
  };
  Refused read_document(std::string_view text);
  Refused read_request(destination::JsonReader& in);
  [[nodiscard]] Refused check(Bytes data) const;
  Result<std::uint32_t> target_of(Group& group);
  void refuse(Refused refused, Group& group, Group::Item& item);

  const Options& options_;
  std::string id_;
  std::string data_;
  std::string arn_;
  std::string last_arn_;  // what was read last, so that it is not taken apart again and again
  DeliveryStreamArn last_target_;
};

}  // namespace weir::connector
