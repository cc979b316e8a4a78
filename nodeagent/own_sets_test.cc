#include "nodeagent/own_sets.h"

#include <gtest/gtest.h>

#include "nodeagent/report/api_reporter.h"

namespace multinet::agent {
namespace {

// What the agent writes is what it can read as a witness.
TEST(KnownSetTest, IsWhatWasReported) {
  InterfaceStatus status;
  InterfacePlan& plan = status.plan;
  plan.name = InterfaceName::parse("net1").value();
  plan.network = NetworkName("blue");
  plan.networkUid = NetworkUid("uid-blue");
  plan.attachment = "nas";
  plan.link = drivers::vxlan::Link{};
  plan.mac = MacAddress::derive("seed");
  plan.mtu = 1450;
  plan.addresses = {
      {InterfaceAddress::parse("10.20.0.5/16").value(), IpAddress::parse("10.20.0.1").value()},
      {InterfaceAddress::parse("fd00:20::5/64").value(), std::nullopt}};
  plan.routes = {{IpPrefix::parse("192.168.0.0/16").value(), IpAddress::parse("10.20.0.1").value()},
                 {IpPrefix::parse("fd01::/64").value(), std::nullopt}};
  plan.defaultGatewayV6 = true;
  status.state = InterfaceState::Attached;
  status.attachedAt = WallTime(std::chrono::seconds(1000));
  const PodRef pod{PodUid("uid"), "default", "web", 0};
  const auto known = knownSet(report::interfaceSet(pod, NodeName("n1"), SandboxId("s1"), {status},
                                                   WallTime(std::chrono::seconds(2000))));
  ASSERT_TRUE(known.has_value()) << known.error().message;
  EXPECT_EQ(known->pod, pod.uid);
  EXPECT_EQ(known->sandbox, SandboxId("s1"));
  ASSERT_EQ(known->interfaces.size(), 1U);
  EXPECT_EQ(known->interfaces[0], status);
}

TEST(KnownSetTest, AForgedOneIsNoWitness) {
  api::PodInterfaceSet set;
  set.metadata.name = "web";
  set.interfaces.resize(1);
  set.interfaces[0].name = "a/b";
  EXPECT_FALSE(knownSet(set).has_value());
  set.interfaces[0].name = "net1";
  set.interfaces[0].ips.push_back({"10.20.0.500/16", "", api::AddressFamily::IPv4});
  EXPECT_FALSE(knownSet(set).has_value());
}

}  // namespace
}  // namespace multinet::agent
