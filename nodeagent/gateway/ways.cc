#include "nodeagent/gateway/ways.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/encoding.h"

namespace multinet::agent::gateway {
namespace {

std::uint16_t portOf(std::int32_t port) {
  return port < 1 || port > 65535 ? 0 : static_cast<std::uint16_t>(port);
}

bool isExternal(const k8s::Service& service) {
  return service.spec.type == "NodePort" || service.spec.type == "LoadBalancer";
}

bool isLocal(const k8s::Service& service) {
  return *service.spec.externalTrafficPolicy == "Local";
}

/// As kube-proxy reads them: spaces around don't count, host bits neither.
std::vector<IpPrefix> sourcesOf(const k8s::Service& service, IpFamily family) {
  std::vector<IpPrefix> found;
  for (std::string text : *service.spec.loadBalancerSourceRanges) {
    std::erase(text, ' ');
    const auto range = InterfaceAddress::parse(text);
    if (!range || range->address.family() != family) continue;
    found.emplace_back(range->address, range->length);
  }
  // The kernel takes no range that is in another.
  std::ranges::sort(found, {}, &IpPrefix::length);
  std::vector<IpPrefix> widest;
  for (const IpPrefix& range : found) {
    const auto holds = [&range](const IpPrefix& wider) { return wider.contains(range); };
    if (std::ranges::none_of(widest, holds)) widest.push_back(range);
  }
  return widest;
}

/// A list that has ranges, none of them of this family, lets nobody of it in.
std::vector<IpPrefix> admitted(const k8s::Service& service, IpFamily family) {
  auto sources = sourcesOf(service, family);
  const bool any = std::ranges::any_of(sources, [](const auto& one) { return one.length() == 0; });
  if (any || service.spec.loadBalancerSourceRanges->empty()) return {};
  if (sources.empty()) sources.emplace_back(IpAddress(family, 0), 128);
  return sources;
}

std::vector<Entrance> externalEntrances(const k8s::Service& service, const k8s::ServicePort& port,
                                        IpFamily family) {
  std::vector<Entrance> entrances;
  if (const std::uint16_t number = portOf(port.nodePort)) {
    entrances.push_back({std::nullopt, number});
  }
  if (service.spec.type != "LoadBalancer") return entrances;
  for (const k8s::LoadBalancerIngress& ingress : service.status->loadBalancer.ingress) {
    const auto address = IpAddress::parse(ingress.ip);
    // Proxy: frames come with a node's address, to a NodePort (KEP-1860).
    if (!address || address->family() != family || ingress.ipMode == "Proxy") continue;
    entrances.push_back({*address, portOf(port.port), admitted(service, family)});
  }
  return entrances;
}

/// FNV mixes its last bytes badly into the high bits, which decide here.
std::uint64_t rankOf(const Target& target, const Place& place) {
  std::uint64_t hash = fnv1a(place.node.str() + "/" + target.address.str());
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  return hash ^ (hash >> 31U);
}

std::vector<Target> chosen(std::vector<Target> targets, const Place& place) {
  if (targets.size() <= kMostTargets) return targets;
  std::vector<std::pair<std::uint64_t, Target>> ranked;
  ranked.reserve(targets.size());
  for (const Target& target : targets) {
    ranked.emplace_back(rankOf(target, place), target);
  }
  std::ranges::sort(ranked);
  targets.clear();
  for (std::size_t i = 0; i < kMostTargets; ++i) targets.push_back(ranked[i].second);
  std::ranges::sort(targets);
  return targets;
}

}  // namespace

bool isOpen(const k8s::Service& service) {
  return isExternal(service) || endpoints::reachesCluster(service);
}

bool isOpenEverywhere(const k8s::Service& service) {
  return (isExternal(service) && !isLocal(service)) || endpoints::reachesCluster(service);
}

std::vector<IpAddress> addressesOf(const k8s::Service& service) {
  std::vector<IpAddress> addresses;
  if (service.spec.type == "ExternalName") return addresses;
  for (const std::string& text : service.spec.clusterIPs) {
    if (const auto address = IpAddress::parse(text)) addresses.push_back(*address);
  }
  return addresses;
}

std::size_t readyHere(const k8s::Service& service, const Slices& slices, const Place& place) {
  std::set<std::string> pods;  // each once, whatever its families and ports
  for (const IpAddress& address : addressesOf(service)) {
    for (const k8s::ServicePort& port : service.spec.ports) {
      for (const auto& one : endpointsOf(port, address.family(), slices, place)) {
        if (!one.here || !one.ready || one.target.port == 0) continue;
        pods.insert(one.told->targetRef ? one.told->targetRef->uid : one.target.address.str());
      }
    }
  }
  return pods.size();
}

policy::Ranges clientsOf(const Way& way, const policing::Admissions& admissions) {
  const auto protocol = way.transport == Transport::Tcp ? api::Protocol::TCP : api::Protocol::UDP;
  std::optional<policy::Ranges> all;
  for (const Target& target : way.here) {
    const auto found = admissions.find(target.address);
    if (found == admissions.end()) continue;
    policy::Ranges ranges;
    for (const policing::Admission& one : found->second) {
      const bool fits = !one.protocol || (*one.protocol == protocol && one.first <= target.port &&
                                          target.port <= one.last);
      if (fits && one.clients.first.family() == way.family) ranges.push_back(one.clients);
    }
    ranges = policy::joined(std::move(ranges));
    all = all ? policy::common(*all, ranges) : std::move(ranges);
  }
  return all.value_or(policy::Ranges{});
}

std::vector<Way> waysOf(const k8s::Service& service, const Slices& slices, const Place& place) {
  std::vector<Way> ways;
  for (const IpAddress& address : addressesOf(service)) {
    for (const k8s::ServicePort& port : service.spec.ports) {
      const auto transport = endpoints::transportOf(port.protocol);
      const std::uint16_t number = portOf(port.port);
      if (!transport || number == 0) continue;
      const IpFamily family = address.family();
      const auto add = [&](const char* kind, std::vector<Entrance> entrances,
                           api::TrafficPolicy policy) {
        if (entrances.empty()) return;
        const auto endpoints = endpointsOf(port, family, slices, place);
        std::vector<Target> here;
        for (const auto& one : endpoints) {
          const bool counts = policy == api::TrafficPolicy::Local && one.here;
          if (counts && one.target.port != 0) here.push_back(one.target);
        }
        const std::string protocol = *transport == Transport::Tcp ? " TCP " : " UDP ";
        ways.push_back({service.metadata.nameSpace + "/" + service.metadata.name + ":" +
                            std::to_string(number) + protocol + std::string(name(family)) + kind,
                        family, *transport, std::move(entrances),
                        chosen(usable(endpoints, policy), place), endpoints::affinityOf(service),
                        std::move(here)});
      };
      if (isExternal(service)) {
        add(" external", externalEntrances(service, port, family),
            isLocal(service) ? api::TrafficPolicy::Local : api::TrafficPolicy::Cluster);
      }
      if (endpoints::reachesCluster(service)) {
        add(" internal", {{address, number}}, endpoints::policyOf(service));
      }
    }
  }
  return ways;
}

}  // namespace multinet::agent::gateway
