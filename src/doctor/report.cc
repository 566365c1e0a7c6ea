#include "doctor/report.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weir::doctor {
namespace {

constexpr std::array<Group, 5> kGroups{Group::kWeir, Group::kMachine, Group::kStore,
                                       Group::kNetwork, Group::kDestinations};
constexpr int kMarkWidth = 9;  // "warning  "
constexpr int kWidthMin = 30;

const char* colour_of(Level level) {
  switch (level) {
    case Level::kOk:
      return "\033[32m";
    case Level::kSkipped:
      return "\033[90m";
    case Level::kWarning:
      return "\033[33m";
    case Level::kError:
      return "\033[31m";
  }
  return "";
}

std::string mark(Level level, bool colour) {
  const std::string word = fmt::format("{:<{}}", level_name(level), kMarkWidth);
  return colour ? colour_of(level) + word + "\033[0m" : word;
}

/// `text` broken between words, its later lines indented by `indent`.
std::string wrapped(const std::string& text, int indent, int width) {
  if (width < kWidthMin) return text + "\n";
  const auto room = static_cast<std::size_t>(width - indent);
  std::string out;
  std::size_t at = 0;
  while (text.size() - at > room) {
    std::size_t end = text.rfind(' ', at + room);
    if (end == std::string::npos || end <= at) end = text.find(' ', at);
    if (end == std::string::npos) break;
    out += text.substr(at, end - at) + "\n" + std::string(static_cast<std::size_t>(indent), ' ');
    at = end + 1;
  }
  return out + text.substr(at) + "\n";
}

bool is_trouble(const Finding& finding) { return finding.level >= Level::kWarning; }

std::string line_of(const Finding& finding, bool colour, int width) {
  std::string text =
      "  " + mark(finding.level, colour) + wrapped(finding.seen, kMarkWidth + 2, width);
  if (is_trouble(finding) && !finding.fix.empty()) {
    text += "    " + std::string("fix    ") + wrapped(finding.fix, kMarkWidth + 2, width);
  }
  return text;
}

std::string counted(int count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

Summary summary_of(const Findings& findings) {
  Summary summary;
  for (const Finding& finding : findings) {
    switch (finding.level) {
      case Level::kOk:
        ++summary.ok;
        break;
      case Level::kSkipped:
        ++summary.skipped;
        break;
      case Level::kWarning:
        ++summary.warnings;
        break;
      case Level::kError:
        ++summary.errors;
        break;
    }
  }
  return summary;
}

std::string text_report(const Findings& findings, bool colour, int width) {
  std::string text;
  for (const Group group : kGroups) {
    std::string lines;
    for (const Finding& finding : findings) {
      if (finding.group == group && !is_trouble(finding)) lines += line_of(finding, colour, width);
    }
    if (!lines.empty()) text += std::string(group_name(group)) + "\n" + lines;
  }
  // What is worst stands last: that is where a screen ends.
  for (const Level level : {Level::kWarning, Level::kError}) {
    std::string lines;
    for (const Finding& finding : findings) {
      if (finding.level == level) lines += line_of(finding, colour, width);
    }
    if (!lines.empty()) {
      text += std::string(level == Level::kWarning ? "to look at" : "to fix") + "\n" + lines;
    }
  }
  const Summary summary = summary_of(findings);
  text += fmt::format("{}, {}, {} ok{}\n", counted(summary.errors, "error"),
                      counted(summary.warnings, "warning"), summary.ok,
                      summary.skipped > 0 ? fmt::format(", {} skipped", summary.skipped) : "");
  return text;
}

std::string json_report(const Findings& findings) {
  using nlohmann::json;
  const Summary summary = summary_of(findings);
  json document = {{"format", 1},
                   {"version", WEIR_VERSION},
                   {"errors", summary.errors},
                   {"warnings", summary.warnings},
                   {"skipped", summary.skipped},
                   {"ok", summary.ok},
                   {"checks", json::array()}};
  for (const Finding& finding : findings) {
    document["checks"].push_back({{"level", level_name(finding.level)},
                                  {"group", group_name(finding.group)},
                                  {"check", finding.check},
                                  {"subject", finding.subject},
                                  {"seen", finding.seen},
                                  {"fix", finding.fix}});
  }
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace weir::doctor
