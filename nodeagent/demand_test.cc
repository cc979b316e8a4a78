#include "nodeagent/demand.h"

#include <gtest/gtest.h>

#include "lib/api/service.h"
#include "lib/base/fake_clock.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent {
namespace {

using networks::Demand;
using std::chrono::minutes;
using std::chrono::seconds;

std::shared_ptr<k8s::Pod> pod(const std::string& request) {
  auto pod = std::make_shared<k8s::Pod>();
  pod->metadata.nameSpace = "default";
  pod->metadata.name = "web";
  pod->metadata.annotations["multinet.dev/networks"] = request;
  return pod;
}

class DemandTest : public testing::Test {
 protected:
  DemandTest() {
    for (const char* name : {"blue", "green"}) {
      caches_.content.networks[name] = watch::readyNetwork(name, "10.20.0.0/16");
    }
    used_.complete = true;
  }
  Demand of(const std::string& uid) {
    demands_.update(caches_);
    return demands_.of(NetworkUid(uid));
  }
  void grow(Duration time) { clock_.advance(std::chrono::duration_cast<seconds>(time)); }

  FakeClock clock_;
  watch::FakeCaches caches_;
  UsedHere used_;
  Demands demands_{[this] { return used_; }, minutes(5), clock_};
};

TEST_F(DemandTest, PodsWantWhatTheyAskForUntilTheyAreFinished) {
  api::PodNetworkAttachment attachment;
  attachment.spec.podNetworkName = "green";
  caches_.content.attachments[{"default", "nic"}] = attachment;
  auto web = pod("blue, attachment/nic");
  caches_.podList = {web, pod("nosuch"), pod("no such"), pod("attachment/nosuch")};
  const std::set<NetworkUid> both{NetworkUid("uid-blue"), NetworkUid("uid-green")};
  EXPECT_EQ(wantedByPods(caches_), both);
  web->metadata.deletionTimestamp = WallTime{};
  EXPECT_EQ(wantedByPods(caches_), both) << "it still has its interfaces";
  web->metadata.annotations["multinet.dev/resolved"] = "net1=blue@uid-of-before";
  EXPECT_EQ(wantedByPods(caches_), std::set<NetworkUid>{NetworkUid("uid-of-before")})
      << "it gets no other";
  web->status.phase = "Succeeded";
  EXPECT_TRUE(wantedByPods(caches_).empty());
}

// A node without a pod of the network joins it for clients who come in here.
TEST_F(DemandTest, ServicesForClientsOfEachNodeWantTheirNetworks) {
  EXPECT_TRUE(wantedByServices(caches_).empty()) << "nothing is known yet";
  const auto serve = [&](const std::string& name, const std::string& type,
                         const std::string& network) {
    auto service = std::make_shared<k8s::Service>();
    service->metadata.name = name;
    if (!network.empty()) service->metadata.labels = {{api::kNetworkLabel, network}};
    service->spec.type = type;
    caches_.everyService->push_back(service);
    return service;
  };
  caches_.everyService.emplace();
  const auto plain = serve("plain", "ClusterIP", "blue");
  const auto local = serve("local", "NodePort", "blue");
  local->spec.externalTrafficPolicy = "Local";
  serve("gone", "NodePort", "red");
  serve("of-none", "NodePort", "");
  EXPECT_TRUE(wantedByServices(caches_).empty())
      << "those are for pods, for nodes with pods, or of no network";
  const std::set<NetworkUid> blue{NetworkUid("uid-blue")};
  plain->metadata.labels[api::kReachLabel] = "Cluster";
  EXPECT_EQ(wantedByServices(caches_), blue);
  local->spec.externalTrafficPolicy = "Cluster";
  EXPECT_EQ(wantedByServices(caches_), blue) << "once";
  serve("other", "LoadBalancer", "green");
  EXPECT_EQ(wantedByServices(caches_), (std::set{NetworkUid("uid-blue"), NetworkUid("uid-green")}));
  caches_.content.networks["green"].metadata.deletionTimestamp = WallTime{};
  EXPECT_EQ(wantedByServices(caches_), blue) << "nobody joins a network that ends";
}

TEST_F(DemandTest, LingersAfterTheLastThatWantedIt) {
  grow(minutes(6));
  EXPECT_EQ(of("uid-blue"), Demand::None);
  caches_.podList = {pod("blue")};
  EXPECT_EQ(of("uid-blue"), Demand::Wanted);
  EXPECT_TRUE(demands_.needsPeers(NetworkUid("uid-blue")));
  grow(minutes(60));
  EXPECT_EQ(of("uid-blue"), Demand::Wanted);
  caches_.podList.clear();
  EXPECT_EQ(of("uid-blue"), Demand::Lingers);
  EXPECT_TRUE(demands_.needsPeers(NetworkUid("uid-blue"))) << "its tunnel is still there";
  EXPECT_EQ(demands_.next(), clock_.now() + minutes(5));
  grow(minutes(5));
  EXPECT_EQ(of("uid-blue"), Demand::None);
  EXPECT_FALSE(demands_.needsPeers(NetworkUid("uid-blue")));
  EXPECT_FALSE(demands_.next());
}

TEST_F(DemandTest, AfterAStartAllAreKeptAndNoPeersAskedFor) {
  EXPECT_EQ(of("uid-blue"), Demand::Lingers);
  EXPECT_FALSE(demands_.needsPeers(NetworkUid("uid-blue")));
  EXPECT_EQ(demands_.next(), clock_.now() + minutes(5));
  grow(minutes(5));
  EXPECT_EQ(of("uid-blue"), Demand::None);
}

TEST_F(DemandTest, NothingIsTakenWhileTheJournalMayHaveMore) {
  used_.complete = false;
  grow(minutes(60));
  EXPECT_EQ(of("uid-blue"), Demand::Lingers);
  EXPECT_EQ(demands_.next(), clock_.now() + seconds(2)) << "it is looked at again";
  used_ = {{NetworkUid("uid-blue")}, true};
  EXPECT_EQ(of("uid-blue"), Demand::Wanted) << "whatever the API says";
  EXPECT_EQ(of("uid-green"), Demand::None);
}

TEST_F(DemandTest, ACallCountsUntilItsPodIsSeen) {
  grow(minutes(6));
  EXPECT_TRUE(demands_.call(NetworkUid("uid-blue")));
  EXPECT_FALSE(demands_.call(NetworkUid("uid-blue"))) << "it asks again and again";
  EXPECT_EQ(of("uid-blue"), Demand::Wanted);
  grow(seconds(59));
  EXPECT_EQ(of("uid-blue"), Demand::Wanted);
  grow(seconds(1));
  EXPECT_EQ(of("uid-blue"), Demand::Lingers);
  EXPECT_TRUE(demands_.call(NetworkUid("uid-blue")));
}

TEST_F(DemandTest, AnAdminMayWantItEverywhere) {
  grow(minutes(6));
  caches_.content.networks["blue"].spec.join = api::JoinMode::Always;
  EXPECT_EQ(of("uid-blue"), Demand::Wanted);
}

TEST(UsedBy, IsWhatSandboxesHaveAndCompleteWithoutDoubt) {
  sandbox::Snapshot sandboxes;
  EXPECT_FALSE(usedBy(sandboxes).complete);
  sandboxes.recovered = true;
  InterfaceStatus status;
  status.plan.networkUid = NetworkUid("uid-blue");
  sandbox::SandboxView view;
  view.interfaces = std::make_shared<const std::vector<InterfaceStatus>>(
      std::vector<InterfaceStatus>{status, InterfaceStatus{}});
  sandboxes.sandboxes[SandboxId("s1")] = view;
  EXPECT_EQ(usedBy(sandboxes).networks, std::set<NetworkUid>{NetworkUid("uid-blue")});
  EXPECT_TRUE(usedBy(sandboxes).complete);
  sandboxes.doubts[journal::Doubt::NoLinks] = 1;
  EXPECT_TRUE(usedBy(sandboxes).complete) << "that one has nothing";
  sandboxes.doubts[journal::Doubt::Unseen] = 1;
  EXPECT_FALSE(usedBy(sandboxes).complete);
}

}  // namespace
}  // namespace multinet::agent
