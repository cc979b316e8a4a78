// The flood list of a VXLAN link: FDB entries of the all-zero MAC, one a peer. Pure requests.
#pragma once

#include <vector>

#include "lib/netlink/socket.h"

namespace multinet::netlink {

/// `payload` of RTM_NEWNEIGH. The remote where the entry floods through `linkIndex`, else nullopt.
[[nodiscard]] Result<std::optional<IpAddress>> decodeFlood(Bytes payload, int linkIndex);

/// Frames to unknown, broadcast and multicast MACs go to `remote` too.
[[nodiscard]] Request addFlood(int linkIndex, const IpAddress& remote);
[[nodiscard]] Request removeFlood(int linkIndex, const IpAddress& remote);
[[nodiscard]] Result<std::vector<IpAddress>> findFlood(Socket& socket, int linkIndex);

}  // namespace multinet::netlink
