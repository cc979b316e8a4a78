// The whole life of a gateway: the test's own namespace is the node's, a bridge in it the network.
#include "nodeagent/gateway/keeper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "lib/api/service.h"
#include "lib/netns/keep.h"
#include "lib/nft/committer.h"
#include "nodeagent/attach/kernel_attach_engine.h"
#include "nodeagent/gateway/checker.h"
#include "nodeagent/gateway/test_node.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent::gateway {
namespace {

using namespace std::chrono_literals;

const std::string kServed = "web 10.20.0.9";

/// Whose services may change while a keeper reads them.
class ChangingCaches final : public watch::FakeCaches {
 public:
  [[nodiscard]] std::optional<std::vector<Service>> servicesOf(
      const std::string& network) const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::servicesOf(network);
  }
  void change(const std::string& network, std::vector<Service> all) {
    const std::lock_guard lock(mutex_);
    serviceLists[network] = std::move(all);
  }

 private:
  mutable std::mutex mutex_;
};

class KeeperTest : public testing::Test {
 protected:
  KeeperTest() {
    must(node_.run(netlink::createBridge({"br-test", MacAddress::derive("br-test"), 1500})));
    must(node_.run(netlink::setUp({0, "br-test"})));
    must(node_.run(netlink::setUp({0, "lo"})));
    must(netns::writeSysctl("ipv4/ip_forward", "1"));
    join(here_, "out0", {"10.9.0.1/24"}, client_, "in0", {"10.9.0.2/24"});
    join(here_, "end0", {}, endpoint_, "net1", {"10.20.0.5/16"});
    const auto bridge = netlink::findLink(node_, {0, "br-test"}).value();
    must(node_.run(netlink::setMaster({0, "end0"}, bridge.index)));
    server_ = std::make_unique<Server>(endpoint_, "web", "10.20.0.5", 8080);
    engine_ = attach::KernelAttachEngine::start({}, clock_).value();

    auto network = watch::readyNetwork("blue", "10.20.0.0/16");
    uid_ = NetworkUid(network.metadata.uid);
    caches_.content.networks["blue"] = network;
    caches_.servicesFor = {"blue"};
    networks::NetworkState state;
    state.name = NetworkName("blue");
    state.uid = uid_;
    state.link = drivers::bridge::Link{"br-test"};
    state.mtu = 1450;
    networks::Snapshot snapshot;
    snapshot.settled = true;
    snapshot.networks = {state};
    snapshot_ = std::make_shared<const networks::Snapshot>(snapshot);
    serve("NodePort");
    options_.node = NodeName("n1");
    options_.directory = ownDirectory();
    options_.again = 300ms;
    options_.retry = 50ms;
    options_.retryAddresses = 100ms;
    options_.idle = 10min;
  }
  ~KeeperTest() override {
    stop();
    checker_.stop();
    engine_.reset();
    static_cast<void>(clearGateways(options_.directory));
    for (const char* name : {"out0", "end0", "br-test"}) {
      static_cast<void>(node_.run(netlink::deleteLink({0, name})));
    }
  }

  void serve(const std::string& type, const std::string& check = "") {
    auto service = std::make_shared<k8s::Service>();
    service->metadata.nameSpace = "shop";
    service->metadata.name = "web";
    service->metadata.labels = {{api::kNetworkLabel, "blue"}};
    service->metadata.uid = "svc";
    if (!check.empty()) service->metadata.annotations = {{api::kHealthCheckAnnotation, check}};
    service->spec.type = type;
    service->spec.clusterIPs = {"10.96.0.1"};
    k8s::ServicePort port;
    port.name = "http";
    port.protocol = "TCP";
    port.port = 80;
    port.nodePort = type == "ClusterIP" ? 0 : 30080;
    service->spec.ports = {port};
    auto slice = std::make_shared<k8s::EndpointSlice>();
    slice->metadata.labels = {{api::kManagedByLabel, api::kServiceManager}};
    slice->addressType = "IPv4";
    slice->ports = {{"http", "TCP", 8080, ""}};
    k8s::Endpoint endpoint;
    endpoint.addresses = {"10.20.0.5"};
    endpoint.conditions = {true, true, false};
    endpoint.nodeName = "n1";
    endpoint.targetRef = k8s::ObjectReference{"Pod", "shop", "web-0", "uid-web-0"};
    slice->endpoints = {endpoint};
    auto pod = std::make_shared<k8s::Pod>();
    pod->metadata.uid = "uid-web-0";
    caches_.podList = {pod};
    caches_.everyService = {service};
    caches_.serviceLists["blue"] = {{service, {slice}}};
  }

  void start() {
    keeper_ = std::make_unique<Keeper>(
        caches_, [this] { return snapshot_; },
        AddressSource{[this](const IntentId& intent, const PodUid&, const auto& wants, BootTime,
                             const async::Answer<std::vector<addresses::Claimed>>& done) {
                        EXPECT_EQ(intent, intentOf(uid_));
                        EXPECT_EQ(wants.size(), 1U);
                        ++claims_;
                        if (isLate_) {
                          const std::lock_guard lock(mutex_);
                          late_ = done;
                          return;
                        }
                        if (isFull_) {
                          return done(fail(Code::ResourceExhausted, "PoolExhausted", "all taken"));
                        }
                        done(std::vector<addresses::Claimed>{{{on("10.20.0.9/16"), std::nullopt}}});
                      },
                      [this](const IntentId& intent) {
                        EXPECT_EQ(intent, intentOf(uid_));
                        ++released_;
                      }},
        *engine_,
        [this](const std::vector<Trouble>& troubles, bool) {
          const std::lock_guard lock(mutex_);
          reason_ = troubles.empty() ? "" : troubles.front().error.reason;
        },
        [this](std::vector<Check> checks) { checker_.follow(std::move(checks)); },
        [this](const std::vector<LocalService>& all) { locals_ = all.size(); }, clock_, options_);
    keeper_->changed();
  }
  void stop() {
    if (keeper_) keeper_->stop();
    keeper_.reset();
  }
  std::string reason() {
    const std::lock_guard lock(mutex_);
    return reason_;
  }

  template <class Condition>
  static bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(20ms);
    }
    return true;
  }
  bool isServed() { return ask(client_, "10.9.0.1", 30080, 500) == kServed; }

  std::string healthOf(const std::string& service) {
    const std::lock_guard lock(mutex_);
    const auto found = healths_.find(service);
    return found == healths_.end() ? "" : found->second;
  }

  SystemClock clock_;
  std::mutex mutex_;
  netlink::Socket node_ = netlink::Socket::open().value();
  Fd here_ = netns::openOwn().value();
  Fd client_ = netns::make().value();
  Fd endpoint_ = netns::make().value();
  std::unique_ptr<Server> server_;
  std::unique_ptr<attach::KernelAttachEngine> engine_;
  ChangingCaches caches_;
  NetworkUid uid_;
  std::shared_ptr<const networks::Snapshot> snapshot_;
  std::map<std::string, std::string> healths_;  ///< of each service the last reason
  Checker checker_{[this](const PodUid& pod, const NetworkUid& network, const Health& health) {
                     EXPECT_EQ(pod.str(), "uid-web-0");
                     EXPECT_EQ(network, uid_);
                     const std::lock_guard lock(mutex_);
                     healths_.clear();
                     for (const auto& one : health.found) healths_[one.serviceUID] = one.reason;
                   },
                   clock_};
  std::atomic<std::size_t> locals_{0};
  std::atomic<int> claims_{0};
  std::atomic<int> released_{0};
  std::atomic<bool> isFull_{false};
  std::atomic<bool> isLate_{false};  ///< addresses are told when the test tells them
  std::optional<async::Answer<std::vector<addresses::Claimed>>> late_;
  std::string reason_;
  KeeperOptions options_;
  std::unique_ptr<Keeper> keeper_;
};

TEST_F(KeeperTest, MakesAGatewayForAServiceThatIsOpen) {
  start();
  ASSERT_TRUE(eventually([&] { return isServed(); }));
  EXPECT_EQ(claims_, 1);
  EXPECT_EQ(keeper_->size(), 1U);
  EXPECT_EQ(locals_, 0U);
  EXPECT_TRUE(eventually([&] { return reason().empty(); }));
}

TEST_F(KeeperTest, WaitsUntilItIsKnownWhomPoliciesAdmitAndNoLonger) {
  options_.admissions = [](const NetworkUid&) { return nullptr; };
  options_.adoptWithin = 400ms;
  const auto begin = std::chrono::steady_clock::now();
  start();
  ASSERT_TRUE(eventually([&] { return isServed(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, options_.adoptWithin);
}

TEST_F(KeeperTest, LeadsClientsByWhatPoliciesAdmitAsSoonAsThatIsKnown) {
  std::mutex mutex;
  std::shared_ptr<const policing::Admissions> admissions;
  options_.adoptWithin = 10min;
  options_.admissions = [&](const NetworkUid& network) {
    EXPECT_EQ(network, uid_);
    const std::lock_guard lock(mutex);
    return admissions;
  };
  auto local = std::make_shared<k8s::Service>(*caches_.everyService->front());
  local->spec.externalTrafficPolicy = "Local";
  caches_.everyService->front() = local;
  caches_.serviceLists["blue"].front().service = local;
  start();
  const auto admit = [&](const std::string& text) {
    const IpPrefix block = IpPrefix::parse(text).value();
    const policing::Admission one{std::nullopt, 0, 0, {block.first(), block.last()}};
    const std::lock_guard lock(mutex);
    admissions = std::make_shared<const policing::Admissions>(
        policing::Admissions{{ip("10.20.0.5"), {one}}});
    keeper_->changed();
  };
  const auto admitted = [] {
    const auto listed = nft::Committer::open().value().list(nodeTable({}, {}, {})).value();
    if (!listed) return std::set<std::string>{};
    // A listing may come in the middle of a change.
    const auto found = listed->sets.find("admitted4");
    return found == listed->sets.end() ? std::set<std::string>{} : found->second;
  };
  for (const std::string block : {"10.9.0.0/24", "192.0.2.0/24"}) {
    admit(block);
    EXPECT_TRUE(eventually([&] {
      const auto now = admitted();
      return now.size() == 1 && now.begin()->ends_with(" . " + block);
    })) << block;
    EXPECT_TRUE(isServed());
  }
}

TEST_F(KeeperTest, ReadsServicesAnewOnlyWhereTheyChanged) {
  const Server other(endpoint_, "other", "10.20.0.5", 8081);
  start();
  ASSERT_TRUE(eventually([&] { return isServed(); }));
  const auto before = keeper_->reads();
  const auto done = keeper_->lane().health().done;
  ASSERT_TRUE(eventually([&] {
    keeper_->changed();
    return keeper_->lane().health().done > done + 10;
  }));
  EXPECT_EQ(keeper_->reads(), before) << "as much as the node hears of others";
  auto services = *caches_.servicesOf("blue");
  auto slice = std::make_shared<k8s::EndpointSlice>(*services[0].slices[0]);
  slice->ports = {{"http", "TCP", 8081, ""}};
  services[0].slices = {slice};
  caches_.change("blue", services);
  keeper_->changed();
  EXPECT_TRUE(eventually([&] { return ask(client_, "10.9.0.1", 30080) == "other 10.20.0.9"; }));
  EXPECT_EQ(keeper_->reads(), before + 1);
}

TEST_F(KeeperTest, PutsBackWhatSomebodyTookAway) {
  start();
  ASSERT_TRUE(eventually([&] { return isServed(); }));
  const std::string path = pathOf(options_.directory, uid_);
  must(node_.run(netlink::deleteLink({0, pairOf(uid_, 0).device})));
  EXPECT_TRUE(eventually([&] { return isServed(); })) << "the pair";
  must(nft::Committer::open().value().commit("flush ruleset\n"));
  EXPECT_TRUE(eventually([&] { return isServed(); })) << "the node's rules";
  {
    const auto netns = netns::openPath(path).value();
    const auto scope = netns::Scope::enter(netns).value();
    must(nft::Committer::open().value().commit("flush ruleset\n"));
    auto inside = netlink::Socket::open().value();
    must(inside.run(netlink::deleteLink({0, "net1"})));
  }
  EXPECT_TRUE(eventually([&] { return isServed(); })) << "its own rules, and its port";
  must(netns::forget(path));
  EXPECT_TRUE(eventually([&] { return netns::openPath(path).has_value(); })) << "the mount";
  EXPECT_TRUE(eventually([&] { return isServed(); }));
  EXPECT_EQ(claims_, 1);
}

TEST_F(KeeperTest, WhatIsAnsweredAfterItsEndIsNobodys) {
  isLate_ = true;
  start();
  ASSERT_TRUE(eventually([&] { return claims_ == 1; }));
  stop();
  std::vector<addresses::Claimed> claimed{{{on("10.20.0.9/16"), std::nullopt}}};
  ASSERT_TRUE(late_);
  (*late_)(std::move(claimed));
  late_.reset();
  EXPECT_FALSE(isServed());
}

TEST_F(KeeperTest, ASuccessorTakesOverWhatServes) {
  start();
  ASSERT_TRUE(eventually([&] { return isServed(); }));
  stop();
  EXPECT_TRUE(isServed()) << "while no agent runs";
  const auto before = snapshot_;
  snapshot_ = std::make_shared<const networks::Snapshot>();
  start();
  // It doesn't know yet what the node has of the network.
  ASSERT_TRUE(eventually([&] { return reason() == "NetworkNotOnNode"; }));
  EXPECT_TRUE(isServed());
  stop();
  snapshot_ = before;
  start();
  ASSERT_TRUE(eventually([&] { return reason().empty() && keeper_->size() == 1; }));
  EXPECT_TRUE(isServed());
  EXPECT_EQ(claims_, 1) << "its address is known from the kernel";
  // Policies of pods need to know it before anybody attaches it again; from what can be read.
  std::ofstream(options_.directory + "/no-namespace").close();
  const std::map<NetworkUid, std::set<IpAddress>> there = {{uid_, {ip("10.20.0.9")}}};
  EXPECT_EQ(addressesIn(options_.directory, *engine_), there);
  std::filesystem::remove(options_.directory + "/no-namespace");
}

// The endpoint's server is no HTTP server, and accepts.
TEST_F(KeeperTest, AsksTheHealthOfItsNodesEndpoints) {
  api::HealthCheck how;
  how.tcpSocket = api::TcpSocketCheck{{8080, ""}};
  how.periodSeconds = 1;
  how.failureThreshold = 1;
  serve("ClusterIP", api::spellHealthCheck(how));
  start();
  ASSERT_TRUE(eventually([&] { return healthOf("svc") == "Connected"; }));
  EXPECT_EQ(claims_, 1) << "a gateway, though nobody else comes in by it";
  how.tcpSocket.reset();
  how.httpGet = api::HttpGetCheck{{8080, ""}, "/healthz"};
  stop();
  serve("ClusterIP", api::spellHealthCheck(how));
  start();
  EXPECT_TRUE(eventually([&] { return healthOf("svc") == "NoHttp"; }));
  stop();
  serve("ClusterIP");
  start();
  EXPECT_TRUE(eventually([&] { return healthOf("svc").empty(); })) << "nobody asks any more";
}

TEST_F(KeeperTest, GoesOnceNoServiceNeedsIt) {
  options_.idle = 300ms;
  std::atomic<int> gone = 0;
  options_.gone = [&](const NetworkUid& network) {
    EXPECT_EQ(network, uid_);
    EXPECT_EQ(released_, 0) << "nobody else may have its addresses yet";
    ++gone;
  };
  start();
  ASSERT_TRUE(eventually([&] { return isServed(); }));
  stop();
  serve("ClusterIP");
  start();
  ASSERT_TRUE(eventually([&] { return released_ == 1; }));
  EXPECT_EQ(gone, 1);
  EXPECT_TRUE(addressesIn(options_.directory, *engine_).empty());
  EXPECT_TRUE(keptIn(options_.directory).empty());
  EXPECT_TRUE(findPairs(node_).value().empty());
  EXPECT_EQ(ask(client_, "10.9.0.1", 30080), kRefused);
}

TEST_F(KeeperTest, WithoutAnAddressClientsAreToldSoAndItIsTriedAgain) {
  isFull_ = true;
  start();
  ASSERT_TRUE(eventually([&] { return reason() == "NoAddress"; }));
  EXPECT_EQ(ask(client_, "10.9.0.1", 30080), kRefused);
  isFull_ = false;
  EXPECT_TRUE(eventually([&] { return isServed(); }));
  EXPECT_GE(claims_, 2);
  EXPECT_TRUE(eventually([&] { return reason().empty(); }));
}

// A firewall's of the same node, as Docker's: nothing of ours is amiss, and nobody comes through.
TEST_F(KeeperTest, SaysThatTheNodeDoesNotForward) {
  auto firewall = nft::Committer::open().value();
  start();
  ASSERT_TRUE(eventually([&] { return isServed(); }));
  EXPECT_TRUE(eventually([&] { return reason().empty(); }));
  must(firewall.commit(
      "add table ip other\n"
      "add chain ip other forward { type filter hook forward priority 0; policy drop; }\n"));
  EXPECT_TRUE(eventually([&] { return reason() == "ForwardingDropped"; }));
  EXPECT_FALSE(isServed());
  must(firewall.commit("delete table ip other\n"));
  EXPECT_TRUE(eventually([&] { return reason().empty(); }));
  must(netns::writeSysctl("ipv4/ip_forward", "0"));
  EXPECT_TRUE(eventually([&] { return reason() == "ForwardingDropped"; }));
  must(netns::writeSysctl("ipv4/ip_forward", "1"));
  EXPECT_TRUE(eventually([&] { return reason().empty(); }));
  EXPECT_TRUE(isServed());
}

}  // namespace
}  // namespace multinet::agent::gateway
