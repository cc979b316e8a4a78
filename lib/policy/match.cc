#include "lib/policy/match.h"

#include <algorithm>

namespace multinet::policy::match {
namespace {

constexpr std::int32_t kMaxPort = 65535;

bool isLegible(const std::optional<k8s::LabelSelector>& selector) {
  return !selector || k8s::validate(*selector).has_value();
}

}  // namespace

bool isLegible(const api::PolicyPeer& peer) {
  const bool selects = peer.podSelector || peer.namespaceSelector;
  return peer.ipBlock.has_value() != selects && isLegible(peer.podSelector) &&
         isLegible(peer.namespaceSelector);
}

bool selects(const api::PodNetworkPolicy& policy, const Pod& pod, std::string_view network) {
  const auto& names = policy.spec.podNetworkNames;
  return policy.metadata.nameSpace == pod.key.nameSpace && pod.on(network) != nullptr &&
         std::ranges::find(names, network) != names.end() &&
         policy.spec.podSelector.matches(pod.labels);
}

bool isPod(const api::PolicyPeer& peer, const std::string& home, const Pod& pod,
           const World& world) {
  const auto labels = world.namespaces.find(pod.key.nameSpace);
  return isPod(peer, home, pod, labels == world.namespaces.end() ? nullptr : &labels->second);
}

bool isPod(const api::PolicyPeer& peer, const std::string& home, const Pod& pod,
           const k8s::StringMap* namespaceLabels) {
  if (peer.podSelector && !peer.podSelector->matches(pod.labels)) return false;
  if (!peer.namespaceSelector) return pod.key.nameSpace == home;
  return namespaceLabels != nullptr && peer.namespaceSelector->matches(*namespaceLabels);
}

bool isInBlock(const api::PolicyIpBlock& block, const IpAddress& address) {
  const auto cidr = IpPrefix::parse(block.cidr);
  if (!cidr || !cidr->contains(address)) return false;
  return std::ranges::none_of(block.except, [&](const std::string& text) {
    const auto except = IpPrefix::parse(text);
    return !except || except->contains(address);
  });
}

std::optional<Ports> portsOf(const api::PolicyPort& port, const Pod* receiver) {
  if (!port.port) return Ports{0, kMaxPort};
  std::optional<std::int32_t> first = port.port->number;
  if (!port.port->name.empty()) {
    first =
        receiver == nullptr ? std::nullopt : receiver->portNamed(port.port->name, port.protocol);
  }
  if (!first || *first < 1 || *first > kMaxPort) return std::nullopt;
  const std::int32_t last = port.port->name.empty() ? port.endPort.value_or(*first) : *first;
  if (last < *first || last > kMaxPort) return std::nullopt;
  return Ports{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(last)};
}

}  // namespace multinet::policy::match
