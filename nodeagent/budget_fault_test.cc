// What agents cost the API server, in requests and bytes instead of time: what is asked more often
// than here, or of more than its own node, is multiplied by all nodes of a cluster.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "nodeagent/hollow_cluster_fixture.h"

namespace multinet::agent {
namespace {

using std::chrono::seconds;

class Budget : public ::testing::Test {
 protected:
  static std::filesystem::path directory() {
    return std::filesystem::path(::testing::TempDir()) /
           ("budget-" + std::to_string(::getpid()) + "-" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name());
  }
  /// `GET nodes metadata.name=node-0`: without the group, the number of a page, a revision.
  static std::multiset<std::string> asked(const std::vector<std::string>& requests,
                                          std::size_t from = 0) {
    std::multiset<std::string> all;
    for (std::size_t i = from; i < requests.size(); ++i) all.insert(shortened(requests[i]));
    return all;
  }
  static std::string shortened(const std::string& request) {
    const auto space = request.find(' ');
    const auto mark = std::min(request.find('?'), request.size());
    std::string path = request.substr(space + 1, mark - space - 1);
    for (const char* prefix : {"/apis/multinet.dev/v1alpha1/", "/apis/networking.k8s.io/v1/",
                               "/apis/discovery.k8s.io/v1/", "/api/v1/"}) {
      if (path.starts_with(prefix)) path.erase(0, std::string(prefix).size());
    }
    const std::string query = request.substr(mark);
    std::string what =
        query.find("watch=") != std::string::npos ? "WATCH" : request.substr(0, space);
    what += " " + path;
    const std::string key = "fieldSelector=";
    if (const auto at = query.find(key); at != std::string::npos) {
      const auto begin = at + key.size();
      std::string selector = query.substr(begin, query.find('&', begin) - begin);
      if (const auto equals = selector.find("%3D"); equals != std::string::npos) {
        selector.replace(equals, 3, "=");
      }
      what += " " + selector;
    }
    const std::string in = "multinet.dev%2Fnetwork%20in%20%28";
    if (const auto at = query.find(in); at != std::string::npos) {
      const auto begin = at + in.size();
      what += " of " + query.substr(begin, query.find("%29", begin) - begin);
    }
    return what;
  }
};

TEST_F(Budget, AnIdleAgentAsksForWhatItNeedsAndOnce) {
  HollowCluster cluster({.nodes = 20, .agents = 3, .networks = 2}, directory());
  ASSERT_TRUE(cluster.start(seconds(60)));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  const auto traffic = cluster.trafficOf(0);
  auto rest = asked(traffic.requests);
  const std::set<std::string> watches = {"WATCH podnetworks", "WATCH servicecidrs",
                                         // Of ours alone: nodes refuse their addresses.
                                         "WATCH services",
                                         // Of its own.
                                         "WATCH pods spec.nodeName=node-0",
                                         "WATCH nodes metadata.name=node-0",
                                         "WATCH nodenetworksets metadata.name=node-0"};
  for (const auto& watch : watches) {
    EXPECT_EQ(rest.count(watch), 1U) << watch;
    rest.erase(watch);
  }
  EXPECT_EQ(std::set(rest.begin(), rest.end()),
            (std::set<std::string>{"GET /version", "GET ipblocks spec.nodeName=node-0",
                                   "GET networkpeers nodeName=node-0", "GET nodenetworksets/node-0",
                                   "POST nodenetworksets",
                                   // Whose the name is, once in the life of an installation.
                                   "PUT nodenetworksets/node-0/status"}));
  // What a node tells of itself comes in one piece or in a few.
  EXPECT_LE(rest.size(), 12U);
  // Each watch has one; the others are those of calls, of which a busy machine has more at once.
  EXPECT_LE(traffic.connections, static_cast<int>(watches.size()) + 6);
}

/// Attachments, pods, sets, nodes, reports, peers: an agent is sent none of another node's.
TEST_F(Budget, TheStartOfAnAgentCostsTheSameInALargeCluster) {
  std::map<int, std::multiset<std::string>> requests;
  std::map<int, std::uint64_t> bytes;
  // On a busy machine a node tells of itself in a piece more, or asks for what its watch has yet to
  // bring: of each size the start that cost least counts.
  for (int round = 0; round < 8 && (requests.empty() || requests[10] != requests[100]); ++round) {
    for (const int nodes : {10, 100}) {
      HollowCluster cluster({.nodes = nodes, .agents = 2, .networks = 10}, directory());
      ASSERT_TRUE(cluster.start(seconds(60)));
      ASSERT_TRUE(cluster.settle(seconds(60)));
      const auto traffic = cluster.trafficOf(0);
      const bool isLess = traffic.requests.size() < requests[nodes].size();
      if (round > 0 && !isLess) continue;
      requests[nodes] = asked(traffic.requests);
      bytes[nodes] = traffic.bytes;
    }
  }
  EXPECT_EQ(requests[10], requests[100]);
  // Revisions and UIDs have more digits.
  EXPECT_LE(static_cast<double>(bytes[100]), static_cast<double>(bytes[10]) * 1.02)
      << bytes[10] << " bytes with 10 nodes, " << bytes[100] << " with 100";
}

TEST_F(Budget, AThousandNodesWithTenNetworksSendTwoMegabytesAtTheMost) {
  HollowCluster cluster({.nodes = 1000, .agents = 2, .networks = 10}, directory());
  ASSERT_TRUE(cluster.start(seconds(60)));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  EXPECT_LT(cluster.trafficOf(0).bytes, 2'000'000U);
}

TEST_F(Budget, ANetworkMoreIsReadAndNothingElseWhereNoPodWantsIt) {
  HollowCluster cluster({.nodes = 20, .agents = 3, .networks = 2}, directory());
  ASSERT_TRUE(cluster.start(seconds(60)));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  const auto before = cluster.trafficOf(0);
  cluster.apply(2);
  ASSERT_TRUE(cluster.quiet(seconds(60)));
  EXPECT_EQ(cluster.trafficOf(0).requests.size(), before.requests.size());
  EXPECT_GT(cluster.trafficOf(0).bytes, before.bytes) << "the network itself";
}

/// Whoever has a pod of a network is told its peers, and tells of itself; nobody else hears of it.
TEST_F(Budget, AFirstPodJoinsItsNetworkAlone) {
  HollowCluster cluster({.nodes = 20, .agents = 3, .networks = 2}, directory());
  ASSERT_TRUE(cluster.start(seconds(60)));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  const auto mine = cluster.trafficOf(0);
  const auto others = cluster.trafficOf(1);
  ASSERT_TRUE(cluster.run(0, "first", "net-0"));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  const auto own = asked(cluster.trafficOf(0).requests, mine.requests.size());
  EXPECT_EQ(own.count("WATCH networkpeers of net-0"), 1U);
  EXPECT_EQ(own.count("WATCH services"), 0U) << "it has it from the start";
  EXPECT_EQ(own.count("WATCH endpointslices of net-0"), 1U);
  EXPECT_EQ(own.count("WATCH podnetworkpolicyslices"), 1U);
  EXPECT_EQ(own.count("POST networkpeers"), 1U);
  EXPECT_EQ(cluster.trafficOf(1).requests.size(), others.requests.size());
  EXPECT_EQ(cluster.trafficOf(1).bytes, others.bytes);
}

int threadsNamed(const std::string& name) {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string one;
    std::getline(std::ifstream(task.path() / "comm"), one);
    if (one == name) ++count;
  }
  return count;
}

/// Each is a connection at the API server, and a thread here.
TEST_F(Budget, WatchesDontGrowWithTheNetworksThatANodeHasJoined) {
  for (const int networks : {1, 10, 100}) {
    HollowCluster cluster({.nodes = 3, .agents = 1, .networks = networks}, directory());
    ASSERT_TRUE(cluster.start(seconds(60)));
    for (int i = 0; i < networks; ++i) {
      ASSERT_TRUE(cluster.run(0, "p-" + std::to_string(i), HollowCluster::networkName(i)));
    }
    ASSERT_TRUE(cluster.settle(seconds(60)));
    // Networks; ranges; pods, Node and NodeNetworkSet, blocks, interfaces, peers of its own; peers,
    // with and without a label, and slices of its networks; Services; policies, and those of the
    // cluster.
    EXPECT_EQ(threadsNamed("watch"), 14) << networks;
    // Those of calls are few, and closed when they are idle.
    EXPECT_LE(cluster.trafficOf(0).open, 14 + 8) << networks;
    RecordProperty("open_at_" + std::to_string(networks), cluster.trafficOf(0).open);
  }
}

TEST_F(Budget, APodMoreIsNothingToOtherNodes) {
  HollowCluster cluster({.nodes = 20, .agents = 3, .networks = 2}, directory());
  ASSERT_TRUE(cluster.start(seconds(60)));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  // The first pod of a network leases a block for those after it.
  ASSERT_TRUE(cluster.run(0, "first", "net-0"));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  const auto mine = cluster.trafficOf(0);
  const auto others = cluster.trafficOf(1);
  ASSERT_TRUE(cluster.run(0, "second", "net-0"));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  EXPECT_EQ(cluster.trafficOf(1).requests.size(), others.requests.size());
  EXPECT_EQ(cluster.trafficOf(1).bytes, others.bytes);
  EXPECT_EQ(asked(cluster.trafficOf(0).requests, mine.requests.size()),
            (std::multiset<std::string>{"POST namespaces/default/podinterfacesets",
                                        "PATCH namespaces/default/pods/second/status"}));
}

/// A slice is sent to each node whose pods may connect there, whole at each change: to no others.
TEST_F(Budget, AnEndpointThatChangesIsSentToTheNodesOfItsNetworkAlone) {
  HollowCluster cluster({.nodes = 20, .agents = 4, .networks = 2}, directory());
  ASSERT_TRUE(cluster.start(seconds(60)));
  ASSERT_TRUE(cluster.run(0, "first", "net-0"));
  ASSERT_TRUE(cluster.run(1, "other", "net-0"));
  ASSERT_TRUE(cluster.run(2, "away", "net-1"));
  ASSERT_TRUE(cluster.settle(seconds(60)));
  cluster.serve(0, 100);
  ASSERT_TRUE(cluster.quiet(seconds(60)));
  std::vector<HollowCluster::Traffic> before;
  for (int i = 0; i < 4; ++i) before.push_back(cluster.trafficOf(i));
  cluster.endpointChanges();
  ASSERT_TRUE(cluster.quiet(seconds(60)));
  const auto sent = [&](int i) {
    return cluster.trafficOf(i).bytes - before.at(static_cast<std::size_t>(i)).bytes;
  };
  EXPECT_GT(sent(0), 10'000U);
  EXPECT_LT(sent(0), 40'000U) << "the slice, once";
  EXPECT_EQ(sent(0), sent(1));
  EXPECT_EQ(sent(2), 0U) << "is on another network";
  EXPECT_EQ(sent(3), 0U) << "is on none";
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(cluster.trafficOf(i).requests.size(),
              before.at(static_cast<std::size_t>(i)).requests.size())
        << "node " << i << " asked for something";
  }
}

}  // namespace
}  // namespace multinet::agent
