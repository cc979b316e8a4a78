#include "lib/netns/cookie.h"

#include <sys/socket.h>

#include <cerrno>

namespace multinet::netns {

Result<std::uint64_t> cookie(const Fd& netns, const Home& home) {
  constexpr const char* kWhat = "ask for the network namespace's cookie";
  MULTINET_TRY(const Scope scope, Scope::enter(netns, home));
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(errnoError(kWhat, errno));
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) {
    return fail(errnoError(kWhat, errno));
  }
  return cookie;
}

}  // namespace multinet::netns
