// Whom policies on networks mean, and which pods they select: kept as pods, their interfaces,
// namespaces and policies change, so that a change costs what it concerns.
//
// A group is what one peer means on one network, or a selector selects in a namespace; policies
// that say the same share it. Groups are found by the first label that they ask for.
//
// A few lines of one policy can mean every pod a thousand times. So the members of all of a
// policy's peers have a bound. Of one that is over it they are counted, a number for each pod, and
// no group is kept for it; a group that another policy shares is kept for that one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "controller/world/tables.h"
#include "controller/world/usage.h"
#include "lib/api/policy.h"
#include "lib/base/clock.h"
#include "lib/policy/peers.h"

namespace multinet::controller {

/// How long what a policy's status counts stands, so that a roll-out isn't a write a pod; of one of
/// the cluster as long as a PodNetwork's, since every node watches it too.
inline constexpr Duration kPolicyCountsStand = std::chrono::seconds(1);
/// So much of a second more passes between two looks at a status for each subject and namespace.
inline constexpr std::size_t kPolicyLookedAtASecond = 10'000;

/// A policy that was over the bound comes back with so many members: at the bound itself each pod
/// that comes and goes would make all of it anew.
inline constexpr std::size_t kPolicyMembersAgain = api::kMaxPolicyMembers / 10 * 9;

/// An address, and the number that the peer's port has there; 0: it has no port.
using PolicyMember = std::pair<std::string, std::int32_t>;
/// By how many pods. Two have an address for as long as a set of the earlier one is left.
using PolicyMembers = std::map<PolicyMember, int>;

/// What a policy means or selects is another.
struct PolicyTouch {
  /// Without a namespace it is one of the cluster. Of a network's default: its namespace and the
  /// network.
  k8s::ObjectKey policy;
  bool isDefault = false;
  /// Whose members changed, as network and hash. Nothing: the pods that it selects.
  std::optional<k8s::ObjectKey> peer;
  /// Its members have become too many, or aren't any more.
  bool isWhole = false;
};
using PolicyTouches = std::vector<PolicyTouch>;

/// One thread. What a policy means isn't looked for before ready(); then one look over the pods of
/// the namespaces concerned is made for all policies of which nothing is known.
class PolicyGroups {
 public:
  // To be called after the tables have it; each adds what it touches.
  template <class P>  ///< Policy, ClusterPolicy
  void policy(const P* before, const P* now, PolicyTouches& touches);
  /// The pod, a set of it, or what it depends on.
  void pod(const k8s::ObjectKey& key, const Tables& tables, PolicyTouches& touches);
  /// Its labels.
  void nameSpace(const std::string& name, const Tables& tables, PolicyTouches& touches);
  /// Whether it is there, its UID or its default.
  void network(const Network* before, const Network* now, const Tables& tables,
               const NetworkUse& use, PolicyTouches& touches);

  /// Finds out what isn't known.
  void ready(const Tables& tables);
  // What follows is for who called ready() after the last change.
  /// How many members the policy's peers have, where these were too many and aren't told; nothing
  /// where each is among members().
  [[nodiscard]] std::optional<std::size_t> excess(const k8s::ObjectKey& policy) const;
  /// Members that are kept for pods, in each group again: what this takes of memory.
  [[nodiscard]] std::size_t kept() const;
  [[nodiscard]] const PolicyMembers& members(const std::string& network,
                                             const policy::Peer& peer) const;
  /// Pods that it selects, on whatever network, by name; none that has finished.
  [[nodiscard]] const std::set<k8s::ObjectKey>& subjects(const Policy& policy) const;
  /// On its networks alone: many select all pods of the cluster.
  [[nodiscard]] const std::set<k8s::ObjectKey>& subjects(const ClusterPolicy& policy) const;
  /// Policies that select the pod, those of the cluster too.
  [[nodiscard]] std::vector<k8s::ObjectKey> selecting(const k8s::ObjectKey& pod) const;
  /// Pods of the namespace on a network with the default SameNamespace; null: there are none.
  [[nodiscard]] const PolicyMembers* defaultMembers(const std::string& nameSpace,
                                                    const std::string& network) const;

 private:
  struct Load;
  struct Group {
    std::string key;
    policy::Peer peer;
    std::string network;  ///< empty: what its selector selects
    /// Of a selection: pods with none of them aren't in it; empty: whatever the network.
    std::vector<std::string> networks;
    bool isDefault = false;
    bool known = false;  ///< pods were looked at for it
    PolicyMembers members;
    std::size_t size = 0;           ///< members, once for each pod that has them
    std::set<k8s::ObjectKey> pods;  ///< of a selection, and of a default
    /// Of a peer the pods with a part, by their keys in parts_.
    std::unordered_set<const k8s::ObjectKey*> sharers;
    std::set<k8s::ObjectKey> users;
    std::unordered_set<Load*> counting;  ///< of those users that are over the bound
    [[nodiscard]] bool isSelection() const { return network.empty(); }
    [[nodiscard]] bool isPeer() const { return !isSelection() && !isDefault; }
    /// Its members are kept: for a user that is within the bound.
    [[nodiscard]] bool isKept() const { return isDefault || counting.size() < users.size(); }
  };
  using GroupPtr = std::shared_ptr<Group>;
  /// What the peers of one policy come to.
  struct Load {
    k8s::ObjectKey policy;
    std::vector<GroupPtr> groups;  ///< each peer on each network
    std::size_t members = 0;       ///< of all of them
    bool isOver = false;
    bool isKeptUp = false;  ///< over the bound or not, until it is edited: see isHeldTo()
    std::unordered_map<k8s::ObjectKey, std::size_t> byPod;  ///< while it is over
  };
  using Loads = std::unordered_map<Load*, std::size_t>;
  /// What one pod is to one group.
  using Part = std::set<PolicyMember>;
  using PartsOfPod = std::map<GroupPtr, Part>;
  struct Facts;

  template <class P>
  [[nodiscard]] static std::vector<Group> groupsOf(const P& policy);
  [[nodiscard]] const std::set<k8s::ObjectKey>& selected(const std::string& key) const;
  const GroupPtr& use(Group wanted, const k8s::ObjectKey& user);
  void leave(const std::string& key, const k8s::ObjectKey& user);
  void index(const GroupPtr& group);
  void unindex(const GroupPtr& group);
  template <class Use>
  void forCandidates(const Facts& facts, const Use& use) const;
  void addDefaults(const Facts& facts, PartsOfPod& parts);
  void apply(Group& group, const k8s::ObjectKey& pod, const Part* before, const Part* now,
             PolicyTouches& touches);
  void hold(const k8s::ObjectKey& pod, PartsOfPod now, PolicyTouches& touches);
  void dropIfEmpty(const GroupPtr& group);
  /// Of all pods: nobody needs its members any more.
  void forget(const GroupPtr& group);
  void lookAgain(const GroupPtr& group);
  void look(const std::vector<GroupPtr>& groups, const Tables& tables, PolicyTouches& touches);
  /// Policies that are over the bound count the pod anew.
  void count(const k8s::ObjectKey& pod, const Loads& now);
  [[nodiscard]] static bool isHeldTo(const k8s::ObjectKey& key, const Tables& tables);
  void giveUp(Load& load);
  void takeUp(Load& load);
  void settle(const Tables& tables, PolicyTouches& touches);

  std::unordered_map<std::string, GroupPtr> groups_;
  std::unordered_map<std::string, std::vector<GroupPtr>> byFirst_;
  std::vector<GroupPtr> unknown_;
  std::unordered_map<k8s::ObjectKey, Load> loads_;        ///< by policy
  std::unordered_set<Load*> over_;                        ///< those over the bound
  std::unordered_set<Load*> swollen_;                     ///< those that may be
  std::unordered_map<k8s::ObjectKey, PartsOfPod> parts_;  ///< by pod
  std::unordered_set<std::string> closed_;  ///< networks with the default SameNamespace
};

}  // namespace multinet::controller
