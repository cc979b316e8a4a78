// multinet-nodeagent: stands between the kubelet and the runtime, so that a pod that asks for
// networks gets all of them or doesn't start; see wiring.cc.
#include <CLI/CLI.hpp>

#include "lib/base/log.h"
#include "lib/program/program.h"
#include "nodeagent/cleanup.h"
#include "nodeagent/wiring.h"

namespace {

void describe(CLI::App& app, multinet::agent::Settings& settings) {
  app.add_option("--node-name", settings.nodeName,
                 "Name of this node's Node object; without: the host's name")
      ->envname("MULTINET_NODE_NAME");
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
  app.add_option(
      "--bpf-dir", settings.bpfDir,
      "Where maps and programs for services are kept (a bpffs is mounted there); without: "
      "\"bpf\" beside the socket");
  app.add_option("--pods-cgroup", settings.podsCgroup,
                 "Control group of all pods, below the mount of cgroup2; without: kubepods.slice, "
                 "kubepods or k8s.io");
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
}

[[noreturn]] void cleanNode(const multinet::agent::Settings& settings,
                            multinet::agent::Rules rules) {
  const auto held = multinet::agent::cleanUp(settings, rules);
  if (!held) multinet::program::cantStart(held.error());
  const char* const rulesNow =
      rules == multinet::agent::Rules::Go
          ? "nothing holds it to policies and port security any more"
          : "as long as it runs, policies hold it as they were; --open-pods takes its rules away";
  for (const std::string& pod : *held) {
    multinet::log::error("a pod of this node still has its interfaces; end it first",
                         {{"pod", pod}, {"rules", std::string(rulesNow)}});
  }
  if (held->empty()) multinet::log::info("nothing of Multinet is left on this node", {});
  multinet::program::leave(held->empty() ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  namespace program = multinet::program;
  multinet::agent::Settings settings;
  CLI::App app("Multinet's node agent", "multinet-nodeagent");
  describe(app, settings);
  bool cleanUp = false;
  app.add_flag("--cleanup", cleanUp,
               "Take away all that the agent made on this node, and end; not while it runs");
  bool openPods = false;
  app.add_flag("--open-pods", openPods,
               "With --cleanup: of pods that still run take away the rules of policies and port "
               "security, which nobody follows any more")
      ->needs("--cleanup");
  program::begin(app, argc, argv);
  if (cleanUp) {
    cleanNode(settings, openPods ? multinet::agent::Rules::Go : multinet::agent::Rules::Stay);
  }
  auto agent = multinet::agent::start(settings);
  if (!agent) program::cantStart(agent.error());
  program::awaitStop();
  (*agent)->stop();
  program::leave(0);
}
