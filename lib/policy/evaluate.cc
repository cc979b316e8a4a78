#include "lib/policy/evaluate.h"

#include <algorithm>
#include <utility>

#include "lib/policy/match.h"

namespace multinet::policy {
namespace {

using api::PolicyType;

/// One end of a packet, as the policies of that end see it.
struct End {
  PolicyType direction;
  const Pod* subject;
  const Pod* peer;  // null: no pod
  IpAddress peerAddress;
  const Pod* receiver;  // whose port names count
};

bool allowsPeer(const api::PolicyRule& rule, const std::string& home, const End& end,
                const World& world) {
  if (rule.peers.empty()) return true;
  return std::ranges::any_of(rule.peers, [&](const api::PolicyPeer& peer) {
    if (!match::isLegible(peer)) return false;
    if (peer.ipBlock) return match::isInBlock(*peer.ipBlock, end.peerAddress);
    return end.peer != nullptr && match::isPod(peer, home, *end.peer, world);
  });
}

bool allowsPort(const api::PolicyRule& rule, const Packet& packet, const End& end) {
  if (rule.ports.empty()) return true;
  return std::ranges::any_of(rule.ports, [&](const api::PolicyPort& port) {
    const auto ports = match::portsOf(port, end.receiver);
    return ports && packet.protocol == port.protocol && packet.port >= ports->first &&
           packet.port <= ports->last;
  });
}

bool allowsByDefault(const Network& network, const End& end) {
  if (network.defaultPolicy == api::DefaultPolicy::SameNamespace) {
    return end.peer != nullptr && end.peer->key.nameSpace == end.subject->key.nameSpace;
  }
  return network.defaultPolicy == api::DefaultPolicy::Allow;
}

/// What policies of the namespace say; nothing where none selects the interface.
std::optional<Decision> decideNamespaced(const World& world, const Network& network,
                                         const Packet& packet, const End& end) {
  Decision out{false, Ground::NoRule, "", 0, {}};
  for (const auto& policy : world.policies) {
    if (!policy.spec.isolates(end.direction)) continue;
    if (!match::selects(policy, *end.subject, network.name)) continue;
    const std::string& home = policy.metadata.nameSpace;
    const std::string name = home + "/" + policy.metadata.name;
    out.isolatedBy.push_back(name);
    if (out.allowed) continue;
    match::eachRule(policy.spec, end.direction, [&](std::size_t at, const api::PolicyRule& rule) {
      if (out.allowed || !allowsPort(rule, packet, end)) return;
      if (!allowsPeer(rule, home, end, world)) return;
      out.allowed = true;
      out.ground = Ground::Rule;
      out.policy = name;
      out.rule = at;
    });
  }
  if (out.isolatedBy.empty()) return std::nullopt;
  return out;
}

/// Policies of the cluster that select an end, in order.
using Cluster = std::vector<ClusterRules>;

Cluster clusterOf(const World& world, const Network& network, const Pod& pod) {
  Cluster out = orderedRules(world);
  std::erase_if(out, [&](const ClusterRules& one) {
    return !selectsNamespace(one.subject, world, pod.key.nameSpace) ||
           !selectsWithin(one, pod, network.name);
  });
  return out;
}

/// Nothing: none of the tier's rules fits, or one passes it on, which `passedBy` tells.
std::optional<Decision> decideTier(const Cluster& cluster, Tier tier, const World& world,
                                   const Packet& packet, const End& end,
                                   std::vector<std::string>& passedBy) {
  for (const auto& policy : cluster) {
    if (policy.tier != tier) continue;
    const std::string& name = policy.as.metadata.name;
    for (const auto& rule : policy.of(end.direction)) {
      if (!allowsPort(rule.rule, packet, end) || !allowsPeer(rule.rule, "", end, world)) continue;
      if (rule.action == api::ClusterPolicyAction::Pass) {
        passedBy.push_back(name + " rule " + std::to_string(rule.at));
        return std::nullopt;
      }
      const bool accepts = rule.action == api::ClusterPolicyAction::Accept;
      return Decision{accepts, Ground::Cluster, name, rule.at, {}, tier, rule.name};
    }
  }
  return std::nullopt;
}

Decision decide(const World& world, const Network& network, const Packet& packet, const End& end) {
  if (end.subject == nullptr) return {};
  if (end.subject == end.peer) return {true, Ground::Itself, "", 0, {}};
  const Cluster cluster = clusterOf(world, network, *end.subject);
  std::vector<std::string> passedBy;
  auto out = decideTier(cluster, Tier::Admin, world, packet, end, passedBy);
  if (!out) out = decideNamespaced(world, network, packet, end);
  if (!out) out = decideTier(cluster, Tier::Baseline, world, packet, end, passedBy);
  if (!out) out = Decision{allowsByDefault(network, end), Ground::Default, "", 0, {}};
  out->passedBy = std::move(passedBy);
  return *std::move(out);
}

}  // namespace

Verdict evaluate(const World& world, const Network& network, const Packet& packet) {
  const Pod* from = world.podAt(network.name, packet.source);
  const Pod* to = world.podAt(network.name, packet.destination);
  return {decide(world, network, packet, {PolicyType::Egress, from, to, packet.destination, to}),
          decide(world, network, packet, {PolicyType::Ingress, to, from, packet.source, to})};
}

}  // namespace multinet::policy
