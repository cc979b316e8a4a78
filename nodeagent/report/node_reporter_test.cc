#include "nodeagent/report/node_reporter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>

#include "nodeagent/watch/fake_own_objects.h"

namespace multinet::agent::report {
namespace {

networks::Snapshot blue() {
  networks::NetworkState state;
  state.name = NetworkName("blue");
  state.uid = NetworkUid("u1");
  state.type = api::NetworkType::Vxlan;
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

TEST(NodeStatus, SaysWhatWasNotProbedAndKeepsTheTimeOfTransition) {
  const WallTime first = WallTime(std::chrono::seconds(1000));
  const WallTime later = WallTime(std::chrono::seconds(2000));
  const auto one = nodeStatus({}, {blue(), {}, {}}, first);
  ASSERT_EQ(one.networks.size(), 1U);
  EXPECT_EQ(one.networks[0].checks.at(0).status, k8s::ConditionStatus::Unknown);
  EXPECT_EQ(one.networks[0].checks.at(0).reason, "NotProbed");
  EXPECT_EQ(nodeStatus(one, {blue(), {}, {}}, later), one);

  networks::Snapshot cut = blue();
  cut.networks[0].ready = networks::CheckStatus::False;
  cut.networks[0].reason = "PathMTUTooSmall";
  const auto two = nodeStatus(one, {cut, {}, {}}, later);
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
  const auto status = nodeStatus(nodeStatus({}, {blue(), {}, {}}, first), {again, {}, {}}, later);
  ASSERT_EQ(status.networks.size(), 1U);
  EXPECT_EQ(status.networks[0].conditions.find("Ready")->lastTransitionTime, later);
}

TEST(NodeStatus, ConditionsOfTheNodeStayUntilTheyAreSaidOtherwise) {
  const WallTime first = WallTime(std::chrono::seconds(1000));
  const WallTime later = WallTime(std::chrono::seconds(2000));
  const NodeCondition bypassed{"AgentBypassed", k8s::ConditionStatus::True, "KubeletAsksRuntime",
                               "the kubelet asks the runtime itself"};
  const auto one = nodeStatus({}, {blue(), {{bypassed.type, bypassed}}, {}}, first);
  ASSERT_TRUE(one.conditions.isTrue("AgentBypassed"));
  EXPECT_EQ(nodeStatus(one, {blue(), {{bypassed.type, bypassed}}, {}}, later), one);
  // An agent that starts hasn't looked yet: what the last one said stands.
  EXPECT_EQ(nodeStatus(one, {blue(), {}, {}}, later), one);

  NodeCondition over = bypassed;
  over.status = k8s::ConditionStatus::False;
  const auto two = nodeStatus(one, {blue(), {{over.type, over}}, {}}, later);
  EXPECT_EQ(two.conditions.find("AgentBypassed")->lastTransitionTime, later);
}

TEST(NodeStatus, LinksThatOutliveTheirNetworkAreTold) {
  networks::Snapshot snapshot = blue();
  for (int i = 0; i < 10; ++i) {
    snapshot.leftovers.push_back({NetworkUid("u"), "mnb" + std::to_string(i), 2});
  }
  const auto told = nodeStatus({}, {snapshot, {}, {}}, WallTime{});
  ASSERT_TRUE(told.conditions.isTrue("LeftoverLinks"));
  EXPECT_EQ(told.conditions.find("LeftoverLinks")->message,
            "links of networks that are gone are kept until their pods end: mnb0 (interfaces: 2), "
            "mnb1 (interfaces: 2), mnb2 (interfaces: 2), mnb3 (interfaces: 2), mnb4 (interfaces: "
            "2), mnb5 (interfaces: 2), mnb6 (interfaces: 2), mnb7 (interfaces: 2) and 2 more");
  EXPECT_FALSE(nodeStatus(told, {blue(), {}, {}}, WallTime{}).conditions.isTrue("LeftoverLinks"));
  EXPECT_TRUE(nodeStatus({}, {blue(), {}, {}}, WallTime{}).conditions.items.empty());
}

TEST(Peers, OnlyTunnelsThatEndHereAreTold) {
  networks::Snapshot snapshot = blue();
  EXPECT_TRUE(peersOf(snapshot, NodeName("n1")).contains("blue.n1"));
  snapshot.networks[0].underlays.clear();
  EXPECT_TRUE(peersOf(snapshot, NodeName("n1")).empty());
  snapshot = blue();
  snapshot.networks[0].type = api::NetworkType::Bridge;
  EXPECT_TRUE(peersOf(snapshot, NodeName("n1")).empty());
}

/// An API server whose watches show at once what it has, or are behind.
class FakeApi final : public NodeApi {
 public:
  explicit FakeApi(watch::FakeOwnObjects& own) : own_(own) {}

  Result<api::NodeNetworkSet> getNodeSet(const NodeName& /*node*/) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (!set_) return fail(Code::NotFound, "NotFound", "no set");
    return *set_;
  }
  Result<api::NodeNetworkSet> createNodeSet(const api::NodeNetworkSet& set) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    set_ = set;
    set_->metadata.resourceVersion = "1";
    if (showing_) own_.put(*set_);
    return *set_;
  }
  Status updateNodeSetStatus(const api::NodeNetworkSet& set) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (!set_) return fail(Code::NotFound, "NotFound", "no set");
    if (set.metadata.resourceVersion != set_->metadata.resourceVersion) {
      return fail(Code::Aborted, "Conflict", "the object has been modified");
    }
    set_ = set;
    set_->metadata.resourceVersion += '1';
    if (showing_) own_.put(*set_);
    return {};
  }
  Status createPeer(const api::NetworkPeer& peer) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (peer.metadata.name == refused_) return fail(Code::InvalidArgument, "Invalid", "no");
    peers_[peer.metadata.name] = peer;
    own_.put(peer);
    return {};
  }
  Status updatePeer(const api::NetworkPeer& peer) override { return createPeer(peer); }
  Status deletePeer(const api::NetworkPeer& peer) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    own_.removePeer(peer.metadata.name);
    if (peers_.erase(peer.metadata.name) == 0) return fail(Code::NotFound, "NotFound", "no peer");
    return {};
  }
  std::vector<std::string> peers() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, peer] : peers_) names.push_back(name);
    return names;
  }
  std::size_t networks() {
    const std::lock_guard lock(mutex_);
    return set_ ? set_->status.networks.size() : 0;
  }

  watch::FakeOwnObjects& own_;
  std::mutex mutex_;
  int calls_ = 0;
  bool showing_ = true;
  std::string refused_;
  std::optional<api::NodeNetworkSet> set_;
  std::map<std::string, api::NetworkPeer> peers_;
};

class NodeReporterTest : public ::testing::Test {
 protected:
  NodeReporterTest() {
    own_.put(k8s::Node{});
    start();
  }
  void start() {
    NodeReportOptions options;
    options.repairAfter = std::chrono::milliseconds(1);
    reporter_.reset();
    reporter_ = std::make_unique<NodeReporter>(api_, own_, clock_, NodeName("n1"), options);
  }
  void tell(const networks::Snapshot& snapshot) {
    reporter_->update(std::make_shared<const networks::Snapshot>(snapshot));
  }
  template <class Condition>
  static void eventually(const char* what, const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void expectAll() {
    eventually("set and peer are there", [this] {
      return api_.networks() == 1 && api_.peers() == std::vector<std::string>{"blue.n1"};
    });
  }
  /// Calls that a look at everything makes.
  int callsOfALook() {
    const int before = api_.calls_;
    EXPECT_TRUE(reporter_->write(""));
    EXPECT_TRUE(reporter_->write("blue.n1"));
    return api_.calls_ - before;
  }

  SystemClock clock_;
  watch::FakeOwnObjects own_;
  FakeApi api_{own_};
  std::unique_ptr<NodeReporter> reporter_;
};

TEST_F(NodeReporterTest, WritesDifferencesOnlyAndNothingBeforeItKnows) {
  tell({});
  EXPECT_TRUE(reporter_->write(""));
  EXPECT_EQ(api_.calls_, 0);
  tell(blue());
  expectAll();
  EXPECT_EQ(callsOfALook(), 0);
  start();  // again, of the same
  tell(blue());
  EXPECT_EQ(callsOfALook(), 0);
  networks::Snapshot moved = blue();
  moved.networks[0].underlays = {IpAddress::parse("10.90.0.12").value()};
  tell(moved);
  eventually("the peer's address is told", [this] {
    return own_.ownPeer("blue.n1").object->underlayIPs == std::vector<std::string>{"10.90.0.12"};
  });
  networks::Snapshot none;
  none.settled = true;
  tell(none);
  eventually("nothing is left", [this] { return api_.networks() == 0 && api_.peers().empty(); });
}

TEST_F(NodeReporterTest, WhatIsDeletedComesBack) {
  tell(blue());
  expectAll();
  {
    const std::lock_guard lock(api_.mutex_);
    api_.set_.reset();
    api_.peers_.clear();
    own_.removeNodeSet();
    own_.removePeer("blue.n1");
  }
  reporter_->changed("");
  reporter_->changed("blue.n1");
  expectAll();
}

TEST_F(NodeReporterTest, NothingIsWrittenWhileTheNodeIsGoneAndAllOnceItIsBack) {
  tell(blue());
  expectAll();
  {
    const std::lock_guard lock(api_.mutex_);
    api_.set_.reset();
    api_.peers_.clear();
    own_.removeNodeSet();
    own_.removePeer("blue.n1");
    own_.removeNode();
  }
  EXPECT_EQ(callsOfALook(), 0) << "the controller would take it away again";
  own_.put(k8s::Node{});
  reporter_->changed("");
  expectAll();
}

TEST_F(NodeReporterTest, APeerThatTheServerRefusesHoldsUpNothing) {
  networks::Snapshot many = blue();
  for (const char* name : {"aaa", "zzz"}) {
    many.networks.push_back(many.networks[0]);
    many.networks.back().name = NetworkName(name);
    many.networks.back().uid = NetworkUid(name);
  }
  api_.refused_ = "aaa.n1";
  tell(many);
  eventually("the others are told", [this] {
    return api_.networks() == 3 && api_.peers() == std::vector<std::string>{"blue.n1", "zzz.n1"};
  });
}

TEST_F(NodeReporterTest, APeerOfANetworkMadeAgainIsMadeAgain) {
  tell(blue());
  expectAll();
  networks::Snapshot again = blue();
  again.networks[0].uid = NetworkUid("u2");
  tell(again);
  eventually("it speaks of the new network", [this] {
    return own_.ownPeer("blue.n1").object != nullptr &&
           own_.ownPeer("blue.n1").object->podNetworkUID == "u2";
  });
}

TEST_F(NodeReporterTest, AWatchThatIsBehindCostsALookAndNothingElse) {
  tell(blue());
  expectAll();
  {
    const std::lock_guard lock(api_.mutex_);
    api_.showing_ = false;
  }
  networks::Snapshot down = blue();
  for (const char* reason : {"One", "Two"}) {
    down.networks[0].reason = reason;
    tell(down);
    eventually("it is told", [&] {
      const std::lock_guard lock(api_.mutex_);
      return api_.set_->status.networks[0].conditions.find("Ready")->reason == reason;
    });
  }
}

TEST_F(NodeReporterTest, AConditionOfTheNodeIsToldBeforeItsNetworksAreKnown) {
  tell(blue());
  expectAll();
  start();
  reporter_->setNodeCondition({"AgentBypassed", k8s::ConditionStatus::True, "Seen", "it does"});
  eventually("it is told", [this] {
    const std::lock_guard lock(api_.mutex_);
    return api_.set_->status.conditions.isTrue("AgentBypassed");
  });
  EXPECT_EQ(api_.networks(), 1U) << "half a picture takes nothing away";
  EXPECT_EQ(api_.peers().size(), 1U);
}

}  // namespace
}  // namespace multinet::agent::report
