#include "nodeagent/gateway/passage.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "lib/base/socket_address.h"
#include "lib/netns/netns.h"

namespace multinet::agent::gateway {
namespace {

// Between two ends of a veth pair it is there before send returns, mostly.
constexpr int kPatienceMs = 5;

Result<Fd> bound(const IpAddress& address, std::uint16_t port) {
  const SocketAddress at(address, port);
  Fd socket(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid() || ::bind(socket.get(), at.get(), at.size) != 0) {
    return fail(errnoError("ask the way to a gateway from " + address.str(), errno));
  }
  return socket;
}

}  // namespace

Result<Passage> Passage::open(const Fd& netns, const Pair& pair, IpFamily family) {
  const bool isV4 = family == IpFamily::V4;
  const IpAddress own = (isV4 ? pair.gateway4 : pair.gateway6).address;
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(Fd receiver, bound(own, kProbePort));
  MULTINET_TRY(Fd sender, bound(own, 0));
  return Passage(std::move(sender), std::move(receiver), (isV4 ? pair.node4 : pair.node6).address);
}

bool Passage::came() const {
  bool found = false;
  std::uint32_t number = 0;
  while (::recv(receiver_.get(), &number, sizeof number, 0) == sizeof number) {
    found = found || number == number_;
  }
  return found;
}

void Passage::ask() {
  if (came()) lost_ = 0;
  ++number_;
  const SocketAddress to(node_, kProbePort);
  const auto sent = ::sendto(sender_.get(), &number_, sizeof number_, 0, to.get(), to.size);
  pollfd waiting{receiver_.get(), POLLIN, 0};
  const bool arrived = sent > 0 && ::poll(&waiting, 1, kPatienceMs) > 0 && came();
  lost_ = arrived ? 0 : lost_ + 1;
}

Error closedPassage(const std::string& network, const Pair& pair, IpFamily family) {
  const bool isV4 = family == IpFamily::V4;
  const std::string tables = isV4 ? "iptables" : "ip6tables";
  const std::string key = isV4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  return {Code::Unavailable, "ForwardingDropped",
          "gateway to network \"" + network + "\": the node drops " + (isV4 ? "IPv4" : "IPv6") +
              " packets that it forwards to " + pair.device +
              ": a firewall's rule or policy (Docker's of FORWARD), or " + key +
              " is 0; let them pass: " + tables + " -I FORWARD -o mng+ -j ACCEPT; " + tables +
              " -I FORWARD -i mng+ -j ACCEPT"};
}

}  // namespace multinet::agent::gateway
