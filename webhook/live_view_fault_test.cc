// Refusals by a cache that lags, against a real server.
#include "webhook/live_view.h"

#include <gtest/gtest.h>

#include "lib/api/test_objects.h"
#include "test/support/apiserver.h"
#include "webhook/admission/fake_view.h"
#include "webhook/admission/validate.h"

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
  Verdict judge(const Judge& rule) { return judgeFreshly(rule, {}, caches_, *client_); }
  /// Refuses where the network isn't there.
  static Verdict needsBlue(const Review& /*review*/, const View& view) {
    return view.network("blue") ? Verdict{} : Verdict::refuse(422, "Invalid", "no blue");
  }

  ApiServer server_;
  std::unique_ptr<kube::Client> client_ = connect(server_);
  FakeView caches_;
};

TEST_F(LiveViewTest, NobodyIsRefusedByACacheAlone) {
  EXPECT_FALSE(judge(needsBlue).allowed);
  ASSERT_TRUE(client_->create(goodNetwork("blue")));
  EXPECT_TRUE(judge(needsBlue).allowed);
}

TEST_F(LiveViewTest, WhatTheCachesAllowAsksNobody) {
  caches_.catalog.networks["blue"] = goodNetwork("blue");
  EXPECT_TRUE(judge(needsBlue).allowed);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(LiveViewTest, WhatIsNoReviewAsksNobody) {
  const auto refused = judge([](const Review&, const View&) {
    return Verdict::refuse(400, "BadRequest", "object is missing");
  });
  EXPECT_FALSE(refused.allowed);
  EXPECT_TRUE(server_.requests().empty());
}

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

TEST_F(LiveViewTest, SeesWhichNetworksAreGone) {
  caches_.catalog.networks["gone"] = goodNetwork("gone");
  ASSERT_TRUE(client_->create(goodNetwork("blue")));
  const auto all = LiveView(*client_, caches_).networks();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front().metadata.name, "blue");
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
}

}  // namespace
}  // namespace multinet::webhook
