// multinet-controller: gives networks their verdicts, reserves VNIs, holds and releases networks,
// collects what nobody owns any more, and keeps the webhook's certificate. One of its replicas
// leads; see wiring.cc.
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <string>

#include "controller/wiring.h"
#include "lib/base/failpoint.h"
#include "lib/base/log.h"

namespace {

/// Blocked before any thread starts, so that only main takes them.
sigset_t blockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  return signals;
}

int run(const multinet::controller::Settings& settings) {
  const auto signals = blockStopSignals();
  const auto controller = multinet::controller::Controller::start(settings);
  if (!controller.has_value()) {
    multinet::log::error("can't start", {{"error", controller.error()}});
    multinet::log::flush();
    return 1;
  }
  multinet::log::info("started", {{"health", settings.healthListen}});
  int signal = 0;
  sigwait(&signals, &signal);
  multinet::log::info("stopping", {{"signal", signal}});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  multinet::controller::Settings settings;
  std::string logFormat = "text";
  std::string logLevel = "info";
  CLI::App app{"Multinet's controller", "multinet-controller"};
  app.add_option("--kubeconfig", settings.kubeconfig, "File; without it: in-cluster");
  app.add_option("--namespace", settings.nameSpace, "Where its lease and Secrets are")
      ->capture_default_str();
  app.add_option("--health-listen", settings.healthListen, "host:port of health and metrics")
      ->capture_default_str();
  app.add_option("--log-format", logFormat, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--log-level", logLevel, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  multinet::log::init(
      logFormat == "json" ? multinet::log::Format::Json : multinet::log::Format::Text,
      multinet::log::parseLevel(logLevel).value_or(multinet::log::Level::Info));
  const int code = run(settings);
  multinet::log::flush();
  return code;
}
