#include "nodeagent/attach/ports.h"

#include <algorithm>

#include "lib/netns/netns.h"

namespace multinet::agent::attach {
namespace {

/// The name of the node's end that is there or will be; empty: there is none.
std::string endOf(const Desired& desired, const Observed& observed,
                  const std::vector<drivers::Op>& steps, const InterfacePlan& interface) {
  for (const drivers::Op& op : steps) {
    const auto* made = std::get_if<drivers::CreateLink>(&op.action);
    if (made != nullptr && op.interface == interface.name.str()) return made->hostEnd;
  }
  const netlink::LinkInfo* link = findOurs(observed, desired.intent, interface);
  if (link == nullptr) return "";
  const auto end = std::ranges::find_if(observed.hostLinks, [&](const auto& entry) {
    return entry.second.kind == "veth" && entry.second.index == link->lower &&
           entry.second.lower == link->index;
  });
  if (end != observed.hostLinks.end()) return end->first;
  const std::string alias = drivers::aliasOf(desired.intent, interface.name.str());
  const auto marked = std::ranges::find_if(
      observed.hostLinks, [&](const auto& entry) { return entry.second.alias == alias; });
  return marked == observed.hostLinks.end() ? "" : marked->first;
}

/// In L3S what comes by the wire is delivered by the node's own stack, and passes none of the pod's
/// hooks (ipvlan_nf_input).
bool isWireUnseen(const InterfacePlan& interface) {
  const auto* ipvlan = std::get_if<drivers::ipvlan::Link>(&interface.link);
  return ipvlan != nullptr && ipvlan->mode == api::IpvlanMode::L3S;
}

/// What the plan alone says of a port.
isolation::Port planned(const Desired& desired, const InterfacePlan& interface) {
  isolation::Port port;
  port.mac = interface.mac;
  port.intent = desired.intent;
  port.interface = interface.name.str();
  port.network = interface.networkUid;
  for (const AddressPlan& address : interface.addresses) {
    port.addresses.push_back(address.address.address);
  }
  return port;
}

/// A link without a node's end: told by its MAC, where that is its own.
isolation::Site siteOf(const drivers::LinkTraits& traits) {
  if (!traits.hasOwnMac) return isolation::Site::Pod;
  return traits.parentAt == drivers::Place::Switch ? isolation::Site::SwitchParent
                                                   : isolation::Site::NodeParent;
}

}  // namespace

void Guards::release(const std::vector<std::string>& names,
                     const std::vector<IntentId>& intents) const {
  if (ports != nullptr) ports->release(names, intents);
  if (policies != nullptr) policies->release(names, intents);
}

Status Guards::beforeUp(const IntentId& intent, const Pod& pod,
                        const std::vector<isolation::Port>& secured,
                        const std::map<std::string, MacAddress>& instead) const {
  MULTINET_CHECK(securePod(ports, pod, secured, instead, isolation::PortGuard::Pod::New));
  return policies == nullptr ? Status{} : policies->linked(intent);
}

std::optional<isolation::Port> portOf(const Desired& desired, const Observed& observed,
                                      const std::vector<drivers::Op>& steps,
                                      const InterfacePlan& interface) {
  if (!hasEnd(interface)) {
    if (!observed.parents.contains(parentOf(interface.link))) return std::nullopt;
    return portOnParent(desired, observed, interface);
  }
  isolation::Port port = planned(desired, interface);
  port.name = endOf(desired, observed, steps, interface);
  return port.name.empty() ? std::nullopt : std::optional(std::move(port));
}

isolation::Port portOnParent(const Desired& desired, const Observed& observed,
                             const InterfacePlan& interface) {
  const drivers::LinkTraits traits = traitsOf(interface.link);
  isolation::Port port = planned(desired, interface);
  port.parent = parentOf(interface.link);
  const auto parent = observed.parents.find(port.parent);
  if (parent != observed.parents.end()) {
    if (!traits.hasOwnMac) port.mac = parent->second.mac;
    port.parentIndex = parent->second.index;
  }
  port.name = port.mac.str();
  port.site = siteOf(traits);
  port.isWireUnseen = isWireUnseen(interface);
  return port;
}

Result<SecuredInterfaces> secureInterfaces(isolation::PortGuard* guard, const Desired& desired,
                                           const Observed& observed,
                                           const std::vector<drivers::Op>& steps) {
  SecuredInterfaces all;
  all.told.resize(desired.interfaces.size());
  if (guard == nullptr) return all;
  std::vector<isolation::Port> ports;
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < desired.interfaces.size(); ++i) {
    const InterfacePlan& interface = desired.interfaces[i];
    if (auto port = portOf(desired, observed, steps, interface)) {
      if (!port->parent.empty()) all.inPod.push_back(*port);
      ports.push_back(std::move(*port));
      positions.push_back(i);
    }
  }
  MULTINET_TRY(auto secured, guard->secure(ports));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    all.told[positions[i]] = std::move(secured.told[i]);
  }
  all.added = std::move(secured.added);
  return all;
}

Status securePod(isolation::PortGuard* guard, const Pod& pod, std::vector<isolation::Port> ports,
                 const std::map<std::string, MacAddress>& instead,
                 isolation::PortGuard::Pod state) {
  if (guard == nullptr || ports.empty()) return {};
  std::vector<isolation::Port> others;
  for (isolation::Port& port : ports) {
    const auto other = instead.find(port.interface);
    if (other == instead.end()) continue;
    port.mac = other->second;
    port.name = port.mac.str();
    others.push_back(port);
  }
  // The links' own MACs go with their intent.
  MULTINET_TRY(const auto secured, guard->secure(others));
  MULTINET_TRY(const auto scope, pod.enter());
  return guard->securePod(ports, state);
}

bool isPolicedInPod(const InterfacePlan& interface) {
  return !traitsOf(interface.link).hasHostEnd && !isWireUnseen(interface);
}

bool hasEnd(const InterfacePlan& interface) {
  return traitsOf(interface.link).hasHostEnd;
}

bool isCovered(const InterfacePlan& interface) {
  return hasEnd(interface) || isPolicedInPod(interface);
}

Result<std::vector<std::string>> policeInterfaces(Policies* policies, const Pod& pod,
                                                  const Desired& desired, const Observed& observed,
                                                  const std::vector<drivers::Op>& steps) {
  std::vector<std::string> added;
  if (policies == nullptr) return added;
  std::vector<isolation::Port> ports;
  std::vector<PodPort> inPod;
  std::shared_ptr<const Fd> netns;
  for (const InterfacePlan& interface : desired.interfaces) {
    if (traitsOf(interface.link).hasHostEnd) {
      auto port = portOf(desired, observed, steps, interface);
      if (port) ports.push_back(std::move(*port));
      continue;
    }
    if (!isPolicedInPod(interface)) continue;
    if (netns == nullptr) {
      MULTINET_TRY(Fd copy, pod.netns().duplicate());
      netns = std::make_shared<const Fd>(std::move(copy));
    }
    MULTINET_TRY(const netns::Identity which, netns::identity(*netns));
    const std::string& link = interface.name.str();
    inPod.push_back({std::to_string(which.device) + ":" + std::to_string(which.inode) + " " + link,
                     link, interface.networkUid, netns});
    for (const AddressPlan& one : interface.addresses) {
      inPod.back().addresses.push_back(one.address.address);
    }
    if (findOurs(observed, desired.intent, interface) == nullptr) {
      added.push_back(inPod.back().name);
    }
  }
  MULTINET_CHECK(policies->hold(desired.intent, ports, inPod));
  return added;
}

}  // namespace multinet::agent::attach
