// What nodes are to be told of one policy in one namespace, and in which order it is written:
// whoever finds a head finds all that it counts. Of this room only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/plan/reconciler.h"
#include "controller/policies/slices.h"

namespace multinet::controller {

/// What nodes are to be told.
struct Wish {
  PolicySliceOwner owner;
  k8s::ObjectKey policy;        ///< as ByPolicy finds its slices
  api::PolicyHead head;         ///< but for the peers
  std::vector<PeerWish> peers;  ///< of what is looked at
  bool whole = true;            ///< these are all of them
  Subject about;
};

/// The slices that carry a peer.
[[nodiscard]] std::vector<const PolicySlice*> slicesOf(const World& world,
                                                       const PolicySliceOwner& owner,
                                                       const std::string& network,
                                                       const std::string& peer);
/// The owner's head, where one of it stands.
[[nodiscard]] const PolicySlice* headOf(const World& world, const PolicySliceOwner& owner);

/// The namespace is being deleted: the server takes no new object there.
[[nodiscard]] bool isEnding(const World& world, const std::string& nameSpace);

/// The next step: slices of peers, then the head, then the end of what it doesn't count any more.
/// Nothing where it needs a new one in a namespace that ends.
void writeSlices(const World& world, const Wish& wish, Outcome& outcome);

/// Why nodes can't be told of all peers of a policy, and what to do about it.
struct TooManyPeers {
  std::string why;  ///< a sentence without its end
  std::string remedy;
};
/// Nothing: they can. `onAll`: its peers on all of its networks.
[[nodiscard]] std::optional<TooManyPeers> tooManyPeers(const World& world,
                                                       const k8s::ObjectKey& policy,
                                                       std::size_t onAll);

/// Peers that a policy names, on each of these networks, with the slices that stand. `parts` null:
/// all of them.
void addPeers(const World& world, const std::vector<policy::Peer>& peers,
              const std::vector<std::string>& networks, const Parts* parts, Wish& wish);

/// Of a slice that doesn't stand for anything any more.
[[nodiscard]] Write endOf(const PolicySlice& slice, const std::string& why,
                          std::vector<Premise> premises = {});

/// Slices of policies of a name that are gone; the garbage collector would take its time. `now`:
/// UID of the policy that has the name, empty where none has.
void endEarlier(const World& world, const k8s::ObjectKey& slices, const k8s::Kind& kind,
                const k8s::ObjectKey& policy, const std::string& now, Outcome& outcome);

/// Where a policy is another than before, for who reads all of it.
template <class P>
[[nodiscard]] bool readsOtherwise(const Changed<P>& changed) {
  if (changed.existence()) return true;
  const auto& before = *changed.before;
  const auto& now = *changed.now;
  return before.metadata.uid != now.metadata.uid ||
         before.metadata.generation != now.metadata.generation || before.spec != now.spec ||
         before.undecodable != now.undecodable;
}

/// For the peer that a slice of the policy carries; a head is looked at with whatever is looked at.
void markFor(const Changed<PolicySlice>& changed, const PolicySlice& slice,
             const k8s::ObjectKey& policy, Keys& keys);

}  // namespace multinet::controller
