// The agent's tables by the kernel's own messages.
#include "nodeagent/policy/skeletons_fixture.h"

namespace multinet::agent::policing {
namespace {

TEST_F(SkeletonsTest, TheKernelTakesTheTablesOfPods) {
  for (const nft::Table& table : ofPods()) expectTakenAndSame(table);
  EXPECT_TRUE(unknown_.empty()) << unknown_.front();
}

TEST_F(SkeletonsTest, TablesOfNodesAreTheSameByWhoeverCommitsThem) {
  for (const nft::Table& table : ofNodes()) expectTakenAndSame(table);
  if (!unknown_.empty()) GTEST_SKIP() << kLacks << unknown_.front();
}

}  // namespace
}  // namespace multinet::agent::policing
