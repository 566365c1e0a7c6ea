#include "cli/arguments.h"

#include "base/check.h"
#include "base/log.h"
#include "base/nearest.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace weir::cli {
namespace {

constexpr std::size_t kWordBytesShown = 64;

tl::unexpected<Error> usage(std::string what) {
  return fail(Errc::kInvalidArgument, std::move(what));
}

template <class Number>
std::optional<Number> number_from(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::string range_text(std::int64_t min, std::int64_t max) {
  if (max == std::numeric_limits<std::int64_t>::max()) return fmt::format("{} or more", min);
  return fmt::format("{} to {}", min, max);
}

/// Why `word` cannot be a value of this kind, or "".
std::string complaint(Kind kind, const std::string& word, const std::vector<std::string>& choices,
                      std::int64_t min, std::int64_t max) {
  if (kind == Kind::kNumber || kind == Kind::kPort) {
    const auto value = number_from<std::int64_t>(word);
    if (value && *value >= min && *value <= max) return {};
    return "write a whole number, " + range_text(min, max);
  }
  if (kind == Kind::kDecimal) {
    const auto value = number_from<double>(word);
    if (value && *value > static_cast<double>(min) && *value <= static_cast<double>(max)) return {};
    return fmt::format(
        "write a number above {}{}", min,
        max == std::numeric_limits<std::int64_t>::max() ? "" : fmt::format(", at most {}", max));
  }
  if (kind == Kind::kChoice && std::find(choices.begin(), choices.end(), word) == choices.end()) {
    std::string known;
    for (std::size_t i = 0; i < choices.size(); ++i) {
      known += (i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ") + choices[i];
    }
    return "write " + known;
  }
  return {};
}

std::string complaint(const Flag& flag, const std::string& word) {
  if (flag.kind == Kind::kPort) return complaint(flag.kind, word, {}, 1, 65535);
  return complaint(flag.kind, word, flag.choices, flag.min, flag.max);
}

bool looks_like_flag(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

std::string with_underscores(std::string text) {
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

std::string unknown_flag(const Command& command, const std::string& word) {
  std::vector<std::string> known = {"help"};
  for (const Flag& flag : command.flags) {
    for (const std::string& name : flag_names(flag)) {
      if (name.starts_with("--")) known.push_back(with_underscores(name.substr(2)));
    }
  }
  std::string near = word.starts_with("--") ? nearest(word.substr(2), known) : "";
  std::replace(near.begin(), near.end(), '_', '-');
  return fmt::format("there is no option '{}'{}", log::escaped(word, kWordBytesShown),
                     near.empty() ? "" : ", did you mean '--" + near + "'?");
}

}  // namespace

/// One pass over the words.
class Arguments::Parser {
 public:
  Parser(const Command& command, const std::vector<std::string>& words, Arguments& out)
      : command_(command), words_(words), out_(out) {}

  Result<void> run() {
    for (; at_ < words_.size() && !out_.help_wanted_; ++at_) {
      const std::string& word = words_[at_];
      if (plain_ || !looks_like_flag(word)) {
        WEIR_RETURN_IF_ERROR(take_argument(word));
      } else if (word == "--") {
        plain_ = true;
      } else if (word == "--help" || word == "-h") {
        out_.help_wanted_ = true;
      } else if (word.starts_with("--")) {
        WEIR_RETURN_IF_ERROR(take_long(word));
      } else {
        WEIR_RETURN_IF_ERROR(take_short(word));
      }
    }
    return out_.help_wanted_ ? Result<void>() : check_whole();
  }

 private:
  Result<void> take_argument(const std::string& word) {
    if (place_ == command_.arguments.size()) {
      return usage(fmt::format("'{}' is one word too many", log::escaped(word, kWordBytesShown)));
    }
    const Argument& argument = command_.arguments[place_];
    if (!argument.many) ++place_;
    if (argument.kind == Kind::kNumber || argument.kind == Kind::kChoice) {
      const std::string wrong = complaint(argument.kind, word, argument.choices, 0,
                                          std::numeric_limits<std::int64_t>::max());
      if (!wrong.empty()) {
        return usage(
            fmt::format("{} '{}': {}", argument.name, log::escaped(word, kWordBytesShown), wrong));
      }
    }
    out_.values_[argument.name].push_back(word);
    return {};
  }

  Result<void> take_long(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const Flag* flag = find_flag(command_, name);
    if (flag == nullptr) return usage(unknown_flag(command_, name));
    if (equals == std::string::npos) return take_values(*flag, name);
    if (flag->value.empty()) return usage(name + " takes no value");
    return keep(*flag, name, word.substr(equals + 1));
  }

  /// "-v", "-vq", "-n 5", "-n5".
  Result<void> take_short(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string name = {'-', word[i]};
      const Flag* flag = find_flag(command_, name);
      if (flag == nullptr) return usage(unknown_flag(command_, word));
      if (flag->value.empty()) {
        out_.values_[flag_key(*flag)].push_back("true");
      } else if (i + 1 < word.size()) {
        return keep(*flag, name, word.substr(i + 1));
      } else {
        return take_values(*flag, name);
      }
    }
    return {};
  }

  Result<void> take_values(const Flag& flag, const std::string& name) {
    if (flag.value.empty()) {
      out_.values_[flag_key(flag)].push_back("true");
      return {};
    }
    // "-10" is a value, "--json" is one that was forgotten.
    const auto may_be_value = [&](const std::string& word) {
      return !looks_like_flag(word) || find_flag(command_, word) == nullptr;
    };
    if (at_ + 1 >= words_.size() || !may_be_value(words_[at_ + 1])) {
      return usage(fmt::format("{} wants a value: {} {}", name, name, flag.value));
    }
    WEIR_RETURN_IF_ERROR(keep(flag, name, words_[++at_]));
    while (flag.many && at_ + 1 < words_.size() && !looks_like_flag(words_[at_ + 1])) {
      WEIR_RETURN_IF_ERROR(keep(flag, name, words_[++at_]));
    }
    return {};
  }

  Result<void> keep(const Flag& flag, const std::string& name, const std::string& word) {
    if (const std::string wrong = complaint(flag, word); !wrong.empty()) {
      return usage(fmt::format("{} '{}': {}", name, log::escaped(word, kWordBytesShown), wrong));
    }
    auto& values = out_.values_[flag_key(flag)];
    if (!flag.many && !values.empty()) return usage(name + " is given twice");
    values.push_back(word);
    return {};
  }

  Result<void> check_whole() {
    for (const Argument& argument : command_.arguments) {
      if (argument.optional || out_.values_.contains(argument.name)) continue;
      return usage(argument.name + " is missing: " + argument.text);
    }
    for (const Flag& flag : command_.flags) {
      const std::string key = flag_key(flag);
      const bool given = out_.values_.contains(key);
      if (flag.required && !given) return usage(key + " is missing: " + flag.text);
      if (!given) continue;
      for (const std::string& other : words_of(flag.excludes)) {
        if (out_.values_.contains(other)) {
          return usage(fmt::format("{} and {} exclude each other", key, other));
        }
      }
    }
    return {};
  }

  const Command& command_;
  const std::vector<std::string>& words_;
  Arguments& out_;
  std::size_t at_ = 0;
  std::size_t place_ = 0;
  bool plain_ = false;  // behind "--" everything is an argument
};

Result<Arguments> Arguments::parse(const Command& command, const std::vector<std::string>& words) {
  Arguments arguments;
  arguments.command_ = &command;
  WEIR_RETURN_IF_ERROR(Parser(command, words, arguments).run());
  return arguments;
}

bool Arguments::knows(std::string_view name) const {
  const Flag* flag = find_flag(*command_, name);
  if (flag != nullptr) return flag_key(*flag) == name;
  return std::any_of(command_->arguments.begin(), command_->arguments.end(),
                     [&](const Argument& each) { return each.name == name; });
}

void Arguments::check_name(std::string_view name) const {
  WEIR_CHECK(knows(name), "a name that is in the command's entry");
}

bool Arguments::has(std::string_view name) const {
  check_name(name);
  return values_.find(name) != values_.end();
}

std::optional<std::string> Arguments::maybe(std::string_view name) const {
  check_name(name);
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second.front();
  return std::nullopt;
}

std::string Arguments::text(std::string_view name) const {
  if (auto given = maybe(name)) return std::move(*given);
  const Flag* flag = find_flag(*command_, name);
  return flag == nullptr ? std::string{} : flag->fallback;
}

std::optional<std::int64_t> Arguments::maybe_number(std::string_view name) const {
  const std::string word = text(name);
  return word.empty() ? std::nullopt : number_from<std::int64_t>(word);
}

std::int64_t Arguments::number(std::string_view name) const {
  return maybe_number(name).value_or(0);
}

double Arguments::decimal(std::string_view name) const {
  return number_from<double>(text(name)).value_or(0);
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  check_name(name);
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::vector<std::int64_t> Arguments::numbers(std::string_view name) const {
  std::vector<std::int64_t> numbers;
  for (const std::string& word : all(name)) {
    numbers.push_back(number_from<std::int64_t>(word).value_or(0));
  }
  return numbers;
}

}  // namespace weir::cli
