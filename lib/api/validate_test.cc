// Each rule for objects, by the bad input that it refuses: path, wrong value, reason, right value.
#include "lib/api/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "lib/api/test_objects.h"

namespace multinet::api {
namespace {

using testing::goodAttachment;
using testing::goodCatalog;
using testing::goodNetwork;
using testing::otherNetwork;

std::string all(const Violations& violations) {
  std::string out;
  for (const auto& violation : violations) out += violation.str() + "\n";
  return out;
}

struct BadNetwork {
  const char* name;
  std::function<void(PodNetwork&)> spoil;
  const char* sentence;  // as people read it
  const char* reason;
};

Subnet& subnetOf(PodNetwork& network) {
  return network.spec.ipam.subnets.at(0);
}

void cidr(PodNetwork& network, const char* text) {
  network.spec.routes.clear();
  network.spec.ipam.subnets = {{text, "", {}, std::nullopt}};
}

void vxlan(PodNetwork& network, VxlanSpec spec) {
  network.spec.type = NetworkType::Vxlan;
  network.spec.bridge.reset();
  network.spec.vxlan = std::move(spec);
}

void vlan(PodNetwork& network, std::int32_t id) {
  network.spec.type = NetworkType::Vlan;
  network.spec.bridge.reset();
  network.spec.vlan = VlanSpec{"eth1", id};
}

void ipvlan(PodNetwork& network, IpvlanMode mode) {
  network.spec.type = NetworkType::IPVlan;
  network.spec.bridge.reset();
  network.spec.ipvlan = IpvlanSpec{"eth1", mode};
}

const std::vector<BadNetwork> kBadNetworks{
    {"ipvlan on no device",
     [](auto& n) {
       ipvlan(n, IpvlanMode::L2);
       n.spec.ipvlan->parent = "lo";
     },
     "spec.ipvlan.parent: \"lo\"", "InvalidDeviceName"},
    {"a bridge with a word of the kernel's for all", [](auto& n) { n.spec.bridge->name = "all"; },
     "spec.bridge.name: \"all\" is no device's name; write 1 to 15 of A-Z, a-z, 0-9, '.', '_' and "
     "'-', and not lo, all or default",
     "InvalidDeviceName"},
    {"ipvlan of another type", [](auto& n) { n.spec.ipvlan = IpvlanSpec{"eth1", IpvlanMode::L3}; },
     "spec.ipvlan: \"ipvlan\" belongs to type IPVlan, the type is Bridge", "UnionMemberMismatch"},
    {"no ipvlan",
     [](auto& n) {
       ipvlan(n, IpvlanMode::L2);
       n.spec.ipvlan.reset();
     },
     "spec.ipvlan: is missing, the type is IPVlan; write spec.ipvlan", "UnionMemberMissing"},
    {"VLAN 0", [](auto& n) { vlan(n, 0); },
     "spec.vlan.id: \"0\" is out of range; write a number from 1 to 4094", "VLANOutOfRange"},
    {"VLAN 4095", [](auto& n) { vlan(n, 4095); },
     "spec.vlan.id: \"4095\" is out of range; write a number from 1 to 4094", "VLANOutOfRange"},
    {"VLAN on no device",
     [](auto& n) {
       vlan(n, 100);
       n.spec.vlan->parent = "lo";
     },
     "spec.vlan.parent: \"lo\"", "InvalidDeviceName"},
    {"VLAN of another type", [](auto& n) { n.spec.vlan = VlanSpec{"eth1", 100}; },
     "spec.vlan: \"vlan\" belongs to type VLAN, the type is Bridge; write spec.bridge only",
     "UnionMemberMismatch"},
    {"a tag on no uplink", [](auto& n) { n.spec.bridge->vlan = 100; },
     "spec.bridge.vlan: \"100\" is a tag on no uplink; name the uplink, or leave the vlan out",
     "VLANWithoutUplink"},
    {"a tag out of range on an uplink",
     [](auto& n) {
       n.spec.bridge->uplink = "eth1";
       n.spec.bridge->vlan = 5000;
     },
     "spec.bridge.vlan: \"5000\" is out of range", "VLANOutOfRange"},
    {"a tag out of range under macvlans",
     [](auto& n) {
       n.spec.type = NetworkType::Macvlan;
       n.spec.bridge.reset();
       n.spec.macvlan = MacvlanSpec{"eth1", MacvlanMode::Bridge, 0};
     },
     "spec.macvlan.vlan: \"0\" is out of range", "VLANOutOfRange"},
    {"no VLAN",
     [](auto& n) {
       vlan(n, 100);
       n.spec.vlan.reset();
     },
     "spec.vlan: is missing, the type is VLAN; write spec.vlan", "UnionMemberMissing"},
    {"name with a dot", [](auto& n) { n.metadata.name = "a.b"; },
     "metadata.name: \"a.b\" can't name a network; write at most 63 of a-z, 0-9 and '-', which "
     "begins and ends with a letter or digit",
     "IllegalName"},
    {"name too long", [](auto& n) { n.metadata.name = std::string(64, 'a'); },
     "can't name a network", "IllegalName"},
    {"host bits", [](auto& n) { cidr(n, "10.20.0.1/16"); },
     "spec.ipam.subnets[0].cidr: \"10.20.0.1/16\" has host bits set; write 10.20.0.0/16",
     "HostBitsSet"},
    {"no CIDR", [](auto& n) { cidr(n, "banana"); },
     "spec.ipam.subnets[0].cidr: \"banana\" is no prefix of addresses; write ADDRESS/LENGTH",
     "InvalidCIDR"},
    {"loopback", [](auto& n) { cidr(n, "127.1.0.0/16"); }, "holds loopback addresses",
     "SpecialCIDR"},
    {"a prefix around loopback", [](auto& n) { cidr(n, "126.0.0.0/7"); },
     "holds loopback addresses", "SpecialCIDR"},
    {"multicast", [](auto& n) { cidr(n, "224.1.0.0/16"); }, "holds multicast addresses",
     "SpecialCIDR"},
    {"IPv6 multicast", [](auto& n) { cidr(n, "ff05::/64"); }, "holds multicast addresses",
     "SpecialCIDR"},
    {"link-local", [](auto& n) { cidr(n, "169.254.0.0/16"); }, "holds link-local addresses",
     "SpecialCIDR"},
    {"IPv6 link-local", [](auto& n) { cidr(n, "fe80::/64"); }, "holds link-local addresses",
     "SpecialCIDR"},
    {"IPv6 loopback", [](auto& n) { cidr(n, "::1/128"); }, "holds loopback addresses",
     "SpecialCIDR"},
    {"unspecified", [](auto& n) { cidr(n, "0.0.0.0/24"); }, "holds unspecified addresses",
     "SpecialCIDR"},
    {"subnets overlap",
     [](auto& n) { n.spec.ipam.subnets.push_back({"10.20.4.0/24", "", {}, {}}); },
     "spec.ipam.subnets[2].cidr: \"10.20.4.0/24\" overlaps 10.20.0.0/16 of spec.ipam.subnets[0]; "
     "write subnets that share no address",
     "OverlappingSubnets"},
    {"gateway outside", [](auto& n) { subnetOf(n).gateway = "10.21.0.1"; },
     "spec.ipam.subnets[0].gateway: \"10.21.0.1\" lies outside its subnet 10.20.0.0/16; write one "
     "of it, such as 10.20.0.1, or leave it out",
     "GatewayOutsideSubnet"},
    {"gateway of the other family", [](auto& n) { subnetOf(n).gateway = "fd00:20::1"; },
     "lies outside its subnet", "GatewayOutsideSubnet"},
    {"gateway is the network address", [](auto& n) { subnetOf(n).gateway = "10.20.0.0"; },
     "is the network address of 10.20.0.0/16", "GatewayReserved"},
    {"gateway is the broadcast address", [](auto& n) { subnetOf(n).gateway = "10.20.255.255"; },
     "is the broadcast address of 10.20.0.0/16", "GatewayReserved"},
    {"gateway is the anycast address",
     [](auto& n) { n.spec.ipam.subnets[1].gateway = "fd00:20::"; },
     "spec.ipam.subnets[1].gateway: \"fd00:20::\" is the subnet-router anycast address",
     "GatewayReserved"},
    {"gateway is no address", [](auto& n) { subnetOf(n).gateway = "router"; }, "is no address",
     "InvalidGateway"},
    {"exclude outside", [](auto& n) { subnetOf(n).exclude = {"10.20.0.0/28", "10.21.0.0/28"}; },
     "spec.ipam.subnets[0].exclude[1]: \"10.21.0.0/28\" lies outside its subnet 10.20.0.0/16; "
     "write a part of 10.20.0.0/16",
     "ExcludeOutsideSubnet"},
    {"exclude with host bits", [](auto& n) { subnetOf(n).exclude = {"10.20.0.1/28"}; },
     "spec.ipam.subnets[0].exclude[0]: \"10.20.0.1/28\" has host bits set; write 10.20.0.0/28",
     "HostBitsSet"},
    {"exclude of everything in other words",
     [](auto& n) { n.spec.ipam.subnets[1].exclude = {"fd00:20:0::/64"}; },
     "is all of the subnet in other words; write fd00:20::/64", "NoUsableAddress"},
    {"blockSize shorter than the prefix", [](auto& n) { subnetOf(n).blockSize = 12; },
     "spec.ipam.subnets[0].blockSize: \"12\" is shorter than the prefix of 10.20.0.0/16; write a "
     "length from 16 to 32",
     "InvalidBlockSize"},
    {"blockSize beyond the family", [](auto& n) { subnetOf(n).blockSize = 33; },
     "is longer than an IPv4 address", "InvalidBlockSize"},
    {"VNI zero", [](auto& n) { vxlan(n, {0, {}, {}}); },
     "spec.vxlan.vni: \"0\" is out of range; write a number from 1 to 16777215", "VNIOutOfRange"},
    {"VNI too large", [](auto& n) { vxlan(n, {16777216, {}, {}}); }, "is out of range",
     "VNIOutOfRange"},
    {"port of the system", [](auto& n) { vxlan(n, {5, 53, {}}); }, "spec.vxlan.port: \"53\"",
     "PortReserved"},
    {"last port of the system", [](auto& n) { vxlan(n, {5, 1023, {}}); },
     "leave it out for 4799, or write a number from 1024 to 65535", "PortReserved"},
    {"port zero", [](auto& n) { vxlan(n, {5, 0, {}}); }, "spec.vxlan.port: \"0\"",
     "PortOutOfRange"},
    {"port too large", [](auto& n) { vxlan(n, {5, 65536, {}}); }, "spec.vxlan.port: \"65536\"",
     "PortOutOfRange"},
    {"union member missing", [](auto& n) { n.spec.bridge.reset(); },
     "spec.bridge: is missing, the type is Bridge; write spec.bridge", "UnionMemberMissing"},
    {"two union members", [](auto& n) { n.spec.macvlan = MacvlanSpec{"eth1", {}}; },
     "spec.macvlan: \"macvlan\" belongs to type Macvlan, the type is Bridge; write spec.bridge "
     "only",
     "UnionMemberMismatch"},
    {"MTU too small",
     [](auto& n) {
       cidr(n, "10.20.0.0/16");
       n.spec.mtu = 575;
     },
     "spec.mtu: \"575\" is below the least that IPv4 needs; write a number from 576 to 65535",
     "MTUTooSmall"},
    {"MTU too small for IPv6", [](auto& n) { n.spec.mtu = 1279; },
     "spec.mtu: \"1279\" is below the least that IPv6 needs; write a number from 1280 to 65535",
     "MTUTooSmall"},
    {"MTU too large", [](auto& n) { n.spec.mtu = 65536; }, "is above the largest IP packet",
     "MTUTooLarge"},
    {"MTU too large for the tunnel",
     [](auto& n) {
       vxlan(n, {});
       n.spec.mtu = 65486;
     },
     "is above the largest IP packet less VXLAN's 50 bytes; write a number from 1280 to 65485",
     "MTUTooLarge"},
    {"route families mixed", [](auto& n) { n.spec.routes = {{"fd01::/64", "10.20.0.1"}}; },
     "spec.routes[0].via: \"10.20.0.1\" is an IPv4 address for the IPv6 destination fd01::/64; "
     "write an IPv6 address",
     "MixedFamilies"},
    {"route off link", [](auto& n) { n.spec.routes = {{"172.16.0.0/12", "10.99.0.1"}}; },
     "spec.routes[0].via: \"10.99.0.1\" lies on none of the network's subnets; write an address of "
     "10.20.0.0/16, fd00:20::/64",
     "RouteOffLink"},
    {"default route", [](auto& n) { n.spec.routes = {{"0.0.0.0/0", "10.20.0.1"}}; },
     "ask for it by defaultGateway", "DefaultRoute"},
    {"route with host bits", [](auto& n) { n.spec.routes = {{"172.16.0.1/12", ""}}; },
     "has host bits set; write 172.16.0.0/12", "InvalidRoute"},
    {"route to loopback", [](auto& n) { n.spec.routes = {{"127.0.0.0/8", ""}}; },
     "is a loopback, multicast or link-local range", "InvalidRoute"},
    {"route twice",
     [](auto& n) { n.spec.routes = {{"fd01::/64", ""}, {"FD01:0::/64", "fd00:20::1"}}; },
     "spec.routes[1].to: \"FD01:0::/64\" repeats spec.routes[0]", "DuplicateRoute"},
    {"route to nowhere", [](auto& n) { n.spec.routes = {{"lan", ""}}; },
     "spec.routes[0].to: \"lan\" is no prefix of addresses; write a prefix, such as 192.168.0.0/16",
     "InvalidRoute"},
    {"route to multicast", [](auto& n) { n.spec.routes = {{"ff02::/16", ""}}; },
     "is a loopback, multicast or link-local range", "InvalidRoute"},
    {"route to link-local", [](auto& n) { n.spec.routes = {{"169.254.0.0/16", ""}}; },
     "is a loopback, multicast or link-local range", "InvalidRoute"},
    {"route by no router", [](auto& n) { n.spec.routes = {{"172.16.0.0/12", "router"}}; },
     "spec.routes[0].via: \"router\" is no address; write a router's address on one of the "
     "network's subnets",
     "InvalidRoute"},
    {"route by a router without a subnet",
     [](auto& n) {
       n.spec.ipam.subnets.clear();
       n.spec.routes = {{"172.16.0.0/12", "10.20.0.1"}};
     },
     "lies on none of the network's subnets; give the network a subnet", "RouteOffLink"},
    {"device name of the loopback", [](auto& n) { n.spec.bridge->uplink = "lo"; },
     "spec.bridge.uplink: \"lo\" is no device's name", "InvalidDeviceName"},
    {"device name that begins with a dot", [](auto& n) { n.spec.bridge->name = ".br"; },
     "spec.bridge.name: \".br\" is no device's name", "InvalidDeviceName"},
    {"uplink is the bridge", [](auto& n) { n.spec.bridge->uplink = "br-blue"; },
     "spec.bridge.uplink: \"br-blue\" is the bridge itself", "UplinkIsBridge"},
    {"underlay's name", [](auto& n) { vxlan(n, {5, {}, Underlay{"a b"}}); },
     "spec.vxlan.underlay.interface: \"a b\"", "InvalidDeviceName"},
    {"macvlan without a parent",
     [](auto& n) {
       n.spec.type = NetworkType::Macvlan;
       n.spec.bridge.reset();
       n.spec.macvlan = MacvlanSpec{};
     },
     "spec.macvlan.parent: is no device's name", "InvalidDeviceName"},
    {"device name", [](auto& n) { n.spec.bridge->name = "br/blue"; },
     "spec.bridge.name: \"br/blue\" is no device's name", "InvalidDeviceName"},
    {"device name too long", [](auto& n) { n.spec.bridge->uplink = "sixteen-letters-"; },
     "spec.bridge.uplink", "InvalidDeviceName"},
    {"existing bridge without a name",
     [](auto& n) { n.spec.bridge = BridgeSpec{"", BridgeMode::Existing, ""}; },
     "spec.bridge.name: is missing, the mode is Existing", "BridgeNameMissing"},
    {"existing bridge with an uplink",
     [](auto& n) { n.spec.bridge = BridgeSpec{"br0", BridgeMode::Existing, "eth1"}; },
     "can't be given to a bridge that isn't ours", "UplinkOfExistingBridge"},
    {"selector missing", [](auto& n) { n.spec.access.namespaces.from = AccessFrom::Selector; },
     "spec.access.namespaces.selector: is missing", "SelectorMissing"},
    {"selector unused", [](auto& n) { n.spec.access.namespaces.selector = k8s::LabelSelector{}; },
     "write from: Selector, or leave the selector out", "SelectorUnused"},
    {"selector that matches no label",
     [](auto& n) {
       n.spec.access.namespaces = {AccessFrom::Selector, k8s::LabelSelector{{{"a b", "c"}}, {}}};
     },
     "\"a b\" is no label key", "InvalidSelector"},
};

TEST(ValidateNetwork, RefusesEachBadInputByItself) {
  for (const auto& bad : kBadNetworks) {
    PodNetwork network = goodNetwork();
    bad.spoil(network);
    const Report report = validate(network);
    ASSERT_EQ(report.violations.size(), 1U) << bad.name << ":\n" << all(report.violations);
    EXPECT_THAT(report.violations[0].str(), ::testing::HasSubstr(bad.sentence)) << bad.name;
    EXPECT_EQ(report.violations[0].reason, bad.reason) << bad.name;
  }
}

TEST(ValidateNetwork, TakesGoodOnes) {
  EXPECT_EQ(all(validate(goodNetwork()).violations), "");
  EXPECT_TRUE(validate(goodNetwork()).warnings.empty());
  for (const char* edge :
       {"10.0.0.0/31", "10.0.0.7/32", "fd00::/127", "fd00::5/128", "10.0.0.0/8"}) {
    PodNetwork network = goodNetwork();
    cidr(network, edge);
    EXPECT_EQ(all(validate(network).violations), "") << edge;
  }
  PodNetwork pair = goodNetwork();
  cidr(pair, "10.0.0.0/31");
  pair.spec.ipam.subnets[0].gateway = "10.0.0.0";  // RFC 3021: a /31 has no network address
  EXPECT_EQ(all(validate(pair).violations), "");
  PodNetwork bare = goodNetwork();
  bare.spec.ipam.subnets.clear();
  bare.spec.routes.clear();
  EXPECT_EQ(all(validate(bare).violations), "");
}

TEST(ValidateNetwork, RunsAllRules) {
  PodNetwork network = goodNetwork();
  network.spec.mtu = 1;
  subnetOf(network).gateway = "10.21.0.1";
  network.spec.macvlan = MacvlanSpec{"eth1", {}};
  EXPECT_EQ(validate(network).violations.size(), 3U) << all(validate(network).violations);
}

TEST(ValidateNetwork, WarnsOfOthersAddresses) {
  PodNetwork network = goodNetwork();
  cidr(network, "8.8.8.0/24");
  const Report report = validate(network);
  EXPECT_TRUE(report.ok()) << all(report.violations);
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_EQ(report.warnings[0].reason, "PublicAddresses");
}

TEST(ValidateNetwork, WarnsWherePodsMayForgeAddresses) {
  PodNetwork network = goodNetwork();
  for (const auto security : {PortSecurity::MacOnly, PortSecurity::Disabled}) {
    network.spec.portSecurity = security;
    const Report report = validate(network);
    EXPECT_TRUE(report.ok()) << all(report.violations);
    ASSERT_EQ(report.warnings.size(), 1U);
    EXPECT_EQ(report.warnings[0].reason, "AddressesForgeable");
    EXPECT_EQ(report.warnings[0].path, "spec.portSecurity");
  }
}

TEST(ValidateNetwork, WarnsOfPortsThatOthersHave) {
  for (const std::int32_t port : {4789, 8472, 6081, 51820, 30000, 40000}) {
    PodNetwork network = goodNetwork();
    vxlan(network, {5, port, {}});
    const Report report = validate(network);
    EXPECT_TRUE(report.ok()) << all(report.violations);
    ASSERT_EQ(report.warnings.size(), 1U) << port;
    EXPECT_EQ(report.warnings[0].reason, "PortShared");
  }
  PodNetwork network = goodNetwork();
  vxlan(network, {5, 4799, {}});
  EXPECT_TRUE(validate(network).warnings.empty());
}

TEST(ValidateNetwork, WhatOtherRulesAcceptedCanStillBeChangedElsewhere) {
  PodNetwork before = goodNetwork();
  vxlan(before, {5, 53, {}});
  PodNetwork after = before;
  after.spec.enabled = false;
  after.spec.join = JoinMode::Always;
  EXPECT_TRUE(validateUpdate(before, after).ok());
  after.spec.mtu = 65536;
  const Report report = validateUpdate(before, after);
  ASSERT_EQ(report.violations.size(), 1U);
  EXPECT_EQ(report.violations[0].path, "spec.mtu");
}

const std::vector<BadNetwork> kBadUpdates{
    {"type", [](auto& n) { vxlan(n, {}); }, "spec.type: \"VXLAN\" can't change; keep Bridge",
     "ImmutableField"},
    {"bridge name", [](auto& n) { n.spec.bridge->name = "br1"; },
     "spec.bridge.name: \"br1\" can't change; keep br-blue", "ImmutableField"},
    {"uplink", [](auto& n) { n.spec.bridge->uplink = "eth1"; },
     "spec.bridge.uplink: \"eth1\" can't change; leave it out", "ImmutableField"},
    {"subnet removed", [](auto& n) { n.spec.ipam.subnets.pop_back(); }, "lacks fd00:20::/64",
     "ImmutableField"},
    {"subnet changed", [](auto& n) { n.spec.ipam.subnets[1] = {"fd00:21::/64", "", {}, {}}; },
     "lacks fd00:20::/64", "ImmutableField"},
    {"blockSize", [](auto& n) { subnetOf(n).blockSize = 27; },
     "spec.ipam.subnets[0].blockSize: \"27\" can't change; keep 26", "ImmutableField"},
};

TEST(ValidateNetworkUpdate, RefusesWhatNeverChanges) {
  for (const auto& bad : kBadUpdates) {
    PodNetwork after = goodNetwork();
    bad.spoil(after);
    const Report report = validateUpdate(goodNetwork(), after);
    ASSERT_EQ(report.violations.size(), 1U) << bad.name << ":\n" << all(report.violations);
    EXPECT_THAT(report.violations[0].str(), ::testing::HasSubstr(bad.sentence)) << bad.name;
    EXPECT_EQ(report.violations[0].reason, bad.reason) << bad.name;
  }
  PodNetwork tunnel = goodNetwork();
  vxlan(tunnel, {7001, std::nullopt, std::nullopt});
  PodNetwork moved = tunnel;
  PodNetwork bare = tunnel;
  bare.spec.vxlan.reset();
  EXPECT_TRUE(validate(bare).ok()) << "all of its fields have defaults";
  EXPECT_EQ(validateUpdate(tunnel, bare).violations.front().path, "spec.vxlan.vni");
  tunnel.spec.vxlan = VxlanSpec{};
  EXPECT_TRUE(validateUpdate(tunnel, bare).ok()) << "the same, said in fewer words";
  tunnel.spec.vxlan = VxlanSpec{7001, std::nullopt, std::nullopt};
  moved.spec.vxlan = VxlanSpec{7002, 4799, Underlay{"eth1"}};
  EXPECT_EQ(validateUpdate(tunnel, moved).violations.size(), 3U);
  PodNetwork wire = goodNetwork();
  wire.spec.type = NetworkType::Macvlan;
  wire.spec.bridge.reset();
  wire.spec.macvlan = MacvlanSpec{"eth1", MacvlanMode::Bridge};
  PodNetwork rewired = wire;
  rewired.spec.macvlan = MacvlanSpec{"eth2", MacvlanMode::Vepa};
  EXPECT_EQ(validateUpdate(wire, rewired).violations.size(), 2U);
}

TEST(ValidateNetworkUpdate, ASegmentStaysWhatItIs) {
  PodNetwork before = goodNetwork();
  vlan(before, 100);
  PodNetwork after = before;
  after.spec.vlan = VlanSpec{"eth2", 101};
  EXPECT_EQ(validateUpdate(before, after).violations.size(), 2U);
  PodNetwork bridge = goodNetwork();
  bridge.spec.bridge->uplink = "eth1";
  PodNetwork tagged = bridge;
  tagged.spec.bridge->vlan = 100;
  EXPECT_EQ(validateUpdate(bridge, tagged).violations.at(0).path, "spec.bridge.vlan");
  PodNetwork macvlan = goodNetwork();
  macvlan.spec.type = NetworkType::Macvlan;
  macvlan.spec.bridge.reset();
  macvlan.spec.macvlan = MacvlanSpec{"eth1", MacvlanMode::Bridge, 100};
  PodNetwork retagged = macvlan;
  retagged.spec.macvlan->vlan = 101;
  EXPECT_EQ(validateUpdate(macvlan, retagged).violations.at(0).path, "spec.macvlan.vlan");
}

TEST(ValidateNetworkUpdate, AnIpvlanStaysWhatItIs) {
  PodNetwork before = goodNetwork();
  ipvlan(before, IpvlanMode::L2);
  PodNetwork after = before;
  after.spec.ipvlan = IpvlanSpec{"eth2", IpvlanMode::L3S};
  EXPECT_EQ(validateUpdate(before, after).violations.size(), 2U);
}

TEST(ValidateNetworkUpdate, TakesWhatMayChange) {
  PodNetwork after = goodNetwork();
  after.spec.enabled = false;
  after.spec.mtu = 1400;
  after.spec.routes.clear();
  after.spec.allow = {};
  after.spec.access.namespaces.from = AccessFrom::None;
  after.spec.ipam.subnets.insert(after.spec.ipam.subnets.begin(), {"10.21.0.0/16", "", {}, {}});
  after.spec.ipam.subnets[1].gateway = "10.20.0.2";
  after.spec.ipam.subnets[1].exclude.clear();
  EXPECT_EQ(all(validateUpdate(goodNetwork(), after).violations), "");
}

TEST(ValidateNetworkUpdate, ASubnetGoesOnceItIsExcludedAndNobodyHasABlockOfIt) {
  PodNetwork before = goodNetwork();
  PodNetwork after = before;
  after.spec.ipam.subnets.pop_back();
  const auto said = [&] { return all(validateUpdate(before, after).violations); };
  EXPECT_THAT(said(), ::testing::HasSubstr("exclude all of it (exclude: [fd00:20::/64])"));
  before.status.removableSubnets = {"fd00:20::/64"};
  EXPECT_NE(said(), "") << "in use again since that was written";
  before.spec.ipam.subnets[1].exclude = {"fd00:20::/64"};
  EXPECT_EQ(said(), "");
  const Report report = validate(before);
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_EQ(report.warnings[0].path, "spec.ipam.subnets[1].exclude");
  before.status.removableSubnets.clear();
  EXPECT_NE(said(), "") << "blocks of it are leased";
}

std::vector<std::string> reasons(const Violations& violations) {
  std::vector<std::string> out;
  for (const auto& violation : violations) out.push_back(violation.reason);
  return out;
}

TEST(Conflicts, AreWhatTwoNetworksCannotShare) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  const auto tunnel = [](const char* name, std::optional<int> vni) {
    PodNetwork network = goodNetwork(name);
    vxlan(network, {vni, {}, {}});
    return network;
  };
  EXPECT_THAT(reasons(conflicts(tunnel("a", 5), tunnel("b", 6))), IsEmpty());
  EXPECT_THAT(reasons(conflicts(tunnel("a", {}), tunnel("b", {}))), IsEmpty());
  EXPECT_THAT(reasons(conflicts(tunnel("a", 5), tunnel("b", 5))),
              ElementsAre("VNITaken", "OverlappingNetworks", "OverlappingNetworks"));
  PodNetwork allocated = tunnel("b", {});
  allocated.status.vni = 5;
  EXPECT_EQ(conflicts(tunnel("a", 5), allocated).at(0).str(),
            "spec.vxlan.vni: \"5\" is taken by network \"b\"; choose another");

  // Overlapping subnets on different wires are isolated from each other.
  EXPECT_THAT(reasons(conflicts(goodNetwork("a"), goodNetwork("b"))), IsEmpty());
  PodNetwork same = otherNetwork("b", 50);
  same.spec.bridge->name = "br-a";
  EXPECT_THAT(reasons(conflicts(goodNetwork("a"), same)), ElementsAre("BridgeTaken"));

  const auto wire = [](const char* name, int second, MacvlanMode mode) {
    PodNetwork network = otherNetwork(name, second);
    network.spec.type = NetworkType::Macvlan;
    network.spec.bridge.reset();
    network.spec.macvlan = MacvlanSpec{"eth1", mode};
    return network;
  };
  EXPECT_THAT(
      reasons(conflicts(wire("a", 50, MacvlanMode::Bridge), wire("b", 51, MacvlanMode::Bridge))),
      IsEmpty());
  EXPECT_THAT(
      reasons(conflicts(wire("a", 50, MacvlanMode::Bridge), wire("b", 50, MacvlanMode::Bridge))),
      ElementsAre("OverlappingNetworks", "OverlappingNetworks"));
  EXPECT_THAT(
      reasons(conflicts(wire("a", 50, MacvlanMode::Passthru), wire("b", 51, MacvlanMode::Bridge))),
      ElementsAre("DeviceTaken"));
  PodNetwork uplink = otherNetwork("b", 51);
  uplink.spec.bridge->uplink = "eth1";
  EXPECT_THAT(reasons(conflicts(wire("a", 50, MacvlanMode::Bridge), uplink)),
              ElementsAre("DeviceTaken"));
  EXPECT_THAT(reasons(conflicts(uplink, wire("a", 50, MacvlanMode::Bridge))),
              ElementsAre("DeviceTaken"));
}

/// Whoever looks for conflicts need not look at all pairs.
TEST(Conflicts, AreOnlyWhereOneHasWhatTheOtherMeets) {
  std::vector<PodNetwork> networks;
  const auto add = [&](auto&& change) {
    PodNetwork network = goodNetwork("n" + std::to_string(networks.size()));
    network.spec.bridge.reset();
    change(network);
    networks.push_back(std::move(network));
  };
  for (const int vni : {5, 6}) {
    add([&](PodNetwork& network) { network.spec.vxlan = VxlanSpec{vni, {}, {}}; });
    add([&](PodNetwork& network) {
      network.spec.vxlan = VxlanSpec{};
      network.status.vni = vni;
    });
  }
  for (const std::string device : {"eth1", "eth2"}) {
    for (const std::optional<std::int32_t> tag : {std::optional<std::int32_t>(), {{7}}, {{8}}}) {
      for (const auto mode : {MacvlanMode::Bridge, MacvlanMode::Passthru}) {
        add([&](PodNetwork& network) { network.spec.macvlan = MacvlanSpec{device, mode, tag}; });
      }
      add([&](PodNetwork& network) {
        network.spec.bridge = BridgeSpec{"br", BridgeMode::Own, device, tag};
      });
    }
    add([&](PodNetwork& network) { network.spec.vlan = VlanSpec{device, 7}; });
    add([&](PodNetwork& network) { network.spec.ipvlan = IpvlanSpec{device, IpvlanMode::L2}; });
    add([&](PodNetwork& network) { network.spec.ipvlan = IpvlanSpec{device, IpvlanMode::L3}; });
  }
  int alone = 0;
  for (const auto& one : networks) {
    for (const auto& other : networks) {
      if (&one == &other) continue;
      const auto meets = contention(one).meets;
      const auto has = contention(other).has;
      const bool meet = std::ranges::find_first_of(meets, has) != meets.end();
      EXPECT_TRUE(meet || conflicts(one, other).empty())
          << one.metadata.name << " and " << other.metadata.name;
      alone += meet ? 0 : 1;
    }
  }
  EXPECT_GT(alone, 100) << "else all pairs would have to be looked at";
}

TEST(Conflicts, ASegmentIsOneNetworksAndLeavesTheRestOfTheDevice) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  const auto segment = [](const char* name, int second, std::int32_t id) {
    PodNetwork network = otherNetwork(name, second);
    vlan(network, id);
    return network;
  };
  const auto macvlan = [](const char* name, int second, MacvlanMode mode) {
    PodNetwork network = otherNetwork(name, second);
    network.spec.type = NetworkType::Macvlan;
    network.spec.bridge.reset();
    network.spec.macvlan = MacvlanSpec{"eth1", mode};
    return network;
  };
  EXPECT_THAT(reasons(conflicts(segment("a", 50, 100), segment("b", 50, 101))), IsEmpty())
      << "other wires, whatever their subnets";
  const auto same = conflicts(segment("a", 50, 100), segment("b", 51, 100));
  ASSERT_THAT(reasons(same), ElementsAre("VLANTaken"));
  EXPECT_EQ(same[0].str(),
            "spec.vlan.id: \"100\" is taken by network \"b\" on device \"eth1\"; choose another");
  EXPECT_THAT(reasons(conflicts(segment("a", 50, 100), macvlan("b", 50, MacvlanMode::Bridge))),
              IsEmpty());
  const auto whole = conflicts(segment("a", 50, 100), macvlan("b", 51, MacvlanMode::Passthru));
  ASSERT_THAT(reasons(whole), ElementsAre("DeviceTaken"));
  EXPECT_EQ(whole[0].path, "spec.vlan.parent");
  PodNetwork uplink = otherNetwork("b", 51);
  uplink.spec.bridge->uplink = "eth1";
  EXPECT_THAT(reasons(conflicts(uplink, segment("a", 50, 100))), ElementsAre("DeviceTaken"));
  uplink.spec.bridge->vlan = 100;
  EXPECT_THAT(reasons(conflicts(uplink, segment("a", 50, 100))), ElementsAre("VLANTaken"));
  EXPECT_THAT(reasons(conflicts(uplink, segment("a", 51, 101))), IsEmpty());
  EXPECT_THAT(reasons(conflicts(uplink, macvlan("a", 51, MacvlanMode::Private))), IsEmpty());
  PodNetwork tagged = macvlan("a", 50, MacvlanMode::Private);
  tagged.spec.macvlan->vlan = 100;
  EXPECT_THAT(reasons(conflicts(tagged, uplink)), ElementsAre("VLANTaken"));
  PodNetwork second = macvlan("c", 52, MacvlanMode::Private);
  second.spec.macvlan->vlan = 100;
  EXPECT_THAT(reasons(conflicts(tagged, second)), ElementsAre("VLANTaken"))
      << "each has a VLAN device of its own, and the kernel makes one of a tag";
  tagged.spec.macvlan->mode = MacvlanMode::Passthru;
  EXPECT_THAT(reasons(conflicts(tagged, macvlan("b", 51, MacvlanMode::Bridge))), IsEmpty());
}

TEST(Conflicts, ADeviceCarriesIpvlansOfOneMode) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  const auto shared = [](const char* name, int second, IpvlanMode mode) {
    PodNetwork network = otherNetwork(name, second);
    ipvlan(network, mode);
    return network;
  };
  EXPECT_THAT(reasons(conflicts(shared("a", 50, IpvlanMode::L3), shared("b", 51, IpvlanMode::L3))),
              IsEmpty());
  EXPECT_THAT(reasons(conflicts(shared("a", 50, IpvlanMode::L2), shared("b", 50, IpvlanMode::L2))),
              ElementsAre("OverlappingNetworks", "OverlappingNetworks"));
  const auto modes = conflicts(shared("a", 50, IpvlanMode::L2), shared("b", 51, IpvlanMode::L3S));
  ASSERT_THAT(reasons(modes), ElementsAre("DeviceTaken"));
  EXPECT_EQ(
      modes[0].str(),
      "spec.ipvlan.parent: \"eth1\" carries ipvlan L3S for network \"b\", and a device carries "
      "one kind and mode only, not ipvlan L2 besides; choose another device, or the same type "
      "and mode");
  PodNetwork macvlan = otherNetwork("b", 51);
  macvlan.spec.type = NetworkType::Macvlan;
  macvlan.spec.bridge.reset();
  macvlan.spec.macvlan = MacvlanSpec{"eth1", MacvlanMode::Bridge};
  EXPECT_THAT(reasons(conflicts(shared("a", 50, IpvlanMode::L2), macvlan)),
              ElementsAre("DeviceTaken"));
  macvlan.spec.macvlan->vlan = 100;
  EXPECT_THAT(reasons(conflicts(shared("a", 50, IpvlanMode::L2), macvlan)), IsEmpty());
  PodNetwork uplink = otherNetwork("b", 51);
  uplink.spec.bridge->uplink = "eth1";
  EXPECT_THAT(reasons(conflicts(uplink, shared("a", 50, IpvlanMode::L2))),
              ElementsAre("DeviceTaken"));
}

TEST(Conflicts, TheOlderKeepsItsPlace) {
  PodNetwork first = goodNetwork("a");
  PodNetwork second = goodNetwork("b");
  first.metadata.creationTimestamp = WallTime{std::chrono::seconds(2)};
  second.metadata.creationTimestamp = WallTime{std::chrono::seconds(1)};
  EXPECT_TRUE(keepsPlace(second, first));
  EXPECT_FALSE(keepsPlace(first, second));
  second.metadata.creationTimestamp = first.metadata.creationTimestamp;
  EXPECT_TRUE(keepsPlace(first, second));  // uid-a < uid-b
  second.metadata.creationTimestamp.reset();
  EXPECT_TRUE(keepsPlace(first, second));
}

struct BadAttachment {
  const char* name;
  std::function<void(PodNetworkAttachment&, FakeCatalog&)> spoil;
  const char* sentence;
  const char* reason;
};

const std::vector<BadAttachment> kBadAttachments{
    {"unknown network", [](auto& a, auto&) { a.spec.podNetworkName = "pink"; },
     "spec.podNetworkName: \"pink\" names no PodNetwork", "NetworkNotFound"},
    {"illegal network", [](auto& a, auto&) { a.spec.podNetworkName = "ns/blue"; },
     "is no PodNetwork's name", "IllegalName"},
    {"not granted",
     [](auto&, auto& c) { c.networks.at("red").spec.access.namespaces.from = AccessFrom::None; },
     "spec.podNetworkName: \"red\" is open to no namespace; have the admin grant namespace "
     "\"default\"",
     "NamespaceNotGranted"},
    {"not selected",
     [](auto&, auto& c) {
       c.networks.at("red").spec.access.namespaces = {AccessFrom::Selector,
                                                      k8s::LabelSelector{{{"team", "b"}}, {}}};
     },
     "isn't open to namespace \"default\"", "NamespaceNotGranted"},
    {"namespace unknown",
     [](auto&, auto& c) {
       c.networks.at("red").spec.access.namespaces = {AccessFrom::Selector, k8s::LabelSelector{}};
       c.namespaces.clear();
     },
     "namespace \"default\" isn't known yet", "NamespaceUnknown"},
    {"MTU above the network's", [](auto& a, auto&) { a.spec.mtu = 1451; },
     "spec.mtu: \"1451\" is above what network \"red\" carries; write a number from 1280 to 1450",
     "MTUTooLarge"},
    {"MTU too small", [](auto& a, auto&) { a.spec.mtu = 600; }, "IPv6 needs", "MTUTooSmall"},
    {"routes not allowed",
     [](auto& a, auto& c) {
       a.spec.routes = {{"172.16.0.0/12", "10.30.0.1"}};
       c.networks.at("red").spec.allow.routes = false;
     },
     "spec.routes: \"172.16.0.0/12\" isn't allowed by network \"red\"", "NotAllowed"},
    {"route families mixed", [](auto& a, auto&) { a.spec.routes = {{"fd01::/64", "10.30.0.1"}}; },
     "spec.routes[0].via: \"10.30.0.1\" is an IPv4 address", "MixedFamilies"},
    {"default gateway not allowed",
     [](auto& a, auto& c) {
       a.spec.defaultGateway = DefaultGateway::Dual;
       c.networks.at("red").spec.allow.defaultGateway = false;
     },
     "spec.defaultGateway: \"Dual\" isn't allowed", "NotAllowed"},
    {"no gateway of the family",
     [](auto& a, auto& c) {
       a.spec.defaultGateway = DefaultGateway::IPv6;
       c.networks.at("red").spec.ipam.subnets[1].gateway.clear();
     },
     "needs an IPv6 gateway, and network \"red\" has none", "GatewayMissing"},
};

TEST(ValidateAttachment, RefusesEachBadInputByItself) {
  for (const auto& bad : kBadAttachments) {
    PodNetworkAttachment attachment = goodAttachment("nas", "red");
    FakeCatalog catalog = goodCatalog();
    bad.spoil(attachment, catalog);
    const Report report = validate(attachment, catalog);
    ASSERT_EQ(report.violations.size(), 1U) << bad.name << ":\n" << all(report.violations);
    EXPECT_THAT(report.violations[0].str(), ::testing::HasSubstr(bad.sentence)) << bad.name;
    EXPECT_EQ(report.violations[0].reason, bad.reason) << bad.name;
  }
}

TEST(ValidateAttachment, RefusesBadInterfaceNames) {
  for (const char* name : {"sixteen-letters-", "lo", "eth0", "default", "a/b", "a%b", "net*",
                           "a\"b", "a b", "-a", ".", "..", "a\xc3\xa9"}) {
    PodNetworkAttachment attachment = goodAttachment("nas", "red");
    attachment.spec.interfaceName = name;
    const Report report = validate(attachment, goodCatalog());
    ASSERT_EQ(report.violations.size(), 1U) << name;
    EXPECT_EQ(report.violations[0].path, "spec.interfaceName");
    EXPECT_EQ(report.violations[0].value, name);
    EXPECT_EQ(report.violations[0].reason, "InvalidInterfaceName");
  }
}

TEST(ValidateAttachment, TakesGoodOnesAndWarns) {
  PodNetworkAttachment attachment = goodAttachment("nas", "red");
  attachment.spec.interfaceName = "fifteen.letters";
  attachment.spec.mtu = 1300;
  attachment.spec.routes = {{"172.16.0.0/12", "10.30.0.1"}};
  EXPECT_EQ(all(validate(attachment, goodCatalog()).violations), "");
  EXPECT_TRUE(validate(attachment, goodCatalog()).warnings.empty());
  attachment.spec.defaultGateway = DefaultGateway::Dual;
  EXPECT_EQ(reasons(validate(attachment, goodCatalog()).warnings),
            std::vector<std::string>{"DefaultGatewayMoved"});
}

TEST(ValidateAttachmentUpdate, KeepsTheNetwork) {
  const auto before = goodAttachment("nas", "red");
  auto after = goodAttachment("nas", "blue");
  EXPECT_EQ(reasons(validateUpdate(before, after, goodCatalog()).violations),
            std::vector<std::string>{"ImmutableField"});
  after = before;
  after.spec.interfaceName = "san0";
  EXPECT_TRUE(validateUpdate(before, after, goodCatalog()).ok());
}

TEST(ToError, LeadsWithWhatCannotHeal) {
  const Violation passing{"a", "b", "isn't Ready", "wait", "NotReady", Code::FailedPrecondition};
  const Violation lasting{"c", "", "is missing", "", "Missing", Code::InvalidArgument};
  EXPECT_EQ(toError({passing, lasting}),
            (Error{Code::InvalidArgument, "Missing", "a: \"b\" isn't Ready; wait; c: is missing"}));
  EXPECT_EQ(toError({passing}).code, Code::FailedPrecondition);
  EXPECT_EQ(toError({}).code, Code::Ok);
}

TEST(ValidateNetwork, ATypeOfANewerVersionIsToldAsThat) {
  PodNetwork network = goodNetwork();
  network.spec.type = NetworkType::Unknown;
  const auto violations = validate(network).violations;
  ASSERT_EQ(violations.size(), 1U);
  EXPECT_EQ(violations[0].reason, "TypeUnknown");
}

}  // namespace
}  // namespace multinet::api
