// What the status of a policy says: whether it is accepted, resolved, and held.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/plan/reconciler.h"
#include "controller/policies/wish.h"
#include "lib/policy/hints.h"

namespace multinet::controller {

/// What the decision on the slices came to.
struct PolicyStanding {
  const PolicySlice* head = nullptr;  ///< null: none stands
  std::optional<TooManyPeers> tooMany;
};

/// The head that tells pods of a namespace of a policy; null: none stands there.
using HeadIn = std::function<const PolicySlice*(const std::string& nameSpace)>;

/// The same of one of the cluster, over all namespaces where it has something to say.
struct ClusterPolicyStanding {
  std::size_t spaces = 0;           ///< that it selects, with pods on its networks
  std::vector<std::string> untold;  ///< those without a head of this generation
  std::optional<TooManyPeers> tooMany;
  HeadIn headIn;
};

/// A policy of either kind as its status looks at it. Until the next put().
struct Judged {
  k8s::Kind kind;
  const k8s::ObjectMeta& metadata;
  const std::vector<std::string>& networks;
  const api::PodNetworkPolicyStatus& status;
  const std::set<k8s::ObjectKey>& subjects;  ///< pods
  BootTime countsDue;                        ///< when what is counted may be told again
  k8s::Condition accepted;
  k8s::Condition resolved;
  std::vector<policy::WantedPort> wantedPorts;
  const char* noneSelected = "";  ///< a sentence
  bool isLegible = true;
  bool denies = true;  ///< it has something to hold interfaces to, whatever the default
  HeadIn headIn;
};
[[nodiscard]] Judged judged(const World& world, const Policy& policy,
                            const PolicyStanding& standing);
[[nodiscard]] Judged judged(const World& world, const ClusterPolicy& policy,
                            ClusterPolicyStanding standing);

/// Whether pods of the namespace may have the network, which has to be there.
[[nodiscard]] bool isOpen(const World& world, const std::string& nameSpace,
                          const std::string& network);

/// How long the status of a policy of many pods or namespaces isn't to be looked at again, whatever
/// changed of these; nothing: now.
template <class P>
[[nodiscard]] std::optional<Duration> statusRests(const World& world, const P& policy,
                                                  std::size_t namespaces, const Moment& now);
/// What is counted stays as it was told until its time has come.
void writeStatus(const World& world, const Judged& policy, const Moment& now, Outcome& outcome);

/// Marks the policies of a kind whose status speaks of interfaces of which something is said anew.
template <class P>
void concernedInterfaces(const World& world, const Change& change, Keys& keys);

/// Whether a resourceVersion of one resource is that one or a later one (KEP-5504).
[[nodiscard]] bool reaches(const std::string& revision, const std::string& wanted);

}  // namespace multinet::controller
