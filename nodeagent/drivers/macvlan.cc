#include <linux/if_link.h>

#include "nodeagent/drivers/driver.h"

namespace multinet::agent::drivers {
namespace {

std::uint32_t kernelMode(MacvlanMode mode) {
  switch (mode) {
    case MacvlanMode::Private:
      return MACVLAN_MODE_PRIVATE;
    case MacvlanMode::Vepa:
      return MACVLAN_MODE_VEPA;
    case MacvlanMode::Passthru:
      return MACVLAN_MODE_PASSTHRU;
    case MacvlanMode::Bridge:
      break;
  }
  return MACVLAN_MODE_BRIDGE;
}

class MacvlanDriver final : public Driver {
 public:
  [[nodiscard]] std::string_view kind() const override { return "macvlan"; }
  [[nodiscard]] bool hasHostEnd() const override { return false; }

  [[nodiscard]] Status checkParent(const InterfacePlan& plan,
                                   const netlink::LinkInfo& parent) const override {
    // A bridge's port has its one receive handler taken (the kernel would say EBUSY).
    if (parent.master != 0) {
      return fail(Code::FailedPrecondition, "ParentEnslaved",
                  "attach to " + parent.name + ": it is a port of another device, name that one");
    }
    return checkCarries(plan, parent);
  }

  [[nodiscard]] Action create(const IntentId& /*intent*/, const InterfacePlan& plan,
                              const netlink::LinkInfo& parent,
                              const std::string& hostName) const override {
    netlink::MacvlanSpec spec;
    spec.name = hostName;
    spec.parent = parent.name;
    spec.parentIndex = parent.index;
    spec.mode = kernelMode(plan.macvlanMode);
    spec.mac = plan.mac;
    spec.mtu = plan.mtu;
    return CreateMacvlan{std::move(spec)};
  }
};

}  // namespace

const Driver& macvlanDriver() {
  static const MacvlanDriver driver;
  return driver;
}

}  // namespace multinet::agent::drivers
