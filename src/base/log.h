#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace weir::log {

/// `error`: data lost or a person is needed. `warn`: unexpected, nothing lost. `info`: life cycle.
/// `debug` and `trace`: for developers, never per message at `debug`.
enum class Level : unsigned char { kTrace, kDebug, kInfo, kWarn, kError };

/// One `key=value` of a log line. Text is escaped and cut when written (reliability.md 4.8); never
/// pass a payload, token or credential.
struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  Field(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
};

/// The name of a level as `LOG_LEVEL` spells it, in any case; none if there is no such level.
std::optional<Level> level_from_text(std::string_view text);

/// What is written at all; `info` at start. Threads: any.
void set_level(Level level);
[[nodiscard]] bool enabled(Level level);

/// Writes one line to standard error: time, level, `sentence`, fields. Repeats of one cause (the
/// sentence and its `stream` and `destination` fields) beyond 10 a minute are counted, not written.
/// Threads: any. Blocks: on standard error.
void write(Level level, std::string_view sentence, std::initializer_list<Field> fields);

inline void debug(std::string_view sentence, std::initializer_list<Field> fields = {}) {
  if (enabled(Level::kDebug)) write(Level::kDebug, sentence, fields);
}
inline void info(std::string_view sentence, std::initializer_list<Field> fields = {}) {
  if (enabled(Level::kInfo)) write(Level::kInfo, sentence, fields);
}
inline void warn(std::string_view sentence, std::initializer_list<Field> fields = {}) {
  if (enabled(Level::kWarn)) write(Level::kWarn, sentence, fields);
}
inline void error(std::string_view sentence, std::initializer_list<Field> fields = {}) {
  write(Level::kError, sentence, fields);
}

/// `text` with control characters, line separators and invalid UTF-8 escaped, cut to `bytes_max`.
std::string escaped(std::string_view text, std::size_t bytes_max = 256);

/// Sends every line to `sink` instead of standard error, rate limit off; null restores. For tests.
void capture(void (*sink)(Level, const std::string& line));

}  // namespace weir::log
