// The agent as a whole: the relay that every pod needs, and the parts that pods with networks need.
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
  /// Where the switch's namespace is kept; empty: beside the socket; `none`: the node's own is
  /// used.
  std::string switchNetns;
  /// Where what translates services is kept, a bpffs; empty: beside the socket.
  std::string bpfDir;
  /// Control group of all pods, below the mount of version 2; empty: found.
  std::string podsCgroup;
  std::vector<std::string> clusterPrefixes;  ///< ranges of pods and nodes
  std::string metricsListen;                 ///< empty: none
  std::string safeMode = "auto";  ///< a plain relay: on, off, or auto: after repeated crashes
  std::string safeModeFor = "20s";
  std::string drain = "10s";  ///< how long it waits for a quiet moment when it is told to stop
};

/// The running agent.
class Agent {
 public:
  virtual ~Agent() = default;
  /// Serves on until no call is under way (Settings::drain at most), then ends within a second what
  /// ends in time; the process then leaves by `_exit`.
  virtual void stop() = 0;
};

/// Serves plain pods when it returns, whatever else can't start: that is tried again, and told.
/// Fails only for a setting that is wrong (InvalidArgument), a socket that can't be had, or where
/// the system has not even the relay's few threads.
[[nodiscard]] Result<std::unique_ptr<Agent>> start(const Settings& settings);

}  // namespace multinet::agent
