#include "cli/dead_letters.h"

#include "base/log.h"
#include "cli/client.h"
#include "cli/output.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kBatchMessages = 100;

std::string text_in(const json& head, const char* name) {
  const auto found = head.find(name);
  return found != head.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_in(const json& head, const char* name) {
  const auto found = head.find(name);
  return found != head.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
}

std::optional<std::int64_t> number_from(std::string_view text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < 0) return std::nullopt;
  return number;
}

}  // namespace

std::optional<DeadLetterView> read_dead_letter(Bytes message) {
  const std::string_view text = as_text(message);
  const auto line = text.find('\n');
  if (line == std::string_view::npos) return std::nullopt;
  const auto head = json::parse(text.substr(0, line), nullptr, false);
  if (!head.is_object() || number_in(head, "weirDeadLetter") != 1) return std::nullopt;
  DeadLetterView letter;
  letter.stream = text_in(head, "stream");
  letter.identifier = text_in(head, "export");
  letter.reason = text_in(head, "reason");
  letter.sequence_number = number_in(head, "sequenceNumber");
  letter.refused_ms = number_in(head, "refusedTime");
  letter.payload = message.subspan(line + 1);
  if (number_in(head, "payloadBytes") != static_cast<std::int64_t>(letter.payload.size())) {
    return std::nullopt;
  }
  return letter;
}

std::optional<LetterRange> parse_letter_range(std::string_view word) {
  const auto dash = word.find('-');
  const auto first = number_from(word.substr(0, dash));
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return LetterRange{*first, *first};
  if (dash + 1 == word.size()) return LetterRange{.first = *first};
  const auto last = number_from(word.substr(dash + 1));
  if (!last || *last < *first) return std::nullopt;
  return LetterRange{*first, *last};
}

std::string text_of(const LetterRange& range) {
  if (range.single()) return std::to_string(range.first);
  if (range.last == LetterRange().last) return fmt::format("{}-", range.first);
  return fmt::format("{}-{}", range.first, range.last);
}

Result<DeadLetters> DeadLetters::open(Client& client, std::string stream) {
  const std::string doing = "read stream " + log::escaped(stream);
  auto described = client.request(doing, protocol::DescribeRequest{{}, stream});
  if (!described) return fail(std::move(described).error());
  if (!described->info) return fail(Errc::kCorrupt, doing + ": the server did not describe it");
  const auto& storage = described->info->storage_status;
  return DeadLetters(client, std::move(stream), storage.oldest_sequence_number,
                     storage.newest_sequence_number);
}

LetterRange DeadLetters::there_of(LetterRange range) const {
  return {std::max(range.first, oldest_), std::min(range.last, newest_)};
}

std::int64_t DeadLetters::count(LetterRange range) const {
  const LetterRange there = there_of(range);
  return std::max<std::int64_t>(0, there.last - there.first + 1);
}

Result<void> DeadLetters::read(LetterRange range, const Visit& visit) {
  const LetterRange there = there_of(range);
  const std::string doing = "read stream " + log::escaped(stream_);
  std::int64_t next = there.first;
  while (next <= there.last) {
    auto got =
        client_->request(doing, protocol::ReadRequest{{}, stream_, next, 1, kBatchMessages, 0});
    if (!got) return fail(std::move(got).error());
    if (got->messages.empty()) break;
    for (const auto& message : got->messages) {
      if (message.sequence_number > there.last) return {};
      next = message.sequence_number + 1;
      const auto letter = read_dead_letter(message.payload);
      if (!letter) {
        ++strays_;
        continue;
      }
      WEIR_RETURN_IF_ERROR(visit(message, *letter));
    }
  }
  return {};
}

Result<void> DeadLetters::read_one(std::int64_t number, const Visit& visit) {
  if (newest_ < oldest_) {
    return fail(Errc::kNotFound, fmt::format("there is no letter {}; stream {} is empty", number,
                                             log::escaped(stream_)));
  }
  if (number > newest_) {
    return fail(Errc::kNotFound,
                fmt::format("there is no letter {}; the newest is {}", number, newest_));
  }
  const std::string doing =
      fmt::format("read letter {} of stream {}", number, log::escaped(stream_));
  auto got = client_->request(doing, protocol::ReadRequest{{}, stream_, number, 1, 1, 0});
  if (!got) return fail(std::move(got).error());
  if (got->messages.empty() || got->messages.front().sequence_number != number) {
    return fail(
        Errc::kNotFound,
        fmt::format("letter {} is not there any more; the oldest is {}", number,
                    got->messages.empty() ? oldest_ : got->messages.front().sequence_number));
  }
  const auto letter = read_dead_letter(got->messages.front().payload);
  if (!letter) {
    return fail(Errc::kInvalidArgument, fmt::format("message {} of stream {} is no dead letter",
                                                    number, log::escaped(stream_)));
  }
  return visit(got->messages.front(), *letter);
}

void DeadLetters::note_strays() const {
  if (strays_ == 0) return;
  note(fmt::format("weir: {} of the messages in stream {} {} no dead {} left out", strays_,
                   log::escaped(stream_), strays_ == 1 ? "is" : "are",
                   strays_ == 1 ? "letter and is" : "letters and are"));
}

}  // namespace weir::cli
