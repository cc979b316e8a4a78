// One question to a netlink family that Socket doesn't speak to, and the whole of its answer.
#pragma once

#include <functional>

#include "lib/base/fd.h"
#include "lib/netlink/codec.h"

namespace multinet::netlink {

/// A socket of the thread's namespace for `protocol` (NETLINK_SOCK_DIAG, NETLINK_NETFILTER); a call
/// on it waits for 2 s at most. `what` begins the text of an error, here and below.
[[nodiscard]] Result<Fd> openFor(int protocol, const char* what);

/// Sends `asked`, one message, and hands over the payload of each message of the answer until its
/// end. The kernel's errno, 0 where it refused nothing; an error where there is no answer.
[[nodiscard]] Result<int> converse(const Fd& socket, Bytes asked, const char* what,
                                   const std::function<void(Bytes)>& each);

}  // namespace multinet::netlink
