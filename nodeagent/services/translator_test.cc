#include "nodeagent/services/translator.h"

#include <gmock/gmock.h>

#include <future>
#include <memory>

#include "lib/api/service.h"
#include "lib/base/fake_clock.h"
#include "nodeagent/services/fake_plane.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent::services {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

/// A Service with a ClusterIP, as the controller makes it.
std::shared_ptr<k8s::Service> serviceNamed(const std::string& name, const std::string& address,
                                           const std::string& protocol = "TCP") {
  auto service = std::make_shared<k8s::Service>();
  service->metadata.nameSpace = "shop";
  service->metadata.name = name;
  service->metadata.labels = {{api::kNetworkLabel, "blue"}};
  service->spec.clusterIP = address;
  service->spec.clusterIPs = {address};
  service->spec.ports = {{"http", protocol, 80, {}, ""}};
  return service;
}

std::shared_ptr<k8s::EndpointSlice> sliceOf(const std::vector<std::string>& addresses,
                                            const std::string& protocol = "TCP") {
  auto slice = std::make_shared<k8s::EndpointSlice>();
  slice->metadata.labels = {{api::kManagedByLabel, api::kServiceManager}};
  slice->addressType = "IPv4";
  slice->ports = {{"http", protocol, 8080, ""}};
  for (const std::string& address : addresses) {
    k8s::Endpoint endpoint;
    endpoint.addresses = {address};
    endpoint.conditions = {true, true, false};
    slice->endpoints.push_back(endpoint);
  }
  return slice;
}

class TranslatorTest : public testing::Test {
 protected:
  TranslatorTest() {
    caches_.content.networks["blue"] = watch::readyNetwork("blue", "10.66.0.0/24");
    caches_.serviceLists["blue"] = {};
    caches_.servicesFor = {"blue"};
  }
  ~TranslatorTest() override {
    if (translator_) translator_->stop();
  }

  void start() {
    translator_.emplace(
        caches_, plane_, members_, [this](const Status& told) { told_.push_back(told); }, clock_,
        TranslatorOptions{.node = NodeName("n1"), .gather = Duration{}});
  }
  /// Until the lane has nothing to do.
  void settle() {
    clock_.advance(std::chrono::milliseconds(1));
    for (int i = 0; i < 3; ++i) {
      std::promise<void> done;
      const_cast<async::Lane&>(translator_->lane()).postAfter(Duration{}, [&] {
        done.set_value();
      });
      done.get_future().wait();
    }
  }
  void changed(const std::string& name = "") {
    translator_->changed(name.empty() ? "" : "blue", name.empty() ? "" : "shop", name);
    settle();
  }
  [[nodiscard]] std::vector<Target> targetsOf(const std::string& address,
                                              Transport transport = Transport::Tcp) {
    std::vector<Target> targets;
    const Frontend frontend{*IpAddress::parse(address), 80, transport};
    const auto value = *plane_.services.find(bpf::bytesOf(toMap(frontend)));
    if (!value) return {Target{}};  // isn't a service
    const auto service = as<mn_service>(*value);
    for (__u32 i = 0; i < service.count; ++i) {
      const mn_slot slot{service.id, i};
      targets.push_back(fromMap(as<mn_backend>(**plane_.slots.find(bpf::bytesOf(slot)))));
    }
    return targets;
  }
  static Target target(const std::string& address) { return {*IpAddress::parse(address), 8080}; }

  FakeClock clock_;
  watch::FakeCaches caches_;
  FakePlane plane_;
  Members members_;
  std::vector<Status> told_;
  std::optional<Translator> translator_;
};

TEST_F(TranslatorTest, NothingIsLoadedBeforeThereIsAClusterIP) {
  caches_.serviceLists["blue"] = {{serviceNamed("headless", "None"), {sliceOf({"10.66.0.1"})}}};
  start();
  changed();
  EXPECT_EQ(plane_.ensured, 0);
  EXPECT_THAT(told_, IsEmpty());
  caches_.serviceLists["blue"].push_back({serviceNamed("web", "10.96.0.1"), {}});
  changed("web");
  EXPECT_GT(plane_.ensured, 0);
  EXPECT_THAT(targetsOf("10.96.0.1"), IsEmpty()) << "refused at once";
  ASSERT_FALSE(told_.empty());
  EXPECT_TRUE(told_.back());
}

TEST_F(TranslatorTest, FollowsItsServices) {
  auto& list = caches_.serviceLists["blue"];
  list = {{serviceNamed("web", "10.96.0.1"), {sliceOf({"10.66.0.1"})}}};
  start();
  changed();
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.1")));
  list[0].slices = {sliceOf({"10.66.0.2"})};
  changed("web");
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.2")));
  // Deleted and made again with another address.
  list[0].service = serviceNamed("web", "10.96.0.2");
  changed("web");
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(Target{}));
  EXPECT_THAT(targetsOf("10.96.0.2"), ElementsAre(target("10.66.0.2")));
  list.clear();
  changed();
  EXPECT_THAT(targetsOf("10.96.0.2"), ElementsAre(Target{}));
  EXPECT_EQ(plane_.slots.size(), 0U);
}

TEST_F(TranslatorTest, AnAffinityIsTheServices) {
  auto web = serviceNamed("web", "10.96.0.1");
  web->spec.sessionAffinity = "ClientIP";
  web->spec.sessionAffinityConfig = k8s::SessionAffinityConfig{k8s::ClientIpConfig{600}};
  caches_.serviceLists["blue"] = {{web, {sliceOf({"10.66.0.1"})}}};
  start();
  changed();
  const auto affinity = [&] {
    const Frontend frontend{*IpAddress::parse("10.96.0.1"), 80, Transport::Tcp};
    return as<mn_service>(**plane_.services.find(bpf::bytesOf(toMap(frontend)))).affinity;
  };
  EXPECT_EQ(affinity(), 600U);
  auto without = std::make_shared<k8s::Service>(*web);
  without->spec.sessionAffinity = "None";
  without->spec.sessionAffinityConfig.reset();
  caches_.serviceLists["blue"][0].service = without;
  changed("web");
  EXPECT_EQ(affinity(), 0U);
}

TEST_F(TranslatorTest, HintsAreForItsNodeAndItsZone) {
  auto slice = sliceOf({"10.66.0.1", "10.66.0.2", "10.66.0.3"});
  slice->endpoints[0].hints = k8s::EndpointHints{{{"east"}}, {{"n2"}}};
  slice->endpoints[1].hints = k8s::EndpointHints{{{"west"}}, {{"n3"}}};
  slice->endpoints[2].hints = k8s::EndpointHints{{{"east"}}, {{"n1"}}};
  caches_.serviceLists["blue"] = {{serviceNamed("web", "10.96.0.1"), {slice}}};
  caches_.zoneOfNode.reset();
  start();
  changed();
  EXPECT_EQ(plane_.services.size(), 0U) << "it isn't known where it is";
  caches_.zoneOfNode = "east";
  changed();
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.3"))) << "on this node";
  auto zonal = std::make_shared<k8s::EndpointSlice>(*slice);
  for (auto& one : zonal->endpoints) one.hints.edit().forNodes.clear();
  caches_.serviceLists["blue"][0].slices = {zonal};
  changed("web");
  EXPECT_THAT(targetsOf("10.96.0.1"),
              UnorderedElementsAre(target("10.66.0.1"), target("10.66.0.3")));
  caches_.zoneOfNode = "west";
  changed();
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.2")));
  caches_.zoneOfNode = "";
  changed();
  EXPECT_EQ(targetsOf("10.96.0.1").size(), 3U);
}

TEST_F(TranslatorTest, ANetworkThatIsFollowedNoMoreGoes) {
  caches_.serviceLists["blue"] = {{serviceNamed("web", "10.96.0.1"), {sliceOf({"10.66.0.1"})}}};
  start();
  changed();
  caches_.servicesFor = std::set<std::string>{};
  changed();
  EXPECT_EQ(plane_.services.size(), 0U);
}

TEST_F(TranslatorTest, ARestartWritesNothingAndTakesNothingBeforeItKnows) {
  caches_.serviceLists["blue"] = {{serviceNamed("web", "10.96.0.1"), {sliceOf({"10.66.0.1"})}}};
  start();
  changed();
  translator_->stop();
  translator_.reset();
  const auto before = plane_.services.writes() + plane_.slots.writes();
  caches_.servicesFor.reset();
  start();
  changed();
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.1"))) << "nothing is known yet";
  const auto list = std::exchange(caches_.serviceLists, {});
  caches_.servicesFor = {"blue"};
  changed();
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.1"))) << "no list yet";
  caches_.serviceLists = list;
  changed();
  EXPECT_EQ(plane_.services.writes() + plane_.slots.writes(), before);
}

TEST_F(TranslatorTest, UdpOfAnEndpointThatWentEnds) {
  auto& list = caches_.serviceLists["blue"];
  list = {{serviceNamed("dns", "10.96.0.1", "UDP"), {sliceOf({"10.66.0.1"}, "UDP")}}};
  start();
  changed();
  EXPECT_THAT(plane_.ended, IsEmpty());
  list[0].slices = {sliceOf({"10.66.0.2"}, "UDP")};
  changed("dns");
  ASSERT_EQ(plane_.ended.size(), 1U);
  EXPECT_THAT(plane_.ended[0].targets, ElementsAre(target("10.66.0.1")));
  EXPECT_EQ(plane_.ended[0].network, keyOf(NetworkUid("uid-blue")));
  EXPECT_EQ(translator_->counts().ended, 1U);
}

TEST_F(TranslatorTest, WhatCantBeHadIsToldAndTriedAgain) {
  caches_.serviceLists["blue"] = {{serviceNamed("web", "10.96.0.1"), {sliceOf({"10.66.0.1"})}}};
  plane_.error = Error{Code::Unavailable, "BpfNotPermitted", "load: not permitted"};
  start();
  changed();
  ASSERT_FALSE(told_.empty());
  EXPECT_EQ(told_.back().error().reason, "BpfNotPermitted");
  plane_.error.reset();
  clock_.advance(std::chrono::seconds(31));
  settle();
  settle();
  EXPECT_TRUE(told_.back());
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.1")));
}

TEST_F(TranslatorTest, AFullMapNamesWhatIsNotServed) {
  caches_.serviceLists["blue"] = {{serviceNamed("web", "10.96.0.1"), {sliceOf({"10.66.0.1"})}},
                                  {serviceNamed("late", "10.96.0.2"), {sliceOf({"10.66.0.2"})}}};
  plane_.slots.setCapacity(1);
  start();
  changed();
  ASSERT_FALSE(told_.back());
  EXPECT_EQ(told_.back().error().reason, "MapFull");
  EXPECT_THAT(told_.back().error().message, HasSubstr("TCP 10.96.0.2:80 of Service shop/late"));
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.1")));
}

TEST_F(TranslatorTest, AFullMapIsEnlarged) {
  caches_.serviceLists["blue"] = {{serviceNamed("web", "10.96.0.1"), {sliceOf({"10.66.0.1"})}},
                                  {serviceNamed("late", "10.96.0.2"), {sliceOf({"10.66.0.2"})}}};
  plane_.slots.setCapacity(1);
  plane_.growsTo = 2;
  start();
  changed();
  EXPECT_TRUE(told_.back());
  EXPECT_THAT(targetsOf("10.96.0.1"), ElementsAre(target("10.66.0.1")));
  EXPECT_THAT(targetsOf("10.96.0.2"), ElementsAre(target("10.66.0.2")));
  EXPECT_EQ(plane_.growsTo, 0U) << "when it was needed";
}

}  // namespace
}  // namespace multinet::agent::services
