#include "mqtt/outgoing.h"

#include "base/check.h"

#include <utility>

namespace weir::mqtt {

void Outgoing::begin_connection(bool session_present) {
  sent_ = 0;
  used_.reset();
  for (OutgoingMessage& message : messages_) {
    if (!session_present) message.packet_id = 0;
    if (message.packet_id != 0) used_[message.packet_id] = true;
  }
}

void Outgoing::sent() {
  WEIR_CHECK(sent_ < messages_.size() && messages_[sent_].packet_id != 0,
             "a message was sent without a packet identifier");
  ++sent_;
}

OutgoingMessage Outgoing::take_next() {
  WEIR_CHECK(sent_ < messages_.size(), "there is no message to take");
  const auto place = messages_.begin() + static_cast<std::ptrdiff_t>(sent_);
  OutgoingMessage message = std::move(*place);
  messages_.erase(place);
  if (message.packet_id != 0) used_[message.packet_id] = false;
  return message;
}

std::optional<OutgoingMessage> Outgoing::answered(std::uint16_t packet_id) {
  // Brokers answer in order, so this is nearly always the first.
  for (std::size_t i = 0; i < sent_; ++i) {
    if (messages_[i].packet_id != packet_id) continue;
    OutgoingMessage message = std::move(messages_[i]);
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(i));
    --sent_;
    used_[packet_id] = false;
    return message;
  }
  return std::nullopt;
}

std::uint16_t Outgoing::take_id() {
  // Far fewer are in use than there are: the window is much smaller.
  do {
    ++last_id_;
  } while (last_id_ == 0 || used_[last_id_]);
  used_[last_id_] = true;
  return last_id_;
}

}  // namespace weir::mqtt
