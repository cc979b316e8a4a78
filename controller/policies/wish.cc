#include "controller/policies/wish.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/api/describe.h"
#include "lib/api/policy.h"
#include "lib/k8s/merge_patch.h"
#include "lib/policy/peers.h"

namespace multinet::controller {
namespace {

/// On what is made of a policy; it is the policy that is told of a refusal.
Write about(const Subject& subject, Write write) {
  write.about = subject;
  return write;
}

Write writeOf(const Wish& wish, const PolicySliceChange& change) {
  const auto& kind = api::kPodNetworkPolicySliceKind;
  if (!change.wanted) {
    return about(wish.about, deletionOf(kind, change.standing->metadata, "", {}));
  }
  const auto& wanted = *change.wanted;
  if (change.standing == nullptr) {
    return about(wish.about, {.kind = kind,
                              .key = {wanted.metadata.nameSpace, wanted.metadata.name},
                              .verb = Verb::Create,
                              .body = k8s::KindTraits<api::PodNetworkPolicySlice>::encode(wanted)});
  }
  nlohmann::json body;
  if (wanted.members) body["members"] = {{"entries", k8s::Encoder::value(wanted.members->entries)}};
  if (wanted.head) {
    body["head"] = k8s::mergePatch(k8s::Encoder::value(*change.standing->head),
                                   k8s::Encoder::value(*wanted.head));
  }
  return about(wish.about, writeTo(kind, change.standing->metadata, Verb::Patch, std::move(body)));
}

}  // namespace

std::vector<const PolicySlice*> slicesOf(const World& world, const PolicySliceOwner& owner,
                                         const std::string& network, const std::string& peer) {
  std::vector<const PolicySlice*> slices;
  const auto key = ByPolicyPeer::key(owner.uid, owner.nameSpace, network, peer);
  for (const auto* one : world.of<PolicySlice>().by<ByPolicyPeer>(key)) slices.push_back(one);
  return slices;
}

const PolicySlice* headOf(const World& world, const PolicySliceOwner& owner) {
  const auto* head = world.find<PolicySlice>({owner.nameSpace, owner.headName});
  return head != nullptr && head->head && head->policyUID == owner.uid ? head : nullptr;
}

bool isEnding(const World& world, const std::string& nameSpace) {
  const auto* space = world.find<Namespace>(nameSpace);
  return space != nullptr && space->metadata.deleting();
}

namespace {

/// First the slices.
void writeMembers(const World& world, const Wish& wish, Outcome& outcome) {
  std::set<std::string> names;
  bool named = false;
  for (const auto& peer : wish.peers) {
    const bool grows = [&] {
      std::size_t standing = 0;
      for (const auto* one : peer.standing) standing += one->members->entries.size();
      return peer.members->size() > standing;
    }();
    if (grows && !std::exchange(named, true)) {
      for (const auto* one : world.of<PolicySlice>().by<ByPolicy>(wish.policy)) {
        names.insert(one->metadata.name);
      }
    }
    for (const auto& change : planMembers(wish.owner, peer, names)) {
      outcome.writes.push_back(writeOf(wish, change));
    }
  }
}

std::vector<api::PolicyHeadPeer> headPeers(const Wish& wish, const PolicySlice* standing) {
  std::vector<api::PolicyHeadPeer> peers;
  if (!wish.whole) peers = standing->head->peers;
  for (const auto& one : wish.peers) {
    const auto found = std::ranges::find_if(peers, [&](const api::PolicyHeadPeer& known) {
      return known.podNetworkName == one.network && known.peer == one.peer;
    });
    if (found == peers.end()) {
      peers.push_back(countOf(one));
    } else {
      *found = countOf(one);
    }
  }
  return peers;
}

/// Then the head, which counts them.
void writeHead(const Wish& wish, const PolicySlice* standing, Outcome& outcome) {
  auto slice = bareSlice(wish.owner, wish.owner.headName);
  slice.head = wish.head;
  slice.head->peers = headPeers(wish, standing);
  if (standing != nullptr && *standing->head == *slice.head) return;
  outcome.writes.push_back(writeOf(wish, {standing, std::move(slice)}));
}

/// At last what it doesn't count any more.
void endStrangers(const World& world, const Wish& wish, Outcome& outcome) {
  std::set<std::pair<std::string, std::string>> wanted;
  for (const auto& one : wish.peers) wanted.emplace(one.network, one.peer);
  for (const auto* one : world.of<PolicySlice>().by<ByPolicy>(wish.policy)) {
    if (one->policyUID != wish.owner.uid || one->metadata.deleting()) continue;
    if (one->metadata.name == wish.owner.headName && one->head) continue;
    const auto& members = one->members;
    if (members && wanted.contains({members->podNetworkName, members->peer})) continue;
    outcome.writes.push_back(
        about(wish.about, deletionOf(api::kPodNetworkPolicySliceKind, one->metadata, "", {})));
  }
}

/// A slice that can't be read is nobody's.
void endIllegible(const World& world, const Wish& wish, Outcome& outcome) {
  const auto* head = world.find<PolicySlice>({wish.owner.nameSpace, wish.owner.headName});
  if (head == nullptr || headOf(world, wish.owner) != nullptr || head->metadata.deleting()) return;
  outcome.writes.push_back(
      about(wish.about, deletionOf(api::kPodNetworkPolicySliceKind, head->metadata,
                                   "it can't be read as the head that it is", {})));
}

void writeNext(const World& world, const Wish& wish, Outcome& outcome) {
  endIllegible(world, wish, outcome);
  writeMembers(world, wish, outcome);
  if (!outcome.writes.empty()) return;
  writeHead(wish, headOf(world, wish.owner), outcome);
  if (!outcome.writes.empty() || !wish.whole) return;
  endStrangers(world, wish, outcome);
}

}  // namespace

void writeSlices(const World& world, const Wish& wish, Outcome& outcome) {
  const auto before = static_cast<std::ptrdiff_t>(outcome.writes.size());
  writeNext(world, wish, outcome);
  if (!isEnding(world, wish.owner.nameSpace)) return;
  // Without the new one the others would leave a head that counts members which stand nowhere.
  const auto begin = outcome.writes.begin() + before;
  if (std::any_of(begin, outcome.writes.end(),
                  [](const Write& one) { return one.verb == Verb::Create; })) {
    outcome.writes.erase(begin, outcome.writes.end());
  }
}

std::optional<TooManyPeers> tooManyPeers(const World& world, const k8s::ObjectKey& policy,
                                         std::size_t onAll) {
  if (onAll > api::kMaxPolicyResolved) {
    return TooManyPeers{"Its peers on all of its networks are " + std::to_string(onAll) +
                            ", more than " + std::to_string(api::kMaxPolicyResolved),
                        "write several policies"};
  }
  const auto members = world.policyGroups().excess(policy);
  if (!members) return std::nullopt;
  return TooManyPeers{"Its peers have " + std::to_string(*members) +
                          " addresses on its networks, of which at most " +
                          std::to_string(api::kMaxPolicyMembers) + " can be told (" +
                          std::to_string(kPolicyMembersAgain) + " once they were more)",
                      "select fewer pods, name many by an ipBlock, or write several policies"};
}

void addPeers(const World& world, const std::vector<policy::Peer>& peers,
              const std::vector<std::string>& networks, const Parts* parts, Wish& wish) {
  wish.whole = parts == nullptr || headOf(world, wish.owner) == nullptr;
  const auto& groups = world.policyGroups();
  for (const auto& network : networks) {
    for (const auto& peer : peers) {
      const auto hash = policy::peerHash(peer);
      if (!wish.whole && !parts->contains({network, hash})) continue;
      wish.peers.push_back({network, hash, &groups.members(network, peer),
                            slicesOf(world, wish.owner, network, hash)});
    }
  }
}

Write endOf(const PolicySlice& slice, const std::string& why, std::vector<Premise> premises) {
  return deletionOf(api::kPodNetworkPolicySliceKind, slice.metadata, why, std::move(premises));
}

void endEarlier(const World& world, const k8s::ObjectKey& slices, const k8s::Kind& kind,
                const k8s::ObjectKey& policy, const std::string& now, Outcome& outcome) {
  for (const auto* one : world.of<PolicySlice>().by<ByPolicy>(slices)) {
    if ((!now.empty() && one->policyUID == now) || one->metadata.deleting()) continue;
    // One that was made again ends what was told of the one before by itself.
    const auto contradicts = [uid = one->policyUID,
                              isThere = !now.empty()](const simdjson::dom::element& there) {
      std::string_view other;
      return !isThere || there.at_pointer("/metadata/uid").get(other) != simdjson::SUCCESS ||
             other == uid;
    };
    outcome.writes.push_back(endOf(*one, "its policy is gone", {{kind, policy, contradicts}}));
  }
}

void markFor(const Changed<PolicySlice>& changed, const PolicySlice& slice,
             const k8s::ObjectKey& policy, Keys& keys) {
  const bool isWhole = changed.existence() || !slice.undecodable.empty() ||
                       changed.before->policyUID != changed.now->policyUID;
  if (slice.members && !(isWhole && changed.now == nullptr)) {
    keys.push_back(Mark::part(policy, {slice.members->podNetworkName, slice.members->peer}));
  } else {
    keys.push_back(isWhole ? Mark(policy) : Mark::itself(policy));
  }
}

}  // namespace multinet::controller
