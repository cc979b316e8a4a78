// Two nodes with a wire between and VLANs on it, on a kernel that has 802.1Q.
#include <linux/if_link.h>

#include "nodeagent/networks/test_nodes.h"

namespace multinet::agent::networks {
namespace {

DesiredNetwork segment(std::int32_t id, const std::string& uid = kUid.str()) {
  return asVlan(testTunnel("office-" + std::to_string(id), uid), {"eth1", id});
}

class VlanNetns : public NetworksTest {
 protected:
  /// eth1 of both nodes, which they use themselves.
  void wireNodes() {
    one_.wire("eth1", two_, "eth1");
    one_.address("eth1", "172.18.0.1/24");
    two_.address("eth1", "172.18.0.2/24");
  }
  static void serve(Node& node, std::vector<DesiredNetwork> networks) {
    node.start(fast());
    node.networks().setDesired(std::move(networks));
    ASSERT_TRUE(node.until(readyAsBridge, seconds(20)));
  }
  /// A pod on a network, with packets of 1500 bytes.
  static void plug(Node& node, Node& pod, const std::string& end, const DesiredNetwork& network,
                   const std::string& address) {
    node.attach(end, pod, bridgeName(network));
    node.runInner(netlink::setMtu({0, end}, 1500));
    pod.run(netlink::setMtu({0, "net1"}, 1500));
    pod.address("net1", address);
  }
};

TEST_F(VlanNetns, PodsOfASegmentReachEachOtherAndNobodyElse) {
  wireNodes();
  serve(one_, {segment(100), segment(200, "other")});
  serve(two_, {segment(100), segment(200, "other")});
  EXPECT_EQ(one_.inner(vlanName(segment(100))).vlanId, 100);
  EXPECT_EQ(one_.networks().snapshot()->find(kUid)->mtu, 1500U) << "the parent's: a tag is free";
  Node here("here");
  Node there("there");
  Node stranger("stranger");
  plug(one_, here, "pod0", segment(100), "10.60.0.1/24");
  plug(two_, there, "pod0", segment(100), "10.60.0.2/24");
  plug(two_, stranger, "pod1", segment(200, "other"), "10.60.0.3/24");
  EXPECT_TRUE(reaches(here, there, "10.60.0.2", 7777, 1472)) << "full size";
  EXPECT_FALSE(delivers(here, stranger, "10.60.0.3", 7777)) << "of another segment";
  two_.address("eth1", "10.60.0.9/24");
  EXPECT_FALSE(delivers(here, two_, "10.60.0.9", 7777)) << "without a tag";
  EXPECT_TRUE(reaches(one_, two_, "172.18.0.2", 7777)) << "the nodes go on without one";
}

TEST_F(VlanNetns, ARestartWritesNothingAndDriftIsRepaired) {
  wireNodes();
  serve(one_, {segment(100)});
  one_.stop();
  serve(one_, {segment(100)});
  EXPECT_EQ(one_.networks().writes(), 0U);
  const std::string port = vlanName(segment(100));
  one_.runInner(netlink::deleteLink({0, port}));
  EXPECT_TRUE(eventually([&] {
    return one_.inner(port).up &&
           one_.inner(port).master == one_.inner(bridgeName(segment(100))).index;
  }));
  one_.runInner(netlink::setDown({0, port}));
  EXPECT_TRUE(eventually([&] { return one_.inner(port).up; }));
}

TEST_F(VlanNetns, TheParentGoesDownAndComesBack) {
  wireNodes();
  serve(one_, {segment(100)});
  const std::string port = vlanName(segment(100));
  one_.run(netlink::setDown({0, "eth1"}));
  EXPECT_TRUE(one_.until(notReady("DeviceDown"), seconds(10)));
  EXPECT_FALSE(one_.inner(port).up) << "it follows its parent";
  one_.up("eth1");
  EXPECT_TRUE(one_.until(readyAsBridge, seconds(10)));
  EXPECT_TRUE(one_.inner(port).up);
}

TEST_F(VlanNetns, ASmallerParentIsTold) {
  wireNodes();
  serve(one_, {segment(100)});
  one_.run(netlink::setMtu({0, "eth1"}, 1400));
  EXPECT_TRUE(one_.until(notReady("PathMTUTooSmall"), seconds(10)));
  one_.run(netlink::setMtu({0, "eth1"}, 1500));
  EXPECT_TRUE(one_.until(readyAsBridge, seconds(10)));
  EXPECT_TRUE(eventually([&] { return one_.inner(vlanName(segment(100))).mtu == 1500; }));
}

TEST_F(VlanNetns, ASegmentOfSomebodyElsesIsLeftToHim) {
  wireNodes();
  netlink::StackedSpec foreign;
  foreign.kind = "vlan";
  foreign.name = "eth1.100";
  foreign.parent = "eth1";
  foreign.parentIndex = one_.index("eth1");
  foreign.options = {{IFLA_VLAN_ID, std::uint16_t{100}}};
  one_.run(netlink::createStacked(foreign));
  one_.start(fast());
  one_.networks().setDesired({segment(100)});
  EXPECT_TRUE(one_.until(notReady("VLANTaken"), seconds(10)));
  EXPECT_EQ(one_.networks().writes(), 0U);
  one_.run(netlink::deleteLink({0, "eth1.100"}));
  EXPECT_TRUE(one_.until(readyAsBridge, seconds(10)));
}

TEST_F(VlanNetns, GoneWithTheNetworkAndNothingElseWithIt) {
  wireNodes();
  serve(one_, {segment(100)});
  one_.networks().setDesired({});
  EXPECT_TRUE(eventually([&] {
    return one_.inner(vlanName(segment(100))).index == 0 &&
           one_.inner(bridgeName(segment(100))).index == 0;
  }));
  EXPECT_TRUE(one_.has("eth1"));
}

TEST_F(VlanNetns, ABridgesUplinkTakesATag) {
  wireNodes();
  api::BridgeSpec spec{"br-office", api::BridgeMode::Own, "eth1"};
  spec.vlan = 100;
  serve(one_, {asBridge(segment(100), spec)});
  serve(two_, {segment(100)});
  Node here("here");
  Node there("there");
  plug(one_, here, "pod0", asBridge(segment(100), spec), "10.60.0.1/24");
  plug(two_, there, "pod0", segment(100), "10.60.0.2/24");
  EXPECT_TRUE(reaches(here, there, "10.60.0.2", 7777, 1472));
  EXPECT_TRUE(reaches(one_, two_, "172.18.0.2", 7777));
}

TEST_F(VlanNetns, MacvlansStandOnATag) {
  wireNodes();
  const DesiredNetwork network = asMacvlan(segment(100), {"eth1", api::MacvlanMode::Bridge, 100});
  serve(one_, {network});
  serve(two_, {segment(100)});
  Node here("here");
  Node there("there");
  const std::string parent = parentOf(*one_.networks().snapshot()->find(kUid));
  one_.runInner(netlink::createMacvlan({.name = "net1",
                                        .parent = parent,
                                        .parentIndex = one_.inner(parent).index,
                                        .mode = MACVLAN_MODE_BRIDGE,
                                        .netns = here.netns().get(),
                                        .mac = MacAddress::derive("here"),
                                        .mtu = 1500}));
  here.address("net1", "10.60.0.1/24");
  here.up("net1");
  plug(two_, there, "pod0", segment(100), "10.60.0.2/24");
  EXPECT_TRUE(reaches(here, there, "10.60.0.2", 7777, 1472));
  EXPECT_TRUE(reaches(one_, two_, "172.18.0.2", 7777));
}

}  // namespace
}  // namespace multinet::agent::networks
