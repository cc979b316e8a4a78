// The node's side of VLANs: what is planned, refused and told.
#include <gtest/gtest.h>

#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/evaluate.h"
#include "nodeagent/networks/host_plan.h"
#include "nodeagent/networks/lifelines.h"
#include "nodeagent/networks/test_networks.h"

namespace multinet::agent::networks {
namespace {

using drivers::Host;

NetworksOptions options() {
  NetworksOptions result;
  result.node = NodeName("one");
  return result;
}

netlink::LinkInfo device(int index, const std::string& name, const std::string& kind = "") {
  netlink::LinkInfo link;
  link.index = index;
  link.name = name;
  link.kind = kind;
  link.mtu = 1500;
  link.up = true;
  link.carrier = true;
  return link;
}

DesiredNetwork segment(std::int32_t id = 100, const std::string& parent = "eth1") {
  return asVlan(testTunnel("office", "u-office"), {parent, id});
}

/// eth1 with the node's address, and a switch.
Host node() {
  Host host;
  host.links["eth1"] = device(3, "eth1");
  host.addresses[3] = {IpAddress::parse("10.0.0.1").value()};
  host.switchNetns = 99;
  return host;
}

netlink::LinkInfo ours(netlink::LinkInfo link) {
  link.alias = networkAlias(segment().uid);
  return link;
}

Host serving() {
  Host host = node();
  auto bridge = ours(device(5, bridgeName(segment()), "bridge"));
  bridge.mac = bridgeMac(NodeName("one"), segment().uid);
  host.inner.links[bridge.name] = bridge;
  auto port = ours(device(7, vlanName(segment()), "vlan"));
  port.vlanId = 100;
  port.lower = 3;
  port.lowerNetns = 0;
  port.master = 5;
  host.inner.links[port.name] = port;
  return host;
}

std::vector<std::string> steps(const DesiredNetwork& network, const Host& host) {
  std::vector<std::string> texts;
  for (const HostStep& step : planHost({network}, host, Guard::Refused, options()).steps) {
    for (const netlink::Request& request : step.requests) texts.push_back(request.what);
  }
  return texts;
}

std::string refused(const DesiredNetwork& network, const Host& host) {
  const auto served = judge({network}, host, "eth0");
  return served.at(0).refusal ? served[0].refusal->reason : "";
}

TEST(Vlan, ConvergedPlansNothing) {
  EXPECT_TRUE(steps(segment(), serving()).empty());
}

TEST(Vlan, TheDeviceIsMadeFromTheNodesSideAndBecomesAPort) {
  Host host = serving();
  const std::string port = vlanName(segment());
  host.inner.links.erase(port);
  EXPECT_EQ(steps(segment(), host),
            (std::vector<std::string>{"create vlan " + port + " on eth1", "mark link " + port,
                                      "set bridge of link " + port}));
  const auto plan = planHost({segment()}, host, Guard::Refused, options());
  EXPECT_EQ(plan.steps[0].place, Place::Node);
  EXPECT_EQ(plan.steps[1].place, Place::Switch);
}

TEST(Vlan, OneOfAnotherTagOrParentIsMadeAnew) {
  const std::string port = vlanName(segment());
  Host host = serving();
  host.inner.links[port].vlanId = 101;
  EXPECT_EQ(steps(segment(), host), std::vector<std::string>{"delete link " + port});
  host = serving();
  host.inner.links[port].lower = 4;  // the NIC was taken out and put in again
  EXPECT_EQ(steps(segment(), host), std::vector<std::string>{"delete link " + port});
}

TEST(Vlan, ATagCostsNoMtu) {
  Host host = node();
  host.links["eth1"].mtu = 9000;
  EXPECT_EQ(placementOf(segment(), host, "eth0").mtu, 9000U);
  DesiredNetwork large = segment();
  large.mtu = 9001;
  EXPECT_EQ(placementOf(large, host, "eth0").parent.reason, "PathMTUTooSmall");
}

TEST(Vlan, TheParentStaysTheNodes) {
  EXPECT_EQ(refused(segment(), node()), "") << "with its addresses";
  EXPECT_FALSE(detailFor({segment()}, node()).routes);
  Host host = serving();
  host.links["eth1"].up = false;
  host.inner.links[vlanName(segment())].up = false;
  EXPECT_TRUE(steps(segment(), host).empty()) << "nobody but the node takes it up";
}

TEST(Vlan, ASegmentOfSomebodyElsesIsLeftToHim) {
  Host host = node();
  host.links["eth1.100"] = device(9, "eth1.100", "vlan");
  host.links["eth1.100"].vlanId = 100;
  host.links["eth1.100"].lower = 3;
  EXPECT_EQ(refused(segment(), host), "VLANTaken");
  EXPECT_EQ(refused(segment(101), host), "");
  EXPECT_TRUE(steps(judge({segment()}, host, "eth0").at(0), host).empty());
  EXPECT_EQ(refused(segment(5, "eth1.100"), host), "") << "a tag within a tag";
}

TEST(Vlan, TwoNetworksCantHaveOneSegment) {
  DesiredNetwork second = segment();
  second.uid = NetworkUid("u-second");
  second.name = NetworkName("second");
  const auto served = judge({segment(), second}, node(), "eth0");
  EXPECT_FALSE(served.at(0).refusal);
  ASSERT_TRUE(served.at(1).refusal);
  EXPECT_NE(served[1].refusal->message.find("VLAN 100 of device eth1"), std::string::npos)
      << served[1].refusal->message;
}

TEST(Vlan, PodsKeepTheirWayToTheNode) {
  DesiredNetwork network = segment();
  network.subnets = {IpPrefix::parse("10.0.0.0/24").value()};
  Host host = node();
  host.links["eth0"] = device(2, "eth0");
  host.addresses[2] = {IpAddress::parse("10.0.0.1").value()};
  EXPECT_EQ(refused(network, host), "RangeInUse") << "the node isn't on that segment";
}

TEST(Vlan, ReadinessSaysWhatIsMissing) {
  const auto state = [](const Host& host) { return evaluate(segment(), host, {}, options()); };
  EXPECT_EQ(state(serving()).ready, CheckStatus::True);
  EXPECT_EQ(parentOf(state(serving())), bridgeName(segment()));
  EXPECT_EQ(state(serving()).type, api::NetworkType::Vlan);
  Host host = serving();
  host.inner.links.erase(vlanName(segment()));
  EXPECT_EQ(state(host).reason, "LinkMissing");
  EXPECT_FALSE(state(host).link);
  host = serving();
  host.links.erase("eth1");
  EXPECT_EQ(state(host).reason, "DeviceMissing");
  host = serving();
  host.links["eth1"].master = 9;
  EXPECT_EQ(state(host).reason, "DeviceEnslaved");
}

TEST(VlanOfABridge, TheUplinkKeepsItsAddresses) {
  api::BridgeSpec spec{"br-office", api::BridgeMode::Own, "eth1"};
  EXPECT_EQ(refused(asBridge(segment(), spec), node()), "DeviceInUse");
  spec.vlan = 100;
  const DesiredNetwork network = asBridge(segment(), spec);
  EXPECT_EQ(refused(network, node()), "");
  Host host = node();
  auto bridge = ours(device(5, "br-office", "bridge"));
  bridge.mac = bridgeMac(NodeName("one"), network.uid);
  host.inner.links[bridge.name] = bridge;
  const std::string port = vlanName(network);
  EXPECT_EQ(port, vlanName(segment())) << "the same device as the type's";
  EXPECT_EQ(steps(network, host).at(0), "create vlan " + port + " on eth1");
  host.inner.links[port] = serving().inner.links.at(port);
  EXPECT_TRUE(steps(network, host).empty());
  EXPECT_EQ(parentOf(evaluate(network, host, {}, options())), "br-office");
  const auto served = judge({network, segment()}, node(), "eth0");
  EXPECT_TRUE(served.at(1).refusal) << "one network has the segment";
}

TEST(VlanOfAMacvlan, PodsStandOnAVlanDeviceInTheSwitch) {
  const DesiredNetwork network = asMacvlan(segment(), {"eth1", api::MacvlanMode::Passthru, 100});
  EXPECT_EQ(refused(network, node()), "") << "it has its segment alone, not the device";
  const std::string name = linksOf(network, node(), Place::Switch).at(0);
  Host host = node();
  EXPECT_EQ(steps(network, host),
            (std::vector<std::string>{"create vlan " + name + " on eth1", "mark link " + name}));
  EXPECT_EQ(evaluate(network, host, {}, options()).reason, "LinkMissing");
  auto made = ours(device(7, name, "vlan"));
  made.vlanId = 100;
  made.lower = 3;
  made.up = false;
  host.inner.links[name] = made;
  EXPECT_EQ(steps(network, host), std::vector<std::string>{"set link " + name + " up"});
  host.inner.links[name].up = true;
  EXPECT_TRUE(steps(network, host).empty());
  const NetworkState state = evaluate(network, host, {}, options());
  EXPECT_EQ(state.ready, CheckStatus::True);
  ASSERT_TRUE(state.link);
  EXPECT_EQ(*state.link, Link(drivers::macvlan::Link{name, api::MacvlanMode::Passthru, 100}));
  EXPECT_EQ(traitsOf(*state.link).parentAt, Place::Switch);
  DesiredNetwork small = network;
  small.mtu = 1300;
  EXPECT_TRUE(steps(small, host).empty()) << "what runs on it isn't shrunk";
  EXPECT_FALSE(planHost({}, host, Guard::Refused, options()).steps.empty());
}

}  // namespace
}  // namespace multinet::agent::networks
