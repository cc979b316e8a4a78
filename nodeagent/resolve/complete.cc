#include "nodeagent/resolve/resolver.h"

namespace multinet::agent::resolve {

InterfacePlan complete(const WantedInterface& wanted, const std::vector<AddressPlan>& addresses,
                       MacAddress mac) {
  InterfacePlan plan = wanted.plan;
  plan.addresses = addresses;
  plan.mac = mac;
  for (const ipam::Subnet& subnet : wanted.subnets) {
    bool familyIsThere = false;
    bool isOwn = false;
    for (const AddressPlan& address : addresses) {
      if (address.address.address.family() != subnet.cidr.family()) continue;
      familyIsThere = true;
      isOwn = isOwn || subnet.cidr.contains(address.address.address);
    }
    if (familyIsThere && !isOwn) plan.routes.push_back({subnet.cidr, std::nullopt});
  }
  return plan;
}

}  // namespace multinet::agent::resolve
