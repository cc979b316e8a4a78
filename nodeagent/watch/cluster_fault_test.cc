// The node's caches against an API server that hangs: what is known stays usable, and decides.
#include "nodeagent/watch/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "test/support/apiserver.h"

namespace multinet::agent::watch {
namespace {

using multinet::testing::ApiServer;
using multinet::testing::Fault;
using multinet::testing::Json;
using multinet::testing::ResourcePath;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Well below the deadline of a call; a busy machine needs its time.
constexpr seconds kPatient(1);
constexpr const char* kOurs = "/apis/multinet.dev/v1alpha1/";

class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() {
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 ("cluster-" + std::to_string(::getpid()) + "-" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ / "kubeconfig")
        << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        << "clusters: [{name: c, cluster: {server: '" << server_.url() << "'}}]\n"
        << "users: [{name: u, user: {token: t}}]\n"
        << "contexts: [{name: c, context: {cluster: c, user: u}}]\n";
    put("/api/v1/namespaces/default", {{"metadata", {{"labels", {{"team", "a"}}}}}});
    put(std::string(kOurs) + "namespaces/default/podnetworkattachments/nas", attachment());
    put(std::string(kOurs) + "namespaces/far/podnetworkattachments/nas", attachment());
    put(std::string(kOurs) + "networkpeers/blue.n1", peer("n1"));
    put(std::string(kOurs) + "networkpeers/blue.n2", peer("n2"));
  }
  ~ClusterTest() override {
    if (cluster_) cluster_->stop();
    std::filesystem::remove_all(directory_);
  }
  static Json peer(const std::string& node, const std::string& network = "blue") {
    return {{"metadata", {{"labels", {{"multinet.dev/network", network}}}}},
            {"podNetworkName", network},
            {"podNetworkUID", "u"},
            {"nodeName", node}};
  }
  /// As the controller makes it.
  void putService(const std::string& name, const std::string& network) {
    const Json labels{{"service.kubernetes.io/service-proxy-name", "multinet.dev"},
                      {"multinet.dev/network", network}};
    put("/api/v1/namespaces/default/services/" + name, {{"metadata", {{"labels", labels}}}});
    Json slice{{"metadata", {{"labels", labels}}}, {"addressType", "IPv4"}};
    slice["metadata"]["labels"]["kubernetes.io/service-name"] = name;
    put("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/" + name + "-4", slice);
  }
  static Json attachment() { return {{"spec", {{"podNetworkName", "blue"}}}}; }
  static Json pod(const std::string& node, const std::string& request) {
    return {{"metadata", {{"annotations", {{"multinet.dev/networks", request}}}}},
            {"spec", {{"nodeName", node}}}};
  }
  /// Requests so far for attachments, by the namespace that they name.
  std::multiset<std::string> attachmentRequests() const {
    std::multiset<std::string> namespaces;
    for (const std::string& request : server_.requests()) {
      if (request.find("podnetworkattachments") == std::string::npos) continue;
      const auto path = ResourcePath::parse(request.substr(4, request.find('?') - 4));
      namespaces.insert(path.nameSpace.empty() ? "all of them" : path.nameSpace);
    }
    return namespaces;
  }
  long watchesOf(const std::string& resource) const {
    return std::ranges::count_if(server_.requests(), [&](const std::string& request) {
      return request.find(resource) != std::string::npos &&
             request.find("watch=") != std::string::npos;
    });
  }
  long peerWatches() const { return watchesOf("networkpeers?"); }
  void put(const std::string& path, Json object) {
    const auto parsed = ResourcePath::parse(path);
    object["metadata"]["name"] = parsed.name;
    if (!parsed.nameSpace.empty()) object["metadata"]["namespace"] = parsed.nameSpace;
    ASSERT_LT(server_.store().create(parsed, std::move(object)).status, 300);
  }
  void remove(const std::string& path) {
    ASSERT_EQ(server_.store().remove(ResourcePath::parse(path), {}).status, 200);
  }
  void start() {
    ClusterOptions options;
    options.kubeconfig = (directory_ / "kubeconfig").string();
    options.node = NodeName("n1");
    options.namespaces.fresh = milliseconds(0);
    options.namespaces.patience = milliseconds(100);
    options.linger = linger_;
    options.serviceChanged = [this](const auto&, const auto&, const std::string& name) {
      if (!name.empty()) return;
      const std::string zone = cluster_->zone().value_or("unknown");
      const std::lock_guard lock(mutex_);
      ++anyService_[zone];
    };
    options.policiesChanged = [this] { ++policiesChanged_; };
    OwnChanged own;
    own.node = [this](const std::string& peer) { note("node " + peer); };
    own.pod = [this](const std::string& uid) { note("pod " + uid); };
    cluster_ = std::make_unique<Cluster>(options, clock_, [] {}, own);
    cluster_->start();
  }
  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    told_.insert(std::move(what));
  }
  bool told(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return told_.contains(what);
  }
  template <class Condition>
  static bool eventually(const Condition& condition) {
    const auto until = std::chrono::steady_clock::now() + seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return true;
  }
  std::future<Status> ask(const std::string& name) {
    const auto promise = std::make_shared<std::promise<Status>>();
    cluster_->needNamespace(name, [promise](Status status) { promise->set_value(status); });
    return promise->get_future();
  }

  ApiServer server_;
  SystemClock clock_;
  Duration linger_ = std::chrono::minutes(5);
  std::filesystem::path directory_;
  std::mutex mutex_;
  std::set<std::string> told_;
  std::map<std::string, int> anyService_;  ///< how often it was said that any changed, by zone
  std::atomic<int> policiesChanged_ = 0;
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(ClusterTest, AServerThatHangsTakesNothingThatIsKnown) {
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->synced().has_value(); }));
  ASSERT_TRUE(ask("default").get());
  cluster_->followPeers({"blue"});
  ASSERT_TRUE(eventually([&] { return cluster_->peersOf("blue").has_value(); }));
  // Accepts, and says nothing: neither to calls nor to watches.
  server_.inject({.fault = Fault::Stall, .method = "GET", .targetContains = "", .times = 1000});
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(ask("default").get());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatient);
  EXPECT_TRUE(cluster_->synced());
  EXPECT_EQ(cluster_->peersOf("blue")->size(), 2U);
  // What isn't known is no one's but its own caller's affair, and ends.
  auto unknown = ask("other");
  ASSERT_TRUE(ask("default").get());
  ASSERT_EQ(unknown.wait_for(seconds(20)), std::future_status::ready);
  EXPECT_EQ(unknown.get().error().code, Code::Unavailable);
}

TEST_F(ClusterTest, TellsTheAgeOfEveryWatch) {
  put("/api/v1/namespaces/default/pods/web", pod("n1", "attachment/nas"));
  start();
  std::set<std::string> resources;
  EXPECT_TRUE(eventually([&] {
    for (const WatchAge& one : cluster_->watches()) resources.insert(one.resource);
    return resources.size() == 12;
  }));
  EXPECT_EQ(resources,
            (std::set<std::string>{"pods", "podnetworks", "podnetworkattachments", "networkpeers",
                                   "servicecidrs", "podinterfacesets", "nodenetworksets", "nodes",
                                   "ipblocks", "services", "podnetworkpolicyslices",
                                   "clusterpodnetworkpolicies"}));
}

TEST_F(ClusterTest, TellsWhenItLastHeardOfPoliciesAndOfAnything) {
  server_.inject({.fault = Fault::Stall,
                  .method = "GET",
                  .targetContains = "podnetworkpolicyslices",
                  .times = 1});
  put("/api/v1/namespaces/default/pods/web", pod("n1", "blue"));
  start();
  ASSERT_TRUE(eventually([&] { return watchesOf("podnetworkpolicyslices?") == 1; }));
  EXPECT_TRUE(eventually([&] { return cluster_->heard().anything.has_value(); }));
  EXPECT_FALSE(cluster_->heard().policies);
  server_.set(ApiServer::Presence::Away);
  server_.set(ApiServer::Presence::Here);
  ASSERT_TRUE(eventually([&] { return cluster_->heard().policies.has_value(); }));
  const auto heard = cluster_->heard();
  EXPECT_LE(*heard.anything, *heard.policies);
}

/// As the controller makes it.
Json policySlice(const std::string& space) {
  return {{"metadata", {{"labels", {{"multinet.dev/policy-namespace", space}}}}},
          {"policyName", "p"},
          {"policyUID", "u"},
          {"members",
           {{"podNetworkName", "blue"},
            {"peer", "0123456789abcdef"},
            {"entries", {{{"address", "10.0.0.1"}}}}}}};
}

TEST_F(ClusterTest, FollowsThePoliciesOfNamespacesWithPodsThatAskForNetworks) {
  put("/api/v1/namespaces/default/pods/web", pod("n1", "blue"));
  put("/api/v1/namespaces/plain/pods/web", {{"spec", {{"nodeName", "n1"}}}});
  for (const std::string space : {"default", "plain", "later"}) {
    put(std::string(kOurs) + "namespaces/" + space + "/podnetworkpolicyslices/p-1",
        policySlice(space));
  }
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->policiesOf("default").has_value(); }));
  EXPECT_EQ(cluster_->policiesOf("default")->size(), 1U);
  EXPECT_FALSE(cluster_->policiesOf("plain"));
  EXPECT_FALSE(cluster_->needPolicies("later")) << "a pod whose call is ahead of the watch";
  ASSERT_TRUE(eventually([&] { return cluster_->needPolicies("later").has_value(); }));
  EXPECT_TRUE(eventually([&] { return watchesOf("podnetworkpolicyslices?") == 2; }))
      << "one that went on with other labels";
  const int before = policiesChanged_;
  put(std::string(kOurs) + "namespaces/default/podnetworkpolicyslices/p-2", policySlice("default"));
  ASSERT_TRUE(eventually([&] { return cluster_->policiesOf("default")->size() == 2; }));
  EXPECT_TRUE(eventually([&] { return policiesChanged_ > before; }));
  EXPECT_EQ(cluster_->policiesOf("later")->size(), 1U);
}

Json clusterPolicy() {
  return {{"metadata", Json::object()},
          {"spec",
           {{"podNetworkNames", {"blue"}},
            {"tier", "Admin"},
            {"priority", 1},
            {"subject", {{"namespaces", Json::object()}}}}}};
}

TEST_F(ClusterTest, KnowsPoliciesOfTheClusterOnceAPodAsksForNetworks) {
  put(std::string(kOurs) + "clusterpodnetworkpolicies/guests", clusterPolicy());
  put("/api/v1/namespaces/default/pods/plain", {{"spec", {{"nodeName", "n1"}}}});
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->synced().has_value(); }));
  EXPECT_EQ(watchesOf("clusterpodnetworkpolicies?"), 0);
  EXPECT_FALSE(cluster_->clusterPolicies());
  EXPECT_FALSE(cluster_->needPolicies("default")) << "a pod whose call is ahead of the watch";
  ASSERT_TRUE(eventually([&] { return cluster_->clusterPolicies().has_value(); }));
  ASSERT_EQ(cluster_->clusterPolicies()->size(), 1U);
  EXPECT_EQ(cluster_->clusterPolicies()->front()->spec.podNetworkNames,
            std::vector<std::string>{"blue"});
  const int before = policiesChanged_;
  put(std::string(kOurs) + "clusterpodnetworkpolicies/more", clusterPolicy());
  ASSERT_TRUE(eventually([&] { return cluster_->clusterPolicies()->size() == 2; }));
  EXPECT_TRUE(eventually([&] { return policiesChanged_ > before; }));
}

TEST_F(ClusterTest, WhereTheirKindIsntKnownThereAreNoPoliciesOfTheClusterTillItIs) {
  constexpr int kTillItIs = 3;
  server_.inject({.fault = Fault::NotFound,
                  .method = "GET",
                  .targetContains = "clusterpodnetworkpolicies",
                  .times = kTillItIs});
  put(std::string(kOurs) + "clusterpodnetworkpolicies/guests", clusterPolicy());
  put("/api/v1/namespaces/default/pods/web", pod("n1", "blue"));
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->clusterPolicies().has_value(); }));
  EXPECT_TRUE(cluster_->clusterPolicies()->empty());
  EXPECT_TRUE(eventually([&] { return cluster_->heard().policies.has_value(); }))
      << "what isn't there isn't silent";
  EXPECT_TRUE(eventually([&] { return cluster_->clusterPolicies()->size() == 1; }))
      << "it is found without a restart";
}

TEST_F(ClusterTest, PoliciesOfTheClusterThatMayNotBeReadAreUnknownAndSilent) {
  server_.inject({.fault = Fault::Forbidden,
                  .method = "GET",
                  .targetContains = "clusterpodnetworkpolicies",
                  .times = 1000});
  put("/api/v1/namespaces/default/pods/web", pod("n1", "blue"));
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->policiesOf("default").has_value(); }));
  ASSERT_TRUE(eventually([&] { return watchesOf("clusterpodnetworkpolicies?") > 1; }));
  ASSERT_FALSE(cluster_->clusterPolicies());
  EXPECT_NE(cluster_->clusterPolicies().error().message.find("ClusterPodNetworkPolicies"),
            std::string::npos);
  EXPECT_FALSE(cluster_->heard().policies);
}

TEST_F(ClusterTest, TellsOfLabelsOfPodsThatAskForNetworks) {
  put("/api/v1/namespaces/default/pods/web", pod("n1", "blue"));
  put("/api/v1/namespaces/default/pods/plain", {{"spec", {{"nodeName", "n1"}}}});
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->policiesOf("default").has_value(); }));
  const auto label = [this](const std::string& name, const std::string& value) {
    server_.store().patch(ResourcePath::parse("/api/v1/namespaces/default/pods/" + name),
                          {{"metadata", {{"labels", {{"app", value}}}}}},
                          multinet::testing::ObjectStore::IfAbsent::Fail);
    return eventually([&] {
      const auto seen = cluster_->pod("default", name);
      return seen.object != nullptr && seen.object->metadata.labels->contains("app");
    });
  };
  // The pod, and four first lists: of pods, networks, policies and those of the cluster.
  ASSERT_TRUE(eventually([&] { return policiesChanged_ == 5; }));
  const int before = policiesChanged_;
  ASSERT_TRUE(label("plain", "a"));
  EXPECT_EQ(policiesChanged_, before);
  ASSERT_TRUE(label("web", "a"));
  EXPECT_TRUE(eventually([&] { return policiesChanged_ > before; }));
}

TEST_F(ClusterTest, FollowsItsBlocksAndSetsFromItsFirstPodOn) {
  put("/api/v1/namespaces/default/pods/plain", {{"spec", {{"nodeName", "n1"}}}});
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->node().known && cluster_->nodeSet().known; }));
  const auto asked = [&](const std::string& what) {
    const auto requests = server_.requests();
    return std::ranges::any_of(requests, [&](const std::string& request) {
      return request.find(what) != std::string::npos;
    });
  };
  EXPECT_FALSE(asked("podinterfacesets") || asked("ipblocks"));
  EXPECT_FALSE(cluster_->interfaceSet("default", "web").known);
  put("/api/v1/namespaces/default/pods/web", pod("n1", "blue"));
  EXPECT_TRUE(eventually([&] { return cluster_->interfaceSet("default", "web").known; }));
  EXPECT_TRUE(eventually([&] { return asked("ipblocks"); }));
}

TEST_F(ClusterTest, FollowsTheAttachmentsOfNamespacesWithPodsThatAskForOne) {
  put("/api/v1/namespaces/default/pods/plain", pod("n1", "blue"));
  put("/api/v1/namespaces/far/pods/away", pod("n2", "attachment/nas"));
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->synced().has_value(); }));
  EXPECT_TRUE(attachmentRequests().empty()) << "nobody here asks for one";
  EXPECT_FALSE(cluster_->catalog().attachment("default", "nas"));

  put("/api/v1/namespaces/default/pods/web", pod("n1", "attachment/nas"));
  ASSERT_TRUE(eventually([&] {
    return cluster_->catalog().attachment("default", "nas").has_value();
  })) << "ahead of the call";
  EXPECT_TRUE(cluster_->needAttachments("default"));
  EXPECT_FALSE(attachmentRequests().contains("far"));
  EXPECT_FALSE(attachmentRequests().contains("all of them"));

  // A call that comes before its pod was seen.
  EXPECT_EQ(cluster_->needAttachments("far").error().code, Code::Unavailable);
  ASSERT_TRUE(eventually([&] { return cluster_->needAttachments("far").has_value(); }));
  EXPECT_TRUE(cluster_->catalog().attachment("far", "nas").has_value());
}

TEST_F(ClusterTest, EndsWithANamespaceAWhileAfterItsLastPod) {
  linger_ = milliseconds(50);
  put("/api/v1/namespaces/default/pods/web", pod("n1", "attachment/nas"));
  start();
  const auto known = [&] { return cluster_->catalog().attachment("default", "nas").has_value(); };
  ASSERT_TRUE(eventually(known));
  remove("/api/v1/namespaces/default/pods/web");
  ASSERT_TRUE(eventually([&] { return !known(); }));
}

TEST_F(ClusterTest, FollowsThePeersOfTheNetworksThatItIsTold) {
  put(std::string(kOurs) + "networkpeers/red.n2", peer("n2", "red"));
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->synced().has_value(); }));
  EXPECT_FALSE(cluster_->peersOf("red"));
  cluster_->followPeers({"red"});
  ASSERT_TRUE(eventually([&] { return cluster_->peersOf("red").has_value(); }));
  EXPECT_EQ(cluster_->peersOf("red")->size(), 1U);
  EXPECT_FALSE(cluster_->peersOf("blue"));
  cluster_->followPeers({"blue", "none"});
  ASSERT_TRUE(eventually([&] {
    return cluster_->peersOf("blue").has_value() && cluster_->peersOf("none").has_value();
  }));
  EXPECT_EQ(cluster_->peersOf("blue")->size(), 2U);
  EXPECT_TRUE(cluster_->peersOf("none")->empty()) << "that nobody takes part is known too";
  EXPECT_FALSE(cluster_->peersOf("red"));
}

/// With every network that comes or goes there is one watch of a kind, and what stays is known all
/// the time, and isn't listed again.
TEST_F(ClusterTest, FollowsManyNetworksByOneWatch) {
  putService("web", "blue");
  putService("shop", "red");
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->synced().has_value(); }));
  cluster_->followPeers({"blue"});
  cluster_->followServices({"blue"});
  ASSERT_TRUE(eventually([&] {
    return cluster_->peersOf("blue").has_value() && cluster_->servicesOf("blue").has_value();
  }));
  const auto web = cluster_->serviceOf("blue", "default", "web")->service;
  ASSERT_NE(web, nullptr);
  EXPECT_FALSE(cluster_->servicesOf("red"));
  std::atomic<bool> ends = false;
  std::atomic<int> gaps = 0;
  std::jthread reader([&] {
    while (!ends) {
      const auto peers = cluster_->peersOf("blue");
      const auto services = cluster_->servicesOf("blue");
      const bool whole = peers && peers->size() == 2 && services && services->size() == 1 &&
                         services->front().slices.size() == 1;
      if (!whole) ++gaps;
    }
  });
  std::set<std::string> joined{"blue"};
  for (int i = 0; i < 20; ++i) {
    joined.insert(i == 10 ? "red" : "net-" + std::to_string(i));
    cluster_->followPeers(joined);
    cluster_->followServices(joined);
    ASSERT_TRUE(eventually([&] {
      return std::ranges::all_of(joined, [&](const std::string& name) {
        return cluster_->peersOf(name).has_value() && cluster_->servicesOf(name).has_value();
      });
    }));
  }
  EXPECT_EQ(cluster_->servicesOf("red")->size(), 1U);
  cluster_->followServices({"blue", "red"});
  ASSERT_TRUE(eventually([&] { return !cluster_->servicesOf("net-0"); }));
  putService("more", "red");
  ASSERT_TRUE(eventually([&] { return cluster_->servicesOf("red")->size() == 2; }));
  ends = true;
  reader.join();
  EXPECT_EQ(gaps, 0);
  EXPECT_EQ(cluster_->serviceOf("blue", "default", "web")->service, web) << "the very object";
}

TEST_F(ClusterTest, FollowsMoreNetworksThanOneRequestCanName) {
  std::set<std::string> joined{"blue"};
  for (int i = 0; i < 250; ++i) {
    std::string name = "net-" + std::to_string(i) + "-";
    joined.insert(name + std::string(63 - name.size(), 'x'));
  }
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->synced().has_value(); }));
  cluster_->followServices(joined);
  const auto known = [&] {
    return std::ranges::all_of(
        joined, [&](const std::string& name) { return cluster_->servicesOf(name).has_value(); });
  };
  ASSERT_TRUE(eventually(known));
  EXPECT_EQ(watchesOf("/services?"), 1) << "of all networks";
  EXPECT_EQ(watchesOf("/endpointslices?"), 3) << "251 networks, 100 in a watch";
  for (const std::string& request : server_.requests()) EXPECT_LT(request.size(), 8192U);
  joined.erase("blue");
  joined.insert("red");
  cluster_->followServices(joined);
  EXPECT_TRUE(eventually(known));
  EXPECT_FALSE(cluster_->servicesOf("blue"));
}

/// While a cluster is upgraded; the label comes with the peer's own agent.
TEST_F(ClusterTest, KnowsThePeersThatCarryNoLabelYet) {
  put(std::string(kOurs) + "networkpeers/red.n2",
      {{"podNetworkName", "red"}, {"podNetworkUID", "r"}, {"nodeName", "n2"}});
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->synced().has_value(); }));
  cluster_->followPeers({"blue", "red"});
  const auto red = [&] {
    const auto peers = cluster_->peersOf("red");
    return peers ? peers->size() : 0;
  };
  ASSERT_TRUE(eventually([&] { return red() == 1; }));
  server_.store().patch(ResourcePath::parse(std::string(kOurs) + "networkpeers/red.n2"),
                        {{"metadata", {{"labels", {{"multinet.dev/network", "red"}}}}}},
                        multinet::testing::ObjectStore::IfAbsent::Fail);
  put(std::string(kOurs) + "networkpeers/red.n3", peer("n3", "red"));
  EXPECT_TRUE(eventually([&] { return red() == 2; }));
  remove(std::string(kOurs) + "networkpeers/red.n2");
  EXPECT_TRUE(eventually([&] { return red() == 1; }));
}

/// Most nodes have published none, and each watch is a connection.
TEST_F(ClusterTest, FollowsItsOwnPeersFromTheFirstNetworkOn) {
  remove(std::string(kOurs) + "networkpeers/blue.n1");
  start();
  ASSERT_TRUE(eventually([&] { return cluster_->ownPeer("blue.n1").known; }));
  EXPECT_EQ(peerWatches(), 0);
  cluster_->followPeers({"blue"});
  ASSERT_TRUE(eventually([&] { return peerWatches() == 3; }))
      << "of its own, of its networks, and of those without a label";
  put(std::string(kOurs) + "networkpeers/blue.n1", peer("n1"));
  EXPECT_TRUE(eventually([&] { return cluster_->ownPeer("blue.n1").object != nullptr; }));
}

TEST_F(ClusterTest, KnowsItsZoneAndTellsThoseWhoFollowServices) {
  put("/api/v1/nodes/n1", Json::object());
  const auto label = [this](const Json& labels) {
    const auto answer = server_.store().patch(ResourcePath::parse("/api/v1/nodes/n1"),
                                              {{"metadata", {{"labels", labels}}}},
                                              multinet::testing::ObjectStore::IfAbsent::Fail);
    ASSERT_LT(answer.status, 300);
  };
  const auto times = [this](const std::string& zone) {
    const std::lock_guard lock(mutex_);
    return anyService_[zone];
  };
  start();
  const auto told = [this] {
    const std::lock_guard lock(mutex_);
    int sum = 0;
    for (const auto& [zone, count] : anyService_) sum += count;
    return sum;
  };
  constexpr int kAtStart = 3;
  ASSERT_TRUE(eventually([&] { return told() == kAtStart; }))
      << "that it is there, that all are, and which networks' services are followed";
  ASSERT_GT(times(""), 0) << "it is known to be in none";
  label({{"topology.kubernetes.io/zone", "east"}});
  ASSERT_TRUE(eventually([&] { return times("east") > 0; }));
  label({{"another", "label"}});
  label({{"topology.kubernetes.io/zone", "west"}});
  ASSERT_TRUE(eventually([&] { return times("west") > 0; }));
  EXPECT_EQ(times("east"), 1) << "another label is no zone";
  EXPECT_EQ(times("west"), 1);
}

TEST_F(ClusterTest, FollowsWhatThisNodeWritesAndNothingOfOthers) {
  put("/api/v1/namespaces/default/pods/web", pod("n1", "blue"));
  put("/api/v1/nodes/n1", Json::object());
  put("/api/v1/nodes/n2", Json::object());
  for (const char* node : {"n1", "n2"}) {
    put(std::string(kOurs) + "nodenetworksets/" + node, {{"spec", {{"nodeName", node}}}});
    put(std::string(kOurs) + "namespaces/default/podinterfacesets/web-" + node,
        {{"pod", {{"name", "web"}, {"uid", std::string("uid-") + node}}}, {"nodeName", node}});
  }
  start();
  ASSERT_TRUE(eventually([&] {
    return cluster_->nodeSet().object != nullptr && cluster_->node().object != nullptr &&
           cluster_->interfaceSet("default", "web-n1").object != nullptr &&
           cluster_->ownPeer("blue.n1").object != nullptr;
  }));
  EXPECT_TRUE(cluster_->interfaceSet("default", "web-n2").known);
  EXPECT_EQ(cluster_->interfaceSet("default", "web-n2").object, nullptr);
  EXPECT_EQ(cluster_->ownPeerNames(), std::vector<std::string>{"blue.n1"});
  EXPECT_EQ(cluster_->ownPeer("blue.n2").object, nullptr);
  EXPECT_TRUE(eventually([&] { return told("node blue.n1") && told("pod uid-n1"); }));
  EXPECT_FALSE(told("node blue.n2") || told("pod uid-n2"));

  remove(std::string(kOurs) + "networkpeers/blue.n1");
  remove(std::string(kOurs) + "nodenetworksets/n1");
  EXPECT_TRUE(eventually([&] {
    return cluster_->ownPeerNames().empty() && cluster_->nodeSet().known &&
           cluster_->nodeSet().object == nullptr;
  }));
}

}  // namespace
}  // namespace multinet::agent::watch
