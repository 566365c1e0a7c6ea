#pragma once

#include "cli/command_table.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace weir::cli {

/// What can stand where the cursor is.
struct Completion {
  enum class Source : std::uint8_t { kWords, kFiles, kDirectories };
  struct Word {
    std::string text;
    std::string meaning = {};
  };
  Source source = Source::kWords;
  std::vector<Word> words = {};
};

/// Flags typed so far with their values, by `flag_key`: they say which weir is meant.
using TypedFlags = std::map<std::string, std::string>;

/// Names that only a running weir knows. Both may return nothing, and must not take long.
struct LiveNames {
  std::function<std::vector<std::string>(const Command&, const TypedFlags&)> streams;
  /// Pairs of stream and export.
  std::function<std::vector<std::pair<std::string, std::string>>(const TypedFlags&)> exports;
};

/// `words` behind the program's name; the last is being typed and may be empty. Shells that part
/// words at '=' (bash) may give "--output", "=", "js".
Completion complete(const CommandTable& table, std::vector<std::string> words,
                    const LiveNames& names);

/// The script that makes "bash", "zsh" or "fish" ask `weir __complete`.
std::string completion_script(const std::string& shell);

}  // namespace weir::cli
