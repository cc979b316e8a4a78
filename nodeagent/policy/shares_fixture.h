// Pods whose flows are counted, in a small table.
#pragma once

#include "nodeagent/policy/flows_fixture.h"

namespace multinet::agent::policing {

/// Of a table that small a port may hold a quarter, which is 1600 flows, and a bridge's other ports
/// together a half. The first 400 and 800 are told by every 16th: hence the slack.
inline constexpr std::uint32_t kTable = 6400;

class PolicySharesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!node_.guard().tracking()) GTEST_SKIP() << "the kernel tells no flows of bridges";
    node_.start({.mostFlows = kTable});
  }
  void plug(std::initializer_list<TestPod*> pods) {
    for (TestPod* pod : pods) pod->plug(node_);
    for (TestPod* pod : pods) pod->announce();
  }
  /// Whoever is on the network may send UDP to ports 6999 and 7000 of `two`; nobody else is
  /// isolated.
  [[nodiscard]] Status commit() {
    Policed wanted;
    wanted.program.ingress[two_.key()] = 1;
    wanted.program.permits = {{1, policy::kEverybody, api::Protocol::UDP, 6999, 7000}};
    for (const TestPod* pod : {&one_, &two_, &three_}) wanted.ports[pod->key()] = pod->port();
    return node_.guard().commit(kBlue, "br-blue", std::move(wanted));
  }
  /// The first packet of a flow to `two`.
  [[nodiscard]] Bytes first(const TestPod& from, unsigned source, unsigned port = 7000) const {
    return ethernet(two_.mac(), from.mac(), kIpv4,
                    ipv4(from.v4(), two_.v4(), kUdp, udp(source, port)));
  }
  /// The same of any flow there is, by number: with addresses that aren't the sender's.
  [[nodiscard]] Bytes forged(const TestPod& from, unsigned number) const {
    constexpr unsigned kSources = 60000;
    const unsigned host = 256 + number / kSources;
    const std::string address =
        "10.1." + std::to_string(host / 256) + "." + std::to_string(host % 256);
    return ethernet(two_.mac(), from.mac(), kIpv4,
                    ipv4(address, two_.v4(), kUdp, udp(1024 + number % kSources, 7000)));
  }
  /// As many flows, each begun once. `two` hears the last word when all of them have passed.
  void begin(const TestPod& from, unsigned flows, unsigned port = 7000) const {
    for (unsigned i = 0; i < flows; ++i) {
      from.raw().send(first(from, 1024 + i, port));
      // So that nothing is lost in a queue.
      if (i % 64 == 63) {
        EXPECT_TRUE(arrives(from, from.question(isolation::of(two_.mac())), two_));
      }
    }
    EXPECT_TRUE(arrives(from, from.question(isolation::of(two_.mac())), two_));
  }
  [[nodiscard]] std::uint32_t held() { return node_.guard().flows().value().held; }

  TestNode node_{{"br-blue", "br-red"}};
  TestPod one_{1};
  TestPod two_{2};
  TestPod three_{3};
};

}  // namespace multinet::agent::policing
