// Addresses of links. Pure requests; the socket's namespace is the one they mean.
#pragma once

#include <vector>

#include "lib/netlink/socket.h"

namespace multinet::netlink {

struct AddressInfo {
  int linkIndex = 0;
  InterfaceAddress address;
  bool linkLocal = false;  ///< scope link
  auto operator<=>(const AddressInfo&) const = default;
};

/// `payload` of RTM_NEWADDR or RTM_DELADDR.
[[nodiscard]] Result<AddressInfo> decodeAddress(Bytes payload);

/// Without duplicate address detection (IFA_F_NODAD): addresses are unique by lease, and a second
/// of silence at each start would be its price. IPv4 gets its broadcast address.
[[nodiscard]] Request addAddress(int linkIndex, const InterfaceAddress& address);
[[nodiscard]] Request removeAddress(int linkIndex, const InterfaceAddress& address);

/// Of one link; `linkIndex` 0: of all.
[[nodiscard]] Result<std::vector<AddressInfo>> findAddresses(Socket& socket, int linkIndex);

}  // namespace multinet::netlink
