#include "lib/policy/tiers.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "lib/policy/match.h"

namespace multinet::policy {
namespace {

using api::ClusterPolicyAction;
using api::Protocol;

constexpr std::int32_t kMaxPort = 65535;

bool isPort(std::int32_t number) {
  return number >= 1 && number <= kMaxPort;
}

/// False where it can't be read.
bool addPeers(const api::ClusterPolicyPeer& peer, std::vector<api::PolicyPeer>& out) {
  const int ways = (peer.namespaces ? 1 : 0) + (peer.pods ? 1 : 0) +
                   (peer.networks.empty() ? 0 : 1) + (peer.nodes ? 1 : 0) +
                   (peer.domainNames.empty() ? 0 : 1);
  if (ways != 1 || peer.nodes || !peer.domainNames.empty()) return false;
  if (peer.namespaces) {
    out.push_back({std::nullopt, peer.namespaces, std::nullopt});
    return match::isLegible(out.back());
  }
  if (peer.pods) {
    out.push_back({peer.pods->podSelector, peer.pods->namespaceSelector, std::nullopt});
    return match::isLegible(out.back());
  }
  for (const auto& block : peer.networks) {
    if (!IpPrefix::parse(block)) return false;
    out.push_back({std::nullopt, std::nullopt, api::PolicyIpBlock{block, {}}});
  }
  return true;
}

std::optional<api::PolicyPort> portOf(Protocol protocol,
                                      const api::ClusterPolicyTransport& transport) {
  const auto& port = transport.destinationPort;
  if (!port || port->number.has_value() == port->range.has_value()) return std::nullopt;
  const auto [first, last] = port->range
                                 ? std::pair(port->range->start, port->range->end)
                                 : std::pair(port->number.value_or(0), port->number.value_or(0));
  if (!isPort(first) || !isPort(last) || last < first) return std::nullopt;
  return api::PolicyPort{protocol, k8s::IntOrString{first, ""}, last};
}

/// Likewise.
bool addPorts(const api::ClusterPolicyProtocol& protocol, std::vector<api::PolicyPort>& out) {
  const std::string& name = protocol.destinationNamedPort;
  int ways = name.empty() ? 0 : 1;
  bool legible = true;
  const auto add = [&](Protocol of, const std::optional<api::ClusterPolicyTransport>& transport) {
    if (!name.empty()) out.push_back({of, k8s::IntOrString{0, name}, std::nullopt});
    if (!transport) return;
    ++ways;
    const auto port = portOf(of, *transport);
    legible = legible && port.has_value();
    if (port) out.push_back(*port);
  };
  add(Protocol::TCP, protocol.tcp);
  add(Protocol::UDP, protocol.udp);
  add(Protocol::SCTP, protocol.sctp);
  return ways == 1 && legible;
}

/// Addresses by which pods are reached, or send, though none of a pod's own is among them: those of
/// a link, and on egress those of many.
constexpr std::array kUnnamed{"fe80::/10", "ff00::/8", "224.0.0.0/3"};

/// Whom the last rule denies it denies by these too. The name of a port tells nothing there: all of
/// its protocol.
void denyUnnamed(bool egress, std::vector<ClusterRule>& out) {
  const auto isPods = [](const api::PolicyPeer& peer) { return !peer.ipBlock; };
  if (!std::ranges::any_of(out.back().rule.peers, isPods)) return;
  ClusterRule rule = out.back();
  rule.rule.peers.clear();
  for (const char* block : std::span(kUnnamed).first(egress ? kUnnamed.size() : 1)) {
    rule.rule.peers.push_back({std::nullopt, std::nullopt, api::PolicyIpBlock{block, {}}});
  }
  for (api::PolicyPort& port : rule.rule.ports) {
    if (port.port && !port.port->name.empty()) port = {port.protocol, std::nullopt, std::nullopt};
  }
  out.push_back(std::move(rule));
}

void addRule(const api::ClusterPolicyRule& from, std::size_t at, bool egress,
             std::vector<ClusterRule>& out) {
  ClusterRule rule{at, from.name, from.action, {}};
  bool legible = !from.peers.empty();
  for (const auto& peer : from.peers) {
    legible = addPeers(peer, rule.rule.peers) && legible && (egress || peer.networks.empty());
  }
  for (const auto& one : from.protocols) legible = addPorts(one, rule.rule.ports) && legible;
  if (!legible) {
    if (rule.action == ClusterPolicyAction::Accept) return;
    rule.action = ClusterPolicyAction::Deny;
    rule.rule = {};
  }
  const bool denies = rule.action == ClusterPolicyAction::Deny;
  out.push_back(std::move(rule));
  if (denies && legible) denyUnnamed(egress, out);
}

bool isLegible(const api::ClusterPolicySubject& subject) {
  if (subject.namespaces.has_value() == subject.pods.has_value()) return false;
  if (subject.namespaces) return k8s::validate(*subject.namespaces).has_value();
  return k8s::validate(subject.pods->namespaceSelector).has_value() &&
         k8s::validate(subject.pods->podSelector).has_value();
}

}  // namespace

ClusterRules rulesOf(const api::ClusterPodNetworkPolicy& policy) {
  ClusterRules out;
  const auto& spec = policy.spec;
  out.tier = spec.tier == api::ClusterPolicyTier::Admin ? Tier::Admin : Tier::Baseline;
  out.priority = spec.priority;
  out.subject = spec.subject;
  out.as.metadata = policy.metadata;
  out.as.spec.podNetworkNames = spec.podNetworkNames;
  for (std::size_t at = 0; at < spec.ingress.size(); ++at) {
    addRule(spec.ingress[at], at, false, out.ingress);
  }
  for (std::size_t at = 0; at < spec.egress.size(); ++at) {
    addRule(spec.egress[at], at, true, out.egress);
  }
  return out;
}

bool precedes(const ClusterRules& one, const ClusterRules& other) {
  return std::tie(one.tier, one.priority, one.as.metadata.name) <
         std::tie(other.tier, other.priority, other.as.metadata.name);
}

std::optional<api::PolicyPeer> podsOf(const api::ClusterPolicySubject& subject) {
  if (!isLegible(subject)) return std::nullopt;
  if (subject.namespaces) return api::PolicyPeer{std::nullopt, subject.namespaces, std::nullopt};
  return api::PolicyPeer{subject.pods->podSelector, subject.pods->namespaceSelector, std::nullopt};
}

bool selectsNamespace(const api::ClusterPolicySubject& subject,
                      const k8s::StringMap* namespaceLabels) {
  if (namespaceLabels == nullptr || !isLegible(subject)) return false;
  const auto& selector = subject.namespaces ? *subject.namespaces : subject.pods->namespaceSelector;
  return selector.matches(*namespaceLabels);
}

bool selectsNamespace(const api::ClusterPolicySubject& subject, const World& world,
                      std::string_view nameSpace) {
  const auto labels = world.namespaces.find(nameSpace);
  return selectsNamespace(subject, labels == world.namespaces.end() ? nullptr : &labels->second);
}

bool selectsWithin(const ClusterRules& rules, const Pod& pod, std::string_view network) {
  const auto& names = rules.as.spec.podNetworkNames;
  return isLegible(rules.subject) && pod.on(network) != nullptr &&
         std::ranges::find(names, network) != names.end() &&
         (!rules.subject.pods || rules.subject.pods->podSelector.matches(pod.labels));
}

std::vector<ClusterRules> orderedRules(const World& world) {
  std::vector<ClusterRules> out;
  out.reserve(world.clusterPolicies.size());
  for (const auto& policy : world.clusterPolicies) out.push_back(rulesOf(policy));
  std::ranges::sort(out, precedes);
  return out;
}

}  // namespace multinet::policy
