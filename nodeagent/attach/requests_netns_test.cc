// What an attach asks the kernel: no more than it must, and never less than the truth takes.
#include <gtest/gtest.h>

#include <atomic>
#include <string_view>

#include "lib/base/calls.h"
#include "nodeagent/attach/test_host.h"

namespace multinet::agent::attach {
namespace {

class RequestsTest : public testing::Test {
 protected:
  static Desired desire(const std::string& intent, InterfacePlan plan) {
    return {IntentId(intent), {std::move(plan)}};
  }
  void run(const netlink::Request& request) { TestHost::run(host_.socket(), request); }

  TestHost host_;
  const Fd pod_ = netns::make().value();
  const Desired veth_ = desire("veth", testBridgePlan("net1", 5));
  const Desired macvlan_ = desire("macvlan", testMacvlanPlan("net2", "10.30.0.", 6));
};

/// Sends to the kernel by all threads since it was made. One observer a process, for its whole
/// life, so it counts for whoever asks.
class Count {
 public:
  Count() {
    static const bool observed = [] {
      calls::observe([](const calls::Call& call) {
        if (std::string_view(call.door) == "netlink") ++all;
      });
      return true;
    }();
    static_cast<void>(observed);
    before_ = all;
  }
  [[nodiscard]] int value() const { return all - before_; }

 private:
  static inline std::atomic<int> all = 0;
  int before_ = 0;
};

TEST_F(RequestsTest, AnAttachAsksNoMoreThanItMust) {
  const auto sendsOf = [&](const Desired& desired) {
    const Count count;
    const auto made = host_.attach(desired, pod_);
    const int sends = count.value();
    EXPECT_TRUE(made) << made.error().message;
    EXPECT_TRUE(host_.detach(desired, pod_));
    return sends;
  };
  // The pod's links, the creation, what was born, then all else with the look back in one.
  constexpr int kMacvlan = 4;
  constexpr int kVeth = kMacvlan + 1;  // whether the name of the host's end is free
  constexpr int kFirst = 1;            // the parent as a whole
  EXPECT_EQ(sendsOf(macvlan_), kFirst + kMacvlan);
  EXPECT_EQ(sendsOf(macvlan_), kMacvlan);
  EXPECT_EQ(sendsOf(veth_), kFirst + kVeth);
  EXPECT_EQ(sendsOf(veth_), kVeth);
  // Several interfaces share all but what is the host's side of each.
  Desired two = desire("two", testMacvlanPlan("net1", "10.30.0.", 5));
  two.interfaces.push_back(testMacvlanPlan("net2", "10.31.0.", 6));
  EXPECT_EQ(sendsOf(two), kMacvlan);
}

TEST_F(RequestsTest, AParentThatIsKnownIsStillLookedAt) {
  const auto reason = [&] {
    const auto result = host_.attach(macvlan_, pod_);
    if (!result) return result.error().reason;
    const Status gone = host_.detach(macvlan_, pod_);
    return gone ? std::string("attached") : gone.error().message;
  };
  EXPECT_EQ(reason(), "attached");
  run(netlink::setDown({0, "parent0"}));
  EXPECT_EQ(reason(), "ParentDown");
  run(netlink::setUp({0, "parent0"}));
  run(netlink::setMtu({0, "parent0"}, 1400));
  EXPECT_EQ(reason(), "MTUTooLarge");
  run(netlink::setMtu({0, "parent0"}, 1500));
  EXPECT_EQ(reason(), "attached");
  // Nothing but the kernel's refusal tells of a bridge's port, and not by its reason.
  const int bridge = netlink::findLink(host_.socket(), {0, "br-test"}).value().index;
  run(netlink::setMaster({0, "parent0"}, bridge));
  EXPECT_EQ(reason(), "ParentEnslaved");
  run(netlink::setMaster({0, "parent0"}, 0));
  EXPECT_EQ(reason(), "attached");
  host_.removeLink("parent0");
  EXPECT_EQ(reason(), "ParentMissing");
  host_.makeParent();
  EXPECT_EQ(reason(), "attached") << "by another device of that name";
}

TEST_F(RequestsTest, ANameThatALinkOfAnotherKindHasIsRefused) {
  netlink::Socket inside = TestHost::socketIn(pod_);
  for (const char* name : {"net1", "net2"}) {
    TestHost::run(inside, netlink::createBridge({name, MacAddress::derive(name), 1500}));
  }
  const auto before = netlink::findLinks(inside).value().size();
  for (const Desired& desired : {veth_, macvlan_}) {
    EXPECT_EQ(host_.attach(desired, pod_).error().reason, "NameTaken") << desired.intent.str();
    EXPECT_EQ(netlink::findLinks(inside).value().size(), before);
  }
  for (const char* name : {"net1", "net2"}) TestHost::run(inside, netlink::deleteLink({0, name}));
  for (const Desired& desired : {veth_, macvlan_}) EXPECT_TRUE(host_.attach(desired, pod_));
}

TEST_F(RequestsTest, WhatTheNamespaceSetsAnotherWayIsSetForTheLink) {
  const auto scope = netns::Scope::enter(pod_).value();
  for (const char* key : {"disable_ipv6", "accept_ra", "autoconf"}) {
    ASSERT_TRUE(netns::writeSysctl(std::string("ipv6/conf/default/") + key, "1"));
  }
  ASSERT_TRUE(host_.attach(veth_, pod_));
  ASSERT_TRUE(host_.attach(macvlan_, pod_));
  const auto of = [](const std::string& key) { return netns::readSysctl(key).value(); };
  EXPECT_EQ(of("ipv6/conf/net1/disable_ipv6"), "0");
  EXPECT_EQ(of("ipv6/conf/net1/accept_ra"), "0");
  EXPECT_EQ(of("ipv6/conf/net1/autoconf"), "0");
  EXPECT_EQ(of("ipv6/conf/net2/disable_ipv6"), "1");
  for (const std::string link : {"net1", "net2"}) {
    EXPECT_EQ(of("ipv4/conf/" + link + "/arp_ignore"), "1");
    EXPECT_EQ(of("ipv4/conf/" + link + "/arp_announce"), "2");
    EXPECT_EQ(of("ipv4/conf/" + link + "/rp_filter"), "2");
  }
}

}  // namespace
}  // namespace multinet::agent::attach
