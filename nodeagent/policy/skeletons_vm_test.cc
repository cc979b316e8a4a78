// The agent's tables by the kernel's own messages, on another kernel.
#include "nodeagent/policy/skeletons_fixture.h"

namespace multinet::agent::policing {
namespace {

TEST_F(SkeletonsTest, AnotherKernelTakesTheTablesOfPodsToo) {
  for (const nft::Table& table : ofPods()) expectTakenAndSame(table);
  EXPECT_TRUE(unknown_.empty()) << unknown_.front();
}

TEST_F(SkeletonsTest, AndThoseOfNodesAreTheSameByWhoeverCommitsThem) {
  for (const nft::Table& table : ofNodes()) expectTakenAndSame(table);
  EXPECT_TRUE(unknown_.empty()) << kLacks << unknown_.front();
}

}  // namespace
}  // namespace multinet::agent::policing
