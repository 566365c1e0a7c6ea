#include "greengrass/session.h"

#include "base/log.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace weir::greengrass {
namespace {

using nlohmann::json;

// :message-type
constexpr std::int32_t kApplicationMessage = 0;
constexpr std::int32_t kApplicationError = 1;
constexpr std::int32_t kPing = 2;
constexpr std::int32_t kPingResponse = 3;
constexpr std::int32_t kConnect = 4;
constexpr std::int32_t kConnectAck = 5;
constexpr std::int32_t kProtocolError = 6;
constexpr std::int32_t kInternalError = 7;
// :message-flags
constexpr std::int32_t kAcceptedFlag = 1;

constexpr std::string_view kNamespace = "aws.greengrass#";
constexpr std::size_t kWordsBytesMax = 256;
// Requests are few and small; only answers to pings could pile up where the nucleus does not read.
constexpr std::size_t kUnsentBytesMax = kMessageBytesMax;

Message message_of(std::int32_t type, std::int32_t stream) {
  return {{{":message-type", type}, {":message-flags", std::int32_t{0}}, {":stream-id", stream}},
          {}};
}

tl::unexpected<Error> broken(std::string what) {
  return fail(Errc::kCorrupt, "the nucleus sent what it must not: " + std::move(what));
}

std::string without_namespace(std::string_view name) {
  return std::string(name.substr(name.find('#') + 1));
}

// What a message of the nucleus says in words: errors of operations carry JSON, others often text.
std::string words_of(const Message& message) {
  const json parsed = json::parse(message.payload, nullptr, false);
  if (parsed.is_object()) {
    for (const char* key : {"_message", "message"}) {
      const auto found = parsed.find(key);
      if (found != parsed.end() && found->is_string()) {
        return log::escaped(found->get<std::string>(), kWordsBytesMax);
      }
    }
  }
  return log::escaped(message.payload, kWordsBytesMax);
}

std::string error_name(const Message& message) {
  if (const std::string* type = message.text("service-model-type"); type != nullptr) {
    return log::escaped(without_namespace(*type), kWordsBytesMax);
  }
  const json parsed = json::parse(message.payload, nullptr, false);
  if (parsed.is_object()) {
    const auto found = parsed.find("_errorCode");
    if (found != parsed.end() && found->is_string()) {
      return log::escaped(found->get<std::string>(), kWordsBytesMax);
    }
  }
  return "an error without a name";
}

}  // namespace

void Session::on_open(Instant now) {
  now_ = heard_ = now;
  state_ = State::kGreeting;
  decoder_ = {};
  output_.clear();
  next_stream_ = 1;
  greeting_deadline_ = now + kGreetingPatience;
  Message hello = message_of(kConnect, 0);
  hello.headers.push_back({":version", std::string("0.1.0")});
  hello.payload =
      json{{"authToken", auth_token_}}.dump(-1, ' ', false, json::error_handler_t::replace);
  put(hello);
}

Result<void> Session::on_bytes(Instant now, std::string_view bytes) {
  if (state_ == State::kClosed) return {};
  now_ = heard_ = now;
  decoder_.append(bytes);
  while (true) {
    auto next = decoder_.next();
    if (!next) return fail(std::move(next).error());
    if (!*next) break;
    WEIR_RETURN_IF_ERROR(take(std::move(**next)));
  }
  pump();
  return {};
}

Result<void> Session::take(Message message) {
  const auto type = message.int32(":message-type");
  const auto flags = message.int32(":message-flags");
  const auto stream = message.int32(":stream-id");
  if (!type || !flags || !stream) return broken("a message without type, flags or stream id");
  if (*type == kPing) {
    if (output_.size() + message.payload.size() > kUnsentBytesMax) {
      return broken("pings faster than it reads the answers");
    }
    Message answer = message_of(kPingResponse, 0);
    answer.payload = std::move(message.payload);
    put(answer);
    return {};
  }
  if (state_ == State::kGreeting) return take_greeting(message, *type, *flags);
  const bool error = *type == kProtocolError || *type == kInternalError;
  if (*stream == 0) {
    if (*type == kPingResponse) return {};
    if (error) {
      return fail(Errc::kUnavailable, "the nucleus gave up the connection: " + words_of(message));
    }
    return broken(fmt::format("a message of type {} without a request", *type));
  }
  if (*type != kApplicationMessage && *type != kApplicationError && !error) {
    return broken(fmt::format("an answer of type {}", *type));
  }
  if (*stream < 0 || *stream >= next_stream_) return broken("an answer nobody asked for");
  take_answer(*stream, *type, std::move(message));
  return {};
}

Result<void> Session::take_greeting(const Message& message, std::int32_t type, std::int32_t flags) {
  if (type != kConnectAck) {
    return fail(Errc::kUnavailable,
                fmt::format("the nucleus does not let weir in: {}", words_of(message)));
  }
  if ((flags & kAcceptedFlag) == 0) {
    return fail(Errc::kUnavailable,
                "the nucleus does not let weir in: it does not know the token it was given in "
                "SVCUID; only the nucleus that started weir does");
  }
  state_ = State::kAccepted;
  return {};
}

// An answer that comes after its deadline is for nobody any more.
void Session::take_answer(std::int32_t stream, std::int32_t type, Message message) {
  const auto found = sent_.find(stream);
  if (found == sent_.end()) return;
  const Answered done = std::move(found->second.request.done);
  sent_.erase(found);
  Answer answer;
  if (type == kApplicationMessage) {
    answer.kind = Answer::Kind::kOk;
    answer.text = std::move(message.payload);
  } else {
    answer.kind = Answer::Kind::kRefused;
    answer.text = words_of(message);
    answer.error = error_name(message);
  }
  done(answer);
}

void Session::ask(Request request) {
  waiting_.push_back(std::move(request));
  pump();
}

void Session::pump() {
  while (state_ == State::kAccepted && !waiting_.empty() && sent_.size() < kInFlightMax &&
         next_stream_ < std::numeric_limits<std::int32_t>::max()) {
    const std::int32_t stream = next_stream_++;
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    Message message = message_of(kApplicationMessage, stream);
    const std::string operation = std::string(kNamespace) + request.operation;
    message.headers.push_back({"operation", operation});
    message.headers.push_back({"service-model-type", operation + "Request"});
    message.headers.push_back({":content-type", std::string("application/json")});
    message.payload = std::move(request.payload);
    put(message);
    sent_.emplace(stream, Sent{std::move(request), now_});
  }
}

void Session::put(const Message& message) {
  // Only a payload could be too large, and those are bounded by whoever asks.
  if (auto bytes = encode(message)) output_ += *bytes;
}

Result<void> Session::on_time(Instant now) {
  now_ = now;
  std::vector<Answered> late;
  std::erase_if(waiting_, [&](Request& request) {
    if (request.deadline > now) return false;
    late.push_back(std::move(request.done));
    return true;
  });
  bool silent = false;
  for (auto each = sent_.begin(); each != sent_.end();) {
    Sent& sent = each->second;
    if (sent.request.deadline > now) {
      ++each;
      continue;
    }
    silent = silent || heard_ <= sent.at;
    late.push_back(std::move(sent.request.done));
    each = sent_.erase(each);
  }
  const bool connected = state_ == State::kAccepted;
  for (const Answered& done : late) {
    done({Answer::Kind::kUnanswered,
          connected ? "the nucleus did not answer in time" : "the nucleus cannot be reached",
          {}});
  }
  if (state_ == State::kGreeting && greeting_deadline_ <= now) {
    return fail(Errc::kUnavailable, "the nucleus did not answer the greeting in time");
  }
  // Silence since the request was sent: the connection may be dead, a new one costs little.
  if (silent) return fail(Errc::kUnavailable, "the nucleus does not answer");
  if (next_stream_ == std::numeric_limits<std::int32_t>::max()) {
    return fail(Errc::kUnavailable, "all stream ids of the connection are used");
  }
  pump();
  return {};
}

void Session::on_lost(const std::string& why) {
  state_ = State::kClosed;
  output_.clear();
  decoder_ = {};
  const auto sent = std::exchange(sent_, {});
  for (const auto& [stream, each] : sent) {
    each.request.done({Answer::Kind::kUnanswered, why, {}});
  }
}

void Session::stop(const std::string& why) {
  on_lost(why);
  const auto waiting = std::exchange(waiting_, {});
  for (const Request& request : waiting) request.done({Answer::Kind::kUnanswered, why, {}});
}

Instant Session::next_event() const {
  Instant next = Instant::max();
  if (state_ == State::kGreeting) next = greeting_deadline_;
  for (const Request& request : waiting_) next = std::min(next, request.deadline);
  for (const auto& [stream, sent] : sent_) next = std::min(next, sent.request.deadline);
  return next;
}

}  // namespace weir::greengrass
