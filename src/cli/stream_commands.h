#pragma once

namespace CLI {
class App;
}

namespace weir::cli {

/// Adds `stream ls|info|create|update|rm` to `app`. What they need lives as long as `app` does;
/// `status` is set when one of them runs.
void add_stream_commands(CLI::App& app, int& status);

}  // namespace weir::cli
