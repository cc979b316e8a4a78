#include "lib/netns/netns.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "lib/netns/packet_socket.h"

namespace multinet::netns {
namespace {

Identity here() {
  return identity(openOwn().value()).value();
}

TEST(Netns, AScopeLeadsInAndOutAgain) {
  const Identity home = here();
  const Fd other = make().value();
  const Identity there = identity(other).value();
  EXPECT_NE(home, there);
  EXPECT_EQ(here(), home) << "make() moved its caller";
  {
    const auto scope = Scope::enter(other).value();
    EXPECT_EQ(here(), there);
  }
  EXPECT_EQ(here(), home);
}

TEST(Netns, ANamespaceIsTheSameByEveryWay) {
  EXPECT_EQ(identity(openPid(::getpid()).value()).value(), here());
  EXPECT_EQ(identity(openPath("/proc/self/ns/net").value()).value(), here());
}

TEST(Netns, WhatIsNoNamespaceIsRefusedAndWhatIsGoneIsNotFound) {
  EXPECT_EQ(openPath("/proc/self/ns/uts").error().reason, "NotNetns");
  EXPECT_EQ(openPath("/dev/null").error().reason, "NotNetns");
  EXPECT_EQ(openPath("/proc/self/no-such").error().code, Code::NotFound);
  EXPECT_EQ(openPid(0x7fffffff).error().code, Code::NotFound);
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(identity(file));
  EXPECT_FALSE(Scope::enter(file));
}

TEST(Netns, SysctlsAreThoseOfTheNamespace) {
  const Fd other = make().value();
  const std::string key = "ipv4/ip_forward";
  ASSERT_TRUE(writeSysctl(key, "0"));
  {
    const auto scope = Scope::enter(other).value();
    ASSERT_TRUE(writeSysctl(key, "1"));
    EXPECT_EQ(readSysctl(key).value(), "1");
  }
  EXPECT_EQ(readSysctl(key).value(), "0");
  EXPECT_EQ(writeSysctl("ipv4/no_such_key", "1").error().code, Code::NotFound);
  const Status refused = writeSysctl(key, "nonsense");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("nonsense"), std::string::npos);
}

TEST(PacketSocket, ALinkThatIsNotThereIsAnError) {
  EXPECT_EQ(PacketSocket::open(9999, 0x88B5).error().code, Code::NotFound);
}

}  // namespace
}  // namespace multinet::netns
