#include <gtest/gtest.h>

#include <future>

#include "lib/base/fake_clock.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/fake_block_server.h"
#include "nodeagent/addresses/leaser.h"

namespace multinet::agent::addresses {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Pool pool(const std::vector<const char*>& cidrs, const char* uid = "uid-blue") {
  Pool made{NetworkName("blue"), NetworkUid(uid), {}};
  for (const char* cidr : cidrs) {
    made.subnets.push_back({IpPrefix::parse(cidr).value(), {}, {}, {}});
  }
  return made;
}

InterfaceName net1() {
  return InterfaceName::parse("net1").value();
}

class AddressesTest : public ::testing::Test {
 protected:
  AddressesTest() {
    options_.node = NodeName("n1");
    options_.housekeepEvery = milliseconds(2);
    options_.confirmEvery = milliseconds(2);
    options_.retryEvery = milliseconds(2);
  }
  void make() {
    lane_.emplace("sandbox");
    addresses_.emplace(*lane_, blocks_, clock_, options_);
  }
  void start() {
    make();
    addresses_->restore({}, Books::Complete);
  }
  std::future<Result<std::vector<Claimed>>> submit(const std::string& intent, const Pool& from,
                                                   const std::string& pod = "",
                                                   Duration wait = seconds(5)) {
    auto promise = std::make_shared<std::promise<Result<std::vector<Claimed>>>>();
    auto future = promise->get_future();
    addresses_->claim(IntentId(intent), PodUid(pod.empty() ? "pod-" + intent : pod),
                      {{net1(), from}}, clock_.now() + wait,
                      [promise](Result<std::vector<Claimed>> claimed) {
                        promise->set_value(std::move(claimed));
                      });
    return future;
  }
  Result<std::vector<Claimed>> claim(const std::string& intent, const Pool& from,
                                     const std::string& pod = "") {
    return submit(intent, from, pod).get();
  }
  /// Blocks that this node leased before.
  void own(const std::vector<const char*>& blocks) {
    for (const char* block : blocks) {
      const IpPrefix prefix = IpPrefix::parse(block).value();
      store_.put({NetworkName("blue"), NetworkUid("uid-blue"), prefix, NodeName("n1"), ""});
    }
  }
  // A release has only been posted when it returns; a claim of nothing comes after it.
  void release(const std::string& intent) {
    addresses_->release(IntentId(intent));
    std::promise<void> passed;
    addresses_->claim(IntentId("nothing"), PodUid("nobody"), {}, clock_.now() + seconds(5),
                      [&](const Result<std::vector<Claimed>>&) { passed.set_value(); });
    passed.get_future().get();
  }
  void passLane() {
    std::promise<void> passed;
    lane_->post([&passed] { passed.set_value(); });
    passed.get_future().get();
  }
  std::string text(const Result<std::vector<Claimed>>& claimed) const {
    if (!claimed.has_value()) return claimed.error().reason;
    std::string all;
    for (const AddressPlan& address : claimed->at(0)) all += address.address.str() + " ";
    return all;
  }
  template <class Condition>
  void eventually(const char* what, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (true) {
      if (condition()) return;
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  FakeClock clock_;
  FakeBlockServer store_;
  Blocks blocks_{store_.client(), NodeName("n1")};
  LeaseOptions options_;
  std::optional<async::Lane> lane_;
  std::optional<Addresses> addresses_;
};

TEST_F(AddressesTest, GivesOneAddressOfEachFamilyWithTheSubnetsLength) {
  start();
  const auto claimed = claim("a", pool({"10.20.0.0/16", "fd00:20::/64", "10.30.0.0/16"}));
  ASSERT_TRUE(claimed.has_value()) << claimed.error().message;
  ASSERT_EQ(claimed->at(0).size(), 2U);
  EXPECT_TRUE(IpPrefix::parse("10.20.0.0/16")->contains(claimed->at(0)[0].address.address));
  EXPECT_EQ(claimed->at(0)[0].address.length, 16U);
  EXPECT_EQ(claimed->at(0)[1].address.length, 64U);
}

TEST_F(AddressesTest, ABlockWithRoomCostsNoCall) {
  options_.confirmEvery = hours(1);
  start();
  ASSERT_TRUE(claim("a", pool({"10.20.0.0/16"})).has_value());
  store_.failAll(Error{Code::Unavailable, "", "away"});
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(claim(std::to_string(i), pool({"10.20.0.0/16"})).has_value());
  }
  EXPECT_EQ(store_.blocks().size(), 1U);
}

TEST_F(AddressesTest, LeasesTheNextBlockBeforeTheFirstIsFull) {
  start();
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(claim(std::to_string(i), pool({"10.20.0.0/24"})).has_value());
  }
  eventually("second block", [&] { return store_.blocks().size() == 2; });
}

TEST_F(AddressesTest, TwoNodesShareAPoolToItsLastAddressAndThenSayWithNumbers) {
  start();
  Blocks otherBlocks(store_.client(), NodeName("n2"));
  LeaseOptions otherOptions = options_;
  otherOptions.node = NodeName("n2");
  async::Lane lane("other");
  Addresses other(lane, otherBlocks, clock_, otherOptions);
  other.restore({}, Books::Complete);
  std::set<std::string> seen;
  const Pool small = pool({"10.20.0.0/28"});
  for (int i = 0; i < 14; ++i) {
    std::string got;
    if (i % 2 == 0) {
      got = text(claim("a" + std::to_string(i), small));
    } else {
      std::promise<Result<std::vector<Claimed>>> promise;
      other.claim(IntentId("b" + std::to_string(i)), PodUid("p" + std::to_string(i)),
                  {{net1(), small}}, clock_.now() + seconds(5),
                  [&](Result<std::vector<Claimed>> claimed) { promise.set_value(claimed); });
      got = text(promise.get_future().get());
    }
    EXPECT_TRUE(seen.insert(got).second) << got;
    EXPECT_EQ(got.substr(0, 8), "10.20.0.") << got;
  }
  const auto full = claim("last", small);
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().reason, "PoolExhausted");
  EXPECT_NE(full.error().message.find("10.20.0.0/28"), std::string::npos);
  EXPECT_NE(full.error().message.find("7 are in use"), std::string::npos) << full.error().message;
}

TEST_F(AddressesTest, ANodeLeasesItsShareOfAFamilyAndNoMore) {
  Pool wide = pool({"10.0.0.0/8", "fd00::/64"});
  wide.subnets[0].blockSize = 18;
  std::map<std::pair<std::string, IpFamily>, std::vector<IpPrefix>> own;
  const auto lease = [&](IpFamily family, const char* node) {
    Blocks blocks(store_.client(), NodeName(node));
    auto& mine = own[{node, family}];
    auto block = leaseBlock(blocks, {{wide.uid, family}, wide, mine, Room::Likely}, NodeName(node),
                            options_.attempts);
    if (block) mine.push_back(block->prefix);
    return block;
  };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(lease(IpFamily::V4, "n1")) << i;
  const auto fifth = lease(IpFamily::V4, "n1");
  ASSERT_FALSE(fifth);
  EXPECT_EQ(fifth.error().reason, "PoolExhausted");
  EXPECT_NE(fifth.error().message.find("has 4 IPv4 blocks of it, which is all that one node may"),
            std::string::npos)
      << fifth.error().message;
  EXPECT_TRUE(lease(IpFamily::V6, "n1"));
  EXPECT_TRUE(lease(IpFamily::V4, "n2"));
}

TEST_F(AddressesTest, QuarantineKeepsAnAddressFromOthersButNotFromItsOwnPod) {
  start();
  const Pool one = pool({"10.20.0.4/32"});
  ASSERT_EQ(text(claim("a", one, "pod-a")), "10.20.0.4/32 ");
  release("a");
  EXPECT_EQ(text(claim("b", one, "pod-b")), "PoolExhausted");
  EXPECT_EQ(text(claim("a2", one, "pod-a")), "10.20.0.4/32 ");
  release("a2");
  clock_.advance(options_.quarantine + seconds(1));
  EXPECT_EQ(text(claim("b2", one, "pod-b")), "10.20.0.4/32 ");
}

TEST_F(AddressesTest, ARestartKeepsWhatTheJournalHolds) {
  own({"10.20.0.4/32", "10.20.0.5/32"});
  make();
  const Pool two = pool({"10.20.0.4/31"});
  auto early = submit("early", two, "pod-x");
  addresses_->restore({{IntentId("old"), PodUid("pod-a"), net1(), NetworkUid("uid-blue"),
                        IpAddress::parse("10.20.0.4").value(), Duration{}},
                       {IntentId("gone"), PodUid("pod-b"), net1(), NetworkUid("uid-blue"),
                        IpAddress::parse("10.20.0.5").value(), seconds(30)}},
                      Books::Complete);
  EXPECT_EQ(text(early.get()), "PoolExhausted");
  EXPECT_EQ(text(claim("b2", two, "pod-b")), "10.20.0.5/31 ");
  release("old");
  clock_.advance(seconds(61));
  EXPECT_EQ(text(claim("new", two, "pod-c")), "10.20.0.4/31 ");
}

TEST_F(AddressesTest, IncompleteBooksGiveAndReturnNothingOfTheBlocksOfBefore) {
  own({"10.20.0.4/32", "10.20.0.5/32"});
  make();
  addresses_->restore({}, Books::Incomplete);
  const Pool two = pool({"10.20.0.4/31"});
  for (std::string told; told != "AddressesUnknown";) {
    auto late = submit("b", two, "", seconds(1));
    clock_.advance(seconds(2));
    told = text(late.get());
    ASSERT_TRUE(told == "AddressesUnknown" || told == "Starting") << told;
  }
  clock_.advance(options_.returnAfter + seconds(1));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(store_.blocks().size(), 2U) << "a block that may be in use was returned";
  EXPECT_EQ(text(claim("wider", pool({"10.20.0.0/28"}, "uid-red"))), "10.20.0.14/28 ")
      << "a block that is leased now holds nothing unknown";
  auto waits = submit("a", two, "", hours(1));
  // The network of an address that only the kernel told isn't known.
  addresses_->restore({{IntentId("found"), PodUid("pod-a"), net1(), NetworkUid(),
                        IpAddress::parse("10.20.0.4").value(), Duration{}}},
                      Books::Complete);
  EXPECT_EQ(text(waits.get()), "10.20.0.5/31 ");
}

TEST_F(AddressesTest, AnAddressThatTwoIntentsHoldIsFreeWhenBothAreGone) {
  own({"10.20.0.4/32"});
  make();
  const auto holding = [](const char* intent, const char* pod) {
    return Holding{IntentId(intent),
                   PodUid(pod),
                   net1(),
                   NetworkUid("uid-blue"),
                   IpAddress::parse("10.20.0.4").value(),
                   Duration{}};
  };
  addresses_->restore({holding("stale", "pod-a"), holding("runs", "pod-b")}, Books::Complete);
  const Pool one = pool({"10.20.0.4/32"});
  release("stale");
  clock_.advance(options_.quarantine + seconds(1));
  EXPECT_EQ(text(claim("c", one)), "PoolExhausted");
  release("runs");
  clock_.advance(options_.quarantine + seconds(1));
  EXPECT_EQ(text(claim("d", one)), "10.20.0.4/32 ");
}

TEST_F(AddressesTest, ApiAwayIsUnavailableWithinTheDeadline) {
  store_.failAll(Error{Code::Unavailable, "", "connection refused"});
  start();
  auto pending = submit("a", pool({"10.20.0.0/16"}));
  eventually("tried", [&] { return store_.calls() > 2; });
  clock_.advance(seconds(6));
  const auto late = pending.get();
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::Unavailable);
  EXPECT_NE(late.error().message.find("connection refused"), std::string::npos);
}

TEST_F(AddressesTest, ApiBackInTimeServesTheClaimThatWaits) {
  store_.failAll(Error{Code::Unavailable, "", "connection refused"});
  start();
  auto pending = submit("a", pool({"10.20.0.0/16"}));
  store_.failAll(std::nullopt);
  EXPECT_TRUE(pending.get().has_value());
}

TEST_F(AddressesTest, BlocksOfAnEarlierNetworkOfTheNameAreWaitedFor) {
  const IpPrefix prefix = IpPrefix::parse("10.20.0.4/32").value();
  store_.put({NetworkName("blue"), NetworkUid("older"), prefix, NodeName("n2"), ""});
  start();
  auto pending = submit("a", pool({"10.20.0.4/32"}));
  EXPECT_EQ(pending.wait_for(milliseconds(30)), std::future_status::timeout);
  store_.clear();
  EXPECT_EQ(text(pending.get()), "10.20.0.4/32 ");
}

TEST_F(AddressesTest, AnUnconfirmedBlockGivesNothingNew) {
  start();
  ASSERT_TRUE(claim("a", pool({"10.20.0.0/16"})).has_value());
  store_.failAll(Error{Code::Unavailable, "", "away"});
  clock_.advance(options_.confirmedFor + seconds(1));
  auto pending = submit("b", pool({"10.20.0.0/16"}));
  EXPECT_EQ(pending.wait_for(milliseconds(20)), std::future_status::timeout);
  store_.failAll(std::nullopt);
  EXPECT_TRUE(pending.get().has_value());
}

TEST_F(AddressesTest, WantedNetworksAreLeasedAheadAndEmptyBlocksGoBack) {
  start();
  addresses_->setWanted({pool({"10.20.0.0/16", "fd00::/64"})});
  eventually("leased ahead", [&] { return store_.blocks().size() == 2; });
  clock_.advance(options_.returnAfter + seconds(1));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(store_.blocks().size(), 2U);
  addresses_->setWanted({});
  eventually("returned", [&] {
    clock_.advance(minutes(6));
    return store_.blocks().empty();
  });
}

TEST_F(AddressesTest, ABlockInUseNeverGoesBack) {
  start();
  ASSERT_TRUE(claim("a", pool({"10.20.0.0/16"})).has_value());
  for (int i = 0; i < 5; ++i) {
    clock_.advance(minutes(6));
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(store_.blocks().size(), 1U);
}

TEST_F(AddressesTest, ABlockThatIsSeenToGoIsLeasedAgainAtOnce) {
  options_.confirmEvery = hours(1);
  start();
  ASSERT_TRUE(claim("a", pool({"10.20.0.0/16"})).has_value());
  LeasedBlock block;
  std::size_t calls = 0;
  block = store_.blocks().front();
  calls = store_.calls();
  LeasedBlock returned = block;
  returned.objectUid = "older";
  addresses_->blockGone(returned);  // one that this node gave back itself
  ASSERT_TRUE(claim("b", pool({"10.20.0.0/16"})).has_value());
  EXPECT_EQ(store_.calls(), calls) << "nothing is listed for it";
  store_.clear();
  addresses_->blockGone(block);
  eventually("leased again", [&] {
    return store_.blocks().size() == 1 && store_.blocks().front().prefix == block.prefix;
  });
}

TEST_F(AddressesTest, WhoseNameIsAnothersGivesNothingAndAsksForNothing) {
  const Error taken{Code::FailedPrecondition, "NodeNameTaken", "another's"};
  own({"10.20.0.0/26"});
  options_.allowed = fail(taken);
  start();
  const Pool blue = pool({"10.20.0.0/24"});
  addresses_->setWanted({blue});
  auto refused = submit("a", blue);
  passLane();
  clock_.advance(seconds(6));
  EXPECT_EQ(text(refused.get()), "NodeNameTaken");
  EXPECT_EQ(store_.calls(), 0U) << "the blocks may well be the other's";

  addresses_->allow({});
  ASSERT_TRUE(claim("b", blue).has_value());
  addresses_->allow(fail(taken));
  auto late = submit("c", blue);
  passLane();
  clock_.advance(seconds(6));
  EXPECT_EQ(text(late.get()), "NodeNameTaken");
  std::size_t held = 0;
  lane_->post([&] { held = addresses_->held().size(); });
  passLane();
  EXPECT_EQ(held, 1U) << "what runs keeps what it has";
  addresses_->release(IntentId("b"));
  passLane();
  const std::size_t calls = store_.calls();
  clock_.advance(options_.returnAfter + minutes(2));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(store_.calls(), calls) << "nothing is given back that may be the other's";
  EXPECT_EQ(store_.blocks().size(), 1U);
  addresses_->allow({});
  EXPECT_TRUE(claim("d", blue).has_value());
}

// A pod with an interface on each of 32 networks, whose server takes 120 ms and more for each: one
// after the other its leases would take longer than any claim waits.
TEST_F(AddressesTest, LeasesOfOnePodAreTakenAtOnceButNotAllOfThem) {
  start();
  store_.answerAfter(milliseconds(20));
  std::vector<AddressRequest> wants;
  for (int i = 0; i < 32; ++i) {
    const std::string name = "n" + std::to_string(i);
    Pool one = pool({"10.20.0.0/24"}, name.c_str());
    one.network = NetworkName(name);
    wants.push_back({InterfaceName::parse("net" + std::to_string(i)).value(), one});
  }
  std::promise<Result<std::vector<Claimed>>> answer;
  addresses_->claim(IntentId("a"), PodUid("pod"), wants, clock_.now() + seconds(4),
                    [&](Result<std::vector<Claimed>> claimed) { answer.set_value(claimed); });
  const auto claimed = answer.get_future().get();
  ASSERT_TRUE(claimed.has_value()) << claimed.error().message;
  EXPECT_EQ(claimed->size(), 32U);
  EXPECT_EQ(store_.blocks().size(), 32U);
  EXPECT_GT(store_.mostAtOnce(), 4);
  EXPECT_LE(store_.mostAtOnce(), 8) << "other nodes lease too";
}

TEST_F(AddressesTest, AllOrNone) {
  start();
  const Pool full = pool({"10.20.0.4/32"});
  ASSERT_TRUE(claim("a", full).has_value());
  // Two interfaces: one of a pool with a single free address, one of the full pool.
  Pool other = pool({"10.30.0.4/32"}, "uid-green");
  other.network = NetworkName("green");
  std::promise<Result<std::vector<Claimed>>> promise;
  addresses_->claim(IntentId("b"), PodUid("pod-b"),
                    {{net1(), other}, {InterfaceName::parse("net2").value(), full}},
                    clock_.now() + seconds(5),
                    [&](Result<std::vector<Claimed>> claimed) { promise.set_value(claimed); });
  EXPECT_EQ(text(promise.get_future().get()), "PoolExhausted");
  EXPECT_EQ(text(claim("c", other)), "10.30.0.4/32 ");
}

// 5,000 nodes that ask each five minutes are a load of their own.
TEST_F(AddressesTest, ANodeWithoutBlocksAsksForNone) {
  options_.confirmEvery = seconds(1);
  options_.housekeepEvery = hours(1);
  lane_.emplace("sandbox", clock_);
  addresses_.emplace(*lane_, blocks_, clock_, options_);
  addresses_->restore({}, Books::Complete);
  eventually("listed at the start", [&] { return store_.calls() == 1; });
  const auto turn = [&] {
    clock_.advance(seconds(1));
    release("nobody's");  // the lane has come to what was due
  };
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_EQ(store_.calls(), 1);
  auto claimed = submit("a", pool({"10.20.0.0/16"}), "", hours(1)).get();
  ASSERT_TRUE(claimed.has_value()) << claimed.error().message;
  std::size_t calls = 0;
  calls = store_.calls();
  turn();
  eventually("its block is confirmed", [&] { return store_.calls() == calls + 1; });
}

}  // namespace
}  // namespace multinet::agent::addresses
