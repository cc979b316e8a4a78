// From what shall be and what is to the steps between. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/netlink/address.h"
#include "nodeagent/drivers/op.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::attach {

struct Desired {
  IntentId intent;
  std::vector<InterfacePlan> interfaces;
};

/// `ipv4/arp_ignore` to its value.
using Sysctls = std::map<std::string, std::string>;

/// What the kernel says. A pod where nothing of ours is yet needs no more than its links, and its
/// routes and addresses where a default route is to move.
struct Observed {
  std::map<std::string, netlink::LinkInfo> parents;  ///< devices of the host, by name
  /// By name: those that hostLinkName() makes, and the other ends of the pod's veths.
  std::map<std::string, netlink::LinkInfo> hostLinks;
  /// Where a macvlan is missing: links of the node itself that bear the pod's marks.
  std::vector<netlink::LinkInfo> strays;
  /// At least those of the interfaces' kinds; of any other one the kernel refuses the name.
  std::vector<netlink::LinkInfo> podLinks;
  std::vector<netlink::AddressInfo> podAddresses;
  std::vector<netlink::RouteInfo> podRoutes;  ///< of all tables
  std::vector<netlink::RuleInfo> podRules;
  /// Of links of ours, by their name. Those of a link that isn't here count as right once it is up.
  std::map<std::string, Sysctls> podSysctls;
};

/// Steps in the order in which they are to be applied, by stage; empty where all is as desired.
/// AlreadyExists/NameTaken where a link that isn't ours has an interface's name;
/// FailedPrecondition where a parent is missing or can't carry the interface.
[[nodiscard]] Result<std::vector<drivers::Op>> plan(const Desired& desired,
                                                    const Observed& observed);

/// The steps of one interface, in no order of stages.
[[nodiscard]] Result<std::vector<drivers::Op>> planInterface(const Desired& desired,
                                                             const Observed& observed,
                                                             std::size_t position);

/// The pod's link for an interface, also where somebody renamed it or it still has the name it was
/// born with.
[[nodiscard]] const netlink::LinkInfo* findOurs(const Observed& observed, const IntentId& intent,
                                                const InterfacePlan& interface);

/// What an interface's sysctls shall be, before it is up: `ipv4/arp_ignore` and the like.
[[nodiscard]] std::vector<drivers::WriteSysctl> sysctlsOf(const InterfacePlan& interface);

/// A link that isn't ours has the interface's name.
[[nodiscard]] Error nameTaken(const std::string& interface);

/// How often another host-side name is tried before two that meet are an error.
inline constexpr unsigned kHostNameSalts = 4;

}  // namespace multinet::agent::attach
