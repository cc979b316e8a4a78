// What the main of each daemon does beside starting it:
//
//   CLI::App app("What it is for", "multinet-x");
//   app.add_option(...);
//   program::begin(app, argc, argv);
//   auto x = X::start(settings);
//   if (!x) program::cantStart(x.error());
//   program::awaitStop();
//   (*x)->stop();
//   program::leave(0);
#pragma once

#include <CLI/App.hpp>

#include "lib/base/result.h"

namespace multinet::program {

/// Parses the flags of `app` and --log-format, --log-level, which it adds; opens the log; arms
/// MULTINET_FAILPOINTS; blocks SIGTERM and SIGINT for this thread and all that it will start;
/// bounds the threads of HTTP clients and the arenas of malloc. Before there is a second thread.
/// Ends the process where flags (CLI11's code; 0 after --help) or failpoints (2) are wrong.
void begin(CLI::App& app, int argc, const char* const* argv);

/// Ends with code 1, and says why.
[[noreturn]] void cantStart(const Error& error);

/// Returns once SIGTERM or SIGINT came.
void awaitStop();

/// Ends the process at once, after the log's last line. No destructor of a static runs: cpprest's
/// threads may crash in them (its issues 1480, 1482), and gRPC's may wait for ever for a call.
[[noreturn]] void leave(int code);

}  // namespace multinet::program
