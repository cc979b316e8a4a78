// Forgetting what the kernel learned of a path that may have healed.
#pragma once

#include "lib/netlink/socket.h"

namespace multinet::agent::networks {

/// The kernel keeps a learned path MTU for ten minutes (net.ipv4.route.mtu_expires), so a path that
/// carries full-size packets again would go unused that long. Where `remote` has such a value below
/// `needed`, all learned ones of its family are dropped, and the next probe learns anew; the kernel
/// offers nothing narrower. Connections only look their way up again.
[[nodiscard]] Status forgetPathMtu(netlink::Socket& socket, const IpAddress& remote,
                                   unsigned needed);

}  // namespace multinet::agent::networks
