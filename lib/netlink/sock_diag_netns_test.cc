#include "lib/netlink/sock_diag.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "lib/base/fd.h"

namespace multinet::netlink {
namespace {

void loopbackUp() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  ASSERT_EQ(::ioctl(socket.get(), SIOCSIFFLAGS, &request), 0) << std::strerror(errno);
}

Fd connected(int family, const char* to, std::uint16_t port) {
  Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const bool six = family == AF_INET6;
  EXPECT_EQ(::inet_pton(family, to, six ? static_cast<void*>(&v6.sin6_addr) : &v4.sin_addr), 1);
  const auto* address =
      six ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  EXPECT_EQ(::connect(socket.get(), address, six ? sizeof v6 : sizeof v4), 0)
      << std::strerror(errno);
  return socket;
}

TEST(SockDiag, FindsConnectedUdpAndEndsOneOfThem) {
  loopbackUp();
  const Fd v4 = connected(AF_INET, "127.0.0.2", 5353);
  const Fd v6 = connected(AF_INET6, "::1", 5353);
  const Fd mapped = connected(AF_INET6, "::ffff:127.0.0.3", 5353);
  const Fd unconnected(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in own{};
  own.sin_family = AF_INET;
  ASSERT_EQ(::bind(unconnected.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);

  const auto all = connectedUdp();
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 3U);
  for (const Fd* one : {&v4, &v6, &mapped}) {
    std::uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    ASSERT_EQ(::getsockopt(one->get(), SOL_SOCKET, SO_COOKIE, &cookie, &length), 0);
    const auto found = std::ranges::find(*all, cookie, &UdpSocket::cookie);
    ASSERT_NE(found, all->end());
    EXPECT_EQ(found->port, htons(5353));
    EXPECT_EQ(found->remote[15], one == &v4 ? 2 : one == &v6 ? 1 : 3);
    EXPECT_EQ(found->remote[10], one == &v6 ? 0 : 0xff);
    if (one == &v6) continue;
    const auto ended = destroy(*found);
    if (!ended && ended.error().message.find("not supported") != std::string::npos) {
      GTEST_SKIP() << "this kernel has no CONFIG_INET_DIAG_DESTROY";
    }
    ASSERT_TRUE(ended) << ended.error().message;
    EXPECT_TRUE(destroy(*found)) << "one that is gone is success";
    EXPECT_EQ(::send(one->get(), "x", 1, 0), -1);
  }
  EXPECT_EQ(connectedUdp()->size(), 1U);
}

}  // namespace
}  // namespace multinet::netlink
