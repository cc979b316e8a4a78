#include "nodeagent/report/node_reporter.h"

#include <gtest/gtest.h>

#include <optional>

namespace multinet::agent::report {
namespace {

networks::Snapshot blue() {
  networks::NetworkState state;
  state.name = NetworkName("blue");
  state.uid = NetworkUid("u1");
  state.type = LinkType::Vxlan;
  state.bridgeMac = MacAddress::derive("blue");
  state.underlays = {IpAddress::parse("10.90.0.11").value()};
  state.ready = networks::CheckStatus::True;
  state.reason = "Measured";
  state.checks = {{"Peers", networks::CheckStatus::Unknown, "NotProbed", "there is no peer"}};
  networks::Snapshot snapshot;
  snapshot.settled = true;
  snapshot.networks = {state};
  return snapshot;
}

class CountingApi final : public NodeApi {
 public:
  Result<api::NodeNetworkSet> getNodeSet(const NodeName& /*node*/) override {
    if (!set_) return fail(Code::NotFound, "NotFound", "no set");
    return *set_;
  }
  Result<api::NodeNetworkSet> createNodeSet(const api::NodeNetworkSet& set) override {
    ++writes_;
    set_ = set;
    return set;
  }
  Status updateNodeSetStatus(const api::NodeNetworkSet& set) override {
    ++writes_;
    set_ = set;
    return {};
  }
  Result<std::vector<api::NetworkPeer>> listPeers(const NodeName& /*node*/) override {
    return peers_;
  }
  Status createPeer(const api::NetworkPeer& peer) override {
    ++writes_;
    peers_.push_back(peer);
    return {};
  }
  Status updatePeer(const api::NetworkPeer& peer) override {
    ++writes_;
    peers_ = {peer};
    return {};
  }
  Status deletePeer(const api::NetworkPeer& /*peer*/) override {
    ++writes_;
    peers_.clear();
    return {};
  }

  int writes_ = 0;
  std::optional<api::NodeNetworkSet> set_;
  std::vector<api::NetworkPeer> peers_;
};

TEST(NodeStatus, SaysWhatWasNotProbedAndKeepsTheTimeOfTransition) {
  const WallTime first = WallTime(std::chrono::seconds(1000));
  const WallTime later = WallTime(std::chrono::seconds(2000));
  const auto one = nodeStatus({}, {blue(), {}}, first);
  ASSERT_EQ(one.networks.size(), 1U);
  EXPECT_EQ(one.networks[0].checks.at(0).status, k8s::ConditionStatus::Unknown);
  EXPECT_EQ(one.networks[0].checks.at(0).reason, "NotProbed");
  EXPECT_EQ(nodeStatus(one, {blue(), {}}, later), one);

  networks::Snapshot cut = blue();
  cut.networks[0].ready = networks::CheckStatus::False;
  cut.networks[0].reason = "PathMTUTooSmall";
  const auto two = nodeStatus(one, {cut, {}}, later);
  const k8s::Condition* ready = two.networks[0].conditions.find("Ready");
  ASSERT_NE(ready, nullptr);
  EXPECT_EQ(ready->reason, "PathMTUTooSmall");
  EXPECT_EQ(ready->lastTransitionTime, later);
}

TEST(NodeStatus, ANetworkMadeAgainUnderItsNameStartsAnew) {
  const WallTime first = WallTime(std::chrono::seconds(1000));
  const WallTime later = WallTime(std::chrono::seconds(2000));
  networks::Snapshot again = blue();
  again.networks[0].uid = NetworkUid("u2");
  const auto status = nodeStatus(nodeStatus({}, {blue(), {}}, first), {again, {}}, later);
  ASSERT_EQ(status.networks.size(), 1U);
  EXPECT_EQ(status.networks[0].conditions.find("Ready")->lastTransitionTime, later);
}

TEST(NodeStatus, ConditionsOfTheNodeStayUntilTheyAreSaidOtherwise) {
  const WallTime first = WallTime(std::chrono::seconds(1000));
  const WallTime later = WallTime(std::chrono::seconds(2000));
  const NodeCondition bypassed{"AgentBypassed", k8s::ConditionStatus::True, "KubeletAsksRuntime",
                               "the kubelet asks the runtime itself"};
  const auto one = nodeStatus({}, {blue(), {{bypassed.type, bypassed}}}, first);
  ASSERT_TRUE(one.conditions.isTrue("AgentBypassed"));
  EXPECT_EQ(nodeStatus(one, {blue(), {{bypassed.type, bypassed}}}, later), one);
  // An agent that starts hasn't looked yet: what the last one said stands.
  EXPECT_EQ(nodeStatus(one, {blue(), {}}, later), one);

  NodeCondition over = bypassed;
  over.status = k8s::ConditionStatus::False;
  const auto two = nodeStatus(one, {blue(), {{over.type, over}}}, later);
  EXPECT_EQ(two.conditions.find("AgentBypassed")->lastTransitionTime, later);
}

TEST(NodeStatus, AConditionOfTheNodeIsToldBeforeItsNetworksAreKnown) {
  CountingApi api;
  const NodeCondition bypassed{"AgentBypassed", k8s::ConditionStatus::True, "Seen", "it does"};
  ASSERT_TRUE(writeNode(api, NodeName("n1"), {blue(), {}}, WallTime{}));
  ASSERT_TRUE(writeNode(api, NodeName("n1"), {{}, {{bypassed.type, bypassed}}}, WallTime{}));
  EXPECT_TRUE(api.set_->status.conditions.isTrue("AgentBypassed"));
  EXPECT_EQ(api.set_->status.networks.size(), 1U) << "half a picture takes nothing away";
  EXPECT_EQ(api.peers_.size(), 1U);
}

TEST(Peers, OnlyTunnelsThatEndHereAreTold) {
  networks::Snapshot snapshot = blue();
  EXPECT_EQ(peersOf(snapshot, NodeName("n1")).at(0).metadata.name, "blue.n1");
  snapshot.networks[0].underlays.clear();
  EXPECT_TRUE(peersOf(snapshot, NodeName("n1")).empty());
  snapshot = blue();
  snapshot.networks[0].type = LinkType::Bridge;
  EXPECT_TRUE(peersOf(snapshot, NodeName("n1")).empty());
}

// Calls write() on the test's own thread; nothing is queued.
class IdleReporter {
 public:
  explicit IdleReporter(CountingApi& api) : api_(api) {}
  int writesOf(const networks::Snapshot& snapshot) {
    const int before = api_.writes_;
    EXPECT_TRUE(writeNode(api_, NodeName("n1"), {snapshot, {}}, WallTime(std::chrono::seconds(1))));
    return api_.writes_ - before;
  }

 private:
  CountingApi& api_;
};

TEST(WriteNode, WritesDifferencesOnlyAndNothingBeforeItKnows) {
  CountingApi api;
  IdleReporter reporter(api);
  EXPECT_EQ(reporter.writesOf({}), 0);
  EXPECT_EQ(reporter.writesOf(blue()), 3);  // the peer, the set, its status
  EXPECT_EQ(reporter.writesOf(blue()), 0);
  networks::Snapshot moved = blue();
  moved.networks[0].underlays = {IpAddress::parse("10.90.0.12").value()};
  EXPECT_EQ(reporter.writesOf(moved), 1);
  networks::Snapshot none;
  none.settled = true;
  EXPECT_EQ(reporter.writesOf(none), 2);
  EXPECT_TRUE(api.peers_.empty());
}

}  // namespace
}  // namespace multinet::agent::report
