// Interfaces that are veth pairs into a bridge of the node; what VXLAN and Bridge have in common.
#pragma once

#include "nodeagent/drivers/driver.h"

namespace multinet::agent::drivers {

class BridgeDriver : public Driver {
 public:
  [[nodiscard]] std::string_view kind() const override { return "veth"; }
  [[nodiscard]] bool hasHostEnd() const override { return true; }
  [[nodiscard]] Status checkParent(const InterfacePlan& plan,
                                   const netlink::LinkInfo& parent) const override;
  [[nodiscard]] Action create(const IntentId& intent, const InterfacePlan& plan,
                              const netlink::LinkInfo& parent,
                              const std::string& hostName) const override;
};

}  // namespace multinet::agent::drivers
