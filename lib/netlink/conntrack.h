// UDP flows that the kernel tracks: what was translated once stays so for as long as somebody
// sends, whatever the rules say by then.
#pragma once

#include <functional>
#include <optional>

#include "lib/base/ip.h"
#include "lib/netlink/codec.h"

namespace multinet::netlink {

/// An address and a port, in host order.
struct FlowEnd {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const FlowEnd&) const = default;
};

/// Where a flow's first packet came from and was meant for, and who answers it: another than it was
/// meant for where that was translated.
struct UdpFlow {
  FlowEnd from;
  FlowEnd to;
  FlowEnd answerer;
  bool operator==(const UdpFlow&) const = default;
};

/// `payload` of a conntrack message. nullopt for what isn't UDP.
[[nodiscard]] Result<std::optional<UdpFlow>> decodeFlow(Bytes payload);

/// Forgets the flows of the calling thread's network namespace that `ends` names, so that their
/// next packet goes by the rules; how many. Lists all connections of both families: for changes,
/// not for a hot path. Blocks for 2 s at most a call of the kernel's.
[[nodiscard]] Result<unsigned> endUdpFlows(const std::function<bool(const UdpFlow&)>& ends);

}  // namespace multinet::netlink
