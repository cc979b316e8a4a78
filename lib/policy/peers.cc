#include "lib/policy/peers.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "lib/api/spelling.h"
#include "lib/base/encoding.h"
#include "lib/policy/key.h"
#include "lib/policy/match.h"

namespace multinet::policy {
namespace {

using api::PolicyType;

std::optional<PeerPort> named(const api::PolicyPort& port) {
  if (!port.port || port.port->name.empty()) return std::nullopt;
  return PeerPort{port.port->name, port.protocol};
}

/// By hash.
using Found = std::map<std::string, Peer>;

std::vector<Peer> inOrder(Found found) {
  std::vector<Peer> out;
  out.reserve(found.size());
  for (auto& [hash, peer] : found) out.push_back(std::move(peer));
  return out;
}

void add(Peer peer, Found& found) {
  std::string hash = peerHash(peer);
  found.emplace(std::move(hash), std::move(peer));
}

/// One peer of a rule, or everybody.
void addPeer(const std::optional<api::PolicyPeer>& who, const std::string& home,
             const api::PolicyRule& rule, PolicyType direction, Found& found) {
  bool unnamed = rule.ports.empty();
  for (const auto& port : rule.ports) {
    auto name = direction == PolicyType::Egress ? named(port) : std::nullopt;
    if (!name) {
      unnamed = true;
    } else {
      add({home, who, std::move(name)}, found);
    }
  }
  if (unnamed && who && !who->ipBlock) add({home, who, std::nullopt}, found);
}

void addRule(const api::PolicyRule& rule, const std::string& home, PolicyType direction,
             Found& found) {
  if (rule.peers.empty()) addPeer(std::nullopt, home, rule, direction, found);
  for (const auto& peer : rule.peers) {
    if (match::isLegible(peer)) addPeer(peer, home, rule, direction, found);
  }
}

}  // namespace

std::string peerKey(const Peer& peer) {
  Key key(peer.who ? (peer.who->ipBlock ? 'b' : 'p') : 'e');
  if (peer.who && peer.who->ipBlock) {
    key.add(peer.who->ipBlock->cidr);
    for (const auto& except : peer.who->ipBlock->except) key.add(except);
  } else if (peer.who) {
    key.add(peer.who->namespaceSelector ? "" : peer.home);
    key.add(peer.who->namespaceSelector).add(peer.who->podSelector);
  }
  if (peer.port) key.add("port").add(peer.port->name).add(k8s::spell(peer.port->protocol));
  return key.text();
}

std::string peerHash(const Peer& peer) {
  return fmt::format("{:016x}", fnv1a(peerKey(peer)));
}

std::vector<Peer> peersOf(const api::PodNetworkPolicySpec& spec, const std::string& home) {
  Found found;
  for (const auto direction : {PolicyType::Ingress, PolicyType::Egress}) {
    if (!spec.isolates(direction)) continue;
    match::eachRule(spec, direction, [&](std::size_t, const api::PolicyRule& rule) {
      addRule(rule, home, direction, found);
    });
  }
  return inOrder(std::move(found));
}

std::vector<Peer> peersOf(const ClusterRules& rules) {
  Found found;
  for (const auto direction : {PolicyType::Ingress, PolicyType::Egress}) {
    for (const auto& rule : rules.of(direction)) addRule(rule.rule, "", direction, found);
  }
  return inOrder(std::move(found));
}

Peer sameNamespace(const std::string& home) {
  Peer out{home, api::PolicyPeer{}, std::nullopt};
  out.who->podSelector.emplace();
  return out;
}

std::vector<api::PolicyMember> membersOf(const Peer& peer, const Pod& pod, std::string_view network,
                                         const k8s::StringMap* namespaceLabels) {
  const Interface* interface = pod.on(network);
  if (interface == nullptr) return {};
  const bool selects = peer.who && !peer.who->ipBlock;
  if (selects && !match::isPod(*peer.who, peer.home, pod, namespaceLabels)) return {};
  std::optional<std::int32_t> number;
  if (peer.port) {
    const auto ports =
        match::portsOf({peer.port->protocol, k8s::IntOrString{0, peer.port->name}, {}}, &pod);
    if (!ports) return {};
    number = ports->first;
  }
  std::vector<api::PolicyMember> out;
  for (const auto& address : interface->addresses) {
    if (peer.who && peer.who->ipBlock && !match::isInBlock(*peer.who->ipBlock, address)) continue;
    out.push_back({address.str(), number});
  }
  return out;
}

}  // namespace multinet::policy
