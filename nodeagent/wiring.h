// The agent's parts in the order in which they start and stop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/base/result.h"

namespace multinet::agent {

/// What the command line says.
struct Settings {
  std::string nodeName;
  std::string kubeconfig;
  std::string listen;  ///< path of the socket; one that systemd handed over comes first
  std::string runtimeEndpoint = "unix:///run/containerd/containerd.sock";
  std::string runtimeStateDir = "/run/containerd";
  std::string stateDir = "/var/lib/multinet";
  std::string quarantine = "60s";
  std::string underlayInterface = "eth0";
  std::vector<std::string> clusterPrefixes;  ///< ranges of pods and nodes
  std::string metricsListen;                 ///< empty: none
};

/// The running agent.
class Agent {
 public:
  virtual ~Agent() = default;
  /// Ends what ends in time; the process then leaves by `_exit`.
  virtual void stop() = 0;
};

/// Starts all parts; serves calls when it returns.
[[nodiscard]] Result<std::unique_ptr<Agent>> start(const Settings& settings);

}  // namespace multinet::agent
