#include "controller/identifiers/vni.h"

#include <algorithm>
#include <set>

#include "lib/api/names.h"
#include "lib/api/validate.h"

namespace multinet::controller {
namespace {

using Vni = std::int32_t;

/// FNV-1a: the same start for the same network on every leader and every architecture.
Vni startFor(const std::string& uid) {
  std::uint32_t hash = 2166136261U;
  for (const char letter : uid) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619U;
  }
  return static_cast<Vni>(hash % static_cast<std::uint32_t>(kAutomaticVnis));
}

bool isTunnel(const Network& network) {
  return network.spec.type == api::NetworkType::Vxlan;
}

/// As the spec asks; absent: to be allocated.
std::optional<Vni> named(const Network& network) {
  return network.spec.vxlan ? network.spec.vxlan->vni : std::nullopt;
}

bool uses(const Network& network, Vni vni) {
  return network.status.vni == vni;
}

const Identifier* identifierAt(const World& world, Vni vni) {
  return world.find<Identifier>(api::vxlanIdentifierName(static_cast<std::uint32_t>(vni)));
}

const Network* networkOf(const World& world, const std::string& uid) {
  const auto& found = world.of<Network>().by<ByNetworkUid>(NetworkUid(uid));
  return found.empty() ? nullptr : *found.begin();
}

/// The VNIs of a network's identifiers, ascending.
std::set<Vni> given(const World& world, const std::string& networkUid) {
  std::set<Vni> vnis;
  for (const auto* one : world.of<Identifier>().by<ByNetworkUid>(NetworkUid(networkUid))) {
    vnis.insert(static_cast<Vni>(one->spec.id));
  }
  return vnis;
}

bool mayAsk(const World& world, const Network& network) {
  return !network.metadata.deleting() && world.violations(network).empty();
}

/// For a reservation that isn't there. A verdict on the spec takes nothing that is in use.
bool mayReserve(const World& world, const Network& network, Vni vni) {
  return !network.metadata.deleting() && (world.violations(network).empty() || uses(network, vni));
}

/// The VNI that a network should have, if it may claim one.
std::optional<Vni> claimOf(const World& world, const Network& network) {
  if (!isTunnel(network)) return std::nullopt;
  const auto mine = given(world, network.metadata.uid);
  auto wanted = named(network);
  if (!wanted && !mine.empty()) wanted = *mine.begin();
  if (!wanted) wanted = network.status.vni;
  if (!wanted) return std::nullopt;
  const bool has = mine.contains(*wanted) || uses(network, *wanted);
  return has || mayAsk(world, network) ? wanted : std::nullopt;
}

/// Networks that may claim a VNI: those that name or use it, and the one that was given it.
std::set<const Network*> claimants(const World& world, Vni vni) {
  const auto& found = world.of<Network>().by<ByVni>(vni);
  std::set<const Network*> all(found.begin(), found.end());
  if (const auto* identifier = identifierAt(world, vni)) {
    if (const auto* owner = networkOf(world, identifier->spec.podNetworkUID)) all.insert(owner);
  }
  return all;
}

/// The oldest of those that claim a VNI; null: nobody does.
const Network* winnerOf(const World& world, Vni vni) {
  const Network* winner = nullptr;
  for (const Network* one : claimants(world, vni)) {
    if (claimOf(world, *one) != vni) continue;
    if (winner == nullptr || api::keepsPlace(*one, *winner)) winner = one;
  }
  return winner;
}

/// Whether another has the VNI of a network's identifier, or the network doesn't want it.
bool lost(const World& world, const Network& owner, Vni vni) {
  const auto* winner = winnerOf(world, vni);
  return winner != nullptr && winner != &owner;
}
bool unwanted(const Network& owner, Vni vni) {
  return !isTunnel(owner) || (named(owner) && *named(owner) != vni);
}

/// The lowest that is rightly its own.
std::optional<Vni> reservedFor(const World& world, const Network& network) {
  for (const Vni vni : given(world, network.metadata.uid)) {
    if (!lost(world, network, vni) && !unwanted(network, vni)) return vni;
  }
  return std::nullopt;
}

std::optional<Vni> freeVni(const World& world, const std::string& networkUid) {
  const Vni start = startFor(networkUid);
  for (Vni step = 0; step < kAutomaticVnis; ++step) {
    const Vni vni = kFirstAutomaticVni + (start + step) % kAutomaticVnis;
    if (identifierAt(world, vni) == nullptr && winnerOf(world, vni) == nullptr) return vni;
  }
  return std::nullopt;
}

/// Why an identifier is to go; nothing where it stays.
std::optional<std::string> dropped(const World& world, const Identifier& identifier) {
  const auto vni = static_cast<Vni>(identifier.spec.id);
  const auto* owner = networkOf(world, identifier.spec.podNetworkUID);
  if (owner == nullptr) return "its network is gone";
  if (lost(world, *owner, vni)) return "an older network names this VNI";
  if (reservedFor(world, *owner) != vni) return "its network doesn't use it";
  return std::nullopt;
}

Write reservation(const Network& network, Vni vni) {
  api::NetworkIdentifier identifier;
  identifier.metadata.name = api::vxlanIdentifierName(static_cast<std::uint32_t>(vni));
  identifier.spec = {api::IdentifierKind::Vxlan, vni, network.metadata.name, network.metadata.uid};
  return {.kind = api::kNetworkIdentifierKind,
          .key = keyOf(identifier),
          .verb = Verb::Create,
          .body = k8s::KindTraits<api::NetworkIdentifier>::encode(identifier),
          .why = "reserved for network \"" + network.metadata.name + "\"",
          .about = {api::kPodNetworkKind, keyOf(network), network.metadata.uid}};
}

Outcome reserve(const World& world, const k8s::ObjectKey& key, const Moment& /*now*/) {
  Outcome outcome;
  const auto* network = world.find<Network>(key);
  if (network == nullptr) return outcome;
  const auto verdict = vniOf(world, *network);
  if (verdict.create) outcome.writes.push_back(reservation(*network, *verdict.create));
  if (verdict.exhausted) outcome.askAgain(kVniRetry);
  return outcome;
}

Outcome collect(const World& world, const k8s::ObjectKey& key, const Moment& /*now*/) {
  Outcome outcome;
  const auto* identifier = world.find<Identifier>(key);
  if (identifier == nullptr) return outcome;
  const auto why = dropped(world, *identifier);
  if (!why) return outcome;
  const auto& spec = identifier->spec;
  std::vector<Premise> premises;
  if (networkOf(world, spec.podNetworkUID) == nullptr) {
    premises.push_back(networkIsGone(spec.podNetworkName, spec.podNetworkUID));
  }
  outcome.writes.push_back(
      deletionOf(api::kNetworkIdentifierKind, identifier->metadata, *why, std::move(premises)));
  return outcome;
}

/// All VNIs that a change of a network or an identifier is about.
std::set<Vni> vnisOf(const Change& change) {
  std::set<Vni> vnis;
  on(
      change,
      [&](const Changed<Network>& changed) {
        for (const auto& network : {changed.before, changed.now}) {
          if (network == nullptr) continue;
          for (const Vni vni : ByVni::of(*network)) vnis.insert(vni);
        }
      },
      [&](const Changed<Identifier>& changed) {
        for (const auto& one : {changed.before, changed.now}) {
          if (one != nullptr) vnis.insert(static_cast<Vni>(one->spec.id));
        }
      });
  return vnis;
}

std::set<std::string> uidsOf(const Change& change) {
  std::set<std::string> uids;
  on(
      change,
      [&](const Changed<Network>& changed) {
        for (const auto& one : {changed.before, changed.now}) {
          if (one != nullptr) uids.insert(one->metadata.uid);
        }
      },
      [&](const Changed<Identifier>& changed) {
        for (const auto& one : {changed.before, changed.now}) {
          if (one != nullptr) uids.insert(one->spec.podNetworkUID);
        }
      });
  return uids;
}

void collectionConcerned(const World& world, const Change& change, Keys& keys) {
  on(change, [&](const Changed<Identifier>& changed) { keys.push_back(changed.key()); });
  for (const auto& uid : uidsOf(change)) {
    for (const auto* one : world.of<Identifier>().by<ByNetworkUid>(NetworkUid(uid))) {
      keys.push_back(keyOf(*one));
    }
  }
  for (const Vni vni : vnisOf(change)) {
    if (const auto* one = identifierAt(world, vni)) keys.push_back(keyOf(*one));
  }
}

}  // namespace

VniVerdict vniOf(const World& world, const Network& network) {
  VniVerdict verdict;
  if (!isTunnel(network)) return verdict;
  verdict.held = reservedFor(world, network);
  const auto claim = claimOf(world, network);
  const bool wins = claim && winnerOf(world, *claim) == &network;
  if (claim && !wins && named(network)) verdict.loserTo = winnerOf(world, *claim)->metadata.name;
  // While a loser's identifier is still there, its removal comes first.
  if (wins && identifierAt(world, *claim) == nullptr && mayReserve(world, network, *claim)) {
    verdict.create = claim;
    if (uses(network, *claim) && !verdict.held) verdict.held = claim;
  }
  if (named(network) || verdict.held || !mayAsk(world, network)) return verdict;
  verdict.create = freeVni(world, network.metadata.uid);
  verdict.exhausted = !verdict.create;
  return verdict;
}

void vniConcerned(const World& world, const Change& change, Keys& keys) {
  on(change, [&](const Changed<Network>& changed) { keys.push_back(changed.key()); });
  for (const auto& uid : uidsOf(change)) {
    if (const auto* owner = networkOf(world, uid)) keys.push_back(keyOf(*owner));
  }
  for (const Vni vni : vnisOf(change)) {
    for (const auto* network : claimants(world, vni)) keys.push_back(keyOf(*network));
  }
}

Reconciler identifierReservation() {
  return {"identifier-reservation", vniConcerned, reserve};
}

Reconciler identifierCollection() {
  return {"identifier-collection", collectionConcerned, collect};
}

}  // namespace multinet::controller
