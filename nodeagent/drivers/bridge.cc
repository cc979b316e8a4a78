#include "nodeagent/drivers/bridge.h"

namespace multinet::agent::drivers {

Status BridgeDriver::checkParent(const InterfacePlan& plan, const netlink::LinkInfo& parent) const {
  if (parent.kind != "bridge") {
    return fail(Code::FailedPrecondition, "ParentNotBridge",
                "attach to " + parent.name + ": it is of kind \"" + parent.kind +
                    "\", it must be a bridge");
  }
  return checkCarries(plan, parent);
}

Action BridgeDriver::create(const IntentId& intent, const InterfacePlan& plan,
                            const netlink::LinkInfo& parent, const std::string& hostName) const {
  netlink::VethSpec spec;
  spec.hostName = hostName;
  spec.bridge = parent.name;
  spec.bridgeIndex = parent.index;
  spec.peerName = plan.name.str();
  spec.peerMac = plan.mac;
  spec.mtu = plan.mtu;
  return CreateVeth{std::move(spec), aliasOf(intent, plan.name.str())};
}

const Driver& bridgeDriver() {
  static const BridgeDriver driver;
  return driver;
}

}  // namespace multinet::agent::drivers
