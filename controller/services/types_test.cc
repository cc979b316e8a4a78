// Types NodePort and LoadBalancer, reach and health checks: what becomes of the Service, and what
// is said of it.
#include <gmock/gmock.h>

#include <random>
#include <utility>

#include "controller/services/test_shop.h"
#include "lib/api/health_check.h"
#include "lib/api/service.h"
#include "lib/api/spelling.h"

namespace multinet::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Shop;

/// Service vip with an address, of that type.
api::PodNetworkService vipOf(api::ServiceType type) {
  auto vip = api::testing::goodService("vip", "blue");
  vip.spec.clusterIP.clear();
  vip.spec.type = type;
  return vip;
}

/// As the API server does it, where a Service of the type has none.
void allocate(Shop& shop, std::int32_t first) {
  auto made = shop.get<k8s::Service>("vip", "default");
  for (auto& port : made.spec.ports) {
    if (port.nodePort == 0) port.nodePort = first++;
  }
  shop.put(made);
  shop.converge();
}

std::vector<std::int32_t> nodePorts(const Shop& shop) {
  std::vector<std::int32_t> ports;
  for (const auto& port : shop.get<k8s::Service>("vip", "default").spec.ports) {
    ports.push_back(port.nodePort);
  }
  EXPECT_EQ(shop.get<api::PodNetworkService>("vip", "default").status.nodePorts,
            ports == std::vector<std::int32_t>(ports.size()) ? std::vector<std::int32_t>() : ports);
  return ports;
}

TEST(ServiceTypes, NodePortsAreAskedForOrAllocatedAndKeptByTheirPortsName) {
  Shop shop;
  auto vip = vipOf(api::ServiceType::NodePort);
  vip.spec.ports = {{"http", api::Protocol::TCP, 80, {}, ""},
                    {"https", api::Protocol::TCP, 443, {}, "", 30443}};
  shop.put(vip);
  shop.converge();
  auto made = shop.get<k8s::Service>("vip", "default");
  EXPECT_EQ(made.spec.type, "NodePort");
  EXPECT_EQ(*made.spec.externalTrafficPolicy, "Cluster");
  EXPECT_FALSE(made.spec.allocateLoadBalancerNodePorts);
  allocate(shop, 30001);
  EXPECT_THAT(nodePorts(shop), ElementsAre(30001, 30443));
  EXPECT_THAT(shop.look(), IsEmpty());
  // Other order, another number, a new one.
  vip.spec.ports = {{"https", api::Protocol::TCP, 8443, {}, ""},
                    {"metrics", api::Protocol::TCP, 90, {}, ""},
                    {"http", api::Protocol::TCP, 80, {}, ""}};
  shop.put(vip);
  shop.converge();
  EXPECT_THAT(nodePorts(shop), ElementsAre(30443, 0, 30001));
  // One asks for what another was given.
  vip.spec.ports[1].nodePort = 30001;
  shop.put(vip);
  shop.converge();
  EXPECT_THAT(nodePorts(shop), ElementsAre(30443, 30001, 0)) << "the server gives it another";
}

TEST(ServiceTypes, GoingBackTakesAwayWhatGoesWithTheType) {
  Shop shop;
  auto vip = vipOf(api::ServiceType::LoadBalancer);
  vip.spec.loadBalancerClass = "example.com/lb";
  vip.spec.loadBalancerSourceRanges = {"192.0.2.0/24"};
  vip.spec.externalTrafficPolicy = api::TrafficPolicy::Local;
  vip.spec.reach = api::Reach::Cluster;
  shop.put(vip);
  shop.converge();
  allocate(shop, 30001);
  auto made = shop.get<k8s::Service>("vip", "default");
  EXPECT_EQ(made.metadata.labels.at(api::kReachLabel), "Cluster");
  EXPECT_EQ(*made.spec.loadBalancerClass, "example.com/lb");
  EXPECT_THAT(*made.spec.loadBalancerSourceRanges, ElementsAre("192.0.2.0/24"));
  EXPECT_EQ(*made.spec.externalTrafficPolicy, "Local");
  EXPECT_EQ(made.spec.allocateLoadBalancerNodePorts, true);
  // Others' are left alone on the way.
  made.metadata.finalizers = std::vector<std::string>{"example.com/cleanup"};
  made.metadata.annotations["example.com/pool"] = "a";
  made.status.edit().loadBalancer.ingress = {{"192.0.2.10", "", "VIP", {}}};
  shop.put(made);
  vip.spec.allocateLoadBalancerNodePorts = false;
  shop.put(vip);
  shop.converge();
  EXPECT_THAT(nodePorts(shop), ElementsAre(0)) << "none of those that weren't asked for";
  vip = vipOf(api::ServiceType::ClusterIP);
  shop.put(vip);
  shop.converge();
  made = shop.get<k8s::Service>("vip", "default");
  EXPECT_EQ(made.spec.type, "ClusterIP");
  EXPECT_THAT(nodePorts(shop), ElementsAre(0));
  EXPECT_EQ(*made.spec.externalTrafficPolicy, "");
  EXPECT_EQ(*made.spec.loadBalancerClass, "");
  EXPECT_THAT(*made.spec.loadBalancerSourceRanges, IsEmpty());
  EXPECT_FALSE(made.spec.allocateLoadBalancerNodePorts);
  EXPECT_FALSE(made.metadata.labels->contains(api::kReachLabel));
  EXPECT_THAT(*made.metadata.finalizers, ElementsAre("example.com/cleanup"));
  EXPECT_EQ(made.metadata.annotations.at("example.com/pool"), "a");
  const auto status = shop.get<api::PodNetworkService>("vip", "default").status;
  EXPECT_EQ(status.conditions.find("LoadBalancer"), nullptr);
  EXPECT_THAT(status.loadBalancer->ingress, IsEmpty());
}

TEST(ServiceTypes, WhatALoadBalancerControllerWritesIsMirrored) {
  Shop shop;
  shop.put(vipOf(api::ServiceType::LoadBalancer));
  shop.converge();
  const auto status = [&] { return shop.get<api::PodNetworkService>("vip", "default").status; };
  const auto reason = [&] { return status().conditions.find("LoadBalancer")->reason; };
  EXPECT_EQ(reason(), "Pending");
  const auto writes = [&](std::vector<k8s::LoadBalancerIngress> ingress) {
    auto made = shop.get<k8s::Service>("vip", "default");
    made.status.edit().loadBalancer.ingress = std::move(ingress);
    shop.put(made);
    shop.converge();
  };
  writes({{"192.0.2.10", "", "VIP", {}}, {"", "lb.example.com", "", {}}});
  EXPECT_EQ(reason(), "Assigned");
  EXPECT_THAT(status().conditions.find("LoadBalancer")->message,
              HasSubstr("192.0.2.10, lb.example.com"));
  EXPECT_EQ(status().loadBalancer->ingress.at(1).hostname, "lb.example.com");
  writes({{"192.0.2.11", "", "", {{80, "TCP", "example.com/no-port"}}}});
  EXPECT_EQ(reason(), "PortFailed");
  EXPECT_THAT(status().conditions.find("LoadBalancer")->message,
              HasSubstr("doesn't serve port 80/TCP: example.com/no-port"));
  writes(std::vector<k8s::LoadBalancerIngress>(100, {"192.0.2.12", "", "", {}}));
  EXPECT_EQ(status().loadBalancer->ingress.size(), api::kMaxIngress);
  writes({});
  EXPECT_EQ(reason(), "Pending");
  EXPECT_THAT(status().loadBalancer->ingress, IsEmpty());
}

TEST(ServiceTypes, OneMadeAgainWaitsForTheLoadBalancerOfTheEarlier) {
  Shop shop;
  shop.run("web-0", 5);
  auto vip = vipOf(api::ServiceType::LoadBalancer);
  shop.put(vip);
  shop.converge();
  auto made = shop.get<k8s::Service>("vip", "default");
  made.metadata.finalizers = std::vector<std::string>{"example.com/cleanup"};
  made.status.edit().loadBalancer.ingress = {{"192.0.2.10", "", "", {}}};
  shop.put(made);
  shop.remove<api::PodNetworkService>("vip", "default");
  vip.metadata.uid = "uid-again";
  shop.put(vip);
  shop.converge();
  const auto status = [&] { return shop.get<api::PodNetworkService>("vip", "default").status; };
  EXPECT_EQ(status().conditions.find("Ready")->reason, "ServicePending")
      << "nobody else's: it is about to go";
  EXPECT_THAT(status().clusterIPs, IsEmpty());
  EXPECT_THAT(status().loadBalancer->ingress, IsEmpty());
  made.metadata.deletionTimestamp = shop.now.wall;
  shop.put(made);
  shop.converge();
  EXPECT_EQ(status().conditions.find("Ready")->message,
            "Service \"vip\" of an earlier PodNetworkService of this name is being deleted, and "
            "made anew once it is gone: it waits for who put finalizer example.com/cleanup on it.");
  for (const auto& slice : shop.slices()) {
    EXPECT_NE(slice.metadata.ownerReferences->at(0).uid, "uid-again");
  }
  shop.remove<k8s::Service>("vip", "default");
  shop.converge();
  EXPECT_EQ(status().conditions.find("Ready")->reason, "Accepted");
  EXPECT_EQ(shop.get<k8s::Service>("vip", "default").metadata.ownerReferences->at(0).uid,
            "uid-again");
}

TEST(ServiceTypes, WhatTheServerRefusesIsSaidInItsOwnWordsWhileItIsWishedFor) {
  Shop shop;
  auto vip = vipOf(api::ServiceType::ClusterIP);
  shop.put(vip);
  shop.converge();
  vip = shop.get<api::PodNetworkService>("vip", "default");
  vip.metadata.generation = 2;
  vip.spec.type = api::ServiceType::NodePort;
  vip.spec.ports[0].nodePort = 30080;
  shop.put(vip);
  const auto status = [&] { return shop.get<api::PodNetworkService>("vip", "default").status; };
  const auto ready = [&] { return *status().conditions.find("Ready"); };
  const k8s::ObjectKey key{"default", "vip"};
  const auto statusWrites = [&](const std::vector<Write>& writes) {
    std::string item;
    for (const auto& write : writes) {
      if (write.verb == Verb::PatchStatus) shop.apply(write);
      if (write.kind.kind == "Service") item = write.item();
    }
    return item;
  };
  const auto asked = [&] {
    return statusWrites(serviceReconciler().reconcile(shop.world, key, shop.now).writes);
  };
  const auto item = asked();
  EXPECT_EQ(item, "patch Service default/vip");
  shop.world.refused(key, item, {vip.metadata.uid, 2, "provided port is already allocated"});
  asked();
  EXPECT_EQ(ready().reason, "Refused");
  EXPECT_EQ(ready().message,
            "The API server refuses the Service: provided port is already allocated.");
  EXPECT_EQ(status().clusterIPs, shop.get<k8s::Service>("vip", "default").spec.clusterIPs);
  // A leader that knows of no refusal tries, and says nothing else meanwhile.
  shop.world.taken(key, item);
  EXPECT_EQ(asked(), item);
  EXPECT_EQ(ready().reason, "Refused");
  // Another generation isn't judged by that.
  vip = shop.get<api::PodNetworkService>("vip", "default");
  vip.metadata.generation = 3;
  vip.spec.ports[0].nodePort = 30081;
  shop.put(vip);
  asked();
  EXPECT_EQ(ready().reason, "Accepted");
  shop.world.refused(key, item, {vip.metadata.uid, 3, "provided port is already allocated"});
  asked();
  EXPECT_EQ(ready().reason, "Refused");
  // It is free now.
  shop.converge();
  shop.world.taken(key, item);
  EXPECT_THAT(nodePorts(shop), ElementsAre(30081));
  EXPECT_EQ(ready().reason, "Accepted") << "nothing is wished for that was refused";
}

/// Types, ports and reach change in any order, the server allocates, people edit what is made, and
/// writes are lost; what stands in the end is what the simplest reading of the spec says.
TEST(ServiceTypes, EndAsANaiveReadingSaysAfterAnyHistory) {
  std::mt19937 random(20261128);
  const auto roll = [&](int sides) {
    return static_cast<int>(random() % static_cast<unsigned>(sides));
  };
  for (int history = 0; history < 100; ++history) {
    Shop shop;
    auto vip = vipOf(api::ServiceType::ClusterIP);
    std::int32_t next = 30001;
    for (int step = 0; step < 40; ++step) {
      using Type = api::ServiceType;
      const std::vector<Type> types{Type::ClusterIP, Type::NodePort, Type::LoadBalancer};
      const Type type = types.at(static_cast<std::size_t>(roll(3)));
      // A spec that the rules let pass, made anew.
      vip = vipOf(type);
      vip.metadata.generation = step + 2;
      if (roll(2) == 0) vip.spec.reach = api::Reach::Cluster;
      vip.spec.ports = {{"http", api::Protocol::TCP, 80, {}, ""}};
      if (roll(2) == 0) vip.spec.ports.push_back({"dns", api::Protocol::UDP, 53, {}, ""});
      if (type != Type::ClusterIP && roll(3) == 0) vip.spec.ports[0].nodePort = 31000 + roll(3);
      if (type != Type::ClusterIP && roll(2) == 0) {
        vip.spec.externalTrafficPolicy = api::TrafficPolicy::Local;
      }
      if (type == Type::LoadBalancer && roll(2) == 0) {
        vip.spec.loadBalancerSourceRanges = {"192.0.2.0/24"};
      }
      const bool allocates = type == Type::NodePort || (type == Type::LoadBalancer && roll(2) == 0);
      if (type == Type::LoadBalancer) vip.spec.allocateLoadBalancerNodePorts = allocates;
      shop.put(vip);
      for (const auto& write : shop.look()) {
        if (roll(3) != 0) shop.apply(write);
      }
      if (roll(3) == 0 && shop.count<k8s::Service>() == 2) {
        auto edited = shop.get<k8s::Service>("vip", "default");
        edited.spec.type = "NodePort";
        edited.spec.externalTrafficPolicy = std::string("Local");
        edited.metadata.labels[api::kReachLabel] = "World";
        if (!edited.spec.ports.empty()) edited.spec.ports[0].nodePort = 32000;
        shop.put(edited);
      }
      if (roll(4) != 0) continue;
      vip = shop.get<api::PodNetworkService>("vip", "default");
      vip.metadata.generation += 100;  // what was lost is asked for again
      shop.put(vip);
      shop.converge();
      const std::string where =
          "history " + std::to_string(history) + ", step " + std::to_string(step);
      if (allocates) allocate(shop, std::exchange(next, next + 2));
      const auto made = shop.get<k8s::Service>("vip", "default");
      ASSERT_EQ(made.spec.type, k8s::spell(type)) << where;
      ASSERT_EQ(made.metadata.labels->contains(api::kReachLabel),
                vip.spec.reach == api::Reach::Cluster)
          << where;
      const bool isLocal = vip.spec.externalTrafficPolicy == api::TrafficPolicy::Local;
      ASSERT_EQ(*made.spec.externalTrafficPolicy, type == Type::ClusterIP ? ""
                                                  : isLocal               ? "Local"
                                                                          : "Cluster")
          << where;
      ASSERT_EQ(*made.spec.loadBalancerSourceRanges, vip.spec.loadBalancerSourceRanges) << where;
      ASSERT_EQ(made.spec.ports.size(), vip.spec.ports.size()) << where;
      std::vector<std::int32_t> told;
      for (std::size_t i = 0; i < made.spec.ports.size(); ++i) {
        const std::int32_t asked = vip.spec.ports[i].nodePort;
        const std::int32_t has = made.spec.ports[i].nodePort;
        ASSERT_TRUE(asked != 0 ? has == asked : (has != 0) == allocates) << where << ": " << has;
        told.push_back(has);
      }
      if (told == std::vector<std::int32_t>(told.size())) told.clear();
      const auto status = shop.get<api::PodNetworkService>("vip", "default").status;
      ASSERT_EQ(status.nodePorts, told) << where;
      ASSERT_EQ(status.conditions.find("LoadBalancer") != nullptr, type == Type::LoadBalancer)
          << where;
      ASSERT_EQ(status.conditions.find("Ready")->reason, "Accepted") << where;
      ASSERT_THAT(serviceReconciler().reconcile(shop.world, {"default", "vip"}, shop.now).writes,
                  IsEmpty())
          << where << ": a new leader writes nothing";
    }
  }
}

TEST(ServiceTypes, ACheckIsCarriedToTheNodesAndTheirWordCounts) {
  Shop shop;
  shop.run("web-0", 5);
  shop.run("web-1", 6);
  shop.converge();
  auto web = shop.get<api::PodNetworkService>("web", "default");
  web.spec.healthCheck =
      api::HealthCheck{api::HttpGetCheck{{0, "web"}, "/healthz"}, {}, {}, 5, 1, 3, 1};
  shop.put(web);
  shop.converge();
  EXPECT_EQ(shop.service().metadata.annotations.at(api::kHealthCheckAnnotation),
            R"({"failureThreshold":3,"httpGet":{"path":"/healthz","port":"web"},)"
            R"("periodSeconds":5,"successThreshold":1,"timeoutSeconds":1})");
  EXPECT_EQ(shop.reason("Endpoints"), "NoneReady") << "nobody was asked yet";
  EXPECT_THAT(shop.condition("Endpoints").message, HasSubstr("interfaces[].health"));
  const auto says = [&](const std::string& pod, int host, bool healthy, const std::string& uid) {
    auto set = Shop::setOf(Shop::pod(pod), host);
    set.interfaces[0].health =
        std::vector<api::InterfaceHealth>{{"web", uid, healthy, "Answered", ""}};
    shop.put(set);
    shop.converge();
  };
  says("web-0", 5, true, "uid-web");
  EXPECT_EQ(shop.reason("Endpoints"), "Available");
  EXPECT_EQ(
      shop.endpoints(),
      (std::map<std::string, bool>{
          {"10.20.0.5", true}, {"fd00:20::5", true}, {"10.20.0.6", false}, {"fd00:20::6", false}}));
  says("web-1", 6, true, "uid-of-an-earlier-one");
  EXPECT_FALSE(shop.endpoints().at("10.20.0.6"));
  says("web-1", 6, true, "uid-web");
  EXPECT_TRUE(shop.endpoints().at("10.20.0.6"));
  says("web-0", 5, false, "uid-web");
  EXPECT_FALSE(shop.endpoints().at("10.20.0.5"));
  EXPECT_THAT(shop.wholly(), IsEmpty());
  // Somebody else's words on the Service are put right.
  auto made = shop.service();
  made.metadata.annotations[api::kHealthCheckAnnotation] = "{}";
  shop.put(made);
  shop.converge();
  EXPECT_THAT(shop.service().metadata.annotations.at(api::kHealthCheckAnnotation),
              HasSubstr("/healthz"));
  web = shop.get<api::PodNetworkService>("web", "default");
  web.spec.healthCheck.reset();
  shop.put(web);
  shop.converge();
  EXPECT_FALSE(shop.service().metadata.annotations->contains(api::kHealthCheckAnnotation));
  EXPECT_TRUE(shop.endpoints().at("10.20.0.5")) << "a pod that is Ready is healthy";
}

}  // namespace
}  // namespace multinet::controller
