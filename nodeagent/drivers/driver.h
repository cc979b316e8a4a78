// A type of network: how an interface of it is made.
#pragma once

#include "nodeagent/drivers/op.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::drivers {

/// Pure; no state. One object a type lives as long as the program.
class Driver {
 public:
  virtual ~Driver() = default;
  /// `veth` or `macvlan`: the kernel's word for the link that stands in the pod.
  [[nodiscard]] virtual std::string_view kind() const = 0;
  /// True where an end of the link stays on the host.
  [[nodiscard]] virtual bool hasHostEnd() const = 0;
  /// Whether `parent` (of the host) can carry the interface. FailedPrecondition says what is wrong
  /// with it and what would be right.
  [[nodiscard]] virtual Status checkParent(const InterfacePlan& plan,
                                           const netlink::LinkInfo& parent) const = 0;
  /// The step that makes the link. `hostName` is free on the host.
  [[nodiscard]] virtual Action create(const IntentId& intent, const InterfacePlan& plan,
                                      const netlink::LinkInfo& parent,
                                      const std::string& hostName) const = 0;
};

[[nodiscard]] const Driver& vxlanDriver();
[[nodiscard]] const Driver& bridgeDriver();
[[nodiscard]] const Driver& macvlanDriver();
[[nodiscard]] const Driver& driverOf(LinkType type);

/// What every parent must be: up, and with an MTU that holds the interface's.
[[nodiscard]] Status checkCarries(const InterfacePlan& plan, const netlink::LinkInfo& parent);

}  // namespace multinet::agent::drivers
