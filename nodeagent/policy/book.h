// What this node was told of policies: slices of them, put together. Pure; one thread at a time.
//
// A policy's head comes last, so whoever has what it counts has all of it. What is seen in part
// only allows less, and a new policy, or a new generation of one, waits for the rest of it before
// it holds for pods that run, at most for a while. Pods that join are held to the newest at once.
//
// Of policies of the cluster a namespace is told those that select it, and by its ledger which were
// looked at: of one that is in no ledger nobody knows whether it selects the namespace. Where not
// all are known whom a rule of theirs denies, or one can't be read, it denies everybody: so what is
// seen in part only allows less here too.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/api/pod_network_policy_slice.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/policy/source.h"
#include "lib/policy/tiers.h"

namespace multinet::agent::policing {

using Slices = std::vector<std::shared_ptr<const api::PodNetworkPolicySlice>>;

/// Who one peer of a policy is on one network, as its slices say. While that policy holds for all
/// pods it changes with them, in place.
struct Members {
  Slices from;          ///< by name; the same slices are the same members
  policy::Named all{};  ///< of a peer without a port's name
  std::map<std::uint16_t, policy::Named> byPort{};  ///< of one with it
  std::size_t count = 0;                            ///< entries, those that can't be read too
  std::size_t unread = 0;                           ///< of these
  std::uint64_t digest = 0;                         ///< of these, in whatever order
};
/// By network and policy::peerHash.
using Peers = std::map<std::pair<std::string, std::string>, std::shared_ptr<Members>>;

/// What a policy of the cluster says on each of its networks.
struct ClusterTold {
  api::ClusterPodNetworkPolicySpec spec;  ///< as the head has it
  std::set<std::pair<std::string, std::string>>
      resolved;                                       ///< of Peers, those of whom all are known
  std::map<std::string, policy::ClusterRules> rules;  ///< by network
};

/// A policy as of one moment, or a network's default SameNamespace in one namespace.
struct Told {
  std::string uid;             ///< of the policy; of a default the network's
  std::uint64_t revision = 0;  ///< resourceVersion of the head
  /// With which it was first seen to be of its generation: it may have been counted anew since.
  std::uint64_t since = 0;
  std::int64_t generation = 0;
  std::string network;  ///< of a default: whose it is; empty: of a policy
  /// Of a default without a spec; of a policy of the cluster its name and networks.
  api::PodNetworkPolicy policy;
  std::shared_ptr<const ClusterTold> cluster{};  ///< null: of no policy of the cluster
  Peers peers;
  /// All members that the head counts were there, now or before. Of a policy of the cluster, and
  /// could be read.
  bool complete = false;

  /// Of a policy of the cluster that names the network; else null.
  [[nodiscard]] const policy::ClusterRules* rulesOn(const std::string& ofNetwork) const {
    if (cluster == nullptr) return nullptr;
    const auto found = cluster->rules.find(ofNetwork);
    return found == cluster->rules.end() ? nullptr : &found->second;
  }
};
using ToldPtr = std::shared_ptr<const Told>;

/// What slices that differ came to.
struct BookChange {
  enum class What : std::uint8_t {
    Nothing,
    Members,  ///< of `members` alone; what policies say, and of whom, is as it was
    All
  };
  struct OnNetwork {
    std::string network;
    policy::MemberChange change;
    std::string cluster{};  ///< UID of the policy of the cluster whose peer it is
  };
  What what = What::Nothing;
  std::vector<OnNetwork> members{};
};

class Book {
 public:
  /// Running pods wait so long for the peers of what is new.
  explicit Book(Duration patience) : patience_(patience) {}

  /// All slices of a namespace, in any order.
  BookChange update(const std::string& nameSpace, Slices slices, BootTime now);
  /// A policy of the cluster whose head went holds on where that wasn't said to be the end of it:
  /// till the ledger has it, so that it selects the namespace no more, or it isn't there itself.
  /// Whether any holds no more. After each update(), and where policies of the cluster changed.
  bool release(const std::string& nameSpace,
               const std::function<bool(const std::string& uid)>& isThere);
  /// What was told of other namespaces isn't kept.
  void keepOnly(const std::set<std::string>& nameSpaces);
  [[nodiscard]] bool knows(const std::string& nameSpace) const {
    return spaces_.contains(nameSpace);
  }
  /// What doesn't wait any longer holds; the namespaces of it.
  std::set<std::string> settle(BootTime now);
  /// When settle() is to be called next.
  [[nodiscard]] std::optional<BootTime> next() const;

  /// Policies that count for a pod of the namespace that joined its networks then.
  [[nodiscard]] std::vector<ToldPtr> policiesFor(const std::string& nameSpace,
                                                 BootTime joined) const;
  /// Null where nothing was told of it.
  [[nodiscard]] ToldPtr defaultOf(const std::string& nameSpace, const NetworkUid& network) const;
  /// Whether the namespace's ledger has that policy of the cluster, as it is now: if it selects the
  /// namespace its head is there. Of one that was changed since a head that is about the network
  /// counts too.
  [[nodiscard]] bool isInLedger(const std::string& nameSpace, const k8s::ObjectMeta& policy,
                                const std::string& network) const;
  /// A namespace that was told later than this one who a policy's peers on a network are, and of
  /// others; nothing: there is none.
  [[nodiscard]] std::optional<std::string> toldLater(const std::string& nameSpace,
                                                     const std::string& uid,
                                                     const std::string& network) const;
  /// Of all that was told: the newest heads, those that don't hold for all pods yet too.
  [[nodiscard]] std::vector<ToldPtr> all() const;
  /// Of those the ones that don't.
  [[nodiscard]] std::vector<ToldPtr> waiting() const;

 private:
  /// Of one policy, by its name: one made again takes the place of the one before.
  struct Holding {
    ToldPtr held;      ///< for all pods; null: for none that ran before `next` came
    ToldPtr next;      ///< for those that joined since; null: nothing newer than `held`
    BootTime since{};  ///< when `next` came
  };
  struct Space {
    Slices slices;                        ///< by where they are in memory
    std::map<std::string, ToldPtr> told;  ///< by name
    std::map<std::string, Holding> holdings;
    std::map<std::string, std::int64_t> ledger;  ///< generations of policies of the cluster, by UID
  };

  /// A slice in place of another of its name, or without one.
  struct Exchange {
    std::shared_ptr<const api::PodNetworkPolicySlice> gone;
    std::shared_ptr<const api::PodNetworkPolicySlice> come;
  };
  /// Of one peer.
  struct Shift {
    std::shared_ptr<Members> members;
    std::string network;
    std::string cluster;  ///< as in OnNetwork
    std::vector<Exchange> slices;
  };

  void take(Holding& holding, const ToldPtr& told, bool first, BootTime now) const;
  [[nodiscard]] static std::map<std::string, Exchange> exchanges(const Slices& before,
                                                                 const Slices& after);
  [[nodiscard]] static std::optional<Shift> shiftOf(const Space& space, const Exchange& exchange);
  [[nodiscard]] std::optional<std::vector<BookChange::OnNetwork>> changeMembers(
      Space& space, const Slices& after);
  [[nodiscard]] bool shift(const Shift& shift, std::vector<BookChange::OnNetwork>& out);

  const Duration patience_;
  std::uint64_t version_ = 0;  ///< the last that was given to a Named
  std::map<std::string, Space> spaces_;
};

/// Peers on one network as policies of a Book have them; what these are asked about outlives it.
class BookSource final : public policy::Source {
 public:
  BookSource(std::string network, NetworkUid uid)
      : network_(std::move(network)), uid_(std::move(uid)) {}

  /// One that compile() may ask about, by the address of `told.policy`, or of `as` of its rules.
  void add(const ToldPtr& told) {
    const auto* rules = told->rulesOn(network_);
    told_.try_emplace(rules == nullptr ? &told->policy : &rules->as, told);
  }
  void addDefault(const std::string& nameSpace, ToldPtr told) {
    defaults_.emplace(nameSpace, std::move(told));
  }

  [[nodiscard]] const policy::Named& podsOf(const api::PodNetworkPolicy& policy,
                                            const api::PolicyPeer& peer) override;
  [[nodiscard]] ByPort withPort(const api::PodNetworkPolicy& policy, const api::PolicyPeer* peer,
                                const api::PolicyPort& port) override;
  [[nodiscard]] const policy::Named& podsIn(const std::string& nameSpace) override;

 private:
  [[nodiscard]] const Members* find(const Told* told, const std::string& hash) const;
  /// Nobody, as long as nothing was told of them.
  [[nodiscard]] const policy::Named& nobody(const std::string& key);

  const std::string network_;
  const NetworkUid uid_;
  std::map<const api::PodNetworkPolicy*, ToldPtr> told_;
  std::map<std::string, ToldPtr> defaults_;
  std::map<std::string, policy::Named> nobody_;
};

}  // namespace multinet::agent::policing
