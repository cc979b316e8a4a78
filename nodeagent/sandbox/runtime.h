// The door to the container runtime, declared by the room that needs it; nodeagent/cri implements
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::sandbox {

template <class T>
using Callback = std::function<void(Result<T>)>;
using StatusCallback = std::function<void(Status)>;

/// Metadata of the kubelet's call that goes on to the runtime (trace context and the like).
using CallMetadata = std::multimap<std::string, std::string>;

/// One call of the kubelet's. Two calls for the same pod and attempt are two.
using CallId = std::uint64_t;

/// RunPodSandbox as the kubelet sent it: what was read of it, and its bytes.
struct RunRequest {
  CallId call = 0;     ///< of newCall(); zero where nobody cancels it
  BootTime arrived{};  ///< when the agent got it; zero: when the owner did
  PodRef pod;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool hostNetwork = false;
  std::string bytes;  ///< the serialized RunPodSandboxRequest
  CallMetadata metadata;
  BootTime deadline{};
};

/// What the runtime answered: the new sandbox and the serialized RunPodSandboxResponse.
struct RunReply {
  SandboxId id;
  std::string bytes;
};

/// A sandbox as the runtime lists it.
struct RuntimeSandbox {
  SandboxId id;
  PodRef pod;
  bool ready = false;
  WallTime createdAt{};
  std::map<std::string, std::string> annotations;
};

/// All calls return at once; callbacks come on a thread of the implementation and must not block
/// it. Each callback is called exactly once. Errors carry the runtime's own code and message.
class Runtime {
 public:
  virtual ~Runtime() = default;
  /// Forwards with the extension that describes `interfaces` appended to the config.
  virtual void runPodSandbox(const RunRequest& request,
                             const std::vector<InterfacePlan>& interfaces,
                             Callback<RunReply> done) = 0;
  virtual void stopPodSandbox(const SandboxId& id, BootTime deadline, StatusCallback done) = 0;
  virtual void removePodSandbox(const SandboxId& id, BootTime deadline, StatusCallback done) = 0;
  /// An open network namespace of the sandbox, checked to be one and not the host's own. NotFound
  /// where the sandbox or its namespace is gone.
  virtual void sandboxNetns(const SandboxId& id, BootTime deadline, Callback<Fd> done) = 0;
  virtual void listPodSandboxes(BootTime deadline, Callback<std::vector<RuntimeSandbox>> done) = 0;
};

}  // namespace multinet::agent::sandbox
