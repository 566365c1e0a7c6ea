#pragma once

#include "base/result.h"
#include "cli/command_table.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

/// What was typed behind a command, checked against its entry in the table. Flags and arguments
/// are asked for by the names that they have there ("--output", "STREAM"); any other name is a
/// mistake of ours and ends the process.
class Arguments {
 public:
  /// Errors: kInvalidArgument, in words for whoever typed it, without the command's name.
  static Result<Arguments> parse(const Command& command, const std::vector<std::string>& words);

  /// Whether `--help` was among them; then nothing else was checked.
  [[nodiscard]] bool help_wanted() const { return help_wanted_; }
  /// Whether the command has a flag of this name at all, for code that several commands share.
  [[nodiscard]] bool knows(std::string_view name) const;
  /// Whether it was given.
  [[nodiscard]] bool has(std::string_view name) const;
  /// The value, or the default, or "".
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> maybe(std::string_view name) const;
  /// Of kNumber and kPort; 0 if there is neither a value nor a default.
  [[nodiscard]] std::int64_t number(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> maybe_number(std::string_view name) const;
  [[nodiscard]] double decimal(std::string_view name) const;
  /// All values of one that may have many.
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
  [[nodiscard]] std::vector<std::int64_t> numbers(std::string_view name) const;

 private:
  class Parser;
  void check_name(std::string_view name) const;

  const Command* command_ = nullptr;  // the table outlives what is parsed by it
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  bool help_wanted_ = false;
};

}  // namespace weir::cli
