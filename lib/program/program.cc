#include "lib/program/program.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <string>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/kube/transport.h"

namespace multinet::program {
namespace {

sigset_t stopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

void parse(CLI::App& app, int argc, const char* const* argv) {
  std::string format = "text";
  std::string level = "info";
  app.add_option("--log-format", format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--log-level", level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));  // no thread yet
  }
  log::init(format == "json" ? log::Format::Json : log::Format::Text,
            log::parseLevel(level).value_or(log::Level::Info));
}

}  // namespace

void begin(CLI::App& app, int argc, const char* const* argv) {
  // glibc gives each thread an arena of its own (8 a processor), and what a thread's start has
  // freed there nobody else uses. Our threads are many and rarely busy at once.
  static_cast<void>(::mallopt(M_ARENA_MAX, 2));
  const sigset_t signals = stopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before the log's thread
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  parse(app, argc, argv);
  const char* failpoints = std::getenv("MULTINET_FAILPOINTS");
  const auto armed = failpoint::arm(failpoints == nullptr ? "" : failpoints);
  if (!armed) {
    log::error("can't arm failpoints", {{"error", armed.error()}});
    leave(2);
  }
  kube::boundTransportThreads(1);
}

void cantStart(const Error& error) {
  log::error("can't start", {{"error", error}});
  leave(1);
}

void awaitStop() {
  const sigset_t signals = stopSignals();
  int signal = 0;
  sigwait(&signals, &signal);
  log::info("stopping", {{"signal", signal}});
}

void leave(int code) {
  log::flush();
  _exit(code);
}

}  // namespace multinet::program
