// Interfaces as ports of the switch: what isolation is asked to hold against them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nodeagent/attach/apply.h"
#include "nodeagent/attach/plan.h"
#include "nodeagent/attach/policies.h"
#include "nodeagent/isolation/port_guard.h"

namespace multinet::agent::attach {

/// Who holds ports to what their pods may do; any may be null.
struct Guards {
  isolation::PortGuard* ports = nullptr;
  Policies* policies = nullptr;

  /// Links in the pod are there, and not up yet. `secured`, `instead`: as of securePod().
  [[nodiscard]] Status beforeUp(const IntentId& intent, const Pod& pod,
                                const std::vector<isolation::Port>& secured,
                                const std::map<std::string, MacAddress>& instead) const;
  /// The links of these ports, and all of these intents, are gone.
  void release(const std::vector<std::string>& names,
               const std::vector<IntentId>& intents = {}) const;
};

/// The port of one interface; nullopt where its frames are seen nowhere outside the pod, or its
/// parent isn't there. `steps` are those that lead to it: a link that they make has its name there
/// already. Pure.
[[nodiscard]] std::optional<isolation::Port> portOf(const Desired& desired,
                                                    const Observed& observed,
                                                    const std::vector<drivers::Op>& steps,
                                                    const InterfacePlan& interface);

/// Of an interface on a parent, as the rules inside its pod know it: also where the parent isn't
/// there under its name any more, since what stands on it goes on. Pure.
[[nodiscard]] isolation::Port portOnParent(const Desired& desired, const Observed& observed,
                                           const InterfacePlan& interface);

/// How interfaces are secured, in the order of the plans, and the ports that weren't before.
struct SecuredInterfaces {
  std::vector<PortSecured> told;
  std::vector<std::string> added;
  /// Those on parents, for which there are rules in the pod too: securePod().
  std::vector<isolation::Port> inPod{};
};
/// Before the steps are done: the rules of all of them, in one transaction. Without a guard nothing
/// is told.
[[nodiscard]] Result<SecuredInterfaces> secureInterfaces(isolation::PortGuard* guard,
                                                         const Desired& desired,
                                                         const Observed& observed,
                                                         const std::vector<drivers::Op>& steps);

/// Puts the rules of these ports into the pod. `instead`: other MACs than the ports', by interface,
/// which are secured first.
[[nodiscard]] Status securePod(isolation::PortGuard* guard, const Pod& pod,
                               std::vector<isolation::Port> ports,
                               const std::map<std::string, MacAddress>& instead,
                               isolation::PortGuard::Pod state);

/// Links that policies are held against in the pod itself, since they have no end on the node.
[[nodiscard]] bool isPolicedInPod(const InterfacePlan& interface);
/// Those that have one.
[[nodiscard]] bool hasEnd(const InterfacePlan& interface);
/// Whether anything can hold it to policies.
[[nodiscard]] bool isCovered(const InterfacePlan& interface);
/// What policies say of all interfaces, after their rules. The names of those in the pod whose
/// links are still to be made. Without `policies` none says anything.
[[nodiscard]] Result<std::vector<std::string>> policeInterfaces(
    Policies* policies, const Pod& pod, const Desired& desired, const Observed& observed,
    const std::vector<drivers::Op>& steps);

}  // namespace multinet::agent::attach
