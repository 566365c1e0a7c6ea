#include "connector/arn.h"

#include "base/log.h"

#include <algorithm>
#include <array>

namespace weir::connector {
namespace {

constexpr std::size_t kNameCharactersMax = 64;
constexpr std::size_t kAccountDigits = 12;
constexpr std::size_t kPartCharactersMax = 32;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "aws", "aws-cn", "aws-us-gov".
bool is_partition(std::string_view text) {
  return text.starts_with("aws") && text.size() <= kPartCharactersMax && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_lower(c) || c == '-'; });
}

// "eu-west-1", "us-gov-east-1": two letters, words, one digit.
bool is_region(std::string_view text) {
  if (text.size() < 6 || text.size() > kPartCharactersMax) return false;
  if (!is_lower(text[0]) || !is_lower(text[1]) || text[2] != '-') return false;
  const std::string_view words = text.substr(3, text.size() - 5);
  return is_digit(text.back()) && text[text.size() - 2] == '-' && words.front() != '-' &&
         words.back() != '-' && words.find("--") == std::string_view::npos &&
         std::all_of(words.begin(), words.end(), [](char c) { return is_lower(c) || c == '-'; });
}

bool is_account(std::string_view text) {
  return text.size() == kAccountDigits && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameCharactersMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '-' ||
                  c == '.';
         });
}

}  // namespace

std::string DeliveryStreamArn::text() const {
  return "arn:" + partition + ":firehose:" + region + ":" + account + ":deliverystream/" + name;
}

Result<DeliveryStreamArn> parse_arn(std::string_view text) {
  const auto wrong = [&](const char* why) {
    return fail(Errc::kInvalidArgument, "'" + log::escaped(text, kArnBytesMax) + "' " + why);
  };
  std::array<std::string_view, 6> parts;
  std::string_view rest = text;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::size_t colon = rest.find(':');
    if (colon == std::string_view::npos) {
      return wrong(
          "is not the ARN of a delivery stream: "
          "arn:aws:firehose:<region>:<account>:deliverystream/<name>");
    }
    parts[i] = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  parts[5] = rest;
  constexpr std::string_view kKind = "deliverystream/";
  if (parts[0] != "arn") return wrong("does not begin with 'arn:'");
  if (parts[1].empty() || !is_partition(parts[1])) return wrong("names no partition of AWS");
  if (parts[2] != "firehose") return wrong("is of another service than firehose");
  if (!is_region(parts[3])) return wrong("names no region, such as eu-west-1");
  if (!is_account(parts[4])) return wrong("has no account of twelve digits");
  if (!parts[5].starts_with(kKind)) return wrong("is of something else than a deliverystream");
  const std::string_view name = parts[5].substr(kKind.size());
  if (!is_name(name)) {
    return wrong("does not end with the name of a delivery stream: 1 to 64 letters, digits, _ . -");
  }
  return DeliveryStreamArn{std::string(parts[1]), std::string(parts[3]), std::string(parts[4]),
                           std::string(name)};
}

}  // namespace weir::connector
