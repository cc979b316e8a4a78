// Which UDP flows go another way than the rules have it by now. Connections of TCP are left to
// their endpoints, as kube-proxy leaves them. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "lib/netlink/conntrack.h"
#include "nodeagent/gateway/tables.h"

namespace multinet::agent::gateway {

/// On the node: those that came in before there was a gateway, or go to one that isn't any more.
class NodeFlows {
 public:
  explicit NodeFlows(const std::vector<Opened>& gateways);
  [[nodiscard]] bool isStale(const netlink::UdpFlow& flow) const;
  /// Whether there are ways of UDP at all.
  [[nodiscard]] bool any() const { return !leads_.empty(); }

 private:
  struct Lead {
    netlink::FlowEnd to;
    netlink::FlowEnd judged;  ///< for those of `clients`
    policy::Ranges clients;
  };
  std::map<std::pair<std::optional<IpAddress>, std::uint16_t>, Lead> leads_;
};

/// In a gateway: those whose endpoint isn't one of their way any more.
class GatewayFlows {
 public:
  GatewayFlows(const std::vector<Way>& ways, const WayPorts& ports);
  [[nodiscard]] bool isStale(const netlink::UdpFlow& flow) const;
  [[nodiscard]] bool any() const { return !targets_.empty(); }

 private:
  std::map<std::uint16_t, std::set<netlink::FlowEnd>> targets_;
};

}  // namespace multinet::agent::gateway
