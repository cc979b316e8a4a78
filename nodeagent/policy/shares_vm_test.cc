// The kernel's table of flows when it is full: a node's is large, that of the small virtual machine
// is filled in a second.
#include <gtest/gtest.h>

#include "nodeagent/policy/shares_fixture.h"

namespace multinet::agent::policing {
namespace {

TEST_F(PolicySharesTest, AFullTableLeavesOpenConnections) {
  node_.start({.mostFlows = 0});
  plug({&one_, &two_, &three_});
  for (const TestPod* pod : {&one_, &two_}) pod->address();
  Policed wanted;
  wanted.program.ingress[two_.key()] = 1;
  wanted.program.permits = {{1, policy::kEverybody, std::nullopt, 0, 0}};
  wanted.ports[two_.key()] = two_.port();
  ASSERT_TRUE(node_.guard().commit(kBlue, "br-blue", std::move(wanted)));
  TcpPair open(one_, two_, 6999, false);
  ASSERT_TRUE(open.exchange());
  const std::uint32_t most = node_.guard().flows().value().most;
  for (unsigned i = 0; i < most + most / 16; ++i) {
    one_.raw().send(forged(one_, i));
    if (i % 64 == 63) {
      ASSERT_TRUE(arrives(one_, one_.question(isolation::of(two_.mac())), two_));
    }
  }
  EXPECT_GE(held(), most - most / 10);
  EXPECT_TRUE(open.exchange());
}

}  // namespace
}  // namespace multinet::agent::policing
