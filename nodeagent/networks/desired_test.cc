#include "nodeagent/networks/desired.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include "nodeagent/networks/test_networks.h"

namespace multinet::agent::networks {
namespace {

api::PodNetwork blue() {
  api::PodNetwork network;
  network.metadata.name = "blue";
  network.metadata.uid = "u1";
  network.spec.type = api::NetworkType::Vxlan;
  network.spec.vxlan = api::VxlanSpec{};
  network.status.vni = 7001;
  k8s::Condition ready;
  ready.type = "Ready";
  ready.status = k8s::ConditionStatus::True;
  network.status.conditions.set(ready, WallTime{});
  return network;
}

api::NetworkPeer peer(const std::string& node, const std::string& uid, const std::string& address) {
  api::NetworkPeer out;
  out.metadata.name = "blue." + node;
  out.podNetworkUID = uid;
  out.nodeName = node;
  out.underlayIPs = {address};
  out.bridgeMAC = "02:00:00:00:00:01";
  return out;
}

std::vector<DesiredNetwork> desired(const api::PodNetwork& network,
                                    const std::vector<api::NetworkPeer>& peers = {}) {
  std::vector<std::shared_ptr<const api::NetworkPeer>> pointers;
  for (const auto& one : peers) pointers.push_back(std::make_shared<const api::NetworkPeer>(one));
  return desiredNetworks({std::make_shared<const api::PodNetwork>(network)},
                         [&](const std::string&) { return pointers; }, NodeName("n1"), {});
}

TEST(DesiredNetworks, TakesTheReservedVniAndThePeersOfTheSameNetwork) {
  auto networks =
      desired(blue(), {peer("n1", "u1", "10.90.0.11"), peer("n2", "u1", "10.90.0.12"),
                       peer("n3", "older", "10.90.0.13"), peer("n4", "u1", "not-an-address")});
  ASSERT_EQ(networks.size(), 1U);
  EXPECT_EQ(tunnelOf(networks[0]).vni, 7001U);
  EXPECT_EQ(tunnelOf(networks[0]).port, 4799);
  ASSERT_EQ(tunnelOf(networks[0]).peers.size(), 1U);
  EXPECT_EQ(tunnelOf(networks[0]).peers[0].node, NodeName("n2"));
}

TEST(DesiredNetworks, WaitsForTheReservationOfAVni) {
  api::PodNetwork network = blue();
  network.status.vni.reset();
  network.spec.vxlan->vni = 7001;
  auto waiting = desired(network);
  EXPECT_EQ(tunnelOf(waiting.at(0)).vni, 0U);
  EXPECT_EQ(waiting.at(0).state, DesiredState::Keep);
}

TEST(DesiredNetworks, SayWhatIsHeldAgainstTheirPods) {
  api::PodNetwork network = blue();
  EXPECT_EQ(desired(network).at(0).portSecurity, api::PortSecurity::Enforced);
  network.spec.portSecurity = api::PortSecurity::MacOnly;
  EXPECT_EQ(desired(network).at(0).portSecurity, api::PortSecurity::MacOnly);
}

TEST(DesiredNetworks, WhatIsNotReadyIsOnlyKept) {
  api::PodNetwork network = blue();
  EXPECT_EQ(desired(network).at(0).state, DesiredState::Serve);
  network.status.conditions = {};
  EXPECT_EQ(desired(network).at(0).state, DesiredState::Keep);
}

TEST(DesiredNetworks, OneOfATypeOfANewerVersionIsNotGone) {
  const std::string json = R"({"metadata":{"name":"blue","uid":"u1"},"spec":{"type":"Teleport"},)"
                           R"("status":{"conditions":[{"type":"Ready","status":"True"}]}})";
  simdjson::dom::parser parser;
  const auto network = k8s::KindTraits<api::PodNetwork>::decode(parser.parse(json));
  ASSERT_TRUE(network) << network.error().message;
  const auto all = desired(*network);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].network, Network(drivers::newer::Network{}));
}

TEST(DesiredNetworks, AsksForThePeersOfTunnelsAndTellsWhereTheyArentKnown) {
  std::vector<std::string> asked;
  const auto unknown = [&](const std::string& network) {
    asked.push_back(network);
    return std::nullopt;
  };
  api::PodNetwork flat = blue();
  flat.metadata.name = "flat";
  flat.spec.type = api::NetworkType::Bridge;
  auto all = desiredNetworks({std::make_shared<const api::PodNetwork>(blue()),
                              std::make_shared<const api::PodNetwork>(flat)},
                             unknown, NodeName("n1"), {});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_FALSE(tunnelOf(all[0]).peersKnown);
  EXPECT_EQ(asked, std::vector<std::string>{"blue"});
  EXPECT_TRUE(tunnelOf(desired(blue()).at(0)).peersKnown);
}

TEST(DesiredNetworks, NamesTheRangesThatItWouldHide) {
  api::PodNetwork network = blue();
  api::Subnet subnet;
  subnet.cidr = "10.0.0.0/8";
  network.spec.ipam.subnets = {subnet};
  const auto all = desiredNetworks(
      {std::make_shared<const api::PodNetwork>(network)},
      [](const std::string&) { return std::nullopt; }, NodeName("n1"),
      {IpPrefix::parse("10.92.0.0/16").value(), IpPrefix::parse("fd92::/112").value()});
  EXPECT_EQ(all.at(0).covered, std::vector<IpPrefix>{IpPrefix::parse("10.92.0.0/16").value()});
}

TEST(DesiredNetworks, KeepsWhatRunningPodsAreOn) {
  api::PodNetwork edited = blue();
  edited.metadata.generation = 9;  // the controller hasn't looked at it yet
  EXPECT_EQ(desired(edited).at(0).state, DesiredState::Serve);
  api::PodNetwork disabled = blue();
  disabled.status.conditions = {};
  disabled.spec.enabled = false;
  EXPECT_EQ(desired(disabled).at(0).state, DesiredState::Serve);
  api::PodNetwork deleting = blue();
  deleting.status.conditions = {};
  deleting.metadata.deletionTimestamp = WallTime{};
  EXPECT_EQ(desired(deleting).at(0).state, DesiredState::Serve);
}

}  // namespace
}  // namespace multinet::agent::networks
