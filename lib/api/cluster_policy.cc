#include "lib/api/cluster_policy.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "lib/api/parts.h"
#include "lib/api/policy.h"
#include "lib/api/policy_parts.h"
#include "lib/api/service.h"
#include "lib/api/spelling.h"

namespace multinet::api {
namespace {

using parts::broken;

constexpr std::int32_t kMaxPort = 65535;
/// Whichever protocol a port of a name has.
constexpr std::size_t kProtocols = 3;

bool isPort(std::int32_t number) {
  return number >= 1 && number <= kMaxPort;
}

void checkPods(const NamespacedPods& pods, const std::string& path, Report& report) {
  parts::checkSelector(pods.namespaceSelector, path + ".namespaceSelector", report);
  parts::checkSelector(pods.podSelector, path + ".podSelector", report);
}

void checkSubject(const ClusterPolicySubject& subject, Report& report) {
  const std::string path = "spec.subject";
  if (subject.namespaces && subject.pods) {
    report.violations.push_back(broken(path, "", "has namespaces and pods",
                                       "write one of them; pods has a namespaceSelector too",
                                       "OneOf"));
  } else if (!subject.namespaces && !subject.pods) {
    report.violations.push_back(broken(path, "", "says nothing of whom it holds for",
                                       "write namespaces: {} for all pods of all namespaces",
                                       "SubjectMissing"));
  }
  if (subject.namespaces) {
    parts::checkSelector(*subject.namespaces, path + ".namespaces", report);
  }
  if (subject.pods) checkPods(*subject.pods, path + ".pods", report);
}

void checkNetworksOf(const ClusterPolicyPeer& peer, const std::string& path, bool egress,
                     Report& report) {
  const std::string at = path + ".networks";
  if (!egress && !peer.networks.empty()) {
    report.violations.push_back(broken(at, "", "is for egress alone",
                                       "write namespaces or pods for who may come in",
                                       "NotForIngress"));
  }
  parts::checkCount(peer.networks.size(), kMaxClusterPolicyBlocks, at, "blocks", report);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < peer.networks.size(); ++i) {
    const std::string& text = peer.networks[i];
    static_cast<void>(parts::readPrefix(text, parts::at(at, i), report));
    if (seen.insert(text).second) continue;
    report.violations.push_back(
        broken(parts::at(at, i), text, "stands twice", "write each block once", "Duplicate"));
  }
}

void checkPeer(const ClusterPolicyPeer& peer, const std::string& path, bool egress,
               Report& report) {
  if (peer.nodes) {
    report.violations.push_back(broken(path + ".nodes", "", "isn't known on a network of pods",
                                       "write networks with the addresses that nodes have there",
                                       "NotSupported"));
  }
  if (!peer.domainNames.empty()) {
    report.violations.push_back(broken(path + ".domainNames", peer.domainNames.front(),
                                       "isn't known: nobody on the network is asked for names",
                                       "write networks with its addresses", "NotSupported"));
  }
  const std::array fields{peer.namespaces.has_value(), peer.pods.has_value(),
                          !peer.networks.empty(), peer.nodes.has_value(),
                          !peer.domainNames.empty()};
  const auto count = std::ranges::count(fields, true);
  const std::string remedy = egress ? "namespaces, pods or networks" : "namespaces or pods";
  if (count == 0) {
    report.violations.push_back(broken(path, "", "says nothing of who it is",
                                       "write " + remedy + "; namespaces: {} is every pod",
                                       "PeerMissing"));
  } else if (count > 1) {
    report.violations.push_back(broken(path, "", "says in several ways who it is",
                                       "make a peer of each of " + remedy, "OneOf"));
  }
  if (peer.namespaces) parts::checkSelector(*peer.namespaces, path + ".namespaces", report);
  if (peer.pods) checkPods(*peer.pods, path + ".pods", report);
  checkNetworksOf(peer, path, egress, report);
}

void checkPort(const ClusterPolicyPort& port, const std::string& path, Report& report) {
  if (port.number.has_value() == port.range.has_value()) {
    report.violations.push_back(
        broken(path, "", port.number ? "has a number and a range" : "has neither number nor range",
               "write one of them", port.number ? "OneOf" : "PortMissing"));
  }
  if (port.number && !isPort(*port.number)) {
    report.violations.push_back(broken(path + ".number", std::to_string(*port.number), "is no port",
                                       "write 1 to 65535", "InvalidPort"));
  }
  if (!port.range) return;
  const auto& [start, end] = *port.range;
  if (isPort(start) && isPort(end) && start < end) return;
  report.violations.push_back(broken(
      path + ".range", std::to_string(start) + " to " + std::to_string(end), "is no range of ports",
      "write a start from 1 on and an end above it, up to 65535; for one port number",
      "InvalidPort"));
}

void checkTransport(const std::optional<ClusterPolicyTransport>& transport, const std::string& path,
                    Report& report) {
  if (!transport) return;
  if (!transport->destinationPort) {
    report.violations.push_back(broken(
        path, "", "says nothing of ports",
        "write destinationPort; every port is range: {start: 1, end: 65535}", "PortMissing"));
    return;
  }
  checkPort(*transport->destinationPort, path + ".destinationPort", report);
}

void checkProtocol(const ClusterPolicyProtocol& protocol, const std::string& path, Report& report) {
  const std::array fields{protocol.tcp.has_value(), protocol.udp.has_value(),
                          protocol.sctp.has_value(), !protocol.destinationNamedPort.empty()};
  if (std::ranges::count(fields, true) != 1) {
    report.violations.push_back(broken(path, "", "must say one thing",
                                       "write one of tcp, udp, sctp and destinationNamedPort; make "
                                       "an item of each, and for every protocol leave the list out",
                                       "OneOf"));
  }
  checkTransport(protocol.tcp, path + ".tcp", report);
  checkTransport(protocol.udp, path + ".udp", report);
  checkTransport(protocol.sctp, path + ".sctp", report);
  const std::string& name = protocol.destinationNamedPort;
  if (name.empty() || isContainerPort(k8s::IntOrString{0, name})) return;
  report.violations.push_back(broken(path + ".destinationNamedPort", name, "is no name of a port",
                                     "write that of a container's port, at most 15 of a-z, 0-9 "
                                     "and '-' with a letter",
                                     "InvalidPort"));
}

bool isNamed(const ClusterPolicyProtocol& protocol) {
  return !protocol.destinationNamedPort.empty();
}

void checkNames(const ClusterPolicyRule& rule, const std::string& path, Report& report) {
  if (rule.name.size() > kMaxClusterPolicyRuleName) {
    report.violations.push_back(broken(path + ".name", rule.name, "is too long",
                                       "write at most 100 characters", "TooLong"));
  }
  const bool blocks = std::ranges::any_of(
      rule.peers, [](const ClusterPolicyPeer& peer) { return !peer.networks.empty(); });
  const auto named = std::ranges::find_if(rule.protocols, isNamed);
  if (!blocks || named == rule.protocols.end()) return;
  report.violations.push_back(broken(path + ".protocols", named->destinationNamedPort,
                                     "is a name that blocks of addresses don't have",
                                     "write a number, or a rule of its own for networks",
                                     "NamedPortOfNetworks"));
}

void checkRule(const ClusterPolicyRule& rule, const std::string& path, bool egress,
               Report& report) {
  checkNames(rule, path, report);
  const std::string peers = path + (egress ? ".to" : ".from");
  if (rule.peers.empty()) {
    report.violations.push_back(broken(peers, "", "is missing or empty",
                                       "write namespaces: {} for every pod", "PeerMissing"));
  }
  parts::checkCount(rule.peers.size(), kMaxClusterPolicyPeers, peers, "peers", report);
  for (std::size_t i = 0; i < rule.peers.size(); ++i) {
    checkPeer(rule.peers[i], parts::at(peers, i), egress, report);
  }
  const std::string protocols = path + ".protocols";
  parts::checkCount(rule.protocols.size(), kMaxClusterPolicyProtocols, protocols, "protocols",
                    report);
  for (std::size_t i = 0; i < rule.protocols.size(); ++i) {
    checkProtocol(rule.protocols[i], parts::at(protocols, i), report);
  }
}

bool selects(const ClusterPolicyPeer& peer) {
  return peer.networks.empty();
}

/// How often rules name somebody whose addresses have to be found out.
std::size_t countResolved(const ClusterPodNetworkPolicySpec& spec) {
  std::size_t count = 0;
  const auto selected = [](const ClusterPolicyRule& rule) {
    return static_cast<std::size_t>(std::ranges::count_if(rule.peers, selects));
  };
  for (const auto& rule : spec.ingress) count += selected(rule);
  for (const auto& rule : spec.egress) {
    std::set<std::string> names;
    for (const auto& one : rule.protocols) {
      if (isNamed(one)) names.insert(one.destinationNamedPort);
    }
    const bool numbers = rule.protocols.empty() || !std::ranges::all_of(rule.protocols, isNamed);
    count += selected(rule) * (names.size() * kProtocols + (numbers ? 1 : 0));
  }
  return count;
}

void checkWhole(const ClusterPodNetworkPolicy& policy, Report& report) {
  const auto& spec = policy.spec;
  parts::checkCount(
      countResolved(spec) * std::max<std::size_t>(spec.podNetworkNames.size(), 1),
      kMaxPolicyResolved, "spec",
      "selected peers (on egress three times for each name of a port) on its networks", report);
  if (!report.violations.empty()) return;
  const std::size_t bytes =
      k8s::KindTraits<ClusterPodNetworkPolicy>::encode(policy).at("spec").dump().size();
  if (bytes <= kMaxPolicyBytes) return;
  report.violations.push_back(broken("spec", std::to_string(bytes) + " bytes", "are too many",
                                     "write at most " + std::to_string(kMaxPolicyBytes) +
                                         " in JSON, and the rest in another policy",
                                     "TooLarge"));
}

bool hasPodPeers(const ClusterPodNetworkPolicySpec& spec) {
  const auto any = [](const ClusterPolicyRule& rule) {
    return std::ranges::any_of(rule.peers, selects);
  };
  return std::ranges::any_of(spec.ingress, any) || std::ranges::any_of(spec.egress, any);
}

}  // namespace

Report validate(const ClusterPodNetworkPolicy& policy) {
  const auto& spec = policy.spec;
  Report report;
  parts::checkNetworks(spec.podNetworkNames, report);
  if (spec.priority < 0 || spec.priority > kMaxClusterPolicyPriority) {
    report.violations.push_back(broken("spec.priority", std::to_string(spec.priority),
                                       "is no priority", "write 0 to 1000, the lowest comes first",
                                       "InvalidPriority"));
  }
  checkSubject(spec.subject, report);
  parts::checkCount(spec.ingress.size(), kMaxClusterPolicyRules, "spec.ingress", "rules", report);
  parts::checkCount(spec.egress.size(), kMaxClusterPolicyRules, "spec.egress", "rules", report);
  for (std::size_t i = 0; i < spec.ingress.size(); ++i) {
    checkRule(spec.ingress[i], parts::at("spec.ingress", i), false, report);
  }
  for (std::size_t i = 0; i < spec.egress.size(); ++i) {
    checkRule(spec.egress[i], parts::at("spec.egress", i), true, report);
  }
  if (spec.ingress.empty() && spec.egress.empty()) {
    report.warnings.push_back(
        {"spec", "", "has no rules, so it says nothing of anybody", "", "RulesMissing", Code::Ok});
  }
  checkWhole(policy, report);
  return report;
}

Report validate(const ClusterPodNetworkPolicy& policy, const Catalog& catalog) {
  Report report = validate(policy);
  const auto& names = policy.spec.podNetworkNames;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto network = catalog.network(names[i]);
    if (!network) {
      report.warnings.push_back({parts::at("spec.podNetworkNames", i), names[i],
                                 "names no PodNetwork; the policy selects nothing there until "
                                 "there is one",
                                 "", "NetworkNotFound", Code::Ok});
      continue;
    }
    parts::warnOfNetwork(*network, "spec.podNetworkNames", report);
    if (hasPodPeers(policy.spec) && network->spec.ipam.subnets.empty()) {
      parts::warnOfNoAddresses(*network, report);
    }
  }
  return report;
}

}  // namespace multinet::api
