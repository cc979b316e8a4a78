// multinet-webhook: judges networks, attachments and the requests of pods. Parses, starts, waits,
// stops; see wiring.cc.
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <string>

#include "lib/base/log.h"
#include "lib/kube/transport.h"
#include "webhook/wiring.h"

namespace {

namespace log = multinet::log;

struct Arguments {
  multinet::webhook::Settings settings;
  std::string logFormat = "text";
  std::string logLevel = "info";
};

void describe(CLI::App& app, Arguments& arguments) {
  auto& settings = arguments.settings;
  app.add_option("--listen", settings.listen, "Address of the HTTPS port")->capture_default_str();
  app.add_option("--cert-dir", settings.certificateDirectory, "Directory of tls.crt and tls.key")
      ->capture_default_str();
  app.add_option("--health-listen", settings.healthListen, "Address of /healthz, /readyz, /metrics")
      ->capture_default_str();
  app.add_option("--kubeconfig", settings.kubeconfig, "Absent: the pod's own service account");
  app.add_option("--log-format", arguments.logFormat, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--log-level", arguments.logLevel, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
}

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

[[noreturn]] void leave(int code) {
  log::flush();
  _exit(code);  // cpprest's threads may crash in static destruction (its issues 1480, 1482)
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Multinet's admission webhook");
  Arguments arguments;
  describe(app, arguments);
  CLI11_PARSE(app, argc, argv);
  log::init(arguments.logFormat == "json" ? log::Format::Json : log::Format::Text,
            log::parseLevel(arguments.logLevel).value_or(log::Level::Info));

  const sigset_t signals = blockStopSignals();
  multinet::kube::boundTransportThreads(1);
  auto webhook = multinet::webhook::Webhook::start(arguments.settings);
  if (!webhook) {
    log::error("can't start", {{"error", webhook.error()}});
    leave(1);
  }
  int signal = 0;
  sigwait(&signals, &signal);
  (*webhook)->stop();
  leave(0);
}
