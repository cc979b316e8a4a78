// Puts interfaces into pods and takes them out again: the door, and what goes through it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/async/answer.h"
#include "lib/base/fd.h"
#include "lib/base/ids.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::attach {

/// What a look at attached interfaces found and did.
struct Upkeep {
  /// As they are now, in the order of the plans. A plan may differ from the one given: a MAC that
  /// somebody else holds on the wire was replaced.
  std::vector<InterfaceStatus> interfaces;
  /// What was put right, one line each: `net1: add address 10.20.0.5/16`. Empty where all was as
  /// planned: then nothing was written.
  std::vector<std::string> repairs;
};

/// Raised by whoever no longer wants an attach; looked at before each step.
using AbortFlag = std::shared_ptr<std::atomic<bool>>;

/// A link of ours as its alias tells it: `multinet:<intent>:<interface>`.
struct ObservedInterface {
  IntentId intent;
  std::string interface;  ///< the name inside the pod
  std::string link;       ///< the name where it was found: a host-side veth, or the same
  int ifindex = 0;
  bool inPod = false;  ///< found in the namespace given to observe(), else on the host
  bool up = false;
  MacAddress mac;
  unsigned mtu = 0;
  std::string kind;                           ///< the kernel's word: `veth`, `macvlan`
  std::vector<InterfaceAddress> addresses{};  ///< of one in a pod; link-local ones left out
  bool operator==(const ObservedInterface&) const = default;
};

/// All calls may come from any thread and return at once. Answers come on a thread of the engine,
/// or on the caller's before the call returns where a queue is full (ResourceExhausted/QueueFull)
/// or the engine is stopped (Unavailable/Stopping); they must not block. Adds wait only for adds,
/// deletes only for deletes.
class AttachEngine {
 public:
  virtual ~AttachEngine() = default;

  /// All of the interfaces, or none: on failure what was made is taken back, in reverse, before the
  /// answer. Idempotent: what is already as planned is left alone. The error's message names
  /// the interface and the kernel's reason; Cancelled where `abort` was raised in time.
  virtual void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, AbortFlag abort,
                      async::Answer<std::vector<InterfaceStatus>> done) = 0;

  /// Compares attached interfaces with their plans and puts right what differs, each interface by
  /// itself; nothing is ever taken back from a running pod. What can't be put right is in the
  /// statuses (Failed, or link Down), not an error: errors are of the namespace or of reading it,
  /// and Cancelled where `abort` was raised. Never together with attach() or detach() of that
  /// intent. Waits for no attach, and no attach waits for it.
  virtual void maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                        AbortFlag abort, async::Answer<Upkeep> done) = 0;

  /// Removes every link of that intent: on the host, and in `netns` where it is given. Nothing left
  /// to remove is success.
  virtual void detach(IntentId intent, std::optional<Fd> netns, async::Answer<void> done) = 0;

  /// What of ours is there now: on the host, and in `netns` where it is given. Blocks for one or
  /// two dumps (about 1 ms for 500 links); for recovery and checks, not for the way of a call.
  [[nodiscard]] virtual Result<std::vector<ObservedInterface>> observe(
      const std::optional<Fd>& netns) = 0;

  /// The same of every namespace that a process or a mount of this node holds. Blocks for about
  /// 1 ms a namespace. An error where one that is there can't be looked into: then nothing is known
  /// of what is missing in the answer.
  [[nodiscard]] virtual Result<std::vector<ObservedInterface>> observeAll() = 0;
};

}  // namespace multinet::agent::attach
