// The socket against the kernel, in the test's own namespace.
#include "lib/netlink/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "lib/base/fd.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/neighbour.h"
#include "lib/netlink/route.h"

namespace multinet::netlink {
namespace {

class SocketTest : public testing::Test {
 protected:
  void SetUp() override { must(setUp({0, "lo"})); }
  void TearDown() override {
    for (const std::string& name : made_) static_cast<void>(socket_.run(deleteLink({0, name})));
  }
  void must(const Request& request) {
    const Status status = socket_.run(request);
    ASSERT_TRUE(status) << status.error().message;
  }
  void bridge(const std::string& name, unsigned mtu = 1500) {
    must(createBridge({name, MacAddress::derive(name), mtu}));
    made_.push_back(name);
  }
  LinkInfo link(const std::string& name) { return findLink(socket_, {0, name}).value(); }

  Socket socket_ = Socket::open().value();
  std::vector<std::string> made_;
};

TEST_F(SocketTest, MakesAndReadsBackAVxlan) {
  bridge("b0");
  VxlanSpec spec;
  spec.name = "v0";
  spec.mac = MacAddress::derive("v0");
  spec.mtu = 1400;
  spec.vxlan = {7001, 4799, 0, IpAddress::parse("127.0.0.1").value(), true, VxlanDf::Set};
  must(createVxlan(spec));
  made_.push_back("v0");
  must(setMaster({0, "v0"}, link("b0").index));
  must(setAlias({0, "v0"}, "an alias"));
  const LinkInfo made = link("v0");
  EXPECT_EQ(made.vxlan, spec.vxlan);
  EXPECT_EQ(made.mtu, 1400U);
  EXPECT_EQ(made.mac, spec.mac);
  EXPECT_EQ(made.alias, "an alias");
  EXPECT_EQ(made.master, link("b0").index);

  const auto remote = [](int i) { return IpAddress::parse("10.9.8." + std::to_string(i)).value(); };
  for (int i = 1; i <= 3; ++i) must(addFlood(made.index, remote(i)));
  must(removeFlood(made.index, remote(2)));
  std::vector<IpAddress> flood;
  const auto entries = findFdb(socket_).value();
  for (const FdbEntry& entry : entries) {
    if (entry.linkIndex == made.index && entry.floods()) flood.push_back(*entry.remote);
  }
  std::sort(flood.begin(), flood.end());
  EXPECT_EQ(flood, (std::vector<IpAddress>{remote(1), remote(3)}));

  // The same VNI and port again: refused, in the kernel's own words.
  spec.name = "v1";
  const Status again = socket_.run(createVxlan(spec));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::AlreadyExists);
  EXPECT_NE(again.error().message.find("VNI"), std::string::npos) << again.error().message;
}

TEST_F(SocketTest, AVniOutOfRangeIsRefusedInTheKernelsWords) {
  VxlanSpec spec;
  spec.name = "v0";
  spec.mac = MacAddress::derive("v0");
  spec.mtu = 1400;
  spec.vxlan.vni = 1U << 24U;
  const Status refused = socket_.run(createVxlan(spec));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("VXLAN ID must be lower than 16777216"), std::string::npos)
      << refused.error().message;
}

TEST_F(SocketTest, ABatchGoesOnAfterAFailureAndSaysWhichItWas) {
  bridge("b0");
  const auto verdicts =
      socket_.runAll({setMtu({0, "b0"}, 1400), setUp({0, "gone"}), setUp({0, "b0"}),
                      addAddress(99999, InterfaceAddress::parse("10.0.0.1/8").value())});
  ASSERT_EQ(verdicts.size(), 4U);
  EXPECT_TRUE(verdicts[0]);
  ASSERT_FALSE(verdicts[1]);
  EXPECT_EQ(verdicts[1].error().code, Code::NotFound);
  EXPECT_NE(verdicts[1].error().message.find("gone"), std::string::npos);
  EXPECT_TRUE(verdicts[2]);
  EXPECT_FALSE(verdicts[3]);
  EXPECT_EQ(link("b0").mtu, 1400U);
  EXPECT_TRUE(link("b0").up);
}

TEST_F(SocketTest, ASendAsksForObjectsAsTheyAreAtTheirPlaceInIt) {
  bridge("b0");
  const auto replies = socket_.exchange(
      {getLink({0, "b0"}), setMtu({0, "b0"}, 1400), getLink({0, "gone"}), getLink({0, "b0"})});
  ASSERT_EQ(replies.size(), 4U);
  EXPECT_EQ(decodeLink(replies[0].value())->mtu, 1500U);
  EXPECT_TRUE(replies[1].value().empty());
  EXPECT_EQ(replies[2].error().code, Code::NotFound);
  EXPECT_EQ(decodeLink(replies[3].value())->mtu, 1400U);
  // Nothing of it is left over for the next.
  EXPECT_TRUE(socket_.run(setUp({0, "b0"})));
}

TEST_F(SocketTest, AGlanceTellsWhatMayChangeOfALinkThatIsKnown) {
  bridge("b0");
  const LinkRef known{link("b0").index, "b0"};
  EXPECT_FALSE(socket_.glance(known)->up);
  must(setUp(known));
  must(setMtu(known, 1400));
  EXPECT_TRUE(socket_.glance(known)->up);
  EXPECT_EQ(socket_.glance(known)->mtu, 1400U);
  EXPECT_EQ(socket_.glance({known.index, "b1"}).error().code, Code::NotFound);
  must(deleteLink(known));
  EXPECT_EQ(socket_.glance(known).error().code, Code::NotFound);
}

TEST_F(SocketTest, SettingsOfALinkAreSetAndReadAsNumbers) {
  bridge("b0");
  const int index = link("b0").index;
  must(relabel(index, {.inet = {{IPV4_DEVCONF_ARP_IGNORE, 1}, {IPV4_DEVCONF_RP_FILTER, 2}}}));
  EXPECT_EQ(link("b0").name, "b0");
  const auto file = [](const std::string& key) {
    return readFile("/proc/sys/net/" + key, 16).value();
  };
  EXPECT_EQ(file("ipv4/conf/b0/arp_ignore"), "1\n");
  EXPECT_EQ(file("ipv4/conf/b0/rp_filter"), "2\n");
  const auto inet6 = link("b0").inet6;
  ASSERT_GT(inet6.size(), std::size_t{DEVCONF_DISABLE_IPV6});
  EXPECT_EQ(std::to_string(inet6[DEVCONF_ACCEPT_RA]) + "\n", file("ipv6/conf/b0/accept_ra"));
  EXPECT_EQ(std::to_string(inet6[DEVCONF_DISABLE_IPV6]) + "\n", file("ipv6/conf/b0/disable_ipv6"));
}

TEST_F(SocketTest, ABatchAboveOneSendIsAnsweredWhole) {
  std::vector<Request> requests;
  bridge("b0");
  const int index = link("b0").index;
  for (int i = 0; i < 300; ++i) {
    requests.push_back(addAddress(
        index,
        InterfaceAddress{IpAddress(IpFamily::V4, 0x0a000001U + static_cast<unsigned>(i)), 32}));
  }
  for (const Status& verdict : socket_.runAll(requests)) EXPECT_TRUE(verdict);
  EXPECT_EQ(findAddresses(socket_, index).value().size(), 300U);
  EXPECT_TRUE(socket_.runAll({}).empty());
}

TEST_F(SocketTest, ListsByKindAndByMaster) {
  bridge("b0");
  bridge("b1");
  VethSpec spec;
  spec.hostName = "h0";
  spec.peerName = "h1";
  spec.peerMac = MacAddress::derive("h1");
  spec.mtu = 1500;
  spec.bridgeIndex = link("b0").index;
  const Fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  spec.peerNetns = own.get();
  must(createVeth(spec));
  made_.push_back("h0");
  EXPECT_EQ(findLinks(socket_, {"bridge", 0}).value().size(), 2U);
  const auto ports = findLinks(socket_, {"", link("b0").index}).value();
  ASSERT_EQ(ports.size(), 1U);
  EXPECT_EQ(ports.front().name, "h0");
  EXPECT_TRUE(ports.front().up);
  EXPECT_FALSE(link("h1").up);
  EXPECT_EQ(link("h1").mac, spec.peerMac);
}

TEST_F(SocketTest, DeletesAGroupAtOnce) {
  for (const char* name : {"g0", "g1", "g2", "keep"}) bridge(name);
  for (const char* name : {"g0", "g1", "g2"}) must(setGroup({0, name}, 0x1234));
  must(deleteGroup(0x1234));
  EXPECT_EQ(findLink(socket_, {0, "g1"}).error().code, Code::NotFound);
  EXPECT_EQ(link("keep").name, "keep");
}

TEST_F(SocketTest, RoutesAndRules) {
  bridge("b0");
  const int index = link("b0").index;
  must(setUp({index, "b0"}));
  must(addAddress(index, InterfaceAddress::parse("10.1.0.1/16").value()));
  RouteInfo route;
  route.to = IpPrefix::parse("10.2.0.0/16").value();
  route.via = IpAddress::parse("10.1.0.9").value();
  route.linkIndex = index;
  route.metric = 7;
  must(addRoute(route));
  EXPECT_EQ(socket_.run(addRoute(route)).error().code, Code::AlreadyExists);
  const auto routes = findRoutes(socket_, index).value();
  EXPECT_NE(std::find(routes.begin(), routes.end(), route), routes.end());
  EXPECT_EQ(lookUpRoute(socket_, IpAddress::parse("10.2.3.4").value())->via, route.via);
  const RuleInfo rule{IpAddress::parse("10.1.0.1").value(), 5398, 5399, true};
  must(addRule(rule));
  EXPECT_EQ(findRules(socket_).value(), std::vector<RuleInfo>{rule});
  must(removeRule(rule));
  must(removeRoute(route));
  EXPECT_EQ(socket_.run(removeRoute(route)).error().code, Code::NotFound);
}

TEST_F(SocketTest, CountsWritesOnly) {
  const std::uint64_t before = socket_.writes();
  static_cast<void>(findLinks(socket_));
  static_cast<void>(findLink(socket_, {0, "lo"}));
  EXPECT_EQ(socket_.writes(), before);
  static_cast<void>(socket_.run(setUp({0, "lo"})));
  EXPECT_EQ(socket_.writes(), before + 1);
}

TEST_F(SocketTest, EventsTellOfALink) {
  EventSocket events = EventSocket::open({RTNLGRP_LINK}).value();
  bridge("b0");
  std::vector<std::string> names;
  const auto note = [&](const Frame& frame) {
    if (const auto told = decodeLink(frame.payload)) names.push_back(told->name);
  };
  EXPECT_TRUE(events.drain(note));
  EXPECT_NE(std::find(names.begin(), names.end(), "b0"), names.end());
  names.clear();
  EXPECT_TRUE(events.drain(note));
  EXPECT_TRUE(names.empty());
}

}  // namespace
}  // namespace multinet::netlink
