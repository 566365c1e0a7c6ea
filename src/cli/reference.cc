#include "cli/reference.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace weir::cli {
namespace {

std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string flag_meaning(const Flag& flag) {
  std::string text = cell(flag.text);
  if (!flag.fallback.empty()) text += " Default: `" + flag.fallback + "`.";
  if (flag.required) text += " Needed.";
  return text;
}

std::string flag_title(const Flag& flag) {
  std::string title;
  for (const std::string& name : flag_names(flag)) title += (title.empty() ? "" : ", ") + name;
  if (!flag.value.empty()) title += " " + flag.value + (flag.many ? "..." : "");
  return title;
}

/// Paragraphs stay; indented lines become code.
std::string prose(const std::string& text) {
  std::string out;
  bool code = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const bool indented = line.starts_with("  ");
    if (indented != code) out += "```\n";
    code = indented;
    out += (indented ? line.substr(2) : line) + "\n";
  }
  return out + (code ? "```\n" : "");
}

std::string own_part(const CommandTable& table, const Command& command, const char* heading) {
  std::string out = fmt::format("\n{} {}\n\n", heading, command.name);
  if (command.run) {
    out += fmt::format("```\n{}\n```\n\n", usage_line(table, command));
  }
  out += command.summary + "\n";
  if (!command.description.empty()) out += "\n" + prose(command.description);
  if (!command.more.empty()) out += "\n" + command.more + "\n";
  std::string rows;
  std::string connection;
  for (const Argument& argument : command.arguments) {
    rows += fmt::format("| `{}{}` | {} |\n", argument.name, argument.many ? "..." : "",
                        cell(argument.text));
  }
  for (const Flag& flag : command.flags) {
    if (flag.group == "Connection") {
      connection += fmt::format("{}`{}`", connection.empty() ? "" : ", ", flag_key(flag));
    } else {
      rows += fmt::format("| `{}` | {} |\n", flag_title(flag), flag_meaning(flag));
    }
  }
  if (!rows.empty()) out += "\n| option | meaning |\n|---|---|\n" + rows;
  if (!connection.empty()) out += "\n[Where weir is](#where-weir-is): " + connection + ".\n";
  if (!command.examples.empty()) {
    out += "\n```\n";
    for (const Example& example : command.examples) out += example.line + "\n";
    out += "```\n";
  }
  if (!command.exits.empty()) {
    out += "\nExit status: ";
    for (const ExitStatus& exit : command.exits) {
      out += fmt::format("{}{} {}", &exit == &command.exits.front() ? "" : "; ", exit.status,
                         exit.text);
    }
    out += ".\n";
  }
  return out;
}

std::string lower_start(std::string text) {
  // "AWS credentials" keeps its capitals.
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z')) {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string page_name(const std::string& command) {
  std::string name = command.empty() ? "weir" : "weir-" + command;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string flags_page(const Command& command) {
  std::string out;
  for (const Flag& flag : command.flags) {
    std::string names;
    for (const std::string& name : flag_names(flag)) {
      names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", roff(name));
    }
    if (!flag.value.empty()) {
      names += fmt::format(" \\fI{}\\fR{}", roff(flag.value), flag.many ? "..." : "");
    }
    std::string text = flag.text;
    if (!flag.fallback.empty()) text += " Default: " + flag.fallback + ".";
    if (flag.required) text += " Needed.";
    out += ".TP\n" + names + "\n" + roff(text) + "\n";
  }
  return out;
}

std::string synopsis(const CommandTable& table, const Command& command) {
  const std::string line = usage_line(table, command);
  const std::string head = command.name.empty() ? "weir" : "weir " + command.name;
  return fmt::format("\\fB{}\\fR{}\n", roff(head), roff(line.substr(head.size())));
}

std::string body_page(const CommandTable& table, const Command& command, bool with_synopsis) {
  std::string out;
  if (with_synopsis) out += ".PP\n" + synopsis(table, command);
  const std::string about =
      command.summary + (command.description.empty() ? "" : "\n\n" + command.description);
  out += roff_paragraphs(about);
  for (const Argument& argument : command.arguments) {
    out += fmt::format(".TP\n\\fI{}\\fR{}\n{}\n", roff(argument.name), argument.many ? "..." : "",
                       roff(argument.text));
  }
  out += flags_page(command);
  if (!command.exits.empty()) {
    out += ".PP\nExit status:\n";
    for (const ExitStatus& exit : command.exits) {
      out += fmt::format(".TP\n{}\n{}\n", exit.status, roff(exit.text));
    }
  }
  if (!command.examples.empty()) {
    out += ".PP\nExamples:\n.PP\n.nf\n.RS\n";
    for (const Example& example : command.examples) out += roff(example.line) + "\n";
    out += ".RE\n.fi\n";
  }
  return out;
}

constexpr const char* kProgramEnd =
    ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 after Ctrl-C where a command waits.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B STREAM_MANAGER_SERVER_HOST\nWhere programs connect, if --host says nothing.\n"
    ".TP\n.B STREAM_MANAGER_SERVER_PORT\nThe port, if --port says nothing.\n"
    ".TP\n.B AWS_CONTAINER_AUTHORIZATION_TOKEN\nThe client's token, without --token-file.\n"
    ".TP\n.B NO_COLOR\nIf it is set, nothing is coloured.\n"
    ".PP\nSettings of the daemon can be in the environment too: see\n.BR weir.yaml (5).\n"
    ".SH FILES\n.TP\n.I /etc/weir/weir.yaml\nThe configuration.\n"
    ".TP\n.I /var/lib/weir\nThe store.\n";

}  // namespace

std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.empty() && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '^') {
      out += "\\(ha";
    } else if (c == '~') {
      out += "\\(ti";
    } else {
      out += c;
    }
  }
  return out;
}

std::string roff_paragraphs(std::string_view text) {
  std::string out = ".PP\n";
  bool code = false;
  bool blank = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) {
      blank = true;
      continue;
    }
    const bool indented = line.starts_with("  ");
    if (code && !indented) out += ".RE\n.fi\n";
    if (blank || code != indented) out += ".PP\n";
    if (!code && indented) out += ".nf\n.RS\n";
    code = indented;
    blank = false;
    out += roff(indented ? line.substr(2) : line) + "\n";
  }
  return out + (code ? ".RE\n.fi\n" : "");
}

std::string reference_markdown(const CommandTable& table) {
  std::string out = "\n| command | what it does |\n|---|---|\n";
  for (const Command* command : commands_below(table, "")) {
    out += fmt::format("| [`{0}`](#{0}) | {1} |\n", command->name,
                       cell(lower_start(command->summary)));
  }
  for (const Command* command : commands_below(table, "")) {
    out += own_part(table, *command, "##");
    for (const Command* each : commands_below(table, command->name)) {
      out += own_part(table, *each, "###");
    }
  }
  return out;
}

std::string manual_page(const CommandTable& table, const Command& command) {
  const std::string name = page_name(command.name);
  std::string title = name;
  std::transform(title.begin(), title.end(), title.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  std::string out = ".\\\" Made from the table of commands; weir man prints it.\n";
  out += fmt::format(".TH {} 1 \"\" \"weir\" \"Manual of weir\"\n.SH NAME\n{} \\- {}\n", title,
                     roff(name), roff(lower_start(command.summary)));
  const auto below = commands_below(table, command.name);
  out += ".SH SYNOPSIS\n" + synopsis(table, command);
  if (command.name.empty()) {
    out += ".SH DESCRIPTION\n" + body_page(table, command, false) + ".SH COMMANDS\n";
    for (const Command* each : below) {
      out += fmt::format(".TP\n.BR {} (1)\n{}\n", roff(page_name(each->name)), roff(each->summary));
    }
    return out + kProgramEnd;
  }
  out += ".SH DESCRIPTION\n" + body_page(table, command, false);
  if (!below.empty()) {
    out += ".SH COMMANDS\n";
    for (const Command* each : below) {
      out += fmt::format(".SS {}\n", roff(each->name)) + body_page(table, *each, true);
    }
  }
  return out + ".SH SEE ALSO\n.BR weir (1),\n.BR weir.yaml (5)\n";
}

std::map<std::string, std::string> manual_pages(const CommandTable& table) {
  std::map<std::string, std::string> pages;
  if (const Command* program = find_command(table, "")) {
    pages["weir.1"] = manual_page(table, *program);
  }
  for (const Command* command : commands_below(table, "")) {
    pages[page_name(command->name) + ".1"] = manual_page(table, *command);
  }
  return pages;
}

}  // namespace weir::cli
