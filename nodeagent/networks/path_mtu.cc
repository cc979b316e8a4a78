#include "nodeagent/networks/path_mtu.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "lib/base/socket_address.h"
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"

namespace multinet::agent::networks {
namespace {

/// RFC 7348, section 5: flags with the I bit, 24 bits of VNI; then the inner frame.
std::vector<std::uint8_t> vxlanPacket(const DirectFrame& direct) {
  std::vector<std::uint8_t> packet = {0x08, 0, 0, 0};
  for (const unsigned shift : {16U, 8U, 0U}) {
    packet.push_back(static_cast<std::uint8_t>(direct.vni >> shift));
  }
  packet.push_back(0);
  const auto append = [&](const auto& bytes) {
    packet.insert(packet.end(), bytes.begin(), bytes.end());
  };
  append(direct.frame.to.bytes());
  append(direct.frame.from.bytes());
  packet.push_back(static_cast<std::uint8_t>(direct.ethertype >> 8U));
  packet.push_back(static_cast<std::uint8_t>(direct.ethertype & 0xffU));
  append(direct.frame.payload);
  return packet;
}

}  // namespace

Result<bool> hasSmallPath(netlink::Socket& socket, const IpAddress& remote, unsigned needed) {
  MULTINET_TRY(const auto route, netlink::lookUpRoute(socket, remote));
  return route.mtu && *route.mtu < needed;
}

Status forgetPathMtus(IpFamily family) {
  return netns::writeSysctl(family == IpFamily::V4 ? "ipv4/route/flush" : "ipv6/route/flush", "1");
}

Status sendDirect(const DirectFrame& direct) {
  const std::string what = "probe the path to " + direct.remote.str();
  const bool v4 = direct.remote.isV4();
  const Fd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail(errnoError(what, errno));
  static_assert(IP_PMTUDISC_PROBE == IPV6_PMTUDISC_PROBE);
  const int probe = IP_PMTUDISC_PROBE;
  const SocketAddress local(direct.local, 0);
  const SocketAddress remote(direct.remote, direct.port);
  const std::vector<std::uint8_t> packet = vxlanPacket(direct);
  if (::setsockopt(fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6,
                   v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &probe, sizeof probe) != 0 ||
      ::bind(fd.get(), local.get(), local.size) != 0 ||
      ::sendto(fd.get(), packet.data(), packet.size(), 0, remote.get(), remote.size) < 0) {
    return fail(errnoError(what, errno));
  }
  return {};
}

}  // namespace multinet::agent::networks
