#pragma once

namespace CLI {
class App;
}

namespace weir::cli {

/// `weir export pause | resume | rewind | retry-now`.
void add_export_commands(CLI::App& app, int& status);

}  // namespace weir::cli
