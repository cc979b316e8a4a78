#include "nodeagent/networks/names.h"

#include "nodeagent/drivers/hash_name.h"

namespace multinet::agent::networks {
namespace {

constexpr std::string_view kPrefix = "multinet-network:";

}  // namespace

std::string bridgeName(const DesiredNetwork& network) {
  if (network.type == LinkType::Bridge && !joinsBridge(network) && !network.bridge.empty()) {
    return network.bridge;
  }
  return drivers::hashName("mnb", network.uid.str());
}

std::string vxlanName(const DesiredNetwork& network) {
  return drivers::hashName("mnx", network.uid.str());
}

std::string uplinkName(const DesiredNetwork& network) {
  return drivers::hashName("mnu", network.uid.str());
}

std::string wireName(const DesiredNetwork& network) {
  return drivers::hashName("mnw", network.uid.str());
}

std::string wireEndName(const DesiredNetwork& network) {
  return drivers::hashName("mne", network.uid.str());
}

std::string portName(const DesiredNetwork& network) {
  if (network.type == LinkType::Vxlan) return vxlanName(network);
  if (network.type != LinkType::Bridge) return "";
  if (joinsBridge(network)) return wireName(network);
  return network.uplink.empty() ? "" : uplinkName(network);
}

MacAddress bridgeMac(const NodeName& node, const NetworkUid& network) {
  return MacAddress::derive("bridge/" + node.str() + "/" + network.str());
}

MacAddress vxlanMac(const NodeName& node, const NetworkUid& network) {
  return MacAddress::derive("vxlan/" + node.str() + "/" + network.str());
}

MacAddress wireMac(const NodeName& node, const NetworkUid& network) {
  auto bytes = MacAddress::derive("wire/" + node.str() + "/" + network.str()).bytes();
  bytes[0] = 0xfe;
  return MacAddress(bytes);
}

std::string networkAlias(const NetworkUid& network) {
  return std::string(kPrefix) + network.str();
}

std::optional<NetworkUid> parseNetworkAlias(std::string_view alias) {
  if (!alias.starts_with(kPrefix) || alias.size() == kPrefix.size()) return std::nullopt;
  return NetworkUid(std::string(alias.substr(kPrefix.size())));
}

bool hasBridge(const DesiredNetwork& network) {
  return network.type != LinkType::Macvlan;
}

bool joinsBridge(const DesiredNetwork& network) {
  return network.type == LinkType::Bridge && network.bridgeMode == BridgeMode::Existing;
}

}  // namespace multinet::agent::networks
