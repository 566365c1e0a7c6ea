#include "stream/names_file.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "stream/layout.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

namespace weir::stream {
namespace {

// A line each for a million streams with the longest names.
constexpr std::size_t kFileBytesMax = std::size_t{512} << 20;

/// "<id> <name> <crc32c of all before>", with a line feed on both sides, so that half a line that
/// a crash left cannot spoil the next one.
std::string line_of(StreamId id, const std::string& name) {
  const std::string covered = std::to_string(id.value()) + " " + name + " ";
  std::array<char, 16> sum{};
  std::snprintf(sum.data(), sum.size(), "%08x\n", crc32c(as_bytes(covered)));
  return "\n" + covered + sum.data();
}

std::optional<std::pair<StreamId, std::string>> read_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + first, id);
  if (error != std::errc{} || end != line.data() + first) return std::nullopt;
  std::string name(line.substr(first + 1, last - first - 1));
  if (line_of(StreamId(id), name) != "\n" + std::string(line) + "\n") return std::nullopt;
  return std::pair(StreamId(id), std::move(name));
}

}  // namespace

NamesFile::Names NamesFile::load() const {
  Names names;
  const auto content = file::read_file(disk_, layout::kNames, kFileBytesMax);
  if (!content) return names;
  std::string_view rest = as_text(*content);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (auto one = read_line(rest.substr(0, end))) names.insert_or_assign(one->first, one->second);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return names;
}

void NamesFile::replace(const Names& names) {
  std::string text;
  for (const auto& [id, name] : names) text += line_of(id, name);
  const auto written = file::replace_file(disk_, layout::kNames, as_bytes(text));
  if (written) return;
  log::debug("The second list of names could not be written.", {{"error", written.error().what}});
}

void NamesFile::add(StreamId id, const std::string& name) {
  const auto append = [&]() -> Result<void> {
    auto file = disk_.open(layout::kNames, file::OpenMode::kReadWrite);
    if (!file && file.error().code == Errc::kNotFound) {
      file = disk_.open(layout::kNames, file::OpenMode::kCreateNew);
    }
    if (!file) return fail(file.error());
    WEIR_TRY(const std::uint64_t size, (*file)->size());
    const std::string line = line_of(id, name);
    const std::array<Bytes, 1> pieces{as_bytes(line)};
    return (*file)->write_at(size, pieces);
  };
  if (const auto added = append(); !added) {
    log::debug("A name could not be noted a second time.", {{"error", added.error().what}});
  }
}

}  // namespace weir::stream
