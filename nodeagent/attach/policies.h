// Whom the engine, and the owner of the sandboxes, tell of interfaces that policies may be about.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/async/answer.h"
#include "lib/base/fd.h"
#include "nodeagent/isolation/port.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::attach {

/// A pod's sandbox and what it has, or is to have.
struct Policeable {
  IntentId intent;
  PodRef pod;
  std::vector<InterfacePlan> interfaces;
  /// Nobody could look into it yet: it may have links of whatever intent.
  bool unseen = false;
};

/// A link that has no end on the node, there already or not: what holds for it is in its pod.
struct PodPort {
  std::string name;       ///< of all links in all namespaces
  std::string interface;  ///< its name in the pod
  NetworkUid network;
  std::shared_ptr<const Fd> netns;
  std::vector<IpAddress> addresses{};  ///< that it has, or is to have
};

/// Any thread.
class Policies {
 public:
  virtual ~Policies() = default;

  // Of the sandboxes' owner; these return at once.

  /// It is about to get its interfaces. `done` comes once what its policies say is known, at the
  /// latest a second later: then with what is known, or Unavailable/PoliciesUnknown where nobody
  /// told yet which policies there are.
  virtual void join(Policeable pod, async::Answer<void> done) = 0;
  /// It has them already: an earlier agent made them, or they were told of before, as they were
  /// known then. Without a network's UID, one of them may be on any.
  virtual void known(Policeable pod) = 0;
  /// All that an earlier agent left was told of: before that nothing is changed.
  virtual void recovered() = 0;

  // Of the engine; these may wait for a transaction of the kernel's.

  /// What is known holds for these ports when this returns; their links needn't be there yet. An
  /// error, where a policy is about one of them: then its link must not be made.
  [[nodiscard]] virtual Status hold(const IntentId& intent,
                                    const std::vector<isolation::Port>& ports,
                                    const std::vector<PodPort>& inPod) = 0;
  /// Links in this pod that were held before they were made are there, and not up yet. Errors as of
  /// hold().
  [[nodiscard]] virtual Status linked(const IntentId& intent) = 0;
  /// The links of these ports, and all of these intents, are gone.
  virtual void release(const std::vector<std::string>& names,
                       const std::vector<IntentId>& intents) = 0;
};

}  // namespace multinet::agent::attach
