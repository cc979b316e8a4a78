#include "nodeagent/sandbox/census.h"

#include "nodeagent/sandbox/owner_fixture.h"

namespace multinet::agent::sandbox {
namespace {

using journal::Doubt;

/// Remembers of whom it was told, as of last.
class FakePolicies final : public attach::Policies {
 public:
  void join(attach::Policeable /*pod*/, async::Answer<void> done) override { done({}); }
  void known(attach::Policeable pod) override {
    const std::lock_guard lock(mutex_);
    known_.push_back(std::move(pod));
  }
  void recovered() override {}
  [[nodiscard]] Status hold(const IntentId&, const std::vector<isolation::Port>&,
                            const std::vector<attach::PodPort>&) override {
    return {};
  }
  [[nodiscard]] Status linked(const IntentId&) override { return {}; }
  void release(const std::vector<std::string>&, const std::vector<IntentId>&) override {}

  attach::Policeable last() const {
    const std::lock_guard lock(mutex_);
    return known_.empty() ? attach::Policeable{} : known_.back();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<attach::Policeable> known_;
};

class CensusTest : public OwnerTest {
 protected:
  void start(std::vector<Restored> restored = {},
             addresses::Books books = addresses::Books::Complete) {
    node_.start(books);
    owner_->restore(std::move(restored), books);
  }
  // Whole rounds.
  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      const auto before = owner_->comparisons();
      clock_.advance(options_.compareEvery + seconds(1));
      ticking("a round", [&] { return owner_->comparisons() > before; });
    }
  }
  static RuntimeSandbox stranger(const std::string& id = "x1", const std::string& uid = "ux") {
    return {SandboxId(id), request(0, uid).pod, true, {}, request(0, uid).annotations};
  }
  static InterfacePlan plan(const std::string& name, const std::string& address) {
    InterfacePlan made;
    made.name = InterfaceName::parse(name).value();
    made.mac = MacAddress::derive(name + address);
    made.mtu = 1450;
    made.addresses = {{InterfaceAddress::parse(address).value(), std::nullopt}};
    return made;
  }
  static KnownSet set(const std::vector<InterfacePlan>& plans) {
    KnownSet made{PodUid("ux"), SandboxId("x1"), {}};
    for (InterfacePlan one : plans) {
      one.network = NetworkName("blue");
      made.interfaces.push_back({one, InterfaceState::Attached, 0, "", "", {}});
    }
    return made;
  }
  Doubt doubt() const { return view("x1").doubt; }
  bool told(const std::string& what) const {
    const auto all = reporter_.told();
    return std::find(all.begin(), all.end(), what) != all.end();
  }
};

TEST_F(CensusTest, ARuntimeThatListsNothingTakesNothingAway) {
  start();
  ASSERT_TRUE(run(request(0, "a")).has_value());
  ASSERT_TRUE(run(request(0, "b")).has_value());
  const auto before = runtime_.sandboxes();
  for (const auto& [id, sandbox] : before) runtime_.vanish(id);
  rounds(5);
  for (const auto& [id, sandbox] : before) runtime_.put(sandbox);
  rounds(2);
  EXPECT_EQ(engine_.attached().size(), 2U);
  EXPECT_EQ(engine_.detaches(), 0);
  EXPECT_EQ(held().size(), 2U);
  EXPECT_TRUE(view("s1").attached);
  EXPECT_TRUE(mayCreateContainer("s1", request(0, "a")).has_value());
}

TEST_F(CensusTest, NothingIsGoneWhileTheKernelCantBeAsked) {
  start();
  ASSERT_TRUE(run(request()).has_value());
  runtime_.vanish(SandboxId("s1"));
  engine_.loseNetns("s1");
  engine_.failObserve(Error{Code::Unavailable, "", "no"});
  rounds(4);
  EXPECT_EQ(held().size(), 1U);
  engine_.failObserve(std::nullopt);
  rounds(1);
  eventually("gone", [&] { return held().empty(); });
}

TEST_F(CensusTest, ASandboxMadeWithoutTheAgentIsFoundAndTold) {
  start();
  runtime_.put(stranger());
  rounds(1);
  EXPECT_TRUE(owner_->snapshot()->sandboxes.empty()) << "a list may be older than a run";
  rounds(2);
  eventually("found", [&] { return doubt() == Doubt::NoLinks; });
  rounds(1);
  eventually("told", [&] { return told("refused default/web-ux AgentBypassed"); });
  eventually("condition", [&] {
    return reporter_.conditions()["AgentBypassed"] == "True SandboxesWithoutNetworks";
  });
  EXPECT_FALSE(mayCreateContainer("x1", request()).has_value());
  EXPECT_EQ(owner_->snapshot()->doubts.at(Doubt::NoLinks), 1U);
  EXPECT_EQ(journal_.records.begin()->second.doubt, Doubt::NoLinks);
  EXPECT_EQ(runtime_.sandboxes().size(), 1U) << "it isn't ours to stop";
  rounds(2);
  const auto all = reporter_.told();
  EXPECT_EQ(std::count(all.begin(), all.end(), "refused default/web-ux AgentBypassed"), 1);
  runtime_.vanish(SandboxId("x1"));
  stop("x1");
  rounds(1);
  eventually("condition ends",
             [&] { return reporter_.conditions()["AgentBypassed"] == "not True NoneFound"; });
}

TEST_F(CensusTest, AStopThatWentPastTheAgentEndsTheDoubt) {
  start();
  runtime_.put(stranger());
  rounds(3);
  eventually("condition", [&] {
    return reporter_.conditions()["AgentBypassed"] == "True SandboxesWithoutNetworks";
  });
  RuntimeSandbox stopped = stranger();
  stopped.ready = false;  // the kubelet keeps a dead one for a while
  runtime_.put(stopped);
  rounds(4);
  eventually("condition ends",
             [&] { return reporter_.conditions()["AgentBypassed"] == "not True NoneFound"; });
  EXPECT_TRUE(owner_->snapshot()->sandboxes.empty());
}

TEST_F(CensusTest, WithoutTheApiNobodyIsCalledBypassed) {
  sets_.failWith(Error{Code::Unavailable, "NotConnected", "away"});
  start();
  runtime_.put(stranger());
  rounds(4);
  EXPECT_EQ(doubt(), Doubt::NoLinks);
  EXPECT_FALSE(told("refused default/web-ux AgentBypassed"));
}

TEST_F(CensusTest, KernelAndSetTogetherEndADoubt) {
  const std::vector<InterfacePlan> plans = {plan("net1", "10.9.0.7/16"),
                                            plan("net2", "10.9.1.7/16")};
  engine_.put(IntentId("made"), "x1", plans);
  runtime_.put(stranger());
  sets_.failWith(Error{Code::Unavailable, "NotConnected", "away"});
  journal::Record record = adopted(stranger(), "boot", {});
  journal_.records[record.id] = record;
  start({{record, RecoveryAction::Keep}}, addresses::Books::Incomplete);
  rounds(2);
  eventually("seen", [&] { return doubt() == Doubt::Unconfirmed; });
  EXPECT_EQ(held().at(IntentId("made")).size(), 2U);
  EXPECT_EQ(node_.books(), addresses::Books::Complete);
  EXPECT_FALSE(view("x1").attached);
  EXPECT_TRUE(journal_.records.contains(IntentId("made")));
  EXPECT_FALSE(journal_.records.contains(record.id))
      << "a stop must find the links by their intent";
  sets_.put(set(plans));
  sets_.failWith(std::nullopt);
  rounds(3);
  eventually("believed", [&] { return view("x1").attached; });
  EXPECT_TRUE(told("attached default/web-ux x1 2"));
  EXPECT_EQ(view("x1").interfaces->at(0).plan.network, NetworkName("blue"));
  stop("x1");
  EXPECT_TRUE(engine_.attached().empty());
  EXPECT_TRUE(held().empty());
}

TEST_F(CensusTest, WhoHoldsPoliciesIsToldOfEachVerdict) {
  FakePolicies policies;
  node_.policies = &policies;
  const std::vector<InterfacePlan> plans = {plan("net1", "10.9.0.7/16")};
  engine_.put(IntentId("made"), "x1", plans);
  runtime_.put(stranger());
  sets_.failWith(Error{Code::Unavailable, "NotConnected", "away"});
  const journal::Record record = adopted(stranger(), "boot", {});
  start({{record, RecoveryAction::Keep}}, addresses::Books::Incomplete);
  eventually("unseen", [&] { return policies.last().unseen; });
  EXPECT_EQ(policies.last().intent, record.id);
  rounds(2);
  eventually("seen", [&] { return policies.last().intent == IntentId("made"); });
  const attach::Policeable seen = policies.last();
  EXPECT_FALSE(seen.unseen);
  EXPECT_EQ(seen.pod, record.pod);
  ASSERT_EQ(seen.interfaces.size(), 1U);
  EXPECT_EQ(seen.interfaces[0].network, NetworkName());
  sets_.put(set(plans));
  sets_.failWith(std::nullopt);
  rounds(3);
  eventually("believed", [&] {
    const auto last = policies.last();
    return !last.interfaces.empty() && last.interfaces[0].network == NetworkName("blue");
  });
  node_.end();
}

TEST_F(CensusTest, ASetThatSaysMoreThanTheKernelIsNeverOverwritten) {
  engine_.put(IntentId("made"), "x1", {plan("net1", "10.9.0.7/16")});
  runtime_.put(stranger());
  sets_.put(set({plan("net1", "10.9.0.7/16"), plan("net2", "10.9.1.7/16")}));
  start();
  rounds(5);
  EXPECT_EQ(doubt(), Doubt::Unconfirmed);
  EXPECT_FALSE(told("attached default/web-ux x1 1"));
  EXPECT_FALSE(told("refused default/web-ux AgentBypassed"));
  EXPECT_EQ(held().at(IntentId("made")).size(), 2U) << "those of the set are held too";
  EXPECT_LE(sets_.asked(), 3) << "a doubt that lasts doesn't ask the API at each round";
}

TEST(JudgeTest, ASetOfAnotherSandboxSaysNothing) {
  journal::Record record;
  record.pod.uid = PodUid("ux");
  record.sandbox = SandboxId("x2");
  const KnownSet older{PodUid("ux"), SandboxId("x1"), {}};
  EXPECT_EQ(judge(record, {}, {older}).doubt, Doubt::NoLinks);
}

TEST(JudgeTest, AMacThatIsTheParentsTellsNothing) {
  InterfaceStatus one;
  one.plan.name = InterfaceName::parse("net1").value();
  one.plan.mac = MacAddress::derive("the old parent");
  const Link own = drivers::macvlan::Link{"eth1"};
  const Link parents = drivers::macvlan::Link{"eth1", api::MacvlanMode::Passthru};
  attach::ObservedInterface link;
  link.intent = IntentId("a");
  link.interface = "net1";
  link.mac = MacAddress::derive("the new parent");
  journal::Record record;
  record.pod.uid = PodUid("ux");
  record.sandbox = SandboxId("x1");
  for (const auto& [kind, doubt] :
       {std::pair{own, Doubt::Unconfirmed}, std::pair{parents, Doubt::None}}) {
    one.plan.link = kind;
    const KnownSet set{PodUid("ux"), SandboxId("x1"), {one}};
    EXPECT_EQ(judge(record, {link}, {set}).doubt, doubt);
  }
}

TEST(JudgeTest, LinksOfTwoIntentsAreNeverBelieved) {
  InterfaceStatus one;
  one.plan.name = InterfaceName::parse("net1").value();
  InterfaceStatus two;
  two.plan.name = InterfaceName::parse("net2").value();
  const KnownSet set{PodUid("ux"), SandboxId("x1"), {one, two}};
  attach::ObservedInterface first;
  first.intent = IntentId("a");
  first.interface = "net1";
  attach::ObservedInterface second;
  second.intent = IntentId("b");
  second.interface = "net2";
  journal::Record record;
  record.pod.uid = PodUid("ux");
  record.sandbox = SandboxId("x1");
  EXPECT_EQ(judge(record, {first, second}, {set}).doubt, Doubt::Unconfirmed);
  second.intent = IntentId("a");
  EXPECT_EQ(judge(record, {first, second}, {set}).doubt, Doubt::None);
}

TEST_F(CensusTest, ANodeWithoutNetworksIsLeftAloneAndABypassIsFoundThereToo) {
  caches_.content.networks.clear();
  start();
  ticking("the first round", [&] { return runtime_.lists() == 1; });
  runtime_.put(stranger());
  clock_.advance(options_.quietEvery - seconds(1));
  node_.ticks(10);
  EXPECT_EQ(runtime_.lists(), 1) << "nothing is asked in vain";
  clock_.advance(seconds(1));
  ticking("seen", [&] { return runtime_.lists() == 2; });
  clock_.advance(options_.compareEvery);
  ticking("adopted", [&] { return owner_->snapshot()->sandboxes.contains(SandboxId("x1")); });
}

TEST_F(CensusTest, TheFirstNetworkEndsTheQuiet) {
  const auto networks = std::exchange(caches_.content.networks, {});
  start();
  ticking("the first round", [&] { return runtime_.lists() == 1; });
  clock_.advance(options_.compareEvery);
  node_.onLane([&] { caches_.content.networks = networks; });
  ticking("another", [&] { return runtime_.lists() == 2; });
}

}  // namespace
}  // namespace multinet::agent::sandbox
