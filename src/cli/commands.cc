#include "cli/commands.h"

#include "cli/dead_letter_commands.h"
#include "cli/demo.h"
#include "cli/export_commands.h"
#include "cli/pub.h"
#include "cli/status.h"
#include "cli/stream_commands.h"
#include "cli/sub.h"

#include <CLI/CLI.hpp>

namespace weir::cli {

struct Commands::State {
  int status = 0;
};

Commands::Commands(CLI::App& app) : state_(std::make_unique<State>()) {
  add_stream_commands(app, state_->status);
  add_pub_command(app, state_->status);
  add_sub_command(app, state_->status);
  add_status_command(app, state_->status);
  add_export_commands(app, state_->status);
  add_dead_letter_commands(app, state_->status);
  add_demo_command(app, state_->status);
}

Commands::~Commands() = default;

int Commands::status() const { return state_->status; }

}  // namespace weir::cli
