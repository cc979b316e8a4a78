#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "lib/api/parts.h"
#include "lib/api/service.h"
#include "lib/api/spelling.h"
#include "lib/base/ip.h"

namespace multinet::api::parts {
namespace {

constexpr std::int32_t kMaxPort = 65535;

/// Addresses of a subnet that a pod or a gateway may have, at most `most`.
std::size_t roomOf(const Subnet& subnet, std::size_t most) {
  const auto cidr = IpPrefix::parse(subnet.cidr);
  if (!cidr || subnet.isExcluded()) return 0;
  const unsigned free = bits(cidr->family()) - cidr->length();
  if (free >= 32) return most;
  std::size_t room = std::size_t{1} << free;
  // The first is nobody's, in IPv4 the last neither, but of the smallest subnets
  // (lib/ipam/subnet.h).
  if (free >= 2) room -= cidr->isV4() ? 2 : 1;
  if (!subnet.gateway.empty() && room > 0) --room;
  return std::min(room, most);
}

/// Whether it lies in a range that node ports have, only the API server knows.
void checkNodePorts(const PodNetworkServiceSpec& spec, Report& report) {
  std::set<std::pair<Protocol, std::int32_t>> taken;
  for (std::size_t i = 0; i < spec.ports.size(); ++i) {
    const auto& port = spec.ports[i];
    if (port.nodePort == 0) continue;
    const std::string path = at("spec.ports", i) + ".nodePort";
    const std::string value = std::to_string(port.nodePort);
    if (!spec.isExposed()) {
      report.violations.push_back(broken(path, value, "is for types NodePort and LoadBalancer",
                                         "leave it out, or set type: NodePort",
                                         "OnlyWithNodePort"));
    } else if (port.nodePort < 1 || port.nodePort > kMaxPort) {
      report.violations.push_back(
          broken(path, value, "is no port",
                 "write one of the cluster's node ports, usually 30000 to 32767, or leave it out",
                 "InvalidPort"));
    } else if (!taken.insert({port.protocol, port.nodePort}).second) {
      report.violations.push_back(broken(path, value, "stands twice with this protocol",
                                         "give each port one of its own, or leave it out",
                                         "Duplicate"));
    }
  }
}

void checkOfLoadBalancer(const PodNetworkServiceSpec& spec, Report& report) {
  const auto alone = [&](const char* field, bool given, const std::string& value) {
    if (!given || spec.isLoadBalancer()) return;
    report.violations.push_back(
        broken(std::string("spec.") + field, value, "is for type LoadBalancer alone",
               "leave it out, or set type: LoadBalancer", "OnlyWithLoadBalancer"));
  };
  alone("loadBalancerClass", !spec.loadBalancerClass.empty(), spec.loadBalancerClass);
  alone("loadBalancerSourceRanges", !spec.loadBalancerSourceRanges.empty(),
        spec.loadBalancerSourceRanges.empty() ? "" : spec.loadBalancerSourceRanges.front());
  alone("allocateLoadBalancerNodePorts", spec.allocateLoadBalancerNodePorts.has_value(),
        spec.allocateLoadBalancerNodePorts == true ? "true" : "false");
  if (!spec.isLoadBalancer()) return;
  const auto& name = spec.loadBalancerClass;
  if (!name.empty() && !k8s::validate(k8s::LabelSelector{{{name, ""}}, {}})) {
    report.violations.push_back(broken("spec.loadBalancerClass", name, "is no class's name",
                                       "write one such as example.com/internal", "IllegalName"));
  }
  const auto& ranges = spec.loadBalancerSourceRanges;
  if (ranges.size() > kMaxSourceRanges) {
    report.violations.push_back(
        broken("spec.loadBalancerSourceRanges", std::to_string(ranges.size()) + " ranges",
               "are too many", "write at most " + std::to_string(kMaxSourceRanges), "TooMany"));
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const std::string path = at("spec.loadBalancerSourceRanges", i);
    if (!IpPrefix::parse(ranges[i])) {
      report.violations.push_back(broken(path, ranges[i], "is no prefix of addresses",
                                         "write one such as 192.0.2.0/24, without bits of a host",
                                         "InvalidPrefix"));
    } else if (!seen.insert(ranges[i]).second) {
      report.violations.push_back(
          broken(path, ranges[i], "stands twice", "leave one of them out", "Duplicate"));
    }
  }
}

}  // namespace

Report checkExposure(const PodNetworkServiceSpec& spec) {
  Report report;
  if (spec.isExposed() && spec.isHeadless()) {
    report.violations.push_back(broken("spec.clusterIP", "None", "is for type ClusterIP alone",
                                       "leave it out, or make a headless service beside this one",
                                       "HeadlessNotExposed"));
  }
  if (spec.externalTrafficPolicy && !spec.isExposed()) {
    report.violations.push_back(broken("spec.externalTrafficPolicy",
                                       std::string(k8s::spell(*spec.externalTrafficPolicy)),
                                       "is for types NodePort and LoadBalancer",
                                       "leave it out, or set type: NodePort", "OnlyWithNodePort"));
  }
  checkNodePorts(spec, report);
  checkOfLoadBalancer(spec, report);
  if (spec.reach == Reach::Cluster && spec.isHeadless()) {
    report.violations.push_back(
        broken("spec.reach", "Cluster",
               "is for a ClusterIP, and names of a headless service lead to the network itself",
               "leave it out, or clusterIP: None", "NotWithHeadless"));
  }
  return report;
}

Violations warnOfExposure(const PodNetworkServiceSpec& spec) {
  Violations warnings;
  if (spec.externalTrafficPolicy == TrafficPolicy::Local) {
    warnings.push_back({"spec.externalTrafficPolicy", "Local",
                        "has nodes without an endpoint refuse, but doesn't keep the clients' "
                        "addresses: endpoints see the node's own on the network",
                        "", "ClientAddressLost", Code::Ok});
  }
  return warnings;
}

}  // namespace multinet::api::parts

namespace multinet::api {

bool needsGatewayOnEachNode(const PodNetworkServiceSpec& spec) {
  const bool isLocal = spec.externalTrafficPolicy == TrafficPolicy::Local;
  return (spec.isExposed() && !isLocal) || spec.reach == Reach::Cluster;
}

Violations warnOfRoom(const PodNetworkServiceSpec& spec, const PodNetwork& network,
                      std::size_t nodes) {
  Violations warnings;
  for (const AddressFamily family : familiesOf(spec, network)) {
    const IpFamily wanted = family == AddressFamily::IPv4 ? IpFamily::V4 : IpFamily::V6;
    std::size_t room = 0;
    bool any = false;
    for (const Subnet& subnet : network.spec.ipam.subnets) {
      const auto cidr = IpPrefix::parse(subnet.cidr);
      if (!cidr || cidr->family() != wanted) continue;
      any = true;
      room += parts::roomOf(subnet, nodes + 1);
    }
    if (!any || room > nodes) continue;
    warnings.push_back({"spec.podNetworkName", spec.podNetworkName,
                        "has room for " + std::to_string(room) + " addresses of " +
                            std::string(k8s::spell(family)) + ", and a gateway on each of " +
                            std::to_string(nodes) +
                            " nodes takes one beside those of pods: nodes without one refuse "
                            "clients of this service; see condition Gateway of their "
                            "NodeNetworkSets",
                        "", "NoRoomForGateways", Code::Ok});
  }
  return warnings;
}

}  // namespace multinet::api
