// multinet-nodeagent: stands between the kubelet and the runtime, so that a pod that asks for
// networks gets all of them or doesn't start. Parses, starts, waits, stops; see wiring.cc.
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>
#include <string>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "nodeagent/wiring.h"

namespace {

struct Arguments {
  multinet::agent::Settings settings;
  std::string logFormat = "text";
  std::string logLevel = "info";
};

void describe(CLI::App& app, Arguments& arguments) {
  auto& settings = arguments.settings;
  app.add_option("--node-name", settings.nodeName, "Name of this node's Node object");
  app.add_option("--kubeconfig", settings.kubeconfig, "The kubelet's own kubeconfig");
  app.add_option("--listen", settings.listen,
                 "Path of the socket for the kubelet; one handed over by systemd comes first");
  app.add_option("--runtime-endpoint", settings.runtimeEndpoint, "The runtime's CRI socket")
      ->capture_default_str();
  app.add_option("--runtime-state-dir", settings.runtimeStateDir, "containerd's state directory")
      ->capture_default_str();
  app.add_option("--state-dir", settings.stateDir,
                 "Directory of the journal and of the count of crashes")
      ->capture_default_str();
  app.add_option("--quarantine", settings.quarantine, "How long a freed address rests")
      ->capture_default_str();
  app.add_option("--underlay-interface", settings.underlayInterface, "Carries tunnels")
      ->capture_default_str();
  app.add_option("--switch-netns", settings.switchNetns,
                 "Where the network namespace of bridges and tunnels is kept; without: \"switch\" "
                 "beside the socket; none: they are in the node's own namespace");
  app.add_option("--cluster-prefix", settings.clusterPrefixes,
                 "Ranges of pods and nodes, which stay on eth0 where a default gateway moves")
      ->delimiter(',');
  app.add_option("--metrics-listen", settings.metricsListen, "host:port of metrics; none without");
  app.add_option("--safe-mode", settings.safeMode,
                 "A plain relay without networks: auto (after repeated crashes), on or off")
      ->capture_default_str();
  app.add_option("--safe-mode-for", settings.safeModeFor, "How long safe mode lasts by itself")
      ->capture_default_str();
  app.add_option("--drain", settings.drain,
                 "When told to stop: how long to wait, serving, for a moment without calls")
      ->capture_default_str();
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
  multinet::log::flush();
  _exit(code);  // gRPC's own shutdown may wait for ever for a call that never ends
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Multinet's node agent");
  Arguments arguments;
  describe(app, arguments);
  CLI11_PARSE(app, argc, argv);

  using multinet::log::Format;
  const auto level = multinet::log::parseLevel(arguments.logLevel);
  multinet::log::init(arguments.logFormat == "json" ? Format::Json : Format::Text,
                      level.value_or(multinet::log::Level::Info));
  const char* failpoints = std::getenv("MULTINET_FAILPOINTS");
  if (const auto armed = multinet::failpoint::arm(failpoints == nullptr ? "" : failpoints);
      !armed) {
    multinet::log::error("can't arm failpoints", {{"error", armed.error()}});
    leave(2);
  }
  const sigset_t signals = blockStopSignals();
  auto agent = multinet::agent::start(arguments.settings);
  if (!agent) {
    multinet::log::error("can't start", {{"error", agent.error()}});
    leave(1);
  }
  int received = 0;
  sigwait(&signals, &received);
  multinet::log::info("stopping", {{"signal", received}});
  (*agent)->stop();
  leave(0);
}
