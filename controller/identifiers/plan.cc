#include "controller/identifiers/plan.h"

#include <algorithm>
#include <set>

namespace multinet::controller {
namespace {

/// FNV-1a: the same start for the same network on every leader and every architecture.
std::uint32_t startFor(const std::string& uid) {
  std::uint32_t hash = 2166136261U;
  for (const char letter : uid) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619U;
  }
  return hash % kAutomaticVnis;
}

std::vector<const Network*> byAge(const std::vector<Network>& networks) {
  std::vector<const Network*> sorted;
  for (const auto& network : networks) {
    if (network.tunnel) sorted.push_back(&network);
  }
  std::ranges::sort(sorted, [](const Network* left, const Network* right) {
    return olderThan(left->meta, right->meta);
  });
  return sorted;
}

bool uses(const Network& network, std::uint32_t vni) {
  return network.usedVni == vni;
}

/// For a reservation that isn't there. A verdict on the spec takes nothing that is in use.
bool mayReserve(const Network& network, std::uint32_t vni) {
  return !network.meta.deleted && (network.violations.empty() || uses(network, vni));
}

bool mayAsk(const Network& network) {
  return !network.meta.deleted && network.violations.empty();
}

class Planner {
 public:
  Planner(const std::vector<Network>& networks, const std::vector<Identifier>& identifiers)
      : networks_(byAge(networks)) {
    for (const auto& network : networks) live_.emplace(network.meta.uid, &network);
    for (const auto& identifier : identifiers) identifiers_.emplace(identifier.vni, &identifier);
    for (const auto& [vni, identifier] : identifiers_) given_.emplace(identifier->networkUid, vni);
  }

  IdentifierPlan run() {
    claim();
    keepOrRemove();
    createExplicit();
    createAutomatic();
    return std::move(plan_);
  }

 private:
  /// Who should have each VNI: the oldest of those that name it and the one that was given it.
  void claim() {
    for (const auto* network : networks_) {
      const auto given = givenTo(*network);
      const auto wanted = network->vni ? network->vni : given ? given : network->usedVni;
      if (!wanted) continue;
      const bool has = holds(*network, *wanted) || uses(*network, *wanted);
      if (!mayAsk(*network) && !has) continue;
      const auto [winner, first] = winners_.emplace(*wanted, network);
      if (!first && network->vni) plan_.losers[network->meta.uid] = winner->second->meta.name;
    }
  }

  void keepOrRemove() {
    for (const auto& [vni, identifier] : identifiers_) {
      const auto owner = live_.find(identifier->networkUid);
      if (owner == live_.end()) {
        plan_.remove.push_back({.meta = identifier->meta,
                                .why = "its network is gone",
                                .goneNetworkUid = identifier->networkUid});
        continue;
      }
      const auto winner = winners_.find(vni);
      const bool lost = winner != winners_.end() && winner->second != owner->second;
      const bool second = plan_.held.contains(owner->first);
      const bool other = owner->second->vni && *owner->second->vni != vni;
      if (lost || second || other || !owner->second->tunnel) {
        plan_.remove.push_back({identifier->meta, lost ? "an older network names this VNI"
                                                       : "its network doesn't use it"});
        continue;
      }
      plan_.held[owner->first] = vni;
    }
  }

  void createExplicit() {
    for (const auto& [vni, network] : winners_) {
      // While a loser's identifier is still there, its removal comes first.
      if (identifiers_.contains(vni) || !mayReserve(*network, vni)) continue;
      plan_.create.push_back({vni, network->meta.name, network->meta.uid});
      if (uses(*network, vni)) plan_.held.emplace(network->meta.uid, vni);
    }
  }

  void createAutomatic() {
    std::set<std::uint32_t> taken;
    for (const auto& [vni, identifier] : identifiers_) taken.insert(vni);
    for (const auto& [vni, network] : winners_) taken.insert(vni);
    for (const auto* network : networks_) {
      if (network->vni || !mayAsk(*network) || plan_.held.contains(network->meta.uid)) continue;
      const auto vni = freeVni(startFor(network->meta.uid), taken);
      if (!vni) {
        plan_.exhausted.push_back(network->meta.uid);
        continue;
      }
      taken.insert(*vni);
      plan_.create.push_back({*vni, network->meta.name, network->meta.uid});
    }
  }

  static std::optional<std::uint32_t> freeVni(std::uint32_t start,
                                              const std::set<std::uint32_t>& taken) {
    for (std::uint32_t step = 0; step < kAutomaticVnis; ++step) {
      const auto vni = kFirstAutomaticVni + (start + step) % kAutomaticVnis;
      if (!taken.contains(vni)) return vni;
    }
    return std::nullopt;
  }

  std::optional<std::uint32_t> givenTo(const Network& network) const {
    const auto found = given_.find(network.meta.uid);
    return found == given_.end() ? std::nullopt : std::optional(found->second);
  }

  bool holds(const Network& network, std::uint32_t vni) const {
    const auto found = identifiers_.find(vni);
    return found != identifiers_.end() && found->second->networkUid == network.meta.uid;
  }

  std::vector<const Network*> networks_;
  std::map<std::string, const Network*> live_;
  std::map<std::uint32_t, const Identifier*> identifiers_;
  std::map<std::string, std::uint32_t> given_;  // network UID -> its lowest identifier
  std::map<std::uint32_t, const Network*> winners_;
  IdentifierPlan plan_;
};

}  // namespace

IdentifierPlan planIdentifiers(const std::vector<Network>& networks,
                               const std::vector<Identifier>& identifiers) {
  return Planner(networks, identifiers).run();
}

}  // namespace multinet::controller
