#include "daemon/configuration_page.h"

#include "cli/reference.h"
#include "daemon/schema.h"

#include <fmt/format.h>

namespace weir::daemon {
namespace {

using cli::roff;

constexpr const char* kBegin =
    ".\\\" Made from the table of settings; weir man weir.yaml prints it.\n"
    ".TH WEIR.YAML 5 \"\" \"weir\" \"Manual of weir\"\n"
    ".SH NAME\nweir.yaml \\- configuration of weir\n"
    ".SH SYNOPSIS\n/etc/weir/weir.yaml\n"
    ".SH DESCRIPTION\n"
    "A file in YAML with the sections below; every key has a default, so an empty file is a "
    "configuration too. Files in\n.I conf.d\nbeside it whose names end in .yaml are read after it, "
    "in the order of their names. An environment variable wins over the files, an option of\n"
    ".BR weir\\-serve (1)\nover the environment.\n"
    ".PP\nA key that is not known is a mistake.\n.BR weir\\-validate (1)\nsays where, and which "
    "key "
    "was meant.\n"
    ".SH KEYS\n";

std::string key_text(const std::string& path, const Key& key) {
  if (key.kind == Kind::kSection || key.kind == Kind::kList) {
    return fmt::format(".SS {}\n{}\n", roff(path), roff(key.doc));
  }
  std::string text = key.doc;
  if (key.required) {
    text += " Needed.";
  } else if (!key.default_text.empty()) {
    text += " Default: " + key.default_text + ".";
  }
  return fmt::format(".TP\n\\fB{}\\fR ({})\n{}\n", roff(path), roff(type_text(key)), roff(text));
}

}  // namespace

std::string configuration_page() {
  std::string page = kBegin;
  for_each_key([&](const std::string& path, const Key& key) { page += key_text(path, key); });
  return page +
         ".SH FILES\n.TP\n.I /etc/weir/weir.yaml\nRead by weir serve if it is there.\n"
         ".TP\n.I /etc/weir/conf.d/*.yaml\nRead after it.\n"
         ".SH SEE ALSO\n.BR weir (1),\n.BR weir\\-serve (1),\n.BR weir\\-validate (1)\n";
}

}  // namespace weir::daemon
