#include <functional>

#include "lib/api/spelling.h"
#include "lib/policy/key.h"
#include "lib/policy/match.h"
#include "lib/policy/source.h"

namespace multinet::policy {
namespace {

std::string keyOf(const api::PolicyPeer& peer, const std::string& home) {
  Key key('p');
  key.add(peer.namespaceSelector ? "" : home);
  return key.add(peer.namespaceSelector).add(peer.podSelector).text();
}

std::string keyOf(const api::PolicyIpBlock& block) {
  Key key('b');
  key.add(block.cidr);
  for (const auto& except : block.except) key.add(except);
  return key.text();
}

}  // namespace

WorldSource::WorldSource(const World& world, const std::string& network)
    : world_(world), network_(network) {
  for (const auto& pod : world.pods) {
    if (pod.on(network) != nullptr) pods_.push_back(&pod);
  }
}

template <class FindOut>
const Named& WorldSource::know(const std::string& key, FindOut findOut) {
  auto& known = known_[key];
  if (known != nullptr) return *known;
  known = std::make_unique<Named>(Named{.key = key});
  for (const IpAddress& one : findOut()) ++known->members[one];
  return *known;
}

const Named& WorldSource::podsOf(const api::PodNetworkPolicy& policy, const api::PolicyPeer& peer) {
  const std::string& home = policy.metadata.nameSpace;
  return know(keyOf(peer, home), [&] {
    std::vector<IpAddress> out;
    for (const Pod* pod : pods_) {
      if (!match::isPod(peer, home, *pod, world_)) continue;
      for (const auto& one : pod->on(network_)->addresses) out.push_back(one);
    }
    return out;
  });
}

const Named& WorldSource::podsIn(const std::string& nameSpace) {
  api::PodNetworkPolicy of;
  of.metadata.nameSpace = nameSpace;
  api::PolicyPeer own;
  own.podSelector.emplace();
  return podsOf(of, own);
}

Source::ByPort WorldSource::withPort(const api::PodNetworkPolicy& policy,
                                     const api::PolicyPeer* peer, const api::PolicyPort& port) {
  std::string whose;
  std::function<bool(const IpAddress&)> isOne = [](const IpAddress&) { return true; };
  if (peer != nullptr && peer->ipBlock) {
    whose = keyOf(*peer->ipBlock);
    isOne = [block = rangesOf(*peer->ipBlock)](const IpAddress& one) {
      return contains(block, one);
    };
  } else if (peer != nullptr) {
    const Named& named = podsOf(policy, *peer);
    whose = named.key;
    isOne = [&named](const IpAddress& one) { return named.members.contains(one); };
  }
  std::map<std::uint16_t, std::vector<IpAddress>> byPort;
  for (const Pod* pod : pods_) {
    const auto ports = match::portsOf(port, pod);
    if (!ports) continue;
    for (const auto& one : pod->on(network_)->addresses) {
      if (isOne(one)) byPort[ports->first].push_back(one);
    }
  }
  ByPort out;
  for (auto& [number, addresses] : byPort) {
    Key key('n');
    key.add(whose).add(port.port->name).add(k8s::spell(port.protocol)).add(number);
    out.emplace_back(number, &know(key.text(), [&] { return std::move(addresses); }));
  }
  return out;
}

}  // namespace multinet::policy
