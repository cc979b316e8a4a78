#include "nodeagent/networks/path_mtu.h"

#include "lib/netlink/route.h"
#include "lib/netns/netns.h"

namespace multinet::agent::networks {

Status forgetPathMtu(netlink::Socket& socket, const IpAddress& remote, unsigned needed) {
  MULTINET_TRY(const auto route, netlink::lookUpRoute(socket, remote));
  if (!route.mtu || *route.mtu >= needed) return {};
  return netns::writeSysctl(remote.isV4() ? "ipv4/route/flush" : "ipv6/route/flush", "1");
}

}  // namespace multinet::agent::networks
