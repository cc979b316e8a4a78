// The laws of the books, without threads.
#include "nodeagent/addresses/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "nodeagent/addresses/fake_block_server.h"
#include "nodeagent/addresses/leaser.h"

namespace multinet::agent::addresses {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

InterfaceName net1() {
  return InterfaceName::parse("net1").value();
}
Pool poolOf(const char* cidr, const std::string& name = "blue") {
  return {
      NetworkName(name), NetworkUid("uid-" + name), {{IpPrefix::parse(cidr).value(), {}, {}, {}}}};
}
std::string addressOf(const Result<std::vector<Claimed>>& result) {
  if (!result.has_value()) return result.error().reason;
  return result->at(0).at(0).address.address.str();
}

/// A ledger and the API server that its orders go to; what it answers is remembered.
class World {
 public:
  explicit World(FakeBlockServer& store, const char* node = "n1")
      : blocks_(store.client(), NodeName(node)), node_(node), ledger_(LedgerOptions{}) {}

  void start(std::vector<Holding> holdings = {}, Books books = Books::Complete) {
    execute(ledger_.restore(std::move(holdings), books, now));
    list();
  }
  void list() { listAskedAt(now); }
  void listAskedAt(BootTime asked) { execute(ledger_.listed(blocks_.listOwn(), asked, now)); }
  void storeWentBack() { execute(ledger_.storeWentBack(now)); }
  Ticket claim(const std::string& intent, const Pool& pool, const std::string& pod = "") {
    const Ticket ticket = ++tickets_;
    execute(ledger_.claim({ticket,
                           IntentId(intent),
                           PodUid(pod.empty() ? intent : pod),
                           {{net1(), pool}},
                           now + seconds(4)},
                          now));
    return ticket;
  }
  std::string got(Ticket ticket) const {
    const auto at = answers.find(ticket);
    return at == answers.end() ? "waits" : addressOf(at->second);
  }
  std::string claimNow(const std::string& intent, const Pool& pool, const std::string& pod = "") {
    return got(claim(intent, pool, pod));
  }
  void release(const std::string& intent) { execute(ledger_.release(IntentId(intent), now)); }
  void networks(std::set<NetworkUid> existing) { ledger_.setNetworks(std::move(existing)); }
  void want(const std::vector<Pool>& pools) { execute(ledger_.setWanted(pools, now)); }
  void pass(Duration time) {
    now += time;
    execute(ledger_.housekeep(now));
  }
  void restore(std::vector<Holding> holdings, Books books) {
    execute(ledger_.restore(std::move(holdings), books, now));
  }
  const Ledger& ledger() const { return ledger_; }

  BootTime now{seconds(1000)};
  std::map<Ticket, Result<std::vector<Claimed>>> answers;
  std::optional<std::vector<Contest>> contests;

 private:
  void execute(Orders orders) {
    for (auto& answer : orders.answers) answers.emplace(answer.ticket, std::move(answer.result));
    if (orders.contests) contests = std::move(orders.contests);
    for (const auto& lease : orders.leases) {
      execute(ledger_.leased(lease.key, leaseBlock(blocks_, lease, node_, 64), now));
    }
    for (const auto& block : orders.returns) {
      execute(ledger_.returned(block, blocks_.remove(block), now));
    }
    for (const auto& block : orders.renewals) {
      execute(ledger_.renewed(block, blocks_.createAgain(block), now));
    }
  }

  Blocks blocks_;
  NodeName node_;
  Ledger ledger_;
  Ticket tickets_ = 0;
};

Holding holds(const char* intent, const char* address, Duration quarantine = {}) {
  return {IntentId(intent),
          PodUid(intent),
          net1(),
          NetworkUid("uid-blue"),
          IpAddress::parse(address).value(),
          quarantine};
}

class LedgerTest : public ::testing::Test {
 protected:
  void lose(const LeasedBlock& block) { store_.erase(block); }
  FakeBlockServer store_;
};

TEST_F(LedgerTest, BlocksOfBeforeARestartGoBackWhoeverWantsThem) {
  World before(store_);
  before.start();
  ASSERT_NE(before.claimNow("a", poolOf("10.20.0.0/16")), "waits");
  ASSERT_EQ(store_.blocks().size(), 1U);
  World after(store_);  // the pod ended while no agent ran
  after.start();
  after.pass(seconds(5));
  EXPECT_EQ(store_.blocks().size(), 1U);
  after.pass(minutes(5));
  EXPECT_TRUE(store_.blocks().empty());
  EXPECT_EQ(after.ledger().blocks(), 0U);
}

TEST_F(LedgerTest, BlocksOfBeforeARestartStayWhileAPodHoldsThem) {
  World before(store_);
  before.start();
  const std::string address = before.claimNow("a", poolOf("10.20.0.0/16"));
  World after(store_);
  after.start({holds("a", address.c_str())});
  for (int i = 0; i < 5; ++i) after.pass(minutes(6));
  EXPECT_EQ(store_.blocks().size(), 1U);
  after.release("a");
  after.pass(seconds(59));
  after.pass(minutes(5));
  EXPECT_EQ(store_.blocks().size(), 1U) << "its quarantine counts as use";
  after.pass(minutes(6));
  EXPECT_TRUE(store_.blocks().empty());
}

TEST_F(LedgerTest, BlocksOfAnExcludedSubnetGoBackAndAPodKeepsItsOwnUntilItsEnd) {
  Pool pool = poolOf("10.20.0.0/16");
  World world(store_);
  world.start();
  world.want({pool});
  ASSERT_NE(world.claimNow("a", pool), "waits");
  pool.subnets[0].exclude = {pool.subnets[0].cidr};
  pool.subnets.push_back({IpPrefix::parse("10.21.0.0/16").value(), {}, {}, {}});
  world.want({pool});
  EXPECT_TRUE(world.claimNow("b", pool).starts_with("10.21."));
  for (int i = 0; i < 3; ++i) world.pass(minutes(6));
  EXPECT_EQ(store_.blocks().size(), 2U) << "a runs, b too";
  world.release("b");
  for (int i = 0; i < 3; ++i) world.pass(minutes(6));
  EXPECT_EQ(store_.blocks().size(), 2U) << "an excluded one has no room to spare";
  world.release("a");
  for (int i = 0; i < 3; ++i) world.pass(minutes(6));
  ASSERT_EQ(store_.blocks().size(), 1U);
  EXPECT_TRUE(pool.subnets[1].cidr.contains(store_.blocks()[0].prefix));
}

TEST_F(LedgerTest, AnAnswerThatWasLongOnItsWayConfirmsForWhenItWasAsked) {
  World world(store_);
  world.start();
  ASSERT_NE(world.claimNow("a", poolOf("10.20.0.0/16")), "waits");
  const BootTime asked = world.now;
  world.now += LedgerOptions{}.confirmedFor + seconds(1);
  world.listAskedAt(asked);
  store_.failAll(Error{Code::Unavailable, "", "away"});
  const Ticket late = world.claim("b", poolOf("10.20.0.0/16"));
  EXPECT_EQ(world.got(late), "waits");
  store_.failAll(std::nullopt);
  world.list();
  EXPECT_NE(world.got(late), "waits");
}

TEST_F(LedgerTest, NetworksThatAreGoneLeaveTheBooks) {
  World world(store_);
  world.start();
  for (int i = 0; i < 50; ++i) {
    const std::string name = "net" + std::to_string(i);
    const Pool pool = poolOf("10.20.0.0/16", name);
    world.want({pool});
    world.claimNow(name, pool);
    world.release(name);
  }
  world.want({});
  EXPECT_EQ(world.ledger().pools(), 50U);
  for (int i = 0; i < 4; ++i) world.pass(minutes(3));
  EXPECT_EQ(world.ledger().pools(), 0U);
  EXPECT_EQ(world.ledger().blocks(), 0U);
  EXPECT_TRUE(store_.blocks().empty());
}

TEST_F(LedgerTest, AFullPoolIsRememberedAndNotListedForEachRetry) {
  World world(store_);
  world.start();
  const Pool one = poolOf("10.20.0.4/32");
  ASSERT_EQ(world.claimNow("a", one), "10.20.0.4");
  EXPECT_EQ(world.claimNow("b", one), "PoolExhausted");
  const auto calls = store_.calls();
  for (int i = 0; i < 100; ++i) {
    const Ticket ticket = world.claim("b" + std::to_string(i), one);
    EXPECT_EQ(world.got(ticket), "PoolExhausted");
    EXPECT_NE(world.answers.at(ticket).error().message.find("1 are in use"), std::string::npos);
  }
  EXPECT_EQ(store_.calls(), calls);
  world.pass(seconds(6));
  EXPECT_EQ(world.claimNow("c", one), "PoolExhausted");
  EXPECT_EQ(store_.calls(), calls + 1) << "one list, after a few seconds";
  // What is free on this node is given all the same, and another spec is another pool.
  EXPECT_EQ(world.claimNow("d", poolOf("10.20.0.4/31")), "10.20.0.5");
}

TEST_F(LedgerTest, ABlockThatVanishedUnderPodsIsLeasedAgainByItsName) {
  World world(store_);
  world.start();
  const std::string address = world.claimNow("a", poolOf("10.20.0.0/24"));
  const LeasedBlock block = store_.blocks().front();
  lose(block);
  world.list();
  ASSERT_EQ(store_.blocks().size(), 1U);
  const LeasedBlock again = store_.blocks().front();
  EXPECT_EQ(again.prefix, block.prefix);
  EXPECT_NE(again.objectUid, block.objectUid);
  for (int i = 0; i < 6; ++i) {
    EXPECT_NE(world.claimNow("b" + std::to_string(i), poolOf("10.20.0.0/24")), address);
  }
  ASSERT_TRUE(world.contests.has_value());
  EXPECT_TRUE(world.contests->empty());
}

// Two nodes, of which the second has leased since the backup; the first sees the restore first, and
// needs a block.
TEST_F(LedgerTest, AfterARestoreNobodyLeasesWhatAnotherNodesPodsHold) {
  World first(store_, "n1");
  World second(store_, "n2");
  first.start();
  second.start();
  const Pool pool = poolOf("10.20.0.0/31");  // two blocks of one address
  const std::string held = second.claimNow("b", pool);
  ASSERT_NE(held, "waits");
  store_.clear();
  first.storeWentBack();
  first.list();
  const Ticket ticket = first.claim("a", pool);
  EXPECT_EQ(first.got(ticket), "waits");
  EXPECT_TRUE(store_.blocks().empty());
  first.pass(seconds(5));
  EXPECT_EQ(first.got(ticket), "StoreRestored");
  second.storeWentBack();
  second.list();
  EXPECT_EQ(store_.blocks().size(), 1U) << "its own come back at once";
  first.pass(minutes(2));
  const std::string given = first.claimNow("a2", pool);
  EXPECT_NE(given, held);
  EXPECT_EQ(store_.blocks().size(), 2U);
  EXPECT_EQ(second.contests, std::vector<Contest>());
}

TEST_F(LedgerTest, AfterARestartOnARestoredStoreTheJournalsBlocksAreLeasedAgain) {
  World world(store_);
  const Pool pool = poolOf("10.20.0.0/24");
  world.start({holds("a", "10.20.0.77")});
  EXPECT_TRUE(store_.blocks().empty()) << "how the network is cut isn't known yet";
  world.want({pool});
  bool isLeased = false;
  for (const auto& block : store_.blocks()) {
    isLeased = isLeased || block.prefix.contains(IpAddress::parse("10.20.0.77").value());
  }
  EXPECT_TRUE(isLeased);
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(world.claimNow("b" + std::to_string(i), pool), "10.20.0.77");
  }
}

TEST_F(LedgerTest, ABlockThatVanishedEmptyIsForgotten) {
  World world(store_);
  world.start();
  world.want({poolOf("10.20.0.0/24")});
  const LeasedBlock block = store_.blocks().front();
  world.want({});
  lose(block);
  world.list();
  EXPECT_TRUE(store_.blocks().empty());
  EXPECT_EQ(world.ledger().blocks(), 0U);
}

// The controller collects the blocks of a network that was deleted, while addresses of it rest.
TEST_F(LedgerTest, ABlockThatWentWithItsNetworkIsNotLeasedAgain) {
  for (const bool networkStays : {false, true}) {
    World world(store_);
    world.start();
    const Pool pool = poolOf("10.20.0.0/24");
    world.networks({pool.uid});
    world.claimNow("a", pool);
    const LeasedBlock block = store_.blocks().front();
    world.release("a");
    lose(block);
    world.list();
    EXPECT_TRUE(store_.blocks().empty()) << "it isn't known yet whether its network goes too";
    if (!networkStays) world.networks({});
    world.pass(seconds(5));
    EXPECT_EQ(store_.blocks().size(), networkStays ? 1U : 0U);
    EXPECT_EQ(world.ledger().blocks(), networkStays ? 1U : 0U);
    store_.clear();
  }
}

TEST_F(LedgerTest, ABlockOfAPodThatRunsIsLeasedAgainWhateverItsNetworkIs) {
  World world(store_);
  world.start();
  world.networks({});
  world.claimNow("a", poolOf("10.20.0.0/24"));
  lose(store_.blocks().front());
  world.list();
  EXPECT_EQ(store_.blocks().size(), 1U);
}

TEST_F(LedgerTest, ABlockThatAnotherNodeHasByThenIsContestedAndGivesNothing) {
  World world(store_);
  world.start();
  const Pool pool = poolOf("10.20.0.0/24");
  const std::string address = world.claimNow("a", pool);
  const LeasedBlock block = store_.blocks().front();
  store_.give(store_.blocks().front(), NodeName("n2"));
  world.list();
  ASSERT_EQ(world.contests->size(), 1U);
  EXPECT_EQ(world.contests->front().intent, IntentId("a"));
  EXPECT_EQ(world.contests->front().block, block.prefix);
  EXPECT_EQ(world.contests->front().address.str(), address);
  for (int i = 0; i < 4; ++i) {
    const std::string other = world.claimNow("b" + std::to_string(i), pool);
    EXPECT_FALSE(block.prefix.contains(IpAddress::parse(other).value())) << other;
  }
  world.pass(minutes(2));
  EXPECT_EQ(world.contests->size(), 1U) << "asking again doesn't end it";
  // The other node gives it back: it is ours again.
  lose(block);
  world.pass(minutes(2));
  EXPECT_TRUE(world.contests->empty());
  EXPECT_TRUE(store_.has(block));
}

TEST_F(LedgerTest, AContestEndsWithThePod) {
  World world(store_);
  world.start();
  world.claimNow("a", poolOf("10.20.0.0/24"));
  store_.give(store_.blocks().front(), NodeName("n2"));
  world.list();
  world.release("a");
  EXPECT_TRUE(world.contests->empty());
  world.pass(seconds(61));
  EXPECT_EQ(world.ledger().blocks(), 0U);
  EXPECT_EQ(store_.blocks().size(), 1U) << "it is the other node's";
}

TEST_F(LedgerTest, AnApiServerThatIsAwayKeepsABlockLostUntilItIsBack) {
  World world(store_);
  world.start();
  world.claimNow("a", poolOf("10.20.0.0/24"));
  const LeasedBlock block = store_.blocks().front();
  lose(block);
  store_.failCreates(Error{Code::Unavailable, "", "away"});
  world.list();
  EXPECT_TRUE(store_.blocks().empty());
  store_.failCreates(std::nullopt);
  world.pass(seconds(6));
  EXPECT_TRUE(store_.has(block));
}

TEST_F(LedgerTest, WhatIsRestoredAnewLeavesNothingOfTheOldBehind) {
  World world(store_);
  const Pool two = poolOf("10.20.0.4/31");
  world.start({holds("a", "10.20.0.4"), holds("a", "10.20.0.5")});
  EXPECT_EQ(world.claimNow("b", two), "PoolExhausted");
  world.restore({holds("a", "10.20.0.4")}, Books::Complete);
  world.pass(seconds(6));
  EXPECT_EQ(world.claimNow("c", two), "10.20.0.5");
}

TEST_F(LedgerTest, AReleaseAnswersTheClaimThatStillWaits) {
  World world(store_);
  const Ticket ticket = world.claim("a", poolOf("10.20.0.0/24"));  // before anything is known
  EXPECT_EQ(world.got(ticket), "waits");
  world.release("a");
  EXPECT_EQ(world.got(ticket), "Released");
}

// Two nodes, one small pool, anything in any order: against a model that knows whose every address
// is at each moment.
class LedgerHistory : public ::testing::TestWithParam<unsigned> {
 protected:
  struct Node {
    std::string name;
    std::unique_ptr<World> world;
    std::map<std::string, std::string> held;                              // intent -> address
    std::map<std::string, std::pair<std::string, BootTime>> quarantined;  // address -> pod, until
  };

  void step(Node& node) {
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return claim(node);
      case 4:
      case 5:
      case 6:
        return release(node);
      case 7:
        return node.world->list();
      case 8:
        node.world->want(pick(2) == 0 ? std::vector<Pool>{} : std::vector<Pool>{pool_});
        return;
      case 9:
        return vanish(node);
      case 10:
        if (pick(4) == 0) restart(node);
        return;
      default:
        pass(seconds(pick(90)));
    }
  }

  void claim(Node& node) {
    const std::string intent = node.name + std::to_string(++intents_);
    const std::string pod = "pod" + std::to_string(pick(6));
    const Ticket ticket = node.world->claim(intent, pool_, pod);
    const std::string got = node.world->got(ticket);
    const auto address = IpAddress::parse(got);
    if (!address.has_value()) {
      node.world->release(intent);
      return;
    }
    for (const Node& other : nodes_) {
      for (const auto& [holder, held] : other.held) {
        EXPECT_NE(held, got) << "held by " << holder << ", given to " << intent;
      }
    }
    if (const auto rest = node.quarantined.find(got); rest != node.quarantined.end()) {
      const auto& [owner, until] = rest->second;
      EXPECT_TRUE(owner == pod || until <= node.world->now) << got << " rests for " << owner;
      node.quarantined.erase(rest);
    }
    node.held[intent] = got;
    pods_[intent] = pod;
  }

  void release(Node& node) {
    if (node.held.empty()) return;
    auto at = node.held.begin();
    std::advance(at, pick(static_cast<int>(node.held.size())));
    node.quarantined[at->second] = {pods_[at->first], node.world->now + seconds(60)};
    node.world->release(at->first);
    node.held.erase(at);
  }

  // Somebody deletes a block, and the node sees it at once.
  void vanish(Node& node) {
    for (const LeasedBlock& block : store_.blocks()) {
      if (block.node != NodeName(node.name)) continue;
      store_.erase(block);
      return node.world->list();
    }
  }

  void restart(Node& node) {
    std::vector<Holding> holdings;
    for (const auto& [intent, address] : node.held) {
      holdings.push_back({IntentId(intent),
                          PodUid(pods_[intent]),
                          net1(),
                          pool_.uid,
                          IpAddress::parse(address).value(),
                          {}});
    }
    for (const auto& [address, rest] : node.quarantined) {
      const Duration left = rest.second - node.world->now;
      if (left <= Duration{}) continue;
      holdings.push_back({IntentId("rest-" + address), PodUid(rest.first), net1(), pool_.uid,
                          IpAddress::parse(address).value(), left});
    }
    const BootTime now = node.world->now;
    node.world = std::make_unique<World>(store_, node.name.c_str());
    node.world->now = now;
    if (pick(2) == 0) {  // the kernel and the API tell it later
      node.world->start({}, Books::Incomplete);
      const int meanwhile = pick(4);
      for (int i = 0; i < meanwhile; ++i) claim(node);
      node.world->pass(minutes(6));
      node.world->restore(holdings, Books::Complete);
      for (Node& other : nodes_) other.world->now = std::max(other.world->now, node.world->now);
    } else {
      node.world->start(holdings);
    }
  }

  void pass(Duration time) {
    for (Node& node : nodes_) node.world->pass(time);
  }

  void expectHeldBlocksAreLeased() {
    const auto all = store_.blocks();
    for (const Node& node : nodes_) {
      for (const auto& [intent, address] : node.held) {
        const bool leased = std::ranges::any_of(all, [&](const LeasedBlock& one) {
          return one.node == NodeName(node.name) &&
                 one.prefix.contains(IpAddress::parse(address).value());
        });
        EXPECT_TRUE(leased) << node.name << " holds " << address << " of no block of its own";
      }
    }
  }

  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

  FakeBlockServer store_;
  const Pool pool_ = poolOf("10.20.0.0/27");
  std::vector<Node> nodes_;
  std::map<std::string, std::string> pods_;
  int intents_ = 0;
  std::mt19937 random_{GetParam()};
};

TEST_P(LedgerHistory, NoAddressTwiceNoBlockLostAllReturned) {
  for (const char* name : {"n1", "n2"}) {
    nodes_.push_back({name, std::make_unique<World>(store_, name), {}, {}});
    nodes_.back().world->start();
  }
  for (int i = 0; i < 250; ++i) {
    step(nodes_[static_cast<std::size_t>(pick(2))]);
    expectHeldBlocksAreLeased();
    if (HasFailure()) FAIL() << "at step " << i;
  }
  for (Node& node : nodes_) {
    while (!node.held.empty()) release(node);
    node.world->want({});
  }
  for (int i = 0; i < 5; ++i) pass(minutes(3));
  EXPECT_TRUE(store_.blocks().empty());
  for (const Node& node : nodes_) {
    EXPECT_EQ(node.world->ledger().blocks(), 0U);
    EXPECT_EQ(node.world->ledger().pools(), 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LedgerHistory, ::testing::Range(0U, 20U));

}  // namespace
}  // namespace multinet::agent::addresses
