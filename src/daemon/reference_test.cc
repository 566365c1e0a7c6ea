// Keeps the key table, docs/configuration.md and packaging/weir.yaml the same, and every metric in
// docs/metrics.md. With WEIR_REWRITE=1 in the environment the files are written instead.

#include "daemon/config.h"
#include "daemon/config_sample.h"
#include "daemon/environment.h"
#include "daemon/schema.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace weir::daemon {
namespace {

namespace fs = std::filesystem;

fs::path root() { return WEIR_SOURCE_ROOT; }

std::string read(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

bool rewriting() {
  return std::getenv("WEIR_REWRITE") != nullptr;  // NOLINT(concurrency-mt-unsafe): one thread
}

void expect_file(const fs::path& path, const std::string& wanted) {
  if (rewriting()) std::ofstream(path) << wanted;
  EXPECT_EQ(read(path), wanted) << "Run this test with WEIR_REWRITE=1 to write " << path;
}

bool holds_keys(const Key& key) { return key.kind == Kind::kSection || key.kind == Kind::kList; }

std::string escaped_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string key_tables() {
  std::string out;
  for_each_key([&](const std::string& path, const Key& key) {
    if (holds_keys(key)) {
      out += fmt::format(
          "\n### `{}`\n\n{}\n\n| key | type | default | change | meaning |\n"
          "|---|---|---|---|---|\n",
          path, key.doc);
      return;
    }
    const std::string fallback = key.required               ? "required"
                                 : key.default_text.empty() ? "–"
                                                            : "`" + key.default_text + "`";
    out +=
        fmt::format("| `{}` | {} | {} | {} | {} |\n", path, escaped_cell(type_text(key)), fallback,
                    key.change == Change::kLive ? "live" : "restart", escaped_cell(key.doc));
  });
  return out;
}

std::string environment_table() {
  std::string out = "\n| variable | sets | meaning |\n|---|---|---|\n";
  for (const auto& each : environment_names()) {
    out += fmt::format("| `{}` | {} | {} |\n", each.name,
                       each.key.empty() ? "–" : fmt::format("`{}`", each.key),
                       escaped_cell(std::string(each.doc)));
  }
  return out;
}

// Replaces what stands between "<!-- NAME: begin ... -->" and "<!-- NAME: end -->".
std::string with_part(const std::string& text, const std::string& name, const std::string& part) {
  const auto begin = text.find("<!-- " + name + ": begin");
  const auto end = text.find("<!-- " + name + ": end -->");
  EXPECT_TRUE(begin != std::string::npos && end != std::string::npos) << name;
  if (begin == std::string::npos || end == std::string::npos) return text;
  const auto head = text.find('\n', begin) + 1;
  return text.substr(0, head) + part + "\n" + text.substr(end);
}

// The sample as somebody would use it who wants everything.
std::string uncommented(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("##")) continue;
    out += (line.starts_with("#") ? line.substr(1) : line) + "\n";
  }
  return out;
}

TEST(Reference, documents_every_key_with_type_range_and_default) {
  const auto path = root() / "docs/configuration.md";
  expect_file(path, with_part(read(path), "keys", key_tables()));
}

TEST(Reference, documents_every_environment_variable) {
  const auto path = root() / "docs/configuration.md";
  expect_file(path, with_part(read(path), "environment", environment_table()));
}

TEST(Reference, the_sample_has_every_key) {
  expect_file(root() / "packaging/weir.yaml", sample_config());
}

TEST(Reference, the_sample_is_a_valid_configuration_that_changes_nothing) {
  const auto loaded = parse_config(read(root() / "packaging/weir.yaml"), "weir.yaml");
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_TRUE(loaded.config.streams.empty());
}

// Keys of one kind of export stand beside those of another, so exactly those are complained about.
TEST(Reference, the_sample_parses_with_all_keys_uncommented) {
  const auto loaded = parse_config(uncommented(read(root() / "packaging/weir.yaml")), "weir.yaml");
  std::size_t of_other_types = 0;
  for (const auto& problem : loaded.problems) {
    if (problem.what.find("' is a key of ") != std::string::npos) {
      ++of_other_types;
    } else {
      ADD_FAILURE() << problem.text();
    }
  }
  EXPECT_EQ(of_other_types, 3 * 8U) << "in streams, redirects and additions";
  ASSERT_EQ(loaded.config.streams.size(), 1U);
  EXPECT_EQ(loaded.config.streams[0].exports.size(), 1U);
}

TEST(Reference, the_quickstart_configuration_is_valid) {
  const auto loaded = parse_config(read(root() / "packaging/quickstart.yaml"), "quickstart.yaml");
  for (const auto& problem : loaded.problems) ADD_FAILURE() << problem.text();
  EXPECT_EQ(loaded.config.streams.size(), 1U);
}

// The text of the string literals at `at`, which C++ joins; moves `at` behind them.
std::string literal(const std::string& source, std::size_t& at) {
  std::string text;
  while (at < source.size() && source[at] == '"') {
    for (++at; at < source.size() && source[at] != '"'; ++at) {
      if (source[at] == '\\') ++at;
      text += source[at];
    }
    at = source.find_first_not_of(" \n", at + 1);
  }
  return text;
}

struct Metric {
  std::string name;
  std::string type;
  std::string labels;
  std::string help;
};

// Every Descriptor of a metrics.h: "name", Type::kX, "labels", "help".
std::vector<Metric> metrics_of(const std::string& source) {
  std::vector<Metric> all;
  const auto skip_comma = [&](std::size_t at) {
    return source.find_first_not_of(" \n", source.find(',', at) + 1);
  };
  for (std::size_t at = source.find("\"weir_"); at != std::string::npos;
       at = source.find("\"weir_", at)) {
    Metric metric;
    metric.name = literal(source, at);
    at = skip_comma(at);
    metric.type = source.substr(at, source.find(',', at) - at);
    at = skip_comma(at);
    metric.labels = literal(source, at);
    at = skip_comma(at);
    metric.help = literal(source, at);
    EXPECT_FALSE(metric.help.empty()) << metric.name;
    all.push_back(std::move(metric));
  }
  return all;
}

// What a metric counts or measures: the last word of its name, or nothing but "1" for a yes or no.
std::string unit_of(std::string_view name) {
  const std::string_view total = "_total";
  if (name.ends_with(total)) name.remove_suffix(total.size());
  for (const std::string_view what_became : {"_accepted", "_refused", "_closed", "_ended"}) {
    if (name.ends_with(what_became)) name.remove_suffix(what_became.size());
  }
  const std::string_view last = name.substr(name.rfind('_') + 1);
  constexpr std::array<std::string_view, 5> kYesOrNo{"ready", "connected", "info", "state",
                                                     "space"};
  if (std::find(kYesOrNo.begin(), kYesOrNo.end(), last) != kYesOrNo.end()) return "0 or 1";
  if (name.ends_with("_timestamp_seconds")) return "seconds since 1970";
  if (last == "ms") return "milliseconds";
  if (last == "number") return "sequence number";
  return name.ends_with("_in_a_row") ? "failures" : std::string(last);
}

// Every Descriptor in a metrics.h has a row in docs/metrics.md, with its labels and words, and the
// document names no metric that does not exist.
TEST(Reference, documents_every_metric) {
  const auto path = root() / "docs/metrics.md";
  std::string table;
  std::vector<fs::path> folders;
  for (const auto& folder : fs::directory_iterator(root() / "src"))
    folders.push_back(folder.path());
  std::sort(folders.begin(), folders.end());
  for (const auto& folder : folders) {
    const auto header = folder / "metrics.h";
    if (!fs::exists(header)) continue;
    const auto metrics = metrics_of(read(header));
    if (metrics.empty()) continue;
    table += fmt::format(
        "\n### {}\n\n| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n",
        folder.filename().string());
    for (const auto& metric : metrics) {
      EXPECT_TRUE(metric.type.ends_with("kCounter") || metric.type.ends_with("kGauge"))
          << "cannot read " << metric.name << " in " << header;
      table += fmt::format(
          "| `{}` | {} | {} | {} | {} |\n", metric.name,
          metric.type.ends_with("kCounter") ? "counter" : "gauge", unit_of(metric.name),
          metric.labels.empty() ? "–" : "`" + metric.labels + "`", escaped_cell(metric.help));
    }
  }
  expect_file(path, with_part(read(path), "metrics", table));
}

}  // namespace
}  // namespace weir::daemon
