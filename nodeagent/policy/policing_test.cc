#include "nodeagent/policy/policing.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <thread>

#include "lib/base/fake_clock.h"
#include "lib/policy/test_worlds.h"
#include "nodeagent/policy/test_slices.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent::policing {
namespace {

using attach::Policeable;
using policy::testing::ip;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr seconds kLongEnough(20);

/// A kernel that remembers what it was given last.
class FakeKernel {
 public:
  Kernel door() {
    return {[this](const NetworkUid& network, const std::string& bridge, Wanted wanted) -> Status {
              const std::lock_guard lock(mutex_);
              ++commits_;
              if (error_) return fail(*error_);
              held_[network.str()] = {bridge, std::move(wanted)};
              return {};
            },
            [this](const NetworkUid& network) {
              const std::lock_guard lock(mutex_);
              held_.erase(network.str());
            },
            [this](const NetworkUid& network, const std::string& bridge,
                   const PolicedChange& change) { return follow(network, bridge, change); },
            [this](const NetworkUid&, const policy::Program& program, const policy::AddressChange*,
                   const auto& pods, api::TrackConnections track) {
              const std::lock_guard lock(mutex_);
              trackInPods_ = track;
              std::map<policy::PodKey, Error> refused;
              inPods_.clear();
              for (const auto& [key, port] : pods) {
                if (refusedPods_.contains(key.name)) {
                  refused.emplace(key, Error{Code::Unavailable, "CommitFailed", "no memory"});
                } else {
                  inPods_[port.name] = program.ingress.contains(key);
                }
              }
              return refused;
            },
            [this](const attach::PodPort& port) -> Status {
              const std::lock_guard lock(mutex_);
              linked_.push_back(port.name);
              return {};
            },
            [this](const attach::PodPort& port) {
              const std::lock_guard lock(mutex_);
              left_.push_back(port.name);
            }};
  }
  /// Changes since the start, and of those the ones of addresses alone.
  int changes() const {
    const std::lock_guard lock(mutex_);
    return changes_;
  }
  int addressChanges() const {
    const std::lock_guard lock(mutex_);
    return addressChanges_;
  }
  void refusePods(std::set<std::string> names) {
    const std::lock_guard lock(mutex_);
    refusedPods_ = std::move(names);
  }
  /// Whether a link in a pod is isolated; nothing: it isn't held.
  std::optional<bool> inPod(const std::string& port) const {
    const std::lock_guard lock(mutex_);
    const auto found = inPods_.find(port);
    return found == inPods_.end() ? std::nullopt : std::optional(found->second);
  }
  api::TrackConnections trackInPods() const {
    const std::lock_guard lock(mutex_);
    return trackInPods_;
  }
  std::vector<std::string> linked() const {
    const std::lock_guard lock(mutex_);
    return linked_;
  }
  std::vector<std::string> left() const {
    const std::lock_guard lock(mutex_);
    return left_;
  }
  void refuse(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  std::optional<Wanted> held(const std::string& network) const {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(network);
    return found == held_.end() ? std::nullopt : std::optional(found->second.second);
  }
  int commits() const {
    const std::lock_guard lock(mutex_);
    return commits_;
  }

 private:
  /// What differs leads to what it is said to lead to.
  Status follow(const NetworkUid& network, const std::string& bridge, const PolicedChange& change) {
    const std::lock_guard lock(mutex_);
    ++changes_;
    if (error_) return fail(*error_);
    const auto found = held_.find(network.str());
    if (found == held_.end() || found->second.first != bridge) {
      return fail(Code::NotFound, "NotHeld", "nothing is held");
    }
    Wanted& held = found->second.second;
    policy::apply(change.addresses, held.program.addresses);
    if (change.ports == nullptr) {
      ++addressChanges_;
    } else {
      held.program.egress = change.program.egress;
      held.program.ingress = change.program.ingress;
      held.program.permits = change.program.permits;
      held.ports = *change.ports;
      held.gateways = *change.gateways;
    }
    EXPECT_EQ(held.program, change.program);
    return {};
  }

  mutable std::mutex mutex_;
  int changes_ = 0;
  int addressChanges_ = 0;
  std::optional<Error> error_;
  std::map<std::string, std::pair<std::string, Wanted>> held_;
  std::set<std::string> refusedPods_;
  std::map<std::string, bool> inPods_;
  api::TrackConnections trackInPods_ = api::TrackConnections::Auto;
  std::vector<std::string> linked_;
  std::vector<std::string> left_;
  int commits_ = 0;
};

/// Caches that a test changes while a lane reads them.
class Caches final : public watch::FakeCaches {
 public:
  [[nodiscard]] std::vector<std::shared_ptr<const k8s::Pod>> pods() const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::pods();
  }
  [[nodiscard]] std::vector<std::shared_ptr<const api::PodNetwork>> networks() const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::networks();
  }
  [[nodiscard]] std::optional<PolicySlices> policiesOf(const std::string& name) const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::policiesOf(name);
  }
  [[nodiscard]] Status needPolicies(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::needPolicies(name);
  }
  [[nodiscard]] Heard heard() const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::heard();
  }
  mutable std::mutex mutex_;
};

class PolicingTest : public ::testing::Test {
 protected:
  PolicingTest() {
    const std::lock_guard lock(caches_.mutex_);
    caches_.content.networks["blue"] = watch::readyNetwork("blue", "10.0.0.0/16");
    caches_.policyLists["shop"] = {};
  }
  ~PolicingTest() override { policing_.stop(); }

  template <class Change>
  void change(Change made) {
    {
      const std::lock_guard lock(caches_.mutex_);
      made();
    }
    policing_.changed();
  }
  void setPod(const std::string& name, const std::string& app) {
    auto pod = std::make_shared<k8s::Pod>();
    pod->metadata.nameSpace = "shop";
    pod->metadata.name = name;
    pod->metadata.uid = "uid-" + name;
    pod->metadata.labels["app"] = app;
    change([&] {
      std::erase_if(caches_.podList, [&](const auto& one) { return one->metadata.name == name; });
      caches_.podList.push_back(pod);
    });
  }
  void setPolicies(const Slices& slices) {
    change([&] { caches_.policyLists["shop"] = slices; });
  }
  static Policeable policeable(const std::string& name,
                               Link link = drivers::bridge::Link{"mnb-blue"}) {
    InterfacePlan plan;
    plan.name = *InterfaceName::parse("net1");
    plan.network = NetworkName("blue");
    plan.networkUid = NetworkUid("uid-blue");
    plan.link = std::move(link);
    return {IntentId("i-" + name), {PodUid("uid-" + name), "shop", name, 0}, {plan}};
  }
  static isolation::Port port(const std::string& name) {
    isolation::Port out;
    out.name = "mnp-" + name;
    out.intent = IntentId("i-" + name);
    out.interface = "net1";
    out.network = NetworkUid("uid-blue");
    return out;
  }
  std::future<Status> ask(Policeable pod) {
    const auto promise = std::make_shared<std::promise<Status>>();
    policing_.join(std::move(pod), [promise](Status status) { promise->set_value(status); });
    return promise->get_future();
  }
  Status join(const std::string& name) {
    auto joined = ask(policeable(name));
    if (joined.wait_for(kLongEnough) != std::future_status::ready) {
      return fail(Code::DeadlineExceeded, "NoAnswer", name);
    }
    return joined.get();
  }
  Status attach(const std::string& name) {
    MULTINET_CHECK(join(name));
    return policing_.hold(IntentId("i-" + name), {port(name)}, {});
  }
  static attach::PodPort inPod(const std::string& name) {
    return {"in " + name, "net1", NetworkUid("uid-blue"), nullptr};
  }
  Status attachInPod(const std::string& name) {
    MULTINET_CHECK(ask(policeable(name, drivers::macvlan::Link{})).get());
    return policing_.hold(IntentId("i-" + name), {}, {inPod(name)});
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + kLongEnough;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool isolates(const std::string& name) const {
    const auto held = kernel_.held("uid-blue");
    return held && held->program.ingress.contains({"shop", name}) &&
           held->ports.contains({"shop", name});
  }
  bool allows(const std::string& from, const std::string& to) const {
    const auto held = kernel_.held("uid-blue");
    const policy::PodKey key{"shop", to};
    const policy::Packet packet{ip(from), ip("10.0.0.1"), api::Protocol::TCP, 80};
    return !held || policy::allows(held->program, packet, nullptr, &key);
  }
  std::string said(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = said_.find("uid-" + name);
    if (found == said_.end()) return "nothing";
    if (!found->second) return "none";
    return (found->second->enforced ? "enforced " : "not enforced ") + found->second->reason;
  }
  std::uint64_t revision() {
    const std::lock_guard lock(mutex_);
    return revision_;
  }

  /// db takes from web alone.
  api::PodNetworkPolicy policy(const std::string& selects = "db") {
    api::PodNetworkPolicy out;
    out.metadata.nameSpace = "shop";
    out.metadata.name = "p";
    out.metadata.uid = "u";
    out.metadata.generation = 1;
    out.spec.podNetworkNames = {"blue"};
    out.spec.podSelector.matchLabels = {{"app", selects}};
    api::PolicyIngressRule rule;
    rule.peers.emplace_back().podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
    out.spec.ingress = {rule};
    return out;
  }
  static policy::World world() {
    policy::World out;
    out.namespaces = {{"shop", {}}};
    out.pods = {policy::testing::pod("shop", "w1", {{"app", "web"}}, {ip("10.0.0.2")}),
                policy::testing::pod("shop", "w2", {{"app", "web"}}, {ip("10.0.0.3")})};
    return out;
  }
  Slices slices(std::uint64_t revision = 5) {
    return testing::slicesOf(policy(), world(), revision, 1);
  }
  Slices slicesIn(const policy::World& world) { return testing::slicesOf(policy(), world, 5, 1); }
  Slices incomplete() {
    Slices some = slices();
    some.erase(some.begin());
    return some;
  }

  Kernel door() {
    Kernel kernel = kernel_.door();
    kernel.flows = [this] {
      const std::lock_guard lock(mutex_);
      return flows_;
    };
    return kernel;
  }

  static PolicingOptions options() {
    PolicingOptions options{.gather = milliseconds(0)};
    options.gatewayOf = [](const IntentId& intent) {
      const bool isOne = intent == IntentId("gateway-uid-blue");
      return isOne ? std::optional(NetworkUid("uid-blue")) : std::nullopt;
    };
    return options;
  }

  FakeClock clock_;
  Caches caches_;
  FakeKernel kernel_;
  std::mutex mutex_;
  std::map<std::string, std::optional<api::InterfacePolicy>> said_;
  std::uint64_t revision_ = 0;
  std::optional<Error> trouble_;
  bool isSilent_ = false;
  std::optional<FlowTable> crowded_;
  std::optional<FlowTable> flows_;
  Ends ends_;
  Policing policing_{caches_,
                     door(),
                     [this] { return Result<Ends>(ends_); },
                     {[this](const PodUid& pod, const NetworkUid&, const auto& policy) {
                        const std::lock_guard lock(mutex_);
                        said_[pod.str()] = policy;
                      },
                      [this](std::uint64_t revision) {
                        const std::lock_guard lock(mutex_);
                        revision_ = revision;
                      },
                      [this](const NodePolicies& held) {
                        const std::lock_guard lock(mutex_);
                        trouble_ = held.trouble;
                        isSilent_ = held.isSilent;
                        crowded_ = held.crowded;
                      }},
                     clock_,
                     options()};
};

TEST_F(PolicingTest, APodIsIsolatedBeforeItsLinkIsMade) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(join("db"));
  EXPECT_FALSE(isolates("db")) << "it has no port yet";
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  EXPECT_TRUE(isolates("db"));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
  EXPECT_FALSE(allows("10.0.0.9", "db"));
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, APodThatMayUndoItsRulesIsntEnforcedWhereTheyStandInIt) {
  policing_.recovered();
  setPod("db", "db");
  setPod("lan", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  ASSERT_TRUE(attachInPod("lan"));
  EXPECT_EQ(said("lan"), "enforced Enforced");
  const auto debug = [&](const std::string& name, std::vector<std::string> add) {
    auto pod = std::make_shared<k8s::Pod>();
    change([&] {
      for (auto& one : caches_.podList) {
        if (one->metadata.name != name) continue;
        *pod = *one;
        k8s::Container container;
        container.name = "debug";
        container.securityContext = k8s::SecurityContext{false, {std::move(add)}};
        pod->spec.ephemeralContainers = std::vector{container};
        one = pod;
      }
    });
  };
  debug("lan", {"SYS_PTRACE"});
  debug("db", {"NET_ADMIN"});
  debug("lan", {"NET_ADMIN"});
  EXPECT_TRUE(eventually([&] { return said("lan") == "not enforced PodMayChangeRules"; }));
  EXPECT_EQ(said("db"), "enforced Enforced") << "its rules are the node's";
  EXPECT_TRUE(eventually([&] { return policing_.counts().undoable == 1; }));
  EXPECT_EQ(policing_.counts().isolated, 2U);
  EXPECT_EQ(policing_.counts().notEnforced, 0U);
  EXPECT_EQ(kernel_.inPod("in lan"), true) << "held all the same";
  EXPECT_TRUE(eventually([&] { return revision() == 5; })) << "nothing waits for it";
}

TEST_F(PolicingTest, ANetworksConnectionsAreTrackedWhereItAsksForThat) {
  policing_.recovered();
  setPod("db", "db");
  const auto ask = [&](api::TrackConnections track) {
    auto network = watch::readyNetwork("blue", "10.0.0.0/16");
    network.spec.trackConnections = track;
    change([&] { caches_.content.networks["blue"] = network; });
  };
  const auto tracks = [&](api::TrackConnections track) {
    const auto held = kernel_.held("uid-blue");
    return held && held->track == track;
  };
  ASSERT_TRUE(attach("db"));
  EXPECT_TRUE(tracks(api::TrackConnections::Auto));
  ask(api::TrackConnections::Always);
  EXPECT_TRUE(eventually([&] { return tracks(api::TrackConnections::Always); })) << "while it runs";
  EXPECT_EQ(said("db"), "none") << "no policy is about it";
  setPod("lan", "db");
  ASSERT_TRUE(attachInPod("lan"));
  EXPECT_EQ(kernel_.trackInPods(), api::TrackConnections::Always);
  ask(api::TrackConnections::Auto);
  EXPECT_TRUE(eventually([&] { return tracks(api::TrackConnections::Auto); }));
}

TEST_F(PolicingTest, WhatIsHeldAlreadyIsntCommittedAgain) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  const int commits = kernel_.commits();
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  policing_.known(policeable("db"));
  EXPECT_EQ(kernel_.commits(), commits);
}

TEST_F(PolicingTest, AMemberMoreIsPassedOnAsItIs) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  const int commits = kernel_.commits();
  const auto compiled = policing_.counts().compiled;
  policy::World larger = world();
  larger.pods.push_back(policy::testing::pod("shop", "web-9", {{"app", "web"}}, {ip("10.0.0.99")}));
  EXPECT_FALSE(allows("10.0.0.99", "db"));
  setPolicies(slicesIn(larger));
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.99", "db"); }));
  EXPECT_EQ(kernel_.addressChanges(), 1);
  setPolicies(slices());
  EXPECT_TRUE(eventually([&] { return !allows("10.0.0.99", "db"); }));
  EXPECT_EQ(kernel_.addressChanges(), 2);
  EXPECT_EQ(kernel_.commits(), commits);
  EXPECT_EQ(policing_.counts().compiled, compiled);
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, AMemberWhomTheKernelRefusesComesWithTheNextTry) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  policy::World larger = world();
  larger.pods.push_back(policy::testing::pod("shop", "web-9", {{"app", "web"}}, {ip("10.0.0.99")}));
  kernel_.refuse(Error{Code::Unavailable, "CommitFailed", "no memory"});
  setPolicies(slicesIn(larger));
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced CommitFailed"; }));
  kernel_.refuse(std::nullopt);
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return allows("10.0.0.99", "db"); }));
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
}

TEST_F(PolicingTest, APodWaitsASecondForPeersAndThenRunsWithThoseThatAreKnown) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(incomplete());
  auto joined = ask(policeable("db"));
  EXPECT_EQ(joined.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  ASSERT_EQ(joined.wait_for(kLongEnough), std::future_status::ready);
  ASSERT_TRUE(joined.get());
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
  EXPECT_TRUE(isolates("db"));
  EXPECT_EQ(said("db"), "not enforced PeersPending");
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  setPolicies(slices());
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
}

TEST_F(PolicingTest, APodWhosePoliciesNobodyToldIsntStarted) {
  policing_.recovered();
  setPod("db", "db");
  change([&] { caches_.policyLists.clear(); });
  auto joined = ask(policeable("db"));
  EXPECT_EQ(joined.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  ASSERT_EQ(joined.wait_for(kLongEnough), std::future_status::ready);
  const Status status = joined.get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "PoliciesUnknown");
  EXPECT_FALSE(policing_.hold(IntentId("i-db"), {port("db")}, {}));
}

TEST_F(PolicingTest, ANewPolicyReachesPodsThatRunWhenItsPeersAreThereOrAfterFiveSeconds) {
  policing_.recovered();
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  EXPECT_EQ(said("db"), "none");
  clock_.advance(seconds(1));
  setPolicies(incomplete());
  setPod("db-2", "db");
  auto second = ask(policeable("db-2"));
  EXPECT_EQ(second.wait_for(milliseconds(50)), std::future_status::timeout);
  clock_.advance(seconds(1));
  ASSERT_TRUE(second.get());
  ASSERT_TRUE(policing_.hold(IntentId("i-db-2"), {port("db-2")}, {}));
  EXPECT_TRUE(isolates("db-2")) << "one that joins is held to it at once";
  EXPECT_FALSE(isolates("db"));
  EXPECT_EQ(revision(), 0U) << "it doesn't hold for all";
  clock_.advance(seconds(4));
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced PeersPending"; }));
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, LabelsThatChangeSelectAnew) {
  policing_.recovered();
  setPod("db", "other");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  EXPECT_FALSE(isolates("db"));
  setPod("db", "db");
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  setPod("db", "other");
  EXPECT_TRUE(eventually([&] { return !isolates("db") && said("db") == "none"; }));
}

TEST_F(PolicingTest, APolicyThatGoesIsGone) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  setPolicies({});
  EXPECT_TRUE(eventually([&] { return !isolates("db"); }));
  EXPECT_TRUE(eventually([&] { return revision() == 0; }));
}

TEST_F(PolicingTest, ANetworksDefaultHoldsWhereNoPolicyDoes) {
  policing_.recovered();
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  change([&] { caches_.content.networks["blue"].spec.defaultPolicy = api::DefaultPolicy::Deny; });
  EXPECT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
  change([&] {
    caches_.content.networks["blue"].spec.defaultPolicy = api::DefaultPolicy::SameNamespace;
  });
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced PeersPending"; }));
  setPolicies(testing::defaultSlices("blue", "uid-blue", "shop", world()));
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced"; }));
  EXPECT_TRUE(allows("10.0.0.2", "db"));
  EXPECT_FALSE(allows("10.0.0.9", "db"));
}

TEST_F(PolicingTest, NothingIsCommittedBeforeAllPodsOfAnEarlierAgentAreKnown) {
  setPod("db", "db");
  setPod("web", "web");
  setPolicies(slices());
  ends_[{IntentId("i-db"), "net1"}] = "an older name";
  policing_.known(policeable("db"));
  ASSERT_TRUE(join("web"));
  EXPECT_FALSE(policing_.hold(IntentId("i-web"), {port("web")}, {}));
  EXPECT_EQ(kernel_.commits(), 0);
  policing_.recovered();
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_EQ((kernel_.held("uid-blue")->ports.at({"shop", "db"})), "an older name");
}

TEST_F(PolicingTest, ARunningPodOfWhichNothingIsKnownAnyMoreIsClosed) {
  ends_[{IntentId("i-db"), "net1"}] = "mnp-db";
  policing_.known(policeable("db"));
  policing_.recovered();
  ASSERT_TRUE(eventually([&] { return isolates("db"); }));
  EXPECT_FALSE(allows("10.0.0.2", "db"));
}

TEST_F(PolicingTest, WhatTheKernelRefusesFailsThoseThatItIsAbout) {
  policing_.recovered();
  setPod("db", "db");
  setPod("web", "web");
  setPolicies(slices());
  kernel_.refuse(Error{Code::Unavailable, "CommitFailed", "no memory"});
  const Status status = attach("db");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "CommitFailed");
  EXPECT_EQ(said("db"), "not enforced CommitFailed");
  EXPECT_TRUE(attach("web")) << "no policy is about it";
  EXPECT_EQ(revision(), 0U);
  kernel_.refuse(std::nullopt);
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return isolates("db") && revision() == 5; }));
  EXPECT_EQ(said("db"), "enforced Enforced");
}

TEST_F(PolicingTest, WhatIsReleasedIsForgotten) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  policing_.release({"mnp-db"}, {});
  EXPECT_FALSE(isolates("db"));
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {port("db")}, {})) << "it is tried again";
  EXPECT_TRUE(isolates("db"));
  policing_.release({}, {IntentId("i-db")});
  EXPECT_FALSE(kernel_.held("uid-blue"));
  EXPECT_EQ(policing_.counts().isolated, 0U);
}

TEST_F(PolicingTest, PortsOfTheGatewayAreToldWithTheNetwork) {
  using Ports = std::set<std::string>;
  ends_[{IntentId("gateway-uid-blue"), "net1"}] = "mnp-earlier";
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  EXPECT_EQ(kernel_.held("uid-blue")->gateways, Ports{"mnp-earlier"}) << "of an earlier agent";
  isolation::Port gateway = port("new");
  ASSERT_TRUE(policing_.hold(IntentId("gateway-uid-blue"), {gateway}, {}));
  EXPECT_EQ(kernel_.held("uid-blue")->gateways, (Ports{"mnp-earlier", "mnp-new"}));
  const int commits = kernel_.commits();
  ASSERT_TRUE(policing_.hold(IntentId("gateway-uid-blue"), {gateway}, {}));
  EXPECT_EQ(kernel_.commits(), commits) << "what is known is written by nobody";
  policing_.release({"mnp-earlier", "mnp-new"}, {IntentId("gateway-uid-blue")});
  EXPECT_EQ(kernel_.held("uid-blue")->gateways, Ports{});
  EXPECT_TRUE(isolates("db"));
  // It isn't held up by what the kernel refuses, and is told when that is over.
  kernel_.refuse(Error{Code::Unavailable, "CommitFailed", "no memory"});
  EXPECT_TRUE(policing_.hold(IntentId("gateway-uid-blue"), {gateway}, {}));
  kernel_.refuse(std::nullopt);
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return kernel_.held("uid-blue")->gateways == Ports{"mnp-new"}; }));
}

TEST_F(PolicingTest, WhomItsInterfacesAdmitOfClientsIsToldOnceItIsKnown) {
  EXPECT_EQ(policing_.admissions(NetworkUid("uid-blue")), nullptr);
  Policeable db = policeable("db");
  db.interfaces[0].addresses = {{InterfaceAddress::parse("10.0.0.1/16").value(), {}}};
  ends_[{IntentId("i-db"), "net1"}] = "mnp-db";
  policing_.known(db);
  setPod("db", "db");
  setPolicies(slices());
  EXPECT_EQ(policing_.admissions(NetworkUid("uid-blue")), nullptr);
  policing_.recovered();
  ASSERT_TRUE(eventually([&] { return policing_.admissions(NetworkUid("uid-blue")) != nullptr; }));
  const Admissions nobody = {{ip("10.0.0.1"), {}}};
  EXPECT_EQ(*policing_.admissions(NetworkUid("uid-blue")), nobody) << "pods are no clients";
  EXPECT_EQ(*policing_.admissions(NetworkUid("uid-green")), Admissions{});
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  EXPECT_EQ(*policing_.admissions(NetworkUid("uid-blue")), Admissions{});
}

TEST_F(PolicingTest, ATypeWithoutANodesEndIsToldWhereAPolicySelectsIt) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(ask(policeable("db", drivers::ipvlan::Link{"eth1", api::IpvlanMode::L3S})).get());
  EXPECT_TRUE(eventually([&] { return said("db") == "not enforced TypeNotCovered"; }));
  EXPECT_EQ(policing_.counts().notEnforced, 1U);
}

TEST_F(PolicingTest, ALinkWithoutANodesEndIsHeldInItsPod) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attachInPod("db"));
  EXPECT_EQ(kernel_.inPod("in db"), true);
  EXPECT_FALSE(kernel_.held("uid-blue")) << "nothing of it is at the node's";
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
  ASSERT_TRUE(policing_.linked(IntentId("i-db")));
  EXPECT_EQ(kernel_.linked(), std::vector<std::string>{"in db"});
  policing_.release({}, {IntentId("i-db")});
  EXPECT_EQ(kernel_.left(), std::vector<std::string>{"in db"});
  EXPECT_FALSE(kernel_.inPod("in db"));
  EXPECT_EQ(policing_.counts().isolated, 0U);
}

TEST_F(PolicingTest, WhatOnePodsKernelRefusesIsThatPodsTrouble) {
  policing_.recovered();
  for (const char* name : {"db", "db-2"}) setPod(name, "db");
  setPolicies(slices());
  kernel_.refusePods({"db"});
  const Status status = attachInPod("db");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "CommitFailed");
  ASSERT_TRUE(attachInPod("db-2"));
  EXPECT_EQ(said("db"), "not enforced CommitFailed");
  EXPECT_EQ(said("db-2"), "enforced Enforced");
  EXPECT_EQ(revision(), 0U);
  kernel_.refusePods({});
  clock_.advance(seconds(1));
  EXPECT_TRUE(eventually([&] { return said("db") == "enforced Enforced" && revision() == 5; }));
}

TEST_F(PolicingTest, NothingIsToldOfALinkInAPodBeforeItIsMetAgain) {
  setPod("db", "db");
  setPolicies(slices());
  policing_.known(policeable("db", drivers::macvlan::Link{}));
  policing_.recovered();
  EXPECT_TRUE(eventually([&] { return policing_.counts().compiled > 0; }));
  EXPECT_EQ(said("db"), "nothing");
  EXPECT_EQ(revision(), 0U);
  ASSERT_TRUE(policing_.hold(IntentId("i-db"), {}, {inPod("db")}));
  EXPECT_EQ(said("db"), "enforced Enforced");
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, ALinkThatNobodyMeetsAgainIsWaitedForAWhile) {
  setPod("db", "db");
  setPolicies(slices());
  policing_.known(policeable("db", drivers::macvlan::Link{}));
  policing_.recovered();
  EXPECT_TRUE(eventually([&] { return policing_.counts().compiled > 0; }));
  EXPECT_EQ(revision(), 0U);
  clock_.advance(seconds(31));
  EXPECT_TRUE(eventually([&] { return revision() == 5; }));
}

TEST_F(PolicingTest, PoliciesOfWhichNothingIsHeardAreHeldToAndToldAsOld) {
  const auto isSilent = [this] {
    const std::lock_guard lock(mutex_);
    return isSilent_;
  };
  const auto isHeard = [this](std::optional<Duration> policies, std::optional<Duration> anything) {
    const std::lock_guard lock(caches_.mutex_);
    caches_.heardAgo = {policies, anything};
  };
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  policing_.changed();
  EXPECT_FALSE(policing_.counts().stale);
  isHeard(minutes(5), minutes(5));
  // Nobody says that anything changed: it looks by itself.
  clock_.advance(minutes(5));
  ASSERT_TRUE(eventually([&] { return policing_.counts().stale; }));
  EXPECT_FALSE(isSilent());
  EXPECT_TRUE(isolates("db"));
  EXPECT_EQ(said("db"), "enforced Enforced");
  isHeard(minutes(6), seconds(1));
  EXPECT_TRUE(eventually([&] {
    clock_.advance(seconds(10));
    return isSilent();
  })) << "the server is there";
  EXPECT_TRUE(isolates("db"));
  isHeard(seconds(1), seconds(1));
  EXPECT_TRUE(eventually([&] {
    clock_.advance(seconds(10));
    return !policing_.counts().stale && !isSilent();
  }));
}

TEST_F(PolicingTest, ATableOfFlowsThatIsNearlyFullIsToldTillItHasRoom) {
  policing_.recovered();
  const auto set = [this](std::optional<FlowTable> table) {
    {
      const std::lock_guard lock(mutex_);
      flows_ = table;
    }
    clock_.advance(std::chrono::seconds(10));
  };
  const auto told = [this] {
    const std::lock_guard lock(mutex_);
    return crowded_;
  };
  set(FlowTable{899, 1000});
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  EXPECT_EQ(told(), std::nullopt);
  set(FlowTable{900, 1000});
  EXPECT_TRUE(eventually([&] { return told() == FlowTable{900, 1000}; }));
  set(FlowTable{800, 1000});
  set(FlowTable{801, 1000});
  EXPECT_EQ(told(), (FlowTable{900, 1000})) << "it isn't told of each look";
  set(FlowTable{799, 1000});
  EXPECT_TRUE(eventually([&] { return told() == std::nullopt; }));
  set(FlowTable{1000, 1000});
  EXPECT_TRUE(eventually([&] { return told().has_value(); }));
  set(std::nullopt);
  EXPECT_TRUE(eventually([&] { return told() == std::nullopt; })) << "nobody is isolated";
}

TEST_F(PolicingTest, ANodeWithoutPodsHearsOfNoPoliciesAndIsSilent) {
  policing_.recovered();
  {
    const std::lock_guard lock(caches_.mutex_);
    caches_.heardAgo = {std::nullopt, seconds(1)};
  }
  setPolicies({});
  setPod("db", "db");
  ASSERT_TRUE(attach("db"));
  policing_.release({"mnp-db"}, {IntentId("i-db")});
  clock_.advance(minutes(20));
  policing_.changed();
  ASSERT_TRUE(attach("db")) << "its turn came after what changed()";
  EXPECT_FALSE(policing_.counts().stale);
}

TEST_F(PolicingTest, ALinkInAPodOfAnIntentsNewNameGoesOn) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attachInPod("db"));
  Policeable again = policeable("db", drivers::macvlan::Link{});
  again.intent = IntentId("j-db");
  ASSERT_TRUE(ask(again).get());
  ASSERT_TRUE(policing_.hold(IntentId("j-db"), {}, {inPod("db")}));
  policing_.release({}, {IntentId("i-db")});
  EXPECT_TRUE(kernel_.left().empty());
  EXPECT_EQ(kernel_.inPod("in db"), true);
}

TEST_F(PolicingTest, TwoSandboxesOfOneNameAreHeldBoth) {
  policing_.recovered();
  setPod("db", "db");
  setPolicies(slices());
  ASSERT_TRUE(attach("db"));
  Policeable again = policeable("db");
  again.intent = IntentId("j-db");
  ASSERT_TRUE(ask(again).get());
  isolation::Port other = port("db");
  other.name = "mnp-again";
  ASSERT_TRUE(policing_.hold(IntentId("j-db"), {other}, {}));
  EXPECT_EQ(kernel_.held("uid-blue")->ports.size(), 2U);
  EXPECT_EQ(kernel_.held("uid-blue")->program.ingress.size(), 2U);
}

}  // namespace
}  // namespace multinet::agent::policing
