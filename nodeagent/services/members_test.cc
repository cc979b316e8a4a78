#include "nodeagent/services/members.h"

#include <gmock/gmock.h>

#include "nodeagent/services/fake_table.h"

namespace multinet::agent::services {
namespace {

const IntentId kWeb("web");
const IntentId kDb("db");

TEST(Members, PodsAreInTheMapOnceThereIsOne) {
  Members members;
  ASSERT_TRUE(members.joined(kWeb, 100, {7, 8}));
  FakeTable map;
  ASSERT_TRUE(members.open(map));
  EXPECT_TRUE(members.has(100, 7));
  EXPECT_TRUE(members.has(100, 8));
  EXPECT_FALSE(members.has(100, 9));
  EXPECT_EQ(map.size(), 3U) << "two networks, and that it has any";
  ASSERT_TRUE(members.joined(kDb, 101, {7}));
  EXPECT_EQ(map.size(), 5U);
  members.left(kWeb);
  EXPECT_EQ(map.size(), 2U);
  EXPECT_FALSE(members.has(100, 7));
  members.left(kWeb);
  ASSERT_TRUE(members.joined(kWeb, 102, {}));
  EXPECT_EQ(map.size(), 2U) << "a pod whose interfaces are on no network isn't looked at";
}

TEST(Members, SayingItAgainWritesNothing) {
  Members members;
  FakeTable map;
  ASSERT_TRUE(members.open(map));
  ASSERT_TRUE(members.joined(kWeb, 100, {7}));
  const std::size_t before = map.writes();
  ASSERT_TRUE(members.joined(kWeb, 100, {7}));
  EXPECT_EQ(map.writes(), before);
}

TEST(Members, TheNextAgentKeepsWhatLives) {
  FakeTable map;
  {
    Members earlier;
    ASSERT_TRUE(earlier.open(map));
    ASSERT_TRUE(earlier.joined(kWeb, 100, {7}));
    ASSERT_TRUE(earlier.joined(kDb, 101, {7}));
  }
  Members members;
  ASSERT_TRUE(members.open(map));
  EXPECT_TRUE(members.has(100, 7)) << "before anybody said so again";
  ASSERT_TRUE(members.keep({100, 999}));
  EXPECT_TRUE(members.has(100, 7));
  EXPECT_FALSE(members.has(101, 7));
  EXPECT_FALSE(members.knows(kWeb));
  const std::size_t before = map.writes();
  ASSERT_TRUE(members.joined(kWeb, 100, {7}));
  EXPECT_EQ(map.writes(), before);
  // One that joined while the living were counted isn't among them.
  ASSERT_TRUE(members.joined(kDb, 103, {7}));
  ASSERT_TRUE(members.keep({}));
  EXPECT_TRUE(members.has(103, 7));
}

TEST(Members, AReaderIsLookedAtOnlyWhenAllItsNetworksAreThere) {
  Members members;
  FakeTable map;
  ASSERT_TRUE(members.open(map));
  const mn_member any{100, 0};
  map.afterWrite = [&] {
    const bool looked = map.find(bpf::bytesOf(any))->has_value();
    EXPECT_TRUE(!looked || map.size() == 3U);
  };
  ASSERT_TRUE(members.joined(kWeb, 100, {7, 8}));
  members.left(kWeb);
  EXPECT_EQ(map.size(), 0U);
}

TEST(Members, AFullMapIsTold) {
  Members members;
  FakeTable map(2);
  ASSERT_TRUE(members.open(map));
  ASSERT_TRUE(members.joined(kWeb, 100, {7}));
  EXPECT_EQ(members.problem(), std::nullopt);
  EXPECT_FALSE(members.joined(kDb, 101, {7}));
  ASSERT_TRUE(members.problem());
  EXPECT_EQ(members.problem()->reason, "MapFull");
}

}  // namespace
}  // namespace multinet::agent::services
