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
  if (known == nullptr) known = std::make_unique<Named>(Named{key, joined(findOut())});
  return *known;
}

const Named& WorldSource::podsOf(const api::PodNetworkPolicy& policy, const api::PolicyPeer& peer) {
  const std::string& home = policy.metadata.nameSpace;
  return know(keyOf(peer, home), [&] {
    Ranges out;
    for (const Pod* pod : pods_) {
      if (!match::isPod(peer, home, *pod, world_)) continue;
      for (const auto& one : pod->on(network_)->addresses) out.push_back({one, one});
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
  Ranges block;
  const Ranges* within = nullptr;
  if (peer != nullptr && peer->ipBlock) {
    whose = keyOf(*peer->ipBlock);
    block = rangesOf(*peer->ipBlock);
    within = &block;
  } else if (peer != nullptr) {
    const Named& named = podsOf(policy, *peer);
    whose = named.key;
    within = &named.ranges;
  }
  std::map<std::uint16_t, Ranges> byPort;
  for (const Pod* pod : pods_) {
    const auto ports = match::portsOf(port, pod);
    if (!ports) continue;
    for (const auto& one : pod->on(network_)->addresses) {
      if (within == nullptr || contains(*within, one)) byPort[ports->first].push_back({one, one});
    }
  }
  ByPort out;
  for (auto& [number, ranges] : byPort) {
    Key key('n');
    key.add(whose).add(port.port->name).add(k8s::spell(port.protocol)).add(number);
    out.emplace_back(number, &know(key.text(), [&] { return std::move(ranges); }));
  }
  return out;
}

}  // namespace multinet::policy
