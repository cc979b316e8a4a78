#include "nodeagent/networks/names.h"

#include "nodeagent/drivers/hash_name.h"

namespace multinet::agent::networks {
namespace {

constexpr std::string_view kPrefix = "multinet-network:";

}  // namespace

std::string bridgeName(const DesiredNetwork& network) {
  if (network.type == LinkType::Bridge && !network.bridge.empty()) return network.bridge;
  return drivers::hashName("mnb", network.uid.str());
}

std::string vxlanName(const DesiredNetwork& network) {
  return drivers::hashName("mnx", network.uid.str());
}

MacAddress bridgeMac(const NodeName& node, const NetworkUid& network) {
  return MacAddress::derive("bridge/" + node.str() + "/" + network.str());
}

MacAddress vxlanMac(const NodeName& node, const NetworkUid& network) {
  return MacAddress::derive("vxlan/" + node.str() + "/" + network.str());
}

std::string networkAlias(const NetworkUid& network) {
  return std::string(kPrefix) + network.str();
}

std::optional<NetworkUid> parseNetworkAlias(std::string_view alias) {
  if (!alias.starts_with(kPrefix) || alias.size() == kPrefix.size()) return std::nullopt;
  return NetworkUid(std::string(alias.substr(kPrefix.size())));
}

bool ownsBridge(const DesiredNetwork& network) {
  return network.type == LinkType::Vxlan ||
         (network.type == LinkType::Bridge && network.bridgeMode == BridgeMode::Own);
}

}  // namespace multinet::agent::networks
