#include "nodeagent/attach/maintain.h"

#include <algorithm>
#include <map>

#include "nodeagent/attach/observe.h"
#include "nodeagent/attach/ports.h"

namespace multinet::agent::attach {
namespace {

using netlink::LinkInfo;

/// One interface's repair.
class Repair {
 public:
  Repair(HostSide host, Pod& pod, const Guards& guards, const std::vector<isolation::Port>& inPod,
         const Desired& desired, AbortFlag abort)
      : host_(host),
        pod_(pod),
        guards_(guards),
        inPod_(inPod),
        desired_(desired),
        abort_(std::move(abort)) {}

  struct Outcome {
    InterfaceStatus status;
    std::vector<std::string> repairs;
    bool touched = false;  ///< something was tried
  };

  Outcome run(const Observed& observed, std::size_t position) {
    InterfaceStatus status;
    status.plan = desired_.interfaces[position];
    status.state = InterfaceState::Attached;
    const auto ops = planInterface(desired_, observed, position);
    if (!ops) return {broken(std::move(status), ops.error()), {}};
    if (const Status done = secure(observed, *ops, position, status); !done) {
      return {broken(std::move(status), done.error()), {}};
    }
    if (ops->empty()) return {std::move(status), {}};
    Applier::BeforeUp beforeUp;
    const bool isInPod = !inPod_.empty() || isPolicedInPod(desired_.interfaces[position]);
    if (makesLink(*ops) && isInPod) {
      beforeUp = [this](const auto& replacedMacs) {
        return guards_.beforeUp(desired_.intent, pod_, inPod_, replacedMacs);
      };
    }
    Applier applier(host_, pod_, abort_, presentLinks(observed, desired_), std::move(beforeUp));
    const Status applied = applier.apply(*ops);
    for (const auto& [interface, mac] : applier.replacedMacs()) status.plan.mac = mac;
    if (!applied) return {broken(std::move(status), applied.error()), {}, true};
    Outcome outcome{std::move(status), {}, true};
    for (const drivers::Op& op : *ops) {
      outcome.repairs.push_back(op.interface + ": " + describe(op));
    }
    return outcome;
  }

 private:
  /// A running pod stays as it is where its rules are refused, and that is told; a link that is
  /// made anew isn't made without them.
  Status secure(const Observed& observed, const std::vector<drivers::Op>& ops, std::size_t position,
                InterfaceStatus& status) {
    const Desired one{desired_.intent, {desired_.interfaces[position]}};
    auto secured = secureInterfaces(guards_.ports, one, observed, ops);
    status.secured =
        secured ? std::move(secured->told.front()) : isolation::notCommitted(secured.error());
    // What became of it is told by those who hold policies.
    const auto policed = policeInterfaces(guards_.policies, pod_, one, observed, ops);
    if ((secured && policed) || !makesLink(ops)) return {};
    return fail(secured ? policed.error() : secured.error());
  }

  static bool makesLink(const std::vector<drivers::Op>& ops) {
    return std::ranges::any_of(ops, [](const drivers::Op& op) {
      return std::holds_alternative<drivers::CreateLink>(op.action);
    });
  }

  static InterfaceStatus broken(InterfaceStatus status, const Error& error) {
    status.state = InterfaceState::Failed;
    status.link = LinkState::Down;
    status.reason = error.reason.empty() ? "RepairFailed" : error.reason;
    status.message = error.message;
    return status;
  }

  HostSide host_;
  Pod& pod_;
  const Guards& guards_;
  const std::vector<isolation::Port>& inPod_;
  const Desired& desired_;
  AbortFlag abort_;
};

/// Ports that have rules in the pod too.
std::vector<isolation::Port> portsInPod(const isolation::PortGuard* guard, const Desired& desired,
                                        const Observed& observed) {
  std::vector<isolation::Port> ports;
  if (guard == nullptr) return ports;
  for (const InterfacePlan& plan : desired.interfaces) {
    if (!hasEnd(plan)) ports.push_back(portOnParent(desired, observed, plan));
  }
  return ports;
}

/// A link below IPv6's least MTU has lost its addresses and its sysctls (net/ipv6/addrconf.c,
/// NETDEV_CHANGEMTU), so its MTU comes before all else. What was put right.
std::vector<std::string> raiseMtus(Pod& pod, const Desired& desired, const Observed& observed) {
  constexpr unsigned kLeastOfIpv6 = 1280;  // RFC 8200, 5
  std::vector<std::string> raised;
  for (const InterfacePlan& plan : desired.interfaces) {
    const LinkInfo* link = findOurs(observed, desired.intent, plan);
    if (link == nullptr || link->mtu >= kLeastOfIpv6 || plan.mtu < kLeastOfIpv6) continue;
    // Where the kernel refuses, the repair that follows does too, and says so.
    if (!pod.socket().run(netlink::setMtu({link->index, link->name}, plan.mtu))) continue;
    raised.push_back(plan.name.str() + ": raise its MTU from " + std::to_string(link->mtu) +
                     " to " + std::to_string(plan.mtu));
  }
  return raised;
}

/// What the pod's links say at the end of the look.
void look(const std::vector<LinkInfo>& links, InterfaceStatus& status) {
  const std::string& name = status.plan.name.str();
  const auto link = std::find_if(links.begin(), links.end(),
                                 [&](const LinkInfo& one) { return one.name == name; });
  const bool isThere = link != links.end();
  if (isThere) status.ifindex = link->index;
  if (isThere && !traitsOf(status.plan.link).hasOwnMac) status.plan.mac = link->mac;
  if (status.state == InterfaceState::Failed) {
    if (!isThere) status.message += "; the pod has no link \"" + name + "\"";
    return;
  }
  if (!isThere) {
    status.state = InterfaceState::Failed;
    status.link = LinkState::Down;
    status.reason = "LinkLost";
    status.message = "link \"" + name + "\" isn't in the pod any more; it is made anew";
    return;
  }
  status.link = link->up && link->carrier ? LinkState::Up : LinkState::Down;
  if (status.link == LinkState::Up) return;
  status.reason = "NoCarrier";
  status.message = "link \"" + name + "\" has no carrier: look at \"" + parentOf(status.plan.link) +
                   "\" on the node, and what it is plugged into";
}

}  // namespace

Result<Upkeep> maintainPod(HostSide host, Pod& pod, const Guards& guards, const Desired& desired,
                           const AbortFlag& abort) {
  MULTINET_TRY(Observed observed, observeAttached(host, pod, desired));
  Upkeep upkeep;
  upkeep.repairs = raiseMtus(pod, desired, observed);
  bool touched = !upkeep.repairs.empty();
  if (touched) {
    MULTINET_TRY(observed, observeAttached(host, pod, desired));
  }
  std::vector<isolation::Port> inPod = portsInPod(guards.ports, desired, observed);
  std::map<std::string, MacAddress> replacedMacs;
  for (std::size_t i = 0; i < desired.interfaces.size(); ++i) {
    if (abort && abort->load()) {
      return fail(Code::Cancelled, "Aborted", "maintain interfaces: nobody wants it any more");
    }
    auto outcome = Repair(host, pod, guards, inPod, desired, abort).run(observed, i);
    const InterfacePlan& now = outcome.status.plan;
    if (now.mac != desired.interfaces[i].mac) {
      replacedMacs[now.name.str()] = now.mac;
      // What is repaired next puts the rules of all into the pod.
      const auto port = std::ranges::find(inPod, now.name.str(), &isolation::Port::interface);
      if (port != inPod.end()) port->mac = now.mac;
    }
    upkeep.interfaces.push_back(std::move(outcome.status));
    std::move(outcome.repairs.begin(), outcome.repairs.end(), std::back_inserter(upkeep.repairs));
    touched = touched || outcome.touched;
  }
  // After what was made anew, which has them already.
  const Status secured =
      securePod(guards.ports, pod, inPod, replacedMacs, isolation::PortGuard::Pod::Running);
  for (InterfaceStatus& status : upkeep.interfaces) {
    const auto isThis = [&](const isolation::Port& port) {
      return port.interface == status.plan.name.str();
    };
    if (!secured && status.secured.holds && std::ranges::any_of(inPod, isThis)) {
      status.secured = isolation::notCommitted(secured.error());
    }
  }
  std::vector<LinkInfo> after;
  if (touched) {
    MULTINET_TRY(after, netlink::findLinks(pod.socket()));
  }
  for (InterfaceStatus& status : upkeep.interfaces) {
    look(touched ? after : observed.podLinks, status);
  }
  return upkeep;
}

}  // namespace multinet::agent::attach
