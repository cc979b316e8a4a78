#include "nodeagent/networks/host_plan.h"

#include <algorithm>

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/own_bridge.h"
#include "nodeagent/networks/ground.h"

namespace multinet::agent::networks {
namespace {

using netlink::LinkInfo;

/// The links that carry a network's mark and that nobody wants, with those who use them.
class Removals {
 public:
  Removals(const std::vector<DesiredNetwork>& served, const Host& host, HostPlan& plan)
      : served_(served), host_(host), plan_(plan) {}

  void run() {
    if (!host_.split()) {
      removeFrom(host_.inner, Place::Switch, {Place::Switch, Place::Node});
    } else {
      removeFrom(host_.inner, Place::Switch, {Place::Switch});
      removeFrom(host_, Place::Node, {Place::Node});
    }
  }

 private:
  void removeFrom(const Links& side, Place place, const std::vector<Place>& names) {
    std::set<std::pair<std::string, std::string>> expected;  // name and alias
    for (const DesiredNetwork& network : served_) {
      if (network.demand == Demand::None) continue;
      for (const Place each : names) {
        for (const std::string& name : linksOf(network, host_, each)) {
          expected.insert({name, drivers::networkAlias(network.uid)});
        }
      }
    }
    std::map<NetworkUid, std::vector<const LinkInfo*>> gone;
    for (const auto& [name, link] : side.links) {
      const auto uid = drivers::parseNetworkAlias(link.alias);
      if (!uid || expected.contains({name, link.alias})) continue;
      if (place == Place::Switch || isOfOurMaking(link, *uid)) gone[*uid].push_back(&link);
    }
    for (const auto& [uid, links] : gone) remove(side, place, uid, links);
  }

  /// Anybody may have copied a mark to a link of his own on the node. Ours are named by a hash of
  /// the UID, but for a bridge that the spec names, and a wire that somebody renamed.
  [[nodiscard]] bool isOfOurMaking(const LinkInfo& link, const NetworkUid& uid) const {
    constexpr std::size_t kPrefix = 3;
    const LinkInfo* end = link.kind == "veth" ? host_.inner.link(link.lower) : nullptr;
    return link.kind == "bridge" || (end != nullptr && end->alias == link.alias) ||
           link.name.ends_with(drivers::ownBridgeName(uid).substr(kPrefix));
  }

  void remove(const Links& side, Place place, const NetworkUid& uid,
              const std::vector<const LinkInfo*>& links) {
    HostStep removal{uid, place, {}, {}};
    unsigned interfaces = 0;
    std::string bridge;
    for (const LinkInfo* link : links) {
      if (link->kind == "bridge") {
        interfaces += drivers::interfacesIn(side, *link);
        bridge = link->name;
      }
      removal.requests.push_back(netlink::deleteLink(drivers::ref(*link)));
    }
    if (interfaces == 0) {
      if (!isMoving(place, uid)) plan_.steps.push_back(std::move(removal));
    } else if (!isServed(uid)) {
      plan_.orphans.push_back({uid, bridge, interfaces});
    }
  }

  [[nodiscard]] bool isServed(const NetworkUid& uid) const {
    return std::ranges::find(served_, uid, &DesiredNetwork::uid) != served_.end();
  }
  /// An earlier version's links serve until the switch has taken over.
  [[nodiscard]] bool isMoving(Place place, const NetworkUid& uid) const {
    if (place == Place::Switch) return false;
    const auto network = std::ranges::find(served_, uid, &DesiredNetwork::uid);
    if (network == served_.end() || network->demand == Demand::None) return false;
    const auto names = linksOf(*network, host_, Place::Switch);
    return std::ranges::any_of(
        names, [this](const std::string& name) { return host_.inner.link(name) == nullptr; });
  }

  const std::vector<DesiredNetwork>& served_;
  const Host& host_;
  HostPlan& plan_;
};

}  // namespace

HostPlan planHost(const std::vector<DesiredNetwork>& served, const Host& host, Guard guard,
                  const NetworksOptions& options) {
  HostPlan plan;
  // Removals first: a network made anew may want the VNI of one that is gone.
  Removals(served, host, plan).run();
  for (const DesiredNetwork& network : served) {
    if (network.demand == Demand::None) continue;
    const auto ground = groundOf(network, host, options.underlay);
    auto steps = std::visit([&](const auto& one) { return one.steps(ground, options.node, guard); },
                            network.network);
    std::ranges::move(steps, std::back_inserter(plan.steps));
  }
  return plan;
}

}  // namespace multinet::agent::networks
