// What forwarding databases have: the flood list of a VXLAN link (FDB entries of the all-zero MAC,
// one a peer), and entries that somebody pinned. Pure requests.
#pragma once

#include <vector>

#include "lib/netlink/socket.h"

namespace multinet::netlink {

/// An entry of a VXLAN link's own database or of a bridge's.
struct FdbEntry {
  int linkIndex = 0;  ///< the VXLAN link; of a bridge: the port, or itself
  int master = 0;     ///< the bridge whose database it is; 0: the link's own
  MacAddress mac;
  std::optional<IpAddress> remote;
  std::uint16_t vlan = 0;
  bool pinned = false;  ///< not learned: it never ages, or only by whom it came from
  bool operator==(const FdbEntry&) const = default;
  /// Frames to unknown, broadcast and multicast MACs go to `remote` too.
  [[nodiscard]] bool floods() const { return master == 0 && remote && mac == MacAddress{}; }
};

/// `payload` of RTM_NEWNEIGH. nullopt: it is no entry of a forwarding database.
[[nodiscard]] Result<std::optional<FdbEntry>> decodeFdb(Bytes payload);

[[nodiscard]] Request addFlood(int linkIndex, const IpAddress& remote);
[[nodiscard]] Request removeFlood(int linkIndex, const IpAddress& remote);
[[nodiscard]] Request addFdb(const FdbEntry& entry);
[[nodiscard]] Request removeFdb(const FdbEntry& entry);

/// Of all links of the socket's namespace, those of filters for multicast included. O(entries).
[[nodiscard]] Result<std::vector<FdbEntry>> findFdb(Socket& socket);

}  // namespace multinet::netlink
