#include "nodeagent/drivers/names.h"

#include "nodeagent/drivers/hash_name.h"

namespace multinet::agent::drivers {
namespace {

constexpr std::string_view kPrefix = "multinet-network:";

}  // namespace

std::string ownBridgeName(const NetworkUid& network) {
  return hashName("mnb", network.str());
}

MacAddress bridgeMac(const NodeName& node, const NetworkUid& network) {
  return MacAddress::derive("bridge/" + node.str() + "/" + network.str());
}

MacAddress portMac(const NodeName& node, const NetworkUid& network) {
  return MacAddress::derive("vxlan/" + node.str() + "/" + network.str());
}

std::string networkAlias(const NetworkUid& network) {
  return std::string(kPrefix) + network.str();
}

std::optional<NetworkUid> parseNetworkAlias(std::string_view alias) {
  if (!alias.starts_with(kPrefix) || alias.size() == kPrefix.size()) return std::nullopt;
  return NetworkUid(std::string(alias.substr(kPrefix.size())));
}

}  // namespace multinet::agent::drivers
