#include "nodeagent/report/node_reporter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "lib/api/service.h"
#include "lib/kube/fake_transport.h"
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

TEST(NodeStatus, WhatNobodyWantsIsToldWhereItWouldNotWork) {
  networks::Snapshot idle = blue();
  idle.networks[0].joined = false;
  EXPECT_TRUE(nodeStatus({}, {idle, {}, {}}, WallTime()).networks.empty());
  idle.networks[0].ready = networks::CheckStatus::False;
  EXPECT_EQ(nodeStatus({}, {idle, {}, {}}, WallTime()).networks.size(), 1U);
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
    snapshot.orphans.push_back({NetworkUid("u"), "mnb" + std::to_string(i), 2});
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

const std::string kOurs = "/apis/multinet.dev/v1alpha1/";

/// An API server whose watches show at once what it has, or are behind.
class Server {
 public:
  explicit Server(watch::FakeOwnObjects& own) : own_(own) {
    store_.statusSubresources = {kOurs + "nodenetworksets"};
    auto transport = std::make_unique<kube::FakeTransport>(store_);
    transport_ = transport.get();
    transport_->written = [this] {
      show();
      if (written_) written_();
    };
    transport_->before =
        [this](const kube::HttpRequest& request) -> std::optional<Result<kube::HttpResponse>> {
      if (refused_.empty() || request.body.find(refused_) == std::string::npos) return {};
      return kube::refusing(422, "Invalid", "no");
    };
    client_ = std::make_unique<kube::Client>(std::move(transport));
  }

  kube::ClientSource source() {
    return [this] { return client_.get(); };
  }
  std::size_t calls() const { return transport_->requests().size(); }
  std::vector<std::string> peers() const {
    std::vector<std::string> names;
    for (const auto& peer : peersThere()) names.push_back(peer.metadata.name);
    return names;
  }
  std::optional<api::NodeNetworkSetStatus> status() const {
    const auto set = setThere();
    return set ? std::optional(set->status) : std::nullopt;
  }
  std::size_t networks() const {
    const auto now = status();
    return now ? now->networks.size() : 0;
  }
  /// Somebody deletes all.
  void clear() {
    store_.remove(testing::ResourcePath::parse(kOurs + "nodenetworksets/n1"), {});
    auto peer = testing::ResourcePath::parse(kOurs + "networkpeers/any");
    for (std::string& name : peers()) {
      peer.name = std::move(name);
      store_.remove(peer, {});
    }
    show();
  }

  /// As an agent wrote it that knew of no label.
  void unlabel(const std::string& peer) {
    store_.patch(testing::ResourcePath::parse(kOurs + "networkpeers/" + peer),
                 {{"metadata", {{"labels", {{api::kNetworkLabel, nullptr}}}}}},
                 testing::ObjectStore::IfAbsent::Fail);
    show();
  }

  std::atomic<bool> showing_ = true;  ///< of the set
  std::string refused_;               ///< a word; before the first call
  std::function<void()> written_;     ///< after each write, once it is shown; while nobody writes

 private:
  std::optional<api::NodeNetworkSet> setThere() const {
    const auto set = store_.get(testing::ResourcePath::parse(kOurs + "nodenetworksets/n1"));
    if (set.status != 200) return std::nullopt;
    return kube::decodeJson<api::NodeNetworkSet>(set.body.dump()).value();
  }
  std::vector<api::NetworkPeer> peersThere() const {
    std::vector<api::NetworkPeer> peers;
    const auto all =
        store_.list(testing::ResourcePath::parse(kOurs + "networkpeers"), "", "", 0, "");
    for (const auto& item : all.body["items"]) {
      peers.push_back(kube::decodeJson<api::NetworkPeer>(item.dump()).value());
    }
    return peers;
  }
  void show() {
    const std::lock_guard lock(mutex_);  // what is shown later is newer
    const auto there = peersThere();
    for (const std::string& name : own_.ownPeerNames()) {
      const auto isIt = [&name](const auto& peer) { return peer.metadata.name == name; };
      if (std::ranges::none_of(there, isIt)) own_.removePeer(name);
    }
    for (const auto& peer : there) own_.put(peer);
    if (!showing_) return;
    if (const auto set = setThere()) return own_.put(*set);
    own_.removeNodeSet();
  }

  watch::FakeOwnObjects& own_;
  std::mutex mutex_;
  testing::ObjectStore store_;
  kube::FakeTransport* transport_ = nullptr;
  std::unique_ptr<kube::Client> client_;
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
    reporter_ =
        std::make_unique<NodeReporter>(server_.source(), own_, clock_, NodeName("n1"), options);
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
    eventually("set and peer are there, and seen", [this] {
      const auto set = own_.nodeSet().object;
      return set != nullptr && set->status.networks.size() == 1 &&
             own_.ownPeerNames() == std::vector<std::string>{"blue.n1"};
    });
  }
  /// Calls that a look at everything makes.
  std::size_t callsOfALook() {
    const std::size_t before = server_.calls();
    EXPECT_TRUE(reporter_->write(""));
    EXPECT_TRUE(reporter_->write("blue.n1"));
    return server_.calls() - before;
  }

  SystemClock clock_;
  watch::FakeOwnObjects own_;
  Server server_{own_};
  std::unique_ptr<NodeReporter> reporter_;
};

TEST_F(NodeReporterTest, WritesDifferencesOnlyAndNothingBeforeItKnows) {
  tell({});
  EXPECT_TRUE(reporter_->write(""));
  EXPECT_EQ(server_.calls(), 0U);
  tell(blue());
  expectAll();
  EXPECT_EQ(callsOfALook(), 0U);
  start();  // again, of the same
  tell(blue());
  EXPECT_EQ(callsOfALook(), 0U);
  networks::Snapshot moved = blue();
  moved.networks[0].underlays = {IpAddress::parse("10.90.0.12").value()};
  tell(moved);
  eventually("the peer's address is told", [this] {
    return own_.ownPeer("blue.n1").object->underlayIPs == std::vector<std::string>{"10.90.0.12"};
  });
  networks::Snapshot none;
  none.settled = true;
  tell(none);
  eventually("nothing is left",
             [this] { return server_.networks() == 0 && server_.peers().empty(); });
}

TEST_F(NodeReporterTest, WhatIsDeletedComesBack) {
  tell(blue());
  expectAll();
  server_.clear();
  reporter_->changed("");
  reporter_->changed("blue.n1");
  expectAll();
}

/// Other agents are told of it by its label.
TEST_F(NodeReporterTest, APeerOfTheVersionBeforeGetsTheLabelOfItsNetwork) {
  tell(blue());
  expectAll();
  const auto label = [this] {
    const k8s::StringMap labels = own_.ownPeer("blue.n1").object->metadata.labels;
    const auto found = labels.find(api::kNetworkLabel);
    return found == labels.end() ? "" : found->second;
  };
  EXPECT_EQ(label(), "blue");
  server_.unlabel("blue.n1");
  ASSERT_EQ(label(), "");
  reporter_->changed("blue.n1");
  eventually("it is labelled", [&] { return label() == "blue"; });
}

TEST_F(NodeReporterTest, NothingIsWrittenWhileTheNodeIsGoneAndAllOnceItIsBack) {
  tell(blue());
  expectAll();
  own_.removeNode();
  server_.clear();
  EXPECT_EQ(callsOfALook(), 0U) << "the controller would take it away again";
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
  server_.refused_ = "aaa.n1";
  tell(many);
  eventually("the others are told", [this] {
    return server_.networks() == 3 &&
           server_.peers() == std::vector<std::string>{"blue.n1", "zzz.n1"};
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

/// Agents of two machines that both say they are n1, on one server.
class TwoAgents : public NodeReporterTest {
 protected:
  struct Agent {
    std::unique_ptr<NodeReporter> reporter;
    std::mutex mutex;
    std::vector<Status> told;
  };
  void begin(Agent& agent, const api::NodeAgent& self) {
    NodeReportOptions options;
    options.repairAfter = std::chrono::milliseconds(1);
    options.tenure = {.patience = std::chrono::milliseconds(200),
                      .askAgain = std::chrono::milliseconds(300)};
    agent.reporter = std::make_unique<NodeReporter>(server_.source(), own_, clock_, NodeName("n1"),
                                                    options, [&agent](const Status& standing) {
                                                      const std::lock_guard lock(agent.mutex);
                                                      agent.told.push_back(standing);
                                                    });
    agent.reporter->identify(self);
  }
  /// Both hear of each change, as by their watches.
  void listen() {
    server_.written_ = [this] {
      for (Agent* agent : {&first_, &second_}) {
        if (agent->reporter) agent->reporter->changed("");
      }
    };
  }
  static std::string reasonOf(const Agent& agent) {
    const Status now = agent.reporter->standing();
    return now ? "" : now.error().reason;
  }

  const api::NodeAgent a_{"journal-a", "boot-a"};
  const api::NodeAgent b_{"journal-b", "boot-b"};
  Agent first_;
  Agent second_;
};

TEST_F(TwoAgents, TheSecondHearsOfTheFirstAndTouchesNothing) {
  reporter_.reset();
  begin(first_, a_);
  listen();
  eventually("the first is the node", [this] { return reasonOf(first_).empty(); });
  first_.reporter->update(std::make_shared<const networks::Snapshot>(blue()));
  expectAll();
  begin(second_, b_);
  networks::Snapshot none;
  none.settled = true;  // it has no network: what is there isn't its own to take away
  second_.reporter->update(std::make_shared<const networks::Snapshot>(none));
  eventually("the second is told", [this] { return reasonOf(second_) == "NodeNameTaken"; });
  const std::string message = second_.reporter->standing().error().message;
  EXPECT_NE(message.find("boot-a"), std::string::npos) << message;
  EXPECT_NE(message.find("boot-b"), std::string::npos) << message;
  eventually("the node says so", [this] {
    const auto status = server_.status();
    const auto* said = status->conditions.find("NodeNameContested");
    return said != nullptr && said->status == k8s::ConditionStatus::True &&
           said->message.find("boot-b") != std::string::npos;
  });
  second_.reporter->changed("blue.n1");
  second_.reporter->changed("");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(server_.peers().size(), 1U);
  EXPECT_EQ(server_.networks(), 1U);
  EXPECT_EQ(reasonOf(first_), "");

  // The first machine is shut down.
  // Not by its owner, which lets go of it before its last write.
  server_.written_ = [second = second_.reporter.get()] { second->changed(""); };
  first_.reporter.reset();
  eventually("the second is the node", [this] { return reasonOf(second_).empty(); });
  eventually("and tells what it has",
             [this] { return server_.peers().empty() && server_.networks() == 0; });
  EXPECT_EQ(server_.status()->agent, b_);
  second_.reporter.reset();
}

TEST_F(TwoAgents, ANodeThatRebootedWaitsForAnAnswerAndThenGoesOn) {
  reporter_.reset();
  begin(first_, a_);
  eventually("it is the node", [this] { return reasonOf(first_).empty(); });
  first_.reporter.reset();
  const auto began = std::chrono::steady_clock::now();
  begin(second_, {a_.journalID, "boot-2"});
  server_.written_ = [second = second_.reporter.get()] { second->changed(""); };
  eventually("it is the node again", [this] { return reasonOf(second_).empty(); });
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(200));
  EXPECT_EQ(server_.status()->agent, (api::NodeAgent{a_.journalID, "boot-2"}));
  EXPECT_FALSE(server_.status()->conditions.find("NodeNameContested"));
  second_.reporter.reset();
}

TEST_F(TwoAgents, AServerThatTakesNoSetStopsNoPod) {
  reporter_.reset();
  server_.refused_ = "journal-a";
  begin(first_, a_);
  eventually("it goes on", [this] { return reasonOf(first_).empty(); });
  first_.reporter.reset();
}

TEST_F(NodeReporterTest, AWatchThatIsBehindCostsALookAndNothingElse) {
  tell(blue());
  expectAll();
  server_.showing_ = false;
  networks::Snapshot down = blue();
  for (const char* reason : {"One", "Two"}) {
    down.networks[0].reason = reason;
    tell(down);
    eventually("it is told", [&] {
      return server_.status()->networks[0].conditions.find("Ready")->reason == reason;
    });
  }
}

TEST_F(NodeReporterTest, AConditionOfTheNodeIsToldBeforeItsNetworksAreKnown) {
  tell(blue());
  expectAll();
  start();
  reporter_->setNodeCondition({"AgentBypassed", k8s::ConditionStatus::True, "Seen", "it does"});
  eventually("it is told", [this] { return server_.status()->conditions.isTrue("AgentBypassed"); });
  EXPECT_EQ(server_.networks(), 1U) << "half a picture takes nothing away";
  EXPECT_EQ(server_.peers().size(), 1U);
}

}  // namespace
}  // namespace multinet::agent::report
