#include "nodeagent/networks/joining.h"

#include <gtest/gtest.h>

#include "nodeagent/networks/test_networks.h"

namespace multinet::agent::networks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class JoiningTest : public testing::Test {
 protected:
  void look(bool isMade) {
    Host host;
    if (isMade) {
      auto& link = host.links[vxlanName(network_)];
      link.name = vxlanName(network_);
      link.alias = networkAlias(network_.uid);
    }
    joining_.sync({network_}, host, now_);
  }
  bool waits(bool heard = false) { return joining_.isJoining(network_.uid, heard, now_); }

  DesiredNetwork network_ = testTunnel("blue", "u-blue");
  BootTime now_{seconds(100)};
  Joining joining_;
};

TEST_F(JoiningTest, WhatIsFoundIsJoinedAlready) {
  look(true);
  EXPECT_FALSE(waits());
  look(true);
  EXPECT_FALSE(waits());
}

TEST_F(JoiningTest, EndsWithTheFirstPeerThatIsHeard) {
  look(false);
  EXPECT_TRUE(waits());
  look(true);
  EXPECT_TRUE(waits());
  EXPECT_FALSE(waits(true));
  look(true);
  EXPECT_FALSE(waits()) << "for good";
}

TEST_F(JoiningTest, EndsAfterASecondWhereNobodyIsHeard) {
  look(false);
  now_ += seconds(10);
  look(true);
  EXPECT_EQ(joining_.next(), now_ + seconds(1));
  now_ += milliseconds(999);
  EXPECT_TRUE(waits());
  now_ += milliseconds(1);
  EXPECT_FALSE(waits());
  EXPECT_FALSE(joining_.next());
}

TEST_F(JoiningTest, DoesNotBeginBeforeThePeersAreKnown) {
  tunnelOf(network_).peersKnown = false;
  look(false);
  look(true);
  now_ += seconds(10);
  EXPECT_TRUE(waits(true)) << "its flood list is empty";
  EXPECT_FALSE(joining_.next());
  tunnelOf(network_).peersKnown = true;
  look(true);
  EXPECT_TRUE(waits());
  EXPECT_FALSE(waits(true));
}

TEST_F(JoiningTest, WhatIsNotToBeMadeIsNotWaitedFor) {
  network_.demand = Demand::None;
  look(false);
  EXPECT_FALSE(waits());
}

}  // namespace
}  // namespace multinet::agent::networks
