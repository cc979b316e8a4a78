#include "lib/netns/netns.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

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
  EXPECT_EQ(identity(openPath("/proc/self/ns/net").value()).value(), here());
}

TEST(Netns, AllThatProcessesAndMountsHoldAreFoundOnce) {
  std::string root = testing::TempDir() + "/allXXXXXX";
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  std::filesystem::create_directories(root + "/proc/7/ns");
  std::filesystem::create_directories(root + "/proc/8/ns");
  std::filesystem::create_directories(root + "/proc/9/ns");  // has ended
  std::filesystem::create_directories(root + "/proc/self/ns");
  for (const char* process : {"7", "8"}) {
    std::filesystem::create_symlink("/proc/self/ns/net", root + "/proc/" + process + "/ns/net");
  }
  const Fd pod = make().value();
  const std::string point = root + "/a pod";
  std::ofstream(point) << "";
  const std::string from = "/proc/self/fd/" + std::to_string(pod.get());
  ASSERT_EQ(::mount(from.c_str(), point.c_str(), nullptr, MS_BIND, nullptr), 0) << errno;
  std::set<Identity> found;
  const auto add = [&found](const Fd& one) -> Status {
    EXPECT_TRUE(found.insert(identity(one).value()).second) << "twice";
    return {};
  };
  const Status all = forEach(add, root + "/proc");
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(found, (std::set<Identity>{here(), identity(pod).value()}));
  ASSERT_EQ(::umount(point.c_str()), 0);
  found.clear();
  EXPECT_TRUE(forEach(add, root + "/proc"));
  EXPECT_EQ(found, std::set<Identity>{here()});
  std::filesystem::create_symlink("/dev/null", root + "/proc/9/ns/net");
  found.clear();
  EXPECT_FALSE(forEach(add, root + "/proc")) << "what can't be looked into is no absence";
  EXPECT_FALSE(forEach(add, root + "/none"));
  std::filesystem::remove_all(root);
}

TEST(Netns, WhatIsNoNamespaceIsRefusedAndWhatIsGoneIsNotFound) {
  EXPECT_EQ(openPath("/proc/self/ns/uts").error().reason, "NotNetns");
  EXPECT_EQ(openPath("/dev/null").error().reason, "NotNetns");
  EXPECT_EQ(openPath("/proc/self/no-such").error().code, Code::NotFound);
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
