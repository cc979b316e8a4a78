#include "controller/services/reconcile.h"

#include <gmock/gmock.h>

#include <random>
#include <set>

#include "controller/services/core_service.h"
#include "controller/services/test_shop.h"
#include "lib/api/service.h"

namespace multinet::controller {
namespace {

using api::AddressFamily;
using State = k8s::ConditionStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kReady;
using testing::Shop;

using Addresses = std::map<std::string, bool>;

TEST(Services, BecomeAServiceWithoutASelectorAndSlicesOfTheNetwork) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  const auto made = shop.service();
  EXPECT_THAT(made.spec.selector, IsEmpty());
  EXPECT_EQ(made.spec.clusterIP, "None");
  EXPECT_EQ(made.metadata.labels.at(api::kServiceProxyLabel), "multinet.dev");
  EXPECT_EQ(made.metadata.labels.at(api::kNetworkLabel), "blue");
  ASSERT_NE(made.metadata.controllerRef(), nullptr);
  EXPECT_EQ(made.metadata.controllerRef()->uid, "uid-web");
  EXPECT_EQ(made.spec.ports.at(0).targetPort.number, 80);
  EXPECT_EQ(shop.endpoints(), (Addresses{{"10.20.0.5", true}, {"fd00:20::5", true}}));
  EXPECT_EQ(shop.reason(), "Accepted");
  EXPECT_EQ(shop.reason("Endpoints"), "Available");
  const auto status = shop.get<api::PodNetworkService>("web", "default").status;
  EXPECT_EQ(status.endpoints, (api::EndpointCounts{2, 2, 0}));
  EXPECT_TRUE(shop.look().empty());
}

TEST(Services, SayWhichPortNoPodHas) {
  Shop shop;
  auto service = shop.get<api::PodNetworkService>("web", "default");
  service.spec.ports = {{"http", api::Protocol::TCP, 80, {}, ""},
                        {"admin", api::Protocol::TCP, 81, {0, "adm"}, ""}};
  shop.put(service);
  shop.converge();
  EXPECT_EQ(shop.reason("Endpoints"), "NoPodMatches");
  auto pod = shop.pod("web-0", kReady);
  pod.spec.containers = {{{{"adm", 8081, "UDP"}}, ""}};
  shop.put(pod);
  shop.put(Shop::setOf(pod, 5));
  shop.converge();
  EXPECT_EQ(shop.reason("Endpoints"), "PortNotFound");
  EXPECT_THAT(
      shop.condition("Endpoints").message,
      ::testing::StartsWith("spec.ports[1].targetPort \"adm\" is the name of no container's"));
  pod.spec.containers[0].ports[0].protocol = "TCP";
  shop.put(pod);
  shop.converge();
  EXPECT_EQ(shop.reason("Endpoints"), "Available");
}

TEST(Services, FollowTheirPods) {
  Shop shop;
  shop.converge();
  EXPECT_EQ(shop.reason("Endpoints"), "NoPodMatches");
  shop.run("web-0", 5, State::False);
  shop.converge();
  EXPECT_EQ(shop.reason("Endpoints"), "NoneReady");
  shop.run("web-0", 5);
  shop.run("web-1", 6);
  shop.converge();
  EXPECT_EQ(shop.endpoints().size(), 4U);
  auto ending = Shop::pod("web-0");
  ending.metadata.deletionTimestamp = shop.now.wall;
  shop.put(ending);
  shop.converge();
  EXPECT_FALSE(shop.endpoints().at("10.20.0.5"));
  EXPECT_EQ(shop.get<api::PodNetworkService>("web", "default").status.endpoints,
            (api::EndpointCounts{2, 4, 2}));
  shop.remove<k8s::Pod>("web-0", "default");
  shop.converge();
  EXPECT_EQ(shop.endpoints(), (Addresses{{"10.20.0.6", true}, {"fd00:20::6", true}}));
}

TEST(Services, APodThatIsBrokenOnTheNetworkAloneLeaves) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  shop.put(Shop::setOf(Shop::pod("web-0"), 5, "uid-blue", State::False));
  shop.converge();
  EXPECT_FALSE(shop.endpoints().at("10.20.0.5"));
}

TEST(Services, TakeNoPodOfAnotherLabelNetworkOrNamespace) {
  Shop shop;
  shop.run("web-0", 5);
  auto other = Shop::pod("db-0");
  other.metadata.labels = {{"app", "db"}};
  shop.put(other);
  shop.put(Shop::setOf(other, 6));
  const auto red = Shop::pod("red-0");
  auto onRed = Shop::setOf(red, 7);
  onRed.interfaces[0].podNetworkName = "red";
  shop.put(red);
  shop.put(onRed);
  auto abroad = Shop::pod("web-0");
  abroad.metadata.nameSpace = "other";
  abroad.metadata.uid = "uid-abroad";
  shop.put(abroad);
  shop.put(Shop::setOf(abroad, 8));
  shop.converge();
  EXPECT_EQ(shop.endpoints(), (Addresses{{"10.20.0.5", true}, {"fd00:20::5", true}}));
}

TEST(Services, BelieveNoSetOfAnotherPodOrNetworkOfTheName) {
  Shop shop;
  shop.run("web-0", 5);
  shop.run("web-1", 6);
  shop.converge();
  auto again = Shop::pod("web-0");
  again.metadata.uid = "uid-again";
  shop.put(again);
  shop.converge();
  EXPECT_EQ(shop.endpoints().size(), 2U) << "the set is of the pod before";
  shop.remove<api::PodNetwork>("blue");
  shop.converge();
  EXPECT_EQ(shop.reason(), "NetworkNotFound");
  EXPECT_THAT(shop.endpoints(), IsEmpty());
  auto blue = api::testing::goodNetwork("blue");
  blue.metadata.uid = "uid-new";
  shop.put(blue);
  shop.converge();
  EXPECT_THAT(shop.endpoints(), IsEmpty()) << "their addresses are of the network before";
  shop.put(Shop::setOf(Shop::pod("web-1"), 9, "uid-new"));
  shop.converge();
  EXPECT_TRUE(shop.endpoints().contains("10.20.0.9"));
}

TEST(Services, AServiceOfSomebodyElseIsLeftAloneAndTold) {
  Shop shop;
  shop.run("web-0", 5);
  k8s::Service theirs;
  theirs.metadata.nameSpace = "default";
  theirs.metadata.name = "web";
  theirs.spec.selector = {{"app", "web"}};
  shop.put(theirs);
  shop.converge();
  EXPECT_EQ(shop.reason(), "NameTaken");
  EXPECT_EQ(shop.service().spec.selector, theirs.spec.selector);
  EXPECT_EQ(shop.count<k8s::EndpointSlice>(), 0U) << "they would be theirs by name";
  shop.remove<k8s::Service>("web", "default");
  shop.converge();
  EXPECT_EQ(shop.reason(), "Accepted");
  EXPECT_EQ(shop.endpoints().size(), 2U);
}

TEST(Services, ANameThatIsTakenLaterLosesItsSlices) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  auto theirs = shop.service();
  theirs.metadata.uid = "uid-theirs";
  theirs.metadata.ownerReferences.clear();
  shop.put(theirs);
  shop.converge();
  EXPECT_EQ(shop.count<k8s::EndpointSlice>(), 0U);
  EXPECT_EQ(shop.reason("Endpoints"), "NameTaken");
}

TEST(Services, WhatSomebodyChangesComesBack) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  auto changed = shop.service();
  changed.spec.selector = {{"app", "web"}};
  changed.spec.ports.clear();
  changed.metadata.labels.edit().erase(api::kServiceProxyLabel);
  changed.metadata.labels["theirs"] = "stays";
  shop.put(changed);
  shop.converge();
  EXPECT_THAT(shop.service().spec.selector, IsEmpty());
  EXPECT_EQ(shop.service().spec.ports.size(), 1U);
  EXPECT_EQ(shop.service().metadata.labels.at(api::kServiceProxyLabel), "multinet.dev");
  EXPECT_EQ(shop.service().metadata.labels.at("theirs"), "stays");
  shop.remove<k8s::Service>("web", "default");
  shop.converge();
  EXPECT_EQ(shop.count<k8s::Service>(), 1U);
  const auto slice = (*shop.world.of<Slice>().all().begin())->metadata.name;
  shop.remove<k8s::EndpointSlice>(slice, "default");
  shop.converge();
  EXPECT_EQ(shop.endpoints().size(), 2U);
}

TEST(Services, TheirLabelsGoWithThem) {
  Shop shop;
  auto web = shop.get<api::PodNetworkService>("web", "default");
  web.metadata.labels = {{"team", "a"}};
  shop.put(web);
  shop.converge();
  EXPECT_EQ(shop.service().metadata.labels.at("team"), "a");
  EXPECT_EQ(shop.service().metadata.labels.at(api::kNetworkLabel), "blue");
  web.metadata.labels.clear();
  shop.put(web);
  shop.converge();
  EXPECT_FALSE((*shop.service().metadata.labels).contains("team"));
  for (const auto& slice : shop.world.of<Slice>().all()) {
    EXPECT_FALSE((*slice->metadata.labels).contains("team"));
  }
  web.metadata.labels = {{"multinet.dev/network", "forged"}};
  shop.put(web);
  shop.converge();
  EXPECT_EQ(shop.reason(), "Invalid");
  EXPECT_EQ(shop.service().metadata.labels.at(api::kNetworkLabel), "blue");
}

TEST(Services, TheirAnnotationsGoWithThemAndOthersStay) {
  Shop shop;
  auto web = shop.get<api::PodNetworkService>("web", "default");
  web.metadata.annotations = {{"dns/name", "web.example.com"}, {"lb/class", "a"}};
  shop.put(web);
  shop.converge();
  auto made = shop.service();
  EXPECT_EQ(made.metadata.annotations.at("dns/name"), "web.example.com");
  made.metadata.annotations["lb/state"] = "theirs";
  made.metadata.annotations["lb/class"] = "changed";
  shop.put(made);
  shop.converge();
  EXPECT_EQ(shop.service().metadata.annotations.at("lb/class"), "a") << "ours stay ours";
  made = shop.service();
  made.metadata.annotations[api::kAnnotationsOfAnnotation] =
      std::string(api::kAnnotationsOfAnnotation) + ",dns/name";
  shop.put(made);
  shop.converge();
  EXPECT_EQ(shop.service().metadata.annotations.at(api::kAnnotationsOfAnnotation),
            "dns/name,lb/class")
      << "a note that names itself";
  web.metadata.annotations.clear();
  shop.put(web);
  shop.converge();
  EXPECT_EQ(shop.service().metadata.annotations,
            (k8s::StringMap{{"lb/state", "theirs"}, {api::kLabelsOfAnnotation, ""}}));
  for (const auto& slice : shop.world.of<Slice>().all()) {
    EXPECT_TRUE(slice->metadata.annotations.empty());
  }
}

TEST(Services, AnOutsideNamePassesThrough) {
  Shop shop;
  api::PodNetworkService out = api::testing::goodService("out", "absent");
  out.spec.selector.clear();
  out.spec.clusterIP.clear();
  out.spec.type = api::ServiceType::ExternalName;
  out.spec.externalName = "db.example.com";
  shop.put(out);
  shop.converge();
  const auto made = shop.get<k8s::Service>("out", "default");
  EXPECT_EQ(made.spec.type, "ExternalName");
  EXPECT_EQ(made.spec.externalName, "db.example.com");
  EXPECT_EQ(made.spec.internalTrafficPolicy, "") << "the server refuses it";
  EXPECT_EQ(made.spec.ipFamilyPolicy, "");
  const auto status = shop.get<api::PodNetworkService>("out", "default").status;
  EXPECT_EQ(status.conditions.find("Ready")->reason, "Accepted") << "whatever the network";
  EXPECT_EQ(status.conditions.find("Endpoints"), nullptr);
  EXPECT_FALSE(status.endpoints);
  for (const auto& slice : shop.world.of<Slice>().all()) {
    EXPECT_EQ(slice->metadata.labels.at(api::kServiceNameLabel), "web");
  }
  out.spec.externalName = "db2.example.com";
  shop.put(out);
  shop.converge();
  EXPECT_EQ(shop.get<k8s::Service>("out", "default").spec.externalName, "db2.example.com");
}

TEST(Services, AnAddressAndAPolicyOfOnesChoicePassOn) {
  Shop shop;
  shop.run("web-0", 5);
  auto vip = api::testing::goodService("vip", "blue");
  vip.spec.clusterIP = "10.96.0.20";
  vip.spec.ipFamilyPolicy = api::FamilyPolicy::PreferDualStack;
  shop.put(vip);
  shop.converge();
  EXPECT_EQ(shop.get<k8s::Service>("vip", "default").spec.clusterIP, "10.96.0.20");
  EXPECT_EQ(shop.get<k8s::Service>("vip", "default").spec.ipFamilyPolicy, "PreferDualStack");
  vip.spec.ipFamilyPolicy = api::FamilyPolicy::SingleStack;
  shop.put(vip);
  shop.converge();
  EXPECT_EQ(shop.get<k8s::Service>("vip", "default").spec.ipFamilyPolicy, "SingleStack");
  for (const auto& slice : shop.world.of<Slice>().all()) {
    if (slice->metadata.labels.at(api::kServiceNameLabel) != "vip") continue;
    EXPECT_EQ(slice->addressType, "IPv4");
  }
}

TEST(Services, ANetworkThatIsNotThereOrNotOpenOrNotReadyIsTold) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  auto blue = shop.get<api::PodNetwork>("blue");
  blue.status.conditions.items[0].status = State::False;
  blue.status.conditions.items[0].reason = "AdministrativelyDisabled";
  shop.put(blue);
  shop.converge();
  EXPECT_EQ(shop.reason(), "NetworkNotReady");
  EXPECT_THAT(shop.condition("Ready").message, HasSubstr("AdministrativelyDisabled"));
  EXPECT_EQ(shop.endpoints().size(), 2U) << "pods that run keep what they have";
  blue.spec.access.namespaces.from = api::AccessFrom::None;
  shop.put(blue);
  shop.converge();
  EXPECT_EQ(shop.reason(), "NotGranted");
}

TEST(Services, OpenedByANamespacesLabelsAreReady) {
  Shop shop;
  auto blue = api::testing::goodNetwork("blue");
  blue.spec.access.namespaces = {api::AccessFrom::Selector,
                                 k8s::LabelSelector{{{"team", "a"}}, {}}};
  shop.put(blue);
  shop.converge();
  EXPECT_EQ(shop.reason(), "NotGranted");
  k8s::Namespace home;
  home.metadata.name = "default";
  home.metadata.labels = {{"team", "a"}};
  shop.put(home);
  shop.converge();
  EXPECT_EQ(shop.reason(), "Accepted");
}

TEST(Services, AClusterIPIsAllocatedAndItsPolicyPassedOn) {
  Shop shop;
  shop.run("web-0", 5);
  auto vip = api::testing::goodService("vip", "blue");
  vip.spec.clusterIP.clear();
  vip.spec.ipFamilies = {AddressFamily::IPv4};
  vip.spec.internalTrafficPolicy = api::TrafficPolicy::Local;
  shop.put(vip);
  shop.converge();
  const auto made = shop.get<k8s::Service>("vip", "default");
  EXPECT_EQ(made.spec.ipFamilyPolicy, "SingleStack");
  EXPECT_THAT(made.spec.ipFamilies, ElementsAre("IPv4"));
  EXPECT_EQ(made.spec.internalTrafficPolicy, "Local");
  const auto status = shop.get<api::PodNetworkService>("vip", "default").status;
  EXPECT_EQ(status.conditions.find("Ready")->reason, "Accepted");
  EXPECT_EQ(status.conditions.find("Ready")->status, State::True);
  EXPECT_EQ(status.conditions.find("Endpoints")->reason, "Available");
}

TEST(Services, AnAffinityIsPassedOnWithItsTimeAndTakenBack) {
  Shop shop;
  auto vip = api::testing::goodService("vip", "blue");
  vip.spec.clusterIP.clear();
  vip.spec.sessionAffinity = api::SessionAffinity::ClientIP;
  shop.put(vip);
  shop.converge();
  const auto spec = [&] { return shop.get<k8s::Service>("vip", "default").spec; };
  const auto ofSeconds = [](std::int32_t seconds) {
    return k8s::SessionAffinityConfig{k8s::ClientIpConfig{seconds}};
  };
  EXPECT_EQ(*spec().sessionAffinity, "ClientIP");
  EXPECT_EQ(spec().sessionAffinityConfig, ofSeconds(10800));
  EXPECT_TRUE(shop.look().empty());
  vip.spec.sessionAffinityConfig = api::SessionAffinityConfig{api::ClientIpAffinity{600}};
  shop.put(vip);
  shop.converge();
  EXPECT_EQ(spec().sessionAffinityConfig, ofSeconds(600));
  vip.spec.sessionAffinity = api::SessionAffinity::None;
  vip.spec.sessionAffinityConfig.reset();
  shop.put(vip);
  shop.converge();
  EXPECT_EQ(*spec().sessionAffinity, "None");
  EXPECT_EQ(spec().sessionAffinityConfig, std::nullopt);
}

TEST(Services, AHoldIsPassedOnAndTakenBack) {
  Shop shop;
  auto web = api::testing::goodService("web", "blue");
  web.spec.termination = {api::TerminationHold::Auto, 12};
  shop.put(web);
  shop.converge();
  const auto label = [&] {
    const k8s::StringMap labels = *shop.service().metadata.labels;
    const auto found = labels.find(api::kHoldLabel);
    return found == labels.end() ? std::string() : found->second;
  };
  EXPECT_EQ(label(), "12");
  web = shop.get<api::PodNetworkService>("web", "default");
  web.spec.termination = {api::TerminationHold::Off, {}};
  shop.put(web);
  shop.converge();
  EXPECT_EQ(label(), "0");
  web = shop.get<api::PodNetworkService>("web", "default");
  web.spec.termination.reset();
  shop.put(web);
  shop.converge();
  EXPECT_EQ(label(), "");
}

TEST(Services, HintTheirEndpointsForZoneAndNode) {
  Shop shop;
  shop.node("node-a", "east");
  shop.run("web-0", 5);
  shop.run("web-1", 6, State::False);
  auto web = api::testing::goodService("web", "blue");
  web.spec.ipFamilies = {AddressFamily::IPv4};
  const auto distributed = [&](std::optional<api::TrafficDistribution> how) {
    web = shop.get<api::PodNetworkService>("web", "default");
    web.spec.trafficDistribution = how;
    shop.put(web);
    shop.converge();
    return shop.hints();
  };
  shop.put(web);
  using Hints = std::set<std::string>;
  EXPECT_EQ(distributed({}), (Hints{"10.20.0.5 east for", "10.20.0.6 east for"}));
  EXPECT_EQ(distributed(api::TrafficDistribution::PreferSameZone),
            (Hints{"10.20.0.5 east for east", "10.20.0.6 east for"}));
  EXPECT_EQ(*shop.service().spec.trafficDistribution, "PreferSameZone");
  EXPECT_EQ(distributed(api::TrafficDistribution::PreferSameNode),
            (Hints{"10.20.0.5 east for east, node-a", "10.20.0.6 east for"}));
  EXPECT_EQ(distributed({}), (Hints{"10.20.0.5 east for", "10.20.0.6 east for"}));
  EXPECT_EQ(*shop.service().spec.trafficDistribution, "");
}

TEST(Services, AZoneThatChangesTouchesItsNodesEndpointsAlone) {
  Shop shop;
  shop.node("node-a", "east");
  shop.node("node-b", "west");
  shop.run("web-0", 5);
  shop.converge();
  const auto before = shop.asked();
  shop.node("node-b", "north");
  EXPECT_TRUE(shop.look().empty());
  EXPECT_EQ(shop.asked(), before) << "no pod of the service is there";
  auto unready = testing::nodeOf("node-a", State::False);
  unready.metadata.labels = {{"topology.kubernetes.io/zone", "east"}};
  shop.put(unready);
  EXPECT_TRUE(shop.look().empty());
  EXPECT_EQ(shop.asked(), before) << "its zone is as it was";
  shop.node("node-a", "south");
  EXPECT_EQ(shop.converge(), 2U) << "a slice of each family";
  EXPECT_EQ(shop.hints(), (std::set<std::string>{"10.20.0.5 south for", "fd00:20::5 south for"}));
  shop.remove<k8s::Node>("node-a");
  shop.converge();
  EXPECT_EQ(shop.hints(), (std::set<std::string>{"10.20.0.5  for", "fd00:20::5  for"}));
}

TEST(Services, BadOnesThatPassedTheDoorMakeNothing) {
  Shop shop;
  auto bad = api::testing::goodService("bad", "blue");
  bad.spec.selector.clear();
  shop.put(bad);
  shop.converge();
  EXPECT_EQ(shop.count<k8s::Service>(), 1U) << "web's alone";
  const auto status = shop.get<api::PodNetworkService>("bad", "default").status;
  EXPECT_EQ(status.conditions.find("Ready")->reason, "Invalid");
  EXPECT_THAT(status.conditions.find("Ready")->message, HasSubstr("spec.selector"));
  EXPECT_FALSE(status.endpoints) << "nothing was looked at";
}

TEST(Services, ThatEndWriteNothing) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  auto ending = shop.get<api::PodNetworkService>("web", "default");
  ending.metadata.deletionTimestamp = shop.now.wall;
  shop.put(ending);
  shop.remove<k8s::Service>("web", "default");
  EXPECT_TRUE(shop.look().empty()) << "the garbage collector's work isn't undone";
}

TEST(Services, OtherPodsCostNothing) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  const auto before = shop.asked();
  auto other = Shop::pod("db-0");
  other.metadata.labels = {{"app", "db"}, {"tier", "web"}};
  shop.put(other);
  shop.put(Shop::setOf(other, 6));
  k8s::Service somebodys;
  somebodys.metadata.nameSpace = "default";
  somebodys.metadata.name = "db";
  shop.put(somebodys);
  shop.converge();
  EXPECT_EQ(shop.asked(), before);
}

TEST(Services, OnePodThatChangesIsOneSliceAndOneStatus) {
  Shop shop;
  for (int i = 0; i < 150; ++i) shop.run("web-" + std::to_string(i), i + 1);
  shop.converge();
  EXPECT_EQ(shop.count<k8s::EndpointSlice>(), 4U);
  shop.run("web-7", 8, State::False);
  EXPECT_EQ(shop.converge(), 3U) << "a slice of each family, then the counts";
}

TEST(Services, WhatSomebodyDidToASliceIsPutRightForItsPodsAlone) {
  Shop shop;
  for (int i = 0; i < 150; ++i) shop.run("web-" + std::to_string(i), i + 1);
  shop.converge();
  auto slices = shop.slices();
  ASSERT_EQ(slices.size(), 4U);
  slices[0].endpoints[3].conditions.ready = false;
  slices[1].endpoints.erase(slices[1].endpoints.begin());
  shop.put(slices[0]);
  shop.put(slices[1]);
  EXPECT_GE(shop.converge(), 2U);
  EXPECT_EQ(shop.endpoints().size(), 300U);
  EXPECT_THAT(shop.wholly(), IsEmpty());
  shop.remove<k8s::EndpointSlice>(slices[2].metadata.name, "default");
  shop.converge();
  EXPECT_EQ(shop.endpoints().size(), 300U);
  EXPECT_THAT(shop.wholly(), IsEmpty());
}

TEST(Services, OneMadeAfterItsPodsHasThem) {
  Shop shop;
  shop.run("web-0", 5);
  shop.converge();
  auto db = api::testing::goodService("db", "blue");
  db.spec.selector = {{"app", "web"}, {"tier", "db"}};
  shop.put(db);
  shop.converge();
  EXPECT_EQ(shop.get<api::PodNetworkService>("db", "default").status.endpoints->ready, 0);
  auto both = Shop::pod("web-0");
  both.metadata.labels["tier"] = "db";
  shop.put(both);
  shop.converge();
  EXPECT_EQ(shop.get<api::PodNetworkService>("db", "default").status.endpoints->ready, 2);
  db = shop.get<api::PodNetworkService>("db", "default");
  db.spec.selector = {{"app", "other"}};
  shop.put(db);
  shop.converge();
  EXPECT_EQ(shop.get<api::PodNetworkService>("db", "default").status.endpoints->ready, 0);
}

/// Pods, sets and the network come, change and go in any order, with passes between; what stands in
/// the end is what the simplest reading of the objects says.
TEST(Services, EndAsANaiveReadingSaysAfterAnyHistory) {
  std::mt19937 random(7);
  const auto roll = [&](int sides) {
    return static_cast<int>(random() % static_cast<unsigned>(sides));
  };
  for (int history = 0; history < 200; ++history) {
    Shop shop;
    std::map<std::string, k8s::Pod> pods;
    std::map<std::string, api::PodInterfaceSet> sets;
    std::string networkUid = "uid-blue";
    std::map<std::string, std::string> zones;  // of nodes
    std::optional<api::TrafficDistribution> distribution;
    bool isChecked = false;
    for (int step = 0; step < 60; ++step) {
      const auto name = "web-" + std::to_string(roll(8));
      switch (roll(10)) {
        case 0: {
          auto pod = Shop::pod(name, roll(3) == 0 ? State::False : kReady);
          pod.metadata.uid = "uid-" + std::to_string(step);
          pod.metadata.labels["app"] = roll(4) == 0 ? "db" : "web";
          pod.spec.nodeName = roll(2) == 0 ? "node-a" : "node-b";
          pods[name] = pod;
          shop.put(pod);
          break;
        }
        case 1:
        case 2: {
          if (!pods.contains(name)) break;
          auto set =
              Shop::setOf(pods[name], 1 + step, networkUid, roll(4) == 0 ? State::False : kReady);
          if (roll(3) != 0) {
            set.interfaces[0].health = std::vector<api::InterfaceHealth>{
                {"web", roll(5) == 0 ? "uid-old" : "uid-web", roll(3) != 0, "", ""}};
          }
          if (roll(4) == 0) {
            set.interfaces[0].conditions.items.push_back(
                {api::kDraining, State::True, 0, std::nullopt, "", ""});
          }
          sets[name] = set;
          shop.put(set);
          break;
        }
        case 3:
          if (pods.erase(name) > 0) shop.remove<k8s::Pod>(name, "default");
          break;
        case 4:
          if (!pods.contains(name)) break;
          pods[name].metadata.deletionTimestamp = shop.now.wall;
          shop.put(pods[name]);
          break;
        case 5:
          if (sets.erase(name) > 0) shop.remove<api::PodInterfaceSet>(name + "-set", "default");
          break;
        case 6: {
          const std::string node = roll(2) == 0 ? "node-a" : "node-b";
          zones[node] =
              std::vector<std::string>{"", "east", "west"}.at(static_cast<std::size_t>(roll(3)));
          shop.node(node, zones[node]);
          break;
        }
        case 7: {
          using How = api::TrafficDistribution;
          const std::vector<std::optional<How>> ways{
              {}, How::PreferClose, How::PreferSameZone, How::PreferSameNode};
          distribution = ways.at(static_cast<std::size_t>(roll(4)));
          auto web = shop.get<api::PodNetworkService>("web", "default");
          web.spec.trafficDistribution = distribution;
          shop.put(web);
          break;
        }
        case 8: {
          isChecked = roll(2) == 0;
          auto web = shop.get<api::PodNetworkService>("web", "default");
          web.spec.healthCheck.reset();
          if (isChecked) {
            web.spec.healthCheck.emplace().tcpSocket = api::TcpSocketCheck{{8080, ""}};
          }
          shop.put(web);
          break;
        }
        default:
          if (roll(4) != 0) break;
          networkUid = "uid-blue-" + std::to_string(step);
          auto blue = api::testing::goodNetwork("blue");
          blue.metadata.uid = networkUid;
          shop.put(blue);
      }
      if (roll(3) == 0) {
        for (const auto& write : shop.look()) {
          if (roll(3) != 0) shop.apply(write);
        }
      }
      if (roll(5) != 0) continue;
      // A write that was lost is asked for again: the writer tells the planner.
      auto again = shop.get<api::PodNetworkService>("web", "default");
      again.metadata.generation = step + 2;
      shop.put(again);
      shop.converge();
      Addresses expected;
      std::set<std::string> hints;
      for (const auto& [pod, object] : pods) {
        const auto set = sets.find(pod);
        if (set == sets.end() || set->second.pod.uid != object.metadata.uid) continue;
        const auto& interface = set->second.interfaces[0];
        if (object.metadata.labels.at("app") != "web") continue;
        if (interface.podNetworkUID != networkUid) continue;
        const bool healthy = std::ranges::any_of(*interface.health, [](const auto& one) {
          return one.healthy && one.serviceUID == "uid-web";
        });
        const bool ready = object.status.conditions.isTrue("Ready") &&
                           interface.conditions.isTrue("Ready") && (healthy || !isChecked) &&
                           !object.metadata.deleting() &&
                           !interface.conditions.isTrue(api::kDraining);
        for (const auto& ip : interface.ips) {
          const auto address = ip.address.substr(0, ip.address.find('/'));
          expected[address] = ready;
          const auto& node = object.spec.nodeName;
          const bool hinted = ready && distribution;
          hints.insert(address + " " + zones[node] + " for" +
                       (hinted && !zones[node].empty() ? " " + zones[node] : "") +
                       (hinted && *distribution == api::TrafficDistribution::PreferSameNode
                            ? ", " + node
                            : ""));
        }
      }
      ASSERT_EQ(shop.endpoints(), expected) << "history " << history << ", step " << step;
      ASSERT_THAT(shop.wholly(), IsEmpty()) << "history " << history << ", step " << step;
      ASSERT_EQ(shop.hints(), hints) << "history " << history << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace multinet::controller
