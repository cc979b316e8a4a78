#include "lib/api/cluster_ranges.h"

#include <algorithm>
#include <utility>

#include "lib/api/parts.h"

namespace multinet::api {
namespace {

std::string describeRange(const ClusterRange& range) {
  const bool isNamed = !range.owner.empty();
  switch (range.use) {
    case RangeUse::Services:
      return "the Services' range " + range.prefix.str() +
             (isNamed ? " of ServiceCIDR " + range.owner : "");
    case RangeUse::Pods:
      return isNamed ? "the pods' range " + range.prefix.str() + " of node " + range.owner
                     : "a node's range of pods";
    case RangeUse::Node:
      break;
  }
  return isNamed ? "the address " + range.prefix.first().str() + " of node " + range.owner
                 : "the address of a node";
}

bool had(const PodNetwork* before, const std::string& cidr) {
  if (before == nullptr) return false;
  const auto& subnets = before->spec.ipam.subnets;
  return std::any_of(subnets.begin(), subnets.end(),
                     [&](const Subnet& subnet) { return subnet.cidr == cidr; });
}

Violation clash(const parts::TypedSubnet& subnet, const ClusterRange& range) {
  Violation violation;
  violation.path = parts::at("spec.ipam.subnets", subnet.index) + ".cidr";
  violation.value = subnet.cidr.str();
  violation.detail =
      "overlaps " + describeRange(range) + ": pods of this network couldn't reach it";
  violation.remedy = "write a range that the cluster doesn't use";
  violation.reason = "ClusterRange";
  violation.code = range.use == RangeUse::Node ? Code::Ok : Code::InvalidArgument;
  return violation;
}

}  // namespace

Report checkClusterRanges(const PodNetwork& network, const PodNetwork* before,
                          const std::vector<ClusterRange>& ranges) {
  Report report;
  for (const parts::TypedSubnet& subnet : parts::typedSubnets(network.spec)) {
    if (had(before, network.spec.ipam.subnets[subnet.index].cidr)) continue;
    // One of each use: a /8 would name every node of the cluster.
    for (const RangeUse use : {RangeUse::Services, RangeUse::Pods, RangeUse::Node}) {
      const auto met = std::find_if(ranges.begin(), ranges.end(), [&](const ClusterRange& range) {
        return range.use == use && range.prefix.overlaps(subnet.cidr);
      });
      if (met == ranges.end()) continue;
      Violation found = clash(subnet, *met);
      auto& list = use == RangeUse::Node ? report.warnings : report.violations;
      list.push_back(std::move(found));
    }
  }
  return report;
}

}  // namespace multinet::api
