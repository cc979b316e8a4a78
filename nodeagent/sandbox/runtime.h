// The door to the container runtime, declared by the room that needs it; nodeagent/cri implements
// it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/async/answer.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::sandbox {

/// Metadata of the kubelet's call that goes on to the runtime (trace context and the like).
using CallMetadata = std::multimap<std::string, std::string>;

/// RunPodSandbox as the kubelet sent it: what was read of it, and its bytes.
struct RunRequest {
  /// Of newIntentId(): no two calls have the same, nor have two of one pod and attempt. In each log
  /// line about the call, in the journal, in the alias of each link. Empty: the owner makes one.
  IntentId id;
  /// Raised, on any thread, when nobody wants the call any more: it ends or is taken back on our
  /// own time.
  attach::AbortFlag abort = std::make_shared<std::atomic<bool>>(false);
  BootTime arrived{};  ///< when the agent got it; zero: when the owner did
  PodRef pod;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool hostNetwork = false;
  std::string bytes;  ///< the serialized RunPodSandboxRequest
  CallMetadata metadata;
  BootTime deadline{};
  /// What came with the runtime's own error (grpc-status-details-bin): written before that error is
  /// answered, and the kubelet's to read.
  std::shared_ptr<std::string> errorDetails = std::make_shared<std::string>();
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

/// All calls return at once; answers come on a thread of the implementation and must not block it.
/// Errors carry the runtime's own code and message.
class Runtime {
 public:
  virtual ~Runtime() = default;
  /// Forwards with the extension that describes `interfaces` appended to the config.
  virtual void runPodSandbox(const RunRequest& request,
                             const std::vector<InterfacePlan>& interfaces,
                             async::Answer<RunReply> done) = 0;
  virtual void stopPodSandbox(const SandboxId& id, BootTime deadline, async::Answer<void> done) = 0;
  virtual void removePodSandbox(const SandboxId& id, BootTime deadline,
                                async::Answer<void> done) = 0;
  /// An open network namespace of the sandbox, checked to be one and not the host's own. NotFound
  /// where the sandbox or its namespace is gone. Answered before the call returns where the
  /// runtime's files tell it: they are read on the caller's thread, for some 50 us.
  virtual void sandboxNetns(const SandboxId& id, BootTime deadline, async::Answer<Fd> done) = 0;
  virtual void listPodSandboxes(BootTime deadline,
                                async::Answer<std::vector<RuntimeSandbox>> done) = 0;
};

}  // namespace multinet::agent::sandbox
