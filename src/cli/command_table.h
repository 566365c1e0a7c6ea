#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

/// The table of commands. The parser, --help, completion, the manual pages and docs/commands.md
/// are all made from it, so what stands in none of its entries cannot be typed either.
namespace weir::cli {

class Arguments;

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kInterrupted = 130;

/// What a value is: how it is checked, and what completion offers for it.
enum class Kind : std::uint8_t {
  kText,
  kNumber,   ///< whole, `min` to `max`
  kDecimal,  ///< `min` to `max`
  kPort,     ///< 1 to 65535
  kChoice,   ///< one of `choices`
  kFile,
  kDirectory,
  kStream,   ///< name of a stream
  kExport,   ///< identifier of an export of the stream named before it
  kAddress,  ///< STREAM/EXPORT, or an identifier that only one stream has
  kCommand,  ///< name of a command
};

/// "-o,--output FORMAT".
struct Flag {
  std::string names;       ///< the short one first: "-o,--output"
  std::string value = {};  ///< what its value is called: "FILE"; empty: it takes none
  std::string text = {};   ///< a sentence
  Kind kind = Kind::kText;
  std::vector<std::string> choices = {};
  std::string fallback = {};  ///< the value if it is not given, as it would be written
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  bool many = false;  ///< takes all words up to the next flag
  bool required = false;
  std::string excludes = {};  ///< "--whole --delimiter": not together with these
  std::string group = {};     ///< heading in the help; empty: "Options"
};

/// A word without a dash, by its place.
struct Argument {
  std::string name;  ///< "STREAM"
  std::string text = {};
  Kind kind = Kind::kText;
  bool optional = false;
  bool many = false;  ///< all words that are left; the last argument only
  std::vector<std::string> choices = {};
};

struct Example {
  std::string line;       ///< as it is typed
  std::string text = {};  ///< what it does, where that is not obvious
};

struct ExitStatus {
  int status = 0;
  std::string text;
};

/// One command, or with no `run` a group of them: "stream" before "stream ls".
struct Command {
  std::string name;              ///< words from the program on: "stream ls"
  std::string summary;           ///< one sentence
  std::string description = {};  ///< paragraphs; lines that begin with two spaces stay as they are
  std::vector<Argument> arguments = {};
  std::vector<Flag> flags = {};
  std::vector<Example> examples = {};
  std::vector<ExitStatus> exits =
      {};                 ///< beside 0, 1, 2: only where they mean something of their own
  std::string more = {};  ///< Markdown that only the reference has: links
  bool hidden = false;    ///< neither listed nor documented
  std::function<int(const Arguments&)> run = {};  ///< returns the exit status
};

using CommandTable = std::vector<Command>;

/// The entry with this name, or null.
const Command* find_command(const CommandTable& table, std::string_view name);
/// The entries right below a group, or below the program for "". Without hidden ones.
std::vector<const Command*> commands_below(const CommandTable& table, std::string_view name);

/// The flag that is called this ("--output" or "-o"), or null.
const Flag* find_flag(const Command& command, std::string_view name);
/// "-o,--output" as its parts.
std::vector<std::string> flag_names(const Flag& flag);
/// The longest of them, by which `Arguments` knows it: "--output".
std::string flag_key(const Flag& flag);

/// `first` and behind it `second`: flags that several commands share.
std::vector<Flag> joined(std::vector<Flag> first, const std::vector<Flag>& second);
/// -o,--output with "text" as the default. `text` says more than the formats' names.
Flag output_flag(const std::string& text = "text or json.");

/// "[OPTIONS] NAME..." behind the command's name.
std::string usage_line(const CommandTable& table, const Command& command);

/// Words of `text` parted by single spaces, for lists such as "--whole --delimiter".
std::vector<std::string> words_of(std::string_view text, char between = ' ');

}  // namespace weir::cli
