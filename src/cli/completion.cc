#include "cli/completion.h"

#include <algorithm>
#include <utility>

namespace weir::cli {
namespace {

using Source = Completion::Source;
using Word = Completion::Word;

/// The line up to the cursor, understood as far as it goes: half a line is never an error.
struct Line {
  const Command* command = nullptr;
  TypedFlags flags;
  std::vector<std::string> arguments;
  const Flag* open = nullptr;  ///< the flag whose value is being typed
  std::string lead;            ///< "--output=" where the shell wants it repeated
  std::string typed;           ///< the beginning of the word at the cursor
  bool plain = false;          ///< behind "--"
};

/// Puts together what bash parted at '='. True if the last word was concerned.
bool join_at_equals(std::vector<std::string>& words) {
  bool last = false;
  std::vector<std::string> joined;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "=" && !joined.empty() && joined.back().starts_with("--") &&
        joined.back().find('=') == std::string::npos) {
      joined.back() += "=";
      if (i + 1 < words.size()) joined.back() += words[++i];
      last = i + 1 == words.size();
    } else {
      joined.push_back(words[i]);
    }
  }
  words = std::move(joined);
  return last;
}

/// The command that the first words name; `used` says how many they are.
const Command* command_of(const CommandTable& table, const std::vector<std::string>& words,
                          std::size_t& used) {
  const Command* command = find_command(table, "");
  for (used = 0; command != nullptr && used + 1 < words.size() && !command->run; ++used) {
    const std::string name =
        command->name.empty() ? words[used] : command->name + " " + words[used];
    const Command* next = words[used].empty() ? nullptr : find_command(table, name);
    if (next == nullptr || next->hidden) break;
    command = next;
  }
  return command;
}

void take_flag(Line& line, const std::string& word) {
  const std::size_t equals = word.find('=');
  const Flag* flag = find_flag(*line.command, word.substr(0, equals));
  if (flag == nullptr) return;
  line.flags[flag_key(*flag)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  if (!flag->value.empty() && equals == std::string::npos) line.open = flag;
}

void take_word(Line& line, const std::string& word) {
  const bool flag = !line.plain && word.size() > 1 && word[0] == '-';
  if (line.open != nullptr && !(line.open->many && flag)) {
    line.flags[flag_key(*line.open)] = word;
    if (!line.open->many) line.open = nullptr;
    return;
  }
  line.open = nullptr;
  if (flag && word == "--") {
    line.plain = true;
  } else if (flag) {
    take_flag(line, word);
  } else {
    line.arguments.push_back(word);
  }
}

Line understand(const CommandTable& table, std::vector<std::string> words) {
  Line line;
  if (words.empty()) words.emplace_back();
  const bool parted = join_at_equals(words);
  std::size_t used = 0;
  line.command = command_of(table, words, used);
  if (line.command == nullptr) return line;
  for (; used + 1 < words.size(); ++used) take_word(line, words[used]);
  line.typed = words.back();
  const std::size_t equals = line.typed.find('=');
  if (line.open == nullptr && !line.plain && line.typed.starts_with("--") &&
      equals != std::string::npos) {
    line.open = find_flag(*line.command, line.typed.substr(0, equals));
    if (!parted) line.lead = line.typed.substr(0, equals + 1);
    line.typed.erase(0, equals + 1);
  }
  return line;
}

bool can_be_shown(const std::string& word) {
  return std::none_of(word.begin(), word.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

class Finder {
 public:
  Finder(const CommandTable& table, const Line& line, const LiveNames& names)
      : table_(table), line_(line), names_(names) {}

  Completion run() {
    if (line_.command == nullptr) return {};
    if (line_.open != nullptr) {
      values(line_.open->kind, line_.open->choices);
    } else if (!line_.plain && line_.typed.starts_with('-')) {
      flags();
    } else if (!line_.command->run && line_.arguments.empty()) {
      commands(line_.command->name);
    } else if (const Argument* argument = next_argument()) {
      values(argument->kind, argument->choices);
    }
    return std::move(found_);
  }

 private:
  void add(const std::string& word, const std::string& meaning = {}) {
    if (word.starts_with(line_.typed) && can_be_shown(word)) {
      found_.words.push_back({line_.lead + word, meaning});
    }
  }

  [[nodiscard]] const Argument* next_argument() const {
    const auto& arguments = line_.command->arguments;
    if (arguments.empty()) return nullptr;
    if (line_.arguments.size() < arguments.size()) return &arguments[line_.arguments.size()];
    return arguments.back().many ? &arguments.back() : nullptr;
  }

  void flags() {
    for (const Flag& flag : line_.command->flags) {
      if (line_.flags.contains(flag_key(flag)) && !flag.many) continue;
      for (const std::string& name : flag_names(flag)) {
        // The short ones only when asked for: nobody needs -o beside --output.
        if (name.starts_with("--") || line_.typed == name) add(name, flag.text);
      }
    }
    add("--help", "What the command does.");
  }

  void commands(const std::string& group) {
    for (const Command* command : commands_below(table_, group)) {
      add(command->name.substr(group.empty() ? 0 : group.size() + 1), command->summary);
    }
  }

  void values(Kind kind, const std::vector<std::string>& choices) {
    for (const std::string& choice : choices) add(choice);
    switch (kind) {
      case Kind::kFile:
        found_.source = Source::kFiles;
        return;
      case Kind::kDirectory:
        found_.source = Source::kDirectories;
        return;
      case Kind::kStream:
        for (const auto& name : names_.streams(*line_.command, line_.flags)) add(name);
        return;
      case Kind::kExport:
        for (const auto& [stream, name] : names_.exports(line_.flags)) {
          if (line_.arguments.empty() || stream == line_.arguments.front()) add(name);
        }
        return;
      case Kind::kAddress:
        for (const auto& [stream, name] : names_.exports(line_.flags)) {
          add(std::string(stream).append("/").append(name));
        }
        return;
      case Kind::kCommand:
        commands("");
        return;
      default:
        return;
    }
  }

  const CommandTable& table_;
  const Line& line_;
  const LiveNames& names_;
  Completion found_;
};

constexpr const char* kBash = R"sh(# Completion of weir for bash; made by: weir completion bash
_weir() {
  local cur="${COMP_WORDS[COMP_CWORD]}" kind word i
  local -a words=() lines=()
  for ((i = 1; i <= COMP_CWORD; i++)); do
    words+=("${COMP_WORDS[i]//[\\\"\']/}")
  done
  mapfile -t lines < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
  COMPREPLY=()
  kind="${lines[0]-}"
  case "$kind" in
    files | directories)
      compopt -o filenames 2>/dev/null
      [[ $cur == "=" ]] && cur=""
      if [[ $kind == files ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      else
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      fi
      ;;
    words)
      for word in "${lines[@]:1}"; do
        word="${word%%$'\t'*}"
        if [[ $cur == [\"\']* ]]; then
          COMPREPLY+=("$word")
        else
          COMPREPLY+=("$(printf '%q' "$word")")
        fi
      done
      ;;
  esac
}
complete -F _weir weir
)sh";

constexpr const char* kZsh = R"sh(#compdef weir
# Completion of weir for zsh; made by: weir completion zsh
_weir() {
  local line word text
  local -a lines shown
  lines=("${(@f)$("${(Q)words[1]}" __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
  case "$lines[1]" in
    files) _files ;;
    directories) _files -/ ;;
    words)
      for line in "${(@)lines[2,-1]}"; do
        word="${line%%$'\t'*}"
        text="${line#*$'\t'}"
        shown+=("${word//:/\\:}${text:+:$text}")
      done
      _describe weir shown
      ;;
  esac
}
if [[ "$funcstack[1]" == _weir ]]; then
  _weir "$@"
else
  compdef _weir weir
fi
)sh";

constexpr const char* kFish = R"sh(# Completion of weir for fish; made by: weir completion fish
function __weir_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$word" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$word"
        case directories
            __fish_complete_directories "$word"
        case words
            if test (count $lines) -gt 1
                printf '%s\n' $lines[2..-1]
            end
    end
end
complete -c weir -f -a '(__weir_complete)'
)sh";

}  // namespace

Completion complete(const CommandTable& table, std::vector<std::string> words,
                    const LiveNames& names) {
  const Line line = understand(table, std::move(words));
  return Finder(table, line, names).run();
}

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return kBash;
  return shell == "zsh" ? kZsh : kFish;
}

}  // namespace weir::cli
