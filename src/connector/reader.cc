#include "connector/reader.h"

#include "base/log.h"
#include "connector/envelope.h"
#include "destination/json_reader.h"
#include "destination/json_text.h"

#include <algorithm>
#include <utility>

namespace weir::connector {
namespace {

using destination::JsonReader;

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = destination::utf8_sequence_bytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// The id of a text that is JSON but for some bytes that are no UTF-8, else "".
std::string id_among_invalid_bytes(std::string_view text) {
  std::string sound;
  sound.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = destination::utf8_sequence_bytes(text);
    sound.append(length == 0 ? "?" : text.substr(0, length));
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  std::string id;
  JsonReader in(sound);
  in.enter_object();
  while (in.next_member()) {
    bool was_text = false;
    in.name() == "id" ? in.text_or_skip(id, was_text) : in.skip();
  }
  return in.done() ? id : std::string();
}

std::string too_much(const char* what, std::uint64_t bytes, std::size_t most) {
  return std::string(what) + " has " + std::to_string(bytes) + " bytes, at most " +
         std::to_string(most) + " are taken";
}

}  // namespace

const char* Reader::read(const mqtt::Arrival& arrival, Group& group) {
  Group::Item item;
  item.receipt = arrival.receipt;
  id_.clear();
  Refused refused;
  Bytes data = arrival.payload;
  if (arrival.topic.starts_with(options_.binary_prefix())) {
    id_ = arrival.topic.substr(options_.binary_prefix().size());
    arn_.clear();
  } else if (arrival.topic == options_.message_topic) {
    refused = read_document(as_text(arrival.payload));
    data = as_bytes(data_);
  } else {
    refused = {"unknown_topic", "records are taken on '" + options_.message_topic + "' and on '" +
                                    std::string(options_.binary_prefix()) +
                                    "' followed by an id or by nothing"};
  }
  if (refused.reason == nullptr) refused = check(data);
  if (refused.reason == nullptr) {
    auto target = target_of(group);
    if (target) {
      item.target = *target;
    } else {
      refused = {"bad_arn", "delivery_stream_arn: " + target.error().what};
    }
  }
  const char* reason = refused.reason;
  if (reason != nullptr) {
    refuse(std::move(refused), group, item);
  } else {
    item.begin = group.bytes.size();
    append_envelope(group.bytes, id_, data);
    item.size = group.bytes.size() - item.begin;
  }
  item.cost = sizeof(Group::Item) * 4 + id_.size() + item.size;
  group.cost += item.cost;
  group.items.push_back(item);
  return reason;
}

const char* Reader::refuse_too_large(std::string_view topic, std::uint64_t bytes, Group& group) {
  const std::string_view prefix = options_.binary_prefix();
  id_ = topic.starts_with(prefix) ? topic.substr(prefix.size()) : std::string_view();
  Group::Item item;
  refuse({"too_large", too_much("the message", bytes, kDataBytesMax)}, group, item);
  item.cost = sizeof(Group::Item) * 4 + id_.size();
  group.cost += item.cost;
  group.items.push_back(item);
  return "too_large";
}

Reader::Refused Reader::check(Bytes data) const {
  if (id_.size() > kIdBytesMax) return {"id_too_long", too_much("the id", id_.size(), kIdBytesMax)};
  if (data.empty()) return {"empty", "there is no data: the record would be empty"};
  if (data.size() > kDataBytesMax) {
    return {"too_large", too_much("the record", data.size(), kDataBytesMax)};
  }
  return {};
}

void Reader::refuse(Refused refused, Group& group, Group::Item& item) {
  item.refusal = static_cast<std::int32_t>(group.refusals.size());
  if (id_.size() > kIdToldBytesMax) id_.clear();
  group.refusals.push_back({id_, {}, kInvalidRequest, std::move(refused.why)});
}

// {"request":{"data":"...","delivery_stream_arn":"..."},"id":"..."}; other members are ignored. It
// is read to its end whatever is wrong with it, because the id may come last.
Reader::Refused Reader::read_document(std::string_view text) {
  data_.clear();
  arn_.clear();
  Refused refused;
  const auto note = [&](Refused one) {
    if (refused.reason == nullptr) refused = std::move(one);
  };
  bool has_request = false;
  JsonReader in(text);
  in.enter_object();
  while (in.next_member()) {
    if (in.name() == "request" && in.kind() == '{') {
      has_request = true;
      note(read_request(in));
    } else if (in.name() == "request") {
      has_request = true;
      note({"not_json", "request is not an object"});
      in.skip();
    } else if (in.name() == "id" && in.kind() != 'n') {
      bool was_text = false;
      in.text_or_skip(id_, was_text);
      if (!was_text) note({"bad_id", "the id is not a text"});
    } else {
      in.skip();
    }
  }
  if (in.done()) {
    if (!has_request) note({"no_data", "there is no request"});
    return refused;
  }
  if (is_utf8(text)) return {"not_json", "the message is not a JSON object"};
  id_ = id_among_invalid_bytes(text);
  return {"invalid_utf8", "the message is not valid UTF-8"};
}

Reader::Refused Reader::read_request(destination::JsonReader& in) {
  Refused refused;
  bool has_data = false;
  in.enter_object();
  while (in.next_member()) {
    bool was_text = true;
    if (in.name() == "data") {
      has_data = true;
      in.text_or_skip(data_, was_text);
      if (!was_text) refused = {"data_type", "request.data is not a text"};
    } else if (in.name() == "delivery_stream_arn" && in.kind() != 'n') {
      in.text_or_skip(arn_, was_text);
      if (!was_text) refused = {"bad_arn", "request.delivery_stream_arn is not a text"};
    } else {
      in.skip();
    }
  }
  if (!has_data) refused = {"no_data", "there is no request.data"};
  return refused;
}

// An empty ARN is none, as an empty id is.
Result<std::uint32_t> Reader::target_of(Group& group) {
  if (!arn_.empty() && arn_ != last_arn_) {
    WEIR_TRY(last_target_, parse_arn(arn_));
    last_arn_ = arn_;
  }
  const DeliveryStreamArn& wanted = arn_.empty() ? options_.default_target : last_target_;
  // Newest first: messages for one stream come in runs.
  for (std::size_t i = group.targets.size(); i-- > 0;) {
    if (group.targets[i] == wanted) return static_cast<std::uint32_t>(i);
  }
  group.targets.push_back(wanted);
  return static_cast<std::uint32_t>(group.targets.size() - 1);
}

}  // namespace weir::connector
