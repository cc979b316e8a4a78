#include "nodeagent/feeder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "lib/base/fake_clock.h"
#include "nodeagent/addresses/fake_block_server.h"
#include "nodeagent/networks/fake_networks.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

api::PodNetwork network(const std::string& name, k8s::ConditionStatus ready) {
  api::PodNetwork network = watch::readyNetwork(name, "10.20.0.0/16");
  network.status.conditions.set({"Ready", ready, 1, {}, "Reason", ""}, WallTime{});
  return network;
}

std::shared_ptr<k8s::Pod> pod(const std::string& request) {
  auto pod = std::make_shared<k8s::Pod>();
  pod->metadata.nameSpace = "default";
  pod->metadata.name = "web";
  pod->metadata.annotations["multinet.dev/networks"] = request;
  return pod;
}

class FeederTest : public ::testing::Test {
 protected:
  FeederTest() {
    for (const char* name : {"blue", "green", "spare"}) {
      caches_.content.networks[name] = network(name, k8s::ConditionStatus::True);
    }
    caches_.content.networks["sick"] = network("sick", k8s::ConditionStatus::False);
  }

  std::vector<std::string> wantedNames() const {
    std::vector<std::string> names;
    for (const addresses::Pool& pool : wantedPools(caches_)) names.push_back(pool.network.str());
    return names;
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return condition();
  }
  /// Of what blocks are leased ahead.
  std::set<std::string> leased() {
    std::set<std::string> names;
    for (const auto& block : store_.blocks()) names.insert(block.network.str());
    return names;
  }
  Feeder::Serve serve() {
    return
        [this](std::vector<networks::DesiredNetwork> all) { networks_.setDesired(std::move(all)); };
  }

  Feeder makeFeeder(UsedHere used = {{}, true}) {
    return Feeder(caches_, serve(), addresses_, [used] { return used; }, clock_,
                  {.node = NodeName("n1")});
  }
  networks::Demand demandFor(const std::string& name) {
    for (const auto& one : networks_.desired()) {
      if (one.name == NetworkName(name)) return one.demand;
    }
    return networks::Demand::None;
  }

  watch::FakeCaches caches_;
  networks::FakeNetworks networks_;
  FakeClock clock_;
  addresses::FakeBlockServer store_;
  addresses::Blocks blocks_{store_.client(), NodeName("n1")};
  async::Lane lane_{"sandbox", clock_};
  addresses::Addresses addresses_{lane_, blocks_, clock_, {.node = NodeName("n1")}};
};

TEST_F(FeederTest, PoolsAreThoseThatPodsOfTheNodeName) {
  api::PodNetworkAttachment attachment;
  attachment.spec.podNetworkName = "green";
  caches_.content.attachments[{"default", "nic"}] = attachment;
  caches_.podList = {pod("blue"), pod("blue"), pod("attachment/nic")};
  EXPECT_EQ(wantedNames(), (std::vector<std::string>{"blue", "green"}));
  EXPECT_EQ(wantedPools(caches_)[0].uid, NetworkUid("uid-blue"));
  EXPECT_EQ(wantedPools(caches_)[0].subnets.size(), 1U);
}

TEST_F(FeederTest, WhatCantBeResolvedIsLeftOut) {
  auto ended = pod("blue");
  ended->metadata.deletionTimestamp = WallTime{};
  auto plain = pod("");
  plain->metadata.annotations.clear();
  auto succeeded = pod("blue");
  succeeded->status.phase = "Succeeded";
  auto failed = pod("blue");
  failed->status.phase = "Failed";
  caches_.podList = {pod("no such"), pod("nosuch"), pod("sick"), pod("attachment/nosuch"),
                     ended,          plain,         succeeded,   failed};
  EXPECT_EQ(wantedNames(), std::vector<std::string>());
}

TEST_F(FeederTest, WhatARunningPodWasOnIsMadeAgainWhateverItsVerdict) {
  auto returns = pod("sick");
  returns->metadata.annotations["multinet.dev/resolved"] = "net1=sick@uid-sick";
  returns->status.phase = "Running";
  caches_.podList = {returns};
  EXPECT_EQ(wantedNames(), std::vector<std::string>{"sick"});
  Feeder feeder = makeFeeder();
  feeder.changed();
  clock_.advance(milliseconds(50));
  ASSERT_TRUE(eventually([this] { return !networks_.desired().empty(); }));
  EXPECT_EQ(networks_.desired().back().name, NetworkName("sick")) << "what both want is others'";
  EXPECT_EQ(networks_.desired().back().state, networks::DesiredState::Return);
  feeder.stop();
  returns->status.phase = "Pending";
  EXPECT_EQ(wantedNames(), std::vector<std::string>()) << "it waits for its first sandbox";
}

TEST_F(FeederTest, CarriesABurstOnceAndNothingOfHalfAPicture) {
  caches_.podList = {pod("blue")};
  caches_.error = Error{Code::Unavailable, "CachesNotReady", "read PodNetworks: not answered yet"};
  {
    Feeder feeder = makeFeeder();
    feeder.changed();
    feeder.stop();  // drops what waits
  }
  EXPECT_TRUE(networks_.desired().empty());
  caches_.error.reset();
  Feeder feeder = makeFeeder();
  addresses_.restore({}, addresses::Books::Complete);
  for (int i = 0; i < 100; ++i) feeder.changed();
  clock_.advance(milliseconds(50));
  EXPECT_TRUE(eventually([this] { return !leased().empty(); }));
  const auto desired = networks_.desired();
  EXPECT_EQ(desired.size(), 4U);
  EXPECT_EQ(
      std::ranges::count(desired, networks::DesiredState::Serve, &networks::DesiredNetwork::state),
      3)
      << "networks that are Ready";
  EXPECT_EQ(leased(), std::set<std::string>{"blue"}) << "what a pod wants, once";
  feeder.stop();
}

TEST_F(FeederTest, WhatNobodyWantsIsNotWanted) {
  caches_.podList = {pod("blue")};
  Feeder feeder = makeFeeder({{NetworkUid("uid-green")}, true});
  feeder.changed();
  clock_.advance(milliseconds(50));
  ASSERT_TRUE(eventually([this] { return !networks_.desired().empty(); }));
  EXPECT_EQ(demandFor("blue"), networks::Demand::Wanted);
  EXPECT_EQ(demandFor("green"), networks::Demand::Wanted) << "the journal has it";
  EXPECT_EQ(demandFor("spare"), networks::Demand::Lingers);
  clock_.advance(std::chrono::minutes(5));
  ASSERT_TRUE(eventually([this] { return demandFor("spare") == networks::Demand::None; }))
      << "without a word of anybody";
  feeder.want(NetworkUid("uid-spare"));
  clock_.advance(milliseconds(50));
  EXPECT_TRUE(eventually([this] { return demandFor("spare") == networks::Demand::Wanted; }));
  feeder.stop();
}

TEST_F(FeederTest, ATunnelIsServedFirstWithItsPeersAndFollowsThem) {
  auto& blue = caches_.content.networks["blue"];
  blue.spec.type = api::NetworkType::Vxlan;
  blue.spec.macvlan.reset();
  blue.status.vni = 7001;
  caches_.content.networks["green"] = blue;
  caches_.content.networks["green"].metadata.name = "green";
  caches_.content.networks["green"].metadata.uid = "uid-green";
  caches_.podList = {pod("blue")};
  Feeder feeder = makeFeeder();
  feeder.changed();
  clock_.advance(milliseconds(50));
  ASSERT_TRUE(eventually([this] { return !caches_.followed.empty(); }));
  EXPECT_EQ(caches_.followed, std::set<std::string>{"blue"});
  feeder.changed();
  clock_.advance(milliseconds(50));
  EXPECT_TRUE(networks_.desired().empty()) << "a start must not empty a flood list";
  clock_.advance(seconds(5));
  ASSERT_TRUE(eventually([this] { return !networks_.desired().empty(); }))
      << "but the others don't wait for one for ever";
  const auto network = networks_.desired().front().network;
  EXPECT_FALSE(std::get<drivers::vxlan::Network>(network).peersKnown);
  feeder.stop();
}

}  // namespace
}  // namespace multinet::agent
