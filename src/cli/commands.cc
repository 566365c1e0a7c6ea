#include "cli/commands.h"

#include "cli/dead_letter_commands.h"
#include "cli/demo.h"
#include "cli/export_commands.h"
#include "cli/pub.h"
#include "cli/status.h"
#include "cli/stream_commands.h"
#include "cli/sub.h"
#include "cli/tap.h"
#include "cli/top.h"

#include <iterator>

namespace weir::cli {

CommandTable client_commands() {
  CommandTable table;
  const auto add = [&](CommandTable more) {
    table.insert(table.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
  };
  table.push_back(status_command());
  table.push_back(top_command());
  table.push_back(tap_command());
  add(export_commands());
  add(dead_letter_commands());
  add(stream_commands());
  table.push_back(pub_command());
  table.push_back(sub_command());
  table.push_back(demo_command());
  return table;
}

}  // namespace weir::cli
