#include "lib/api/policy.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/parts.h"
#include "lib/api/policy_parts.h"
#include "lib/api/service.h"
#include "lib/api/spelling.h"

namespace multinet::api {
namespace {

using parts::broken;

constexpr std::int32_t kMaxPort = 65535;

void checkTypes(const PodNetworkPolicySpec& spec, Report& report) {
  const std::string path = "spec.policyTypes";
  std::set<PolicyType> seen;
  for (std::size_t i = 0; i < spec.policyTypes.size(); ++i) {
    if (seen.insert(spec.policyTypes[i]).second) continue;
    report.violations.push_back(broken(parts::at(path, i),
                                       std::string(k8s::spell(spec.policyTypes[i])), "stands twice",
                                       "write each type once", "Duplicate"));
  }
  const auto warn = [&](const std::string& rules, PolicyType type, bool any) {
    if (!any || spec.isolates(type)) return;
    report.warnings.push_back({"spec." + rules, "",
                               "says nothing: " + path + " lacks " + std::string(k8s::spell(type)) +
                                   ", so the policy leaves that direction alone",
                               "", "TypeMissing", Code::Ok});
  };
  warn("ingress", PolicyType::Ingress, !spec.ingress.empty());
  warn("egress", PolicyType::Egress, !spec.egress.empty());
}

void checkBlock(const PolicyIpBlock& block, const std::string& path, Report& report) {
  const auto cidr = parts::readPrefix(block.cidr, path + ".cidr", report);
  parts::checkCount(block.except.size(), kMaxPolicyExcept, path + ".except", "exceptions", report);
  for (std::size_t i = 0; i < block.except.size(); ++i) {
    const std::string at = parts::at(path + ".except", i);
    const auto except = parts::readPrefix(block.except[i], at, report);
    if (!except || !cidr || (cidr->contains(*except) && *cidr != *except)) continue;
    report.violations.push_back(
        broken(at, block.except[i],
               *cidr == *except ? "is the whole block, and nothing would be left of it"
                                : "isn't within " + cidr->str(),
               "write a smaller prefix of " + cidr->str(), "ExceptOutside"));
  }
}

void checkPeer(const PolicyPeer& peer, const std::string& path, Report& report) {
  const bool selects = peer.podSelector || peer.namespaceSelector;
  if (peer.ipBlock && selects) {
    report.violations.push_back(broken(
        path, "", "has an ipBlock and a selector",
        "make two peers of it; pods are matched by an ipBlock of their addresses too", "OneOf"));
  } else if (!peer.ipBlock && !selects) {
    report.violations.push_back(
        broken(path, "", "says nothing of who it is",
               "write podSelector, namespaceSelector or ipBlock; for everybody leave the list out",
               "PeerMissing"));
  }
  if (peer.podSelector) parts::checkSelector(*peer.podSelector, path + ".podSelector", report);
  if (peer.namespaceSelector) {
    parts::checkSelector(*peer.namespaceSelector, path + ".namespaceSelector", report);
  }
  if (peer.ipBlock) checkBlock(*peer.ipBlock, path + ".ipBlock", report);
}

void checkPort(const PolicyPort& port, const std::string& path, Report& report) {
  if (port.port && !isContainerPort(*port.port)) {
    report.violations.push_back(
        broken(path + ".port", port.port->str(), "is no port",
               "write 1 to 65535, or the name of a container's port, at most 15 of a-z, 0-9 and "
               "'-' with a letter",
               "InvalidPort"));
  }
  if (!port.endPort) return;
  const std::string at = path + ".endPort";
  const std::string value = std::to_string(*port.endPort);
  if (!port.port) {
    report.violations.push_back(broken(at, value, "is the end of a range that has no beginning",
                                       "write port too, or leave it out", "PortMissing"));
  } else if (!port.port->name.empty()) {
    report.violations.push_back(broken(at, value, "can't end a range that begins with a name",
                                       "write port as a number, or leave endPort out",
                                       "EndOfNamedPort"));
  } else if (*port.endPort < port.port->number || *port.endPort > kMaxPort) {
    report.violations.push_back(
        broken(at, value, "ends no range that begins at " + std::to_string(port.port->number),
               "write " + std::to_string(std::clamp(port.port->number, 1, kMaxPort)) + " to 65535",
               "InvalidPort"));
  }
}

void checkRule(const PolicyRule& rule, const std::string& path, const std::string& peers,
               Report& report) {
  parts::checkCount(rule.peers.size(), kMaxPolicyPeers, path + "." + peers, "peers", report);
  parts::checkCount(rule.ports.size(), kMaxPolicyPorts, path + ".ports", "ports", report);
  const std::string peersPath = path + "." + peers;
  for (std::size_t i = 0; i < rule.peers.size(); ++i) {
    checkPeer(rule.peers[i], parts::at(peersPath, i), report);
  }
  const std::string portsPath = path + ".ports";
  for (std::size_t i = 0; i < rule.ports.size(); ++i) {
    checkPort(rule.ports[i], parts::at(portsPath, i), report);
  }
}

bool isNamed(const PolicyPort& port) {
  return port.port && !port.port->name.empty();
}

/// How often a direction's rules name somebody whose addresses have to be found out; at most as
/// many peers as that need it.
std::size_t countResolved(const PodNetworkPolicySpec& spec) {
  std::size_t count = 0;
  const auto selects = [](const PolicyPeer& peer) { return !peer.ipBlock; };
  for (const auto& rule : spec.ingress) {
    count += static_cast<std::size_t>(std::ranges::count_if(rule.peers, selects));
  }
  for (const auto& rule : spec.egress) {
    std::set<std::pair<Protocol, std::string>> names;
    for (const auto& port : rule.ports) {
      if (isNamed(port)) names.emplace(port.protocol, port.port->name);
    }
    count += static_cast<std::size_t>(std::ranges::count_if(rule.peers, selects));
    count += std::max<std::size_t>(rule.peers.size(), 1) * names.size();
  }
  return count;
}

/// What only all of it together is too much of.
void checkWhole(const PodNetworkPolicy& policy, Report& report) {
  const std::size_t resolved =
      countResolved(policy.spec) * std::max<std::size_t>(policy.spec.podNetworkNames.size(), 1);
  parts::checkCount(resolved, kMaxPolicyResolved, "spec",
                    "selected peers (on egress times names of ports) on its networks", report);
  if (!report.violations.empty()) return;
  const std::size_t bytes =
      k8s::KindTraits<PodNetworkPolicy>::encode(policy).at("spec").dump().size();
  if (bytes <= kMaxPolicyBytes) return;
  report.violations.push_back(broken("spec", std::to_string(bytes) + " bytes", "are too many",
                                     "write at most " + std::to_string(kMaxPolicyBytes) +
                                         " in JSON; several policies add up to one",
                                     "TooLarge"));
}

/// `says`: the direction is isolated, so its rules count.
void warnOfEverybody(const PolicyRule& rule, const std::string& path, bool says, Report& report) {
  if (!says || !rule.peers.empty()) return;
  report.warnings.push_back({path, "",
                             "is left out or empty, which means everybody on the network" +
                                 std::string(rule.ports.empty() ? ", by every protocol" : ""),
                             "", "Everybody", Code::Ok});
}

/// The networks that are there and open to the namespace; each other one is a warning.
std::vector<PodNetwork> openNetworks(const PodNetworkPolicy& policy, const Catalog& catalog,
                                     Report& report) {
  const std::string& home = policy.metadata.nameSpace;
  const auto labels = catalog.namespaceLabels(home);
  const auto& names = policy.spec.podNetworkNames;
  std::vector<PodNetwork> out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto network = catalog.network(names[i]);
    if (network && isOpenTo(*network, home, labels ? &*labels : nullptr)) {
      out.push_back(std::move(*network));
      continue;
    }
    report.warnings.push_back({parts::at("spec.podNetworkNames", i), names[i],
                               "names no PodNetwork that is open to namespace \"" + home +
                                   "\"; the policy selects nothing there until there is one",
                               "", "NetworkNotFound", Code::Ok});
  }
  return out;
}

/// Whether a packet on the network can have an address of the block.
bool canMeet(const PodNetwork& network, const IpPrefix& block) {
  const auto subnets = parts::typedSubnets(network.spec);
  return subnets.empty() || std::ranges::any_of(subnets, [&](const parts::TypedSubnet& subnet) {
           const bool routed = subnet.gateway && subnet.cidr.family() == block.family();
           return routed || subnet.cidr.overlaps(block);
         });
}

void warnOfBlocks(const PolicyRule& rule, const std::string& path,
                  const std::vector<PodNetwork>& networks, Report& report) {
  for (std::size_t i = 0; i < rule.peers.size(); ++i) {
    if (!rule.peers[i].ipBlock) continue;
    const auto block = IpPrefix::parse(rule.peers[i].ipBlock->cidr);
    if (!block) continue;
    const bool met = std::ranges::any_of(
        networks, [&](const PodNetwork& network) { return canMeet(network, *block); });
    if (met) continue;
    report.warnings.push_back({parts::at(path, i) + ".ipBlock.cidr", block->str(),
                               "matches nothing: it is outside the subnets of its networks, which "
                               "have no gateway in " +
                                   std::string(name(block->family())),
                               "", "BlockOutside", Code::Ok});
  }
}

bool hasPodPeers(const PodNetworkPolicySpec& spec) {
  const auto selects = [](const PolicyRule& rule) {
    return std::ranges::any_of(rule.peers, [](const PolicyPeer& peer) { return !peer.ipBlock; });
  };
  return std::ranges::any_of(spec.ingress, selects) || std::ranges::any_of(spec.egress, selects);
}

}  // namespace

bool isHeldInPod(const PodNetworkSpec& spec) {
  return spec.type == NetworkType::Macvlan || spec.type == NetworkType::IPVlan;
}

bool isPoliced(const PodNetworkSpec& spec) {
  switch (spec.type) {
    case NetworkType::Vxlan:
    case NetworkType::Bridge:
    case NetworkType::Vlan:
    case NetworkType::Macvlan:
      return true;
    case NetworkType::IPVlan:
      return spec.ipvlan && spec.ipvlan->mode != IpvlanMode::L3S;
    case NetworkType::Unknown:
      return false;
  }
  return false;
}

bool PodNetworkPolicySpec::isolates(PolicyType direction) const {
  if (policyTypes.empty()) return direction == PolicyType::Ingress || !egress.empty();
  return std::ranges::find(policyTypes, direction) != policyTypes.end();
}

Report validate(const PodNetworkPolicy& policy) {
  const auto& spec = policy.spec;
  Report report;
  parts::checkNetworks(spec.podNetworkNames, report);
  parts::checkSelector(spec.podSelector, "spec.podSelector", report);
  checkTypes(spec, report);
  parts::checkCount(spec.ingress.size(), kMaxPolicyRules, "spec.ingress", "rules", report);
  parts::checkCount(spec.egress.size(), kMaxPolicyRules, "spec.egress", "rules", report);
  for (std::size_t i = 0; i < spec.ingress.size(); ++i) {
    const auto path = parts::at("spec.ingress", i);
    checkRule(spec.ingress[i], path, "from", report);
    warnOfEverybody(spec.ingress[i], path + ".from", spec.isolates(PolicyType::Ingress), report);
  }
  for (std::size_t i = 0; i < spec.egress.size(); ++i) {
    const auto path = parts::at("spec.egress", i);
    checkRule(spec.egress[i], path, "to", report);
    warnOfEverybody(spec.egress[i], path + ".to", spec.isolates(PolicyType::Egress), report);
  }
  checkWhole(policy, report);
  return report;
}

Report validate(const PodNetworkPolicy& policy, const Catalog& catalog) {
  const auto& spec = policy.spec;
  Report report = validate(policy);
  const auto networks = openNetworks(policy, catalog, report);
  for (const auto& network : networks)
    parts::warnOfNetwork(network, "spec.podNetworkNames", report);
  if (hasPodPeers(spec)) {
    for (const auto& network : networks) {
      if (!network.spec.ipam.subnets.empty()) continue;
      parts::warnOfNoAddresses(network, report);
    }
  }
  if (networks.empty()) return report;
  for (std::size_t i = 0; i < spec.ingress.size(); ++i) {
    warnOfBlocks(spec.ingress[i], parts::at("spec.ingress", i) + ".from", networks, report);
  }
  for (std::size_t i = 0; i < spec.egress.size(); ++i) {
    warnOfBlocks(spec.egress[i], parts::at("spec.egress", i) + ".to", networks, report);
  }
  return report;
}

}  // namespace multinet::api
