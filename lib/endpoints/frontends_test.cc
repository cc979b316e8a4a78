#include "lib/endpoints/frontends.h"

#include <gmock/gmock.h>

#include "lib/api/service.h"

namespace multinet::endpoints {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::shared_ptr<k8s::EndpointSlice> sliceOf(const std::vector<std::string>& addresses) {
  auto slice = std::make_shared<k8s::EndpointSlice>();
  slice->metadata.labels = {{api::kManagedByLabel, api::kServiceManager}};
  slice->addressType = "IPv4";
  slice->ports = {{"http", "TCP", 8080, ""}};
  for (const std::string& address : addresses) {
    k8s::Endpoint endpoint;
    endpoint.addresses = {address};
    endpoint.conditions = {true, true, false};
    slice->endpoints.push_back(endpoint);
  }
  return slice;
}

const Place kPlace{NodeName("n1"), "east"};

TEST(Frontends, AreEachPortInEachFamily) {
  k8s::Service service;
  service.spec.clusterIPs = {"10.96.0.1", "fd00:96::1"};
  service.spec.ports = {
      {"http", "TCP", 80, {}, ""}, {"dns", "UDP", 53, {}, ""}, {"sctp", "SCTP", 9, {}, ""}};
  auto four = sliceOf({"10.66.0.1", "10.66.0.2"});
  four->endpoints[1].conditions = {false, true, true};
  four->ports.push_back({"dns", "UDP", 5353, ""});
  auto six = sliceOf({"fd00:66::1"});
  six->addressType = "IPv6";
  auto forged = sliceOf({"10.66.0.66"});
  forged->metadata.labels = {};
  const auto found = frontendsOf(service, {four, six, forged}, kPlace);
  ASSERT_EQ(found.size(), 4U);
  const auto v4 = *IpAddress::parse("10.96.0.1");
  const auto v6 = *IpAddress::parse("fd00:96::1");
  const Target web{*IpAddress::parse("10.66.0.1"), 8080};
  EXPECT_THAT(found.at({v4, 80, Transport::Tcp}), ElementsAre(web));
  EXPECT_THAT(found.at({v4, 53, Transport::Udp}), ElementsAre(Target{web.address, 5353}));
  EXPECT_THAT(found.at({v6, 80, Transport::Tcp}),
              ElementsAre(Target{*IpAddress::parse("fd00:66::1"), 8080}));
  EXPECT_THAT(found.at({v6, 53, Transport::Udp}), IsEmpty());
  EXPECT_EQ(str(found.begin()->first), "UDP 10.96.0.1:53");
  EXPECT_EQ(str(found.rbegin()->first), "TCP [fd00:96::1]:80");
  four->endpoints[0].nodeName = "n2";
  four->endpoints[1].nodeName = "n1";
  service.spec.internalTrafficPolicy = "Local";
  EXPECT_THAT(frontendsOf(service, {four}, kPlace).at({v4, 80, Transport::Tcp}),
              ElementsAre(Target{*IpAddress::parse("10.66.0.2"), 8080}));
}

TEST(Reach, IsTheClustersWhereItsLabelSaysSo) {
  k8s::Service service;
  EXPECT_FALSE(reachesCluster(service));
  service.metadata.labels = {{api::kReachLabel, "Network"}};
  EXPECT_FALSE(reachesCluster(service));
  service.metadata.labels = {{api::kReachLabel, "Cluster"}};
  EXPECT_TRUE(reachesCluster(service));
}

TEST(Affinity, IsInSecondsAndOfClientIPAlone) {
  k8s::Service service;
  const auto ofSeconds = [](std::int32_t seconds) {
    return k8s::SessionAffinityConfig{k8s::ClientIpConfig{seconds}};
  };
  EXPECT_EQ(affinityOf(service), 0U);
  service.spec.sessionAffinity = "None";
  EXPECT_EQ(affinityOf(service), 0U);
  service.spec.sessionAffinity = "ClientIP";
  EXPECT_EQ(affinityOf(service), 10800U);
  service.spec.sessionAffinityConfig.emplace();
  EXPECT_EQ(affinityOf(service), 10800U);
  service.spec.sessionAffinityConfig = ofSeconds(5);
  EXPECT_EQ(affinityOf(service), 5U);
  service.spec.sessionAffinityConfig = ofSeconds(-1);
  EXPECT_EQ(affinityOf(service), 1U) << "nonsense is as near as can be";
}

TEST(Endpoints, ArePointedAtAndMayLackThePort) {
  const k8s::ServicePort web{"http", "", 80, {}, ""};
  auto with = sliceOf({"10.66.0.1"});
  with->endpoints[0].conditions = {};
  auto without = sliceOf({"10.66.0.2", "nonsense"});
  without->ports = {{"http", "UDP", 8080, ""}};
  without->endpoints[0].nodeName = "n1";
  const auto found = endpointsOf(web, IpFamily::V4, {with, without}, kPlace);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].told, &with->endpoints[0]);
  EXPECT_EQ(found[0].target.port, 8080);
  EXPECT_TRUE(found[0].ready && found[0].serving && !found[0].terminating && !found[0].here);
  EXPECT_EQ(found[1].told, &without->endpoints[0]);
  EXPECT_EQ(found[1].target.port, 0) << "of another protocol";
  EXPECT_TRUE(found[1].here);
  EXPECT_THAT(endpointsOf(web, IpFamily::V6, {with, without}, kPlace), IsEmpty());
}

TEST(Endpoints, AreHintedForThePlaceOrForOthers) {
  const k8s::ServicePort web{"http", "", 80, {}, ""};
  auto slice = sliceOf({"10.66.0.1", "10.66.0.2", "10.66.0.3"});
  slice->endpoints[0].hints = k8s::EndpointHints{{{"west"}, {"east"}}, {{"n2"}}};
  slice->endpoints[1].hints = k8s::EndpointHints{{{"west"}}, {{"n1"}}};
  const auto found = endpointsOf(web, IpFamily::V4, {slice}, kPlace);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].forZone, Hint::Ours);
  EXPECT_EQ(found[0].forNode, Hint::Others);
  EXPECT_EQ(found[1].forZone, Hint::Others);
  EXPECT_EQ(found[1].forNode, Hint::Ours);
  EXPECT_EQ(found[2].forZone, Hint::None);
  EXPECT_EQ(found[2].forNode, Hint::None);
  const auto nowhere = endpointsOf(web, IpFamily::V4, {slice}, {NodeName("n1"), ""});
  EXPECT_EQ(nowhere[0].forZone, Hint::Others) << "its node is in no zone";
}

}  // namespace
}  // namespace multinet::endpoints
