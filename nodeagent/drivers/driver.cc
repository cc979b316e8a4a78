#include "nodeagent/drivers/driver.h"

namespace multinet::agent::drivers {

const Driver& driverOf(LinkType type) {
  switch (type) {
    case LinkType::Vxlan:
      return vxlanDriver();
    case LinkType::Bridge:
      return bridgeDriver();
    case LinkType::Macvlan:
      break;
  }
  return macvlanDriver();
}

Status checkCarries(const InterfacePlan& plan, const netlink::LinkInfo& parent) {
  if (!parent.up) {
    return fail(Code::FailedPrecondition, "ParentDown",
                "attach to " + parent.name + ": the device is down, it must be up");
  }
  if (plan.mtu > parent.mtu) {
    return fail(Code::FailedPrecondition, "MTUTooLarge",
                "attach to " + parent.name + ": MTU " + std::to_string(plan.mtu) +
                    " is above the device's; at most " + std::to_string(parent.mtu));
  }
  return {};
}

}  // namespace multinet::agent::drivers
