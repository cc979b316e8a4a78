// Two machines that say they are the same node: a disk was copied, or a node was made again while
// the old machine runs. The rooms that speak to the API server are the real ones.
#include <gtest/gtest.h>

#include "nodeagent/hollow_cluster_fixture.h"

namespace multinet::agent {
namespace {

using std::chrono::seconds;

class OneName : public ::testing::Test {
 protected:
  OneName() { EXPECT_TRUE(cluster_.start(seconds(60)) && cluster_.settle(seconds(60))); }
  static std::filesystem::path directory() {
    return std::filesystem::path(::testing::TempDir()) /
           ("one-name-" + std::to_string(::getpid()) + "-" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name());
  }
  static std::string reasonOf(const Status& status) { return status ? "" : status.error().reason; }

  HollowCluster cluster_{{.nodes = 3, .agents = 1, .networks = 1}, directory()};
};

TEST_F(OneName, TheCopyGivesNoAddressUntilTheFirstIsGone) {
  ASSERT_TRUE(cluster_.run(0, "first", "net-0"));
  ASSERT_TRUE(cluster_.settle(seconds(60)));
  EXPECT_EQ(cluster_.blocks(), 1U);

  const auto copy = cluster_.twin(0, {"journal", "another-boot"});
  const Status refused = copy->run(cluster_.place(0, "second", "net-0"));
  EXPECT_EQ(reasonOf(refused), "NodeNameTaken") << "it would have had the address of the first";
  EXPECT_TRUE(cluster_.agent(0).standing());
  EXPECT_TRUE(cluster_.run(0, "third", "net-0")) << "who was there works on";
  EXPECT_EQ(cluster_.blocks(), 1U);
  const auto sets = cluster_.server().store().list(
      multinet::testing::ResourcePath::parse("/apis/multinet.dev/v1alpha1/nodenetworksets"), "", "",
      0, "");
  EXPECT_NE(sets.body.dump().find("NodeNameContested"), std::string::npos);

  cluster_.end(0);
  ASSERT_TRUE(HollowCluster::until(seconds(60), [&] { return copy->standing().has_value(); }));
  EXPECT_TRUE(copy->run(cluster_.place(0, "fourth", "net-0")));
}

TEST_F(OneName, ARebootAndANewJournalWaitForSecondsOnly) {
  cluster_.end(0);
  for (const api::NodeAgent& self :
       {api::NodeAgent{"journal", "boot-2"}, api::NodeAgent{"journal-2", "boot-2"}}) {
    const auto again = cluster_.twin(0, self);
    const auto pod = cluster_.place(0, "after-" + self.journalID, "net-0");
    EXPECT_TRUE(again->run(pod));
  }
}

}  // namespace
}  // namespace multinet::agent
