// The API server's own word, of a real server.
#include "webhook/live_view.h"

#include <gtest/gtest.h>

#include "lib/api/test_objects.h"
#include "lib/k8s/core.h"
#include "test/support/apiserver.h"
#include "webhook/admission/fake_view.h"

namespace multinet::webhook {
namespace {

using api::testing::goodAttachment;
using api::testing::goodNetwork;
using multinet::testing::ApiServer;

class LiveViewTest : public ::testing::Test {
 protected:
  static std::unique_ptr<kube::Client> connect(const ApiServer& server) {
    kube::Config config;
    config.server = server.url();
    config.token.inlined = "secret";
    kube::ClientOptions options;
    options.deadline = std::chrono::milliseconds(500);
    return kube::connect(config, options).value();
  }
  ApiServer server_;
  std::unique_ptr<kube::Client> client_ = connect(server_);
  FakeView caches_;
};

TEST_F(LiveViewTest, AsksForEachThingOnce) {
  ASSERT_TRUE(client_->create(goodAttachment("nas", "blue")));
  const std::size_t before = server_.requests().size();
  const LiveView view(*client_, caches_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(view.network("blue"));
    EXPECT_TRUE(view.attachment("default", "nas"));
  }
  EXPECT_EQ(server_.requests().size(), before + 2);
}

TEST_F(LiveViewTest, AsksNoMoreThanItsBudget) {
  caches_.catalog.networks["blue"] = goodNetwork("blue");
  const LiveView few(*client_, caches_, kSystemClock, {.calls = 3});
  for (int i = 0; i < 16; ++i) EXPECT_FALSE(few.network("net-" + std::to_string(i)));
  EXPECT_TRUE(few.network("blue")) << "as the caches have it";
  EXPECT_EQ(server_.requests().size(), 3U);
  const LiveView late(*client_, caches_, kSystemClock, {.until = kSystemClock.now()});
  EXPECT_TRUE(late.network("blue"));
  EXPECT_FALSE(late.clusterRanges());
  EXPECT_EQ(server_.requests().size(), 3U);
}

TEST_F(LiveViewTest, SeesWhatChoosesPodsOfANamespaceByOneList) {
  auto choosing = goodAttachment("web", "blue");
  choosing.spec.podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
  ASSERT_TRUE(client_->create(choosing));
  ASSERT_TRUE(client_->create(goodAttachment("nas", "blue")));
  choosing.metadata.nameSpace = "other";
  ASSERT_TRUE(client_->create(choosing));
  const std::size_t before = server_.requests().size();
  const LiveView view(*client_, caches_);
  const auto found = view.selecting("default");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().metadata.name, "web");
  EXPECT_TRUE(found.front().spec == choosing.spec);
  EXPECT_TRUE(view.attachment("default", "nas"));
  EXPECT_EQ(server_.requests().size(), before + 1);
}

TEST_F(LiveViewTest, SeesWhichNetworksAreGone) {
  caches_.catalog.networks["gone"] = goodNetwork("gone");
  ASSERT_TRUE(client_->create(goodNetwork("blue")));
  const auto all = LiveView(*client_, caches_).networks();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front().metadata.name, "blue");
}

TEST_F(LiveViewTest, TellsTheRangesOfServicesPodsAndNodes) {
  k8s::ServiceCidr services;
  services.metadata.name = "kubernetes";
  services.spec.cidrs = {"10.96.0.0/16", "fd00:96::/112"};
  ASSERT_TRUE(client_->create(services));
  k8s::Node node;
  node.metadata.name = "n1";
  node.spec.podCIDRs = {"10.244.1.0/24"};
  node.status.addresses = {{"InternalIP", "192.168.7.11"}, {"Hostname", "n1"}};
  ASSERT_TRUE(client_->create(node));
  const auto ranges = LiveView(*client_, caches_).clusterRanges();
  ASSERT_TRUE(ranges);
  ASSERT_EQ(ranges->size(), 4U);
  EXPECT_EQ(ranges->at(0).use, api::RangeUse::Services);
  EXPECT_EQ(ranges->at(2), (api::ClusterRange{IpPrefix::parse("10.244.1.0/24").value(),
                                              api::RangeUse::Pods, "n1"}));
  EXPECT_EQ(ranges->at(3).prefix.str(), "192.168.7.11/32");
  server_.set(ApiServer::Presence::Away);
  EXPECT_FALSE(LiveView(*client_, caches_).clusterRanges()) << "unknown isn't none";
}

TEST_F(LiveViewTest, TheCachesDecideWhileTheServerIsAway) {
  caches_.catalog = api::testing::goodCatalog();
  server_.set(ApiServer::Presence::Away);
  const LiveView view(*client_, caches_);
  EXPECT_TRUE(view.network("blue"));
  EXPECT_FALSE(view.network("pink"));
  EXPECT_TRUE(view.attachment("default", "nas"));
  EXPECT_TRUE(view.namespaceLabels("default"));
  EXPECT_EQ(view.networks().size(), 3U);
  caches_.catalog.attachments.at({"default", "nas"}).spec.podSelector = k8s::LabelSelector{};
  EXPECT_EQ(view.selecting("default").size(), 1U);
}

}  // namespace
}  // namespace multinet::webhook
