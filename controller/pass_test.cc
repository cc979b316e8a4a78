// What a turn does with many writes, on an API server in memory.
#include "controller/pass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "controller/plan/cluster_fixture.h"
#include "controller/reconcilers.h"
#include "lib/base/fake_clock.h"
#include "lib/kube/fake_transport.h"

namespace multinet::controller {
namespace {

class PassTest : public ::testing::Test {
 protected:
  template <class T, const k8s::Fields& F>
  void see(k8s::Projection<T, F> object) {
    using Seen = k8s::Projection<T, F>;
    object.metadata.uid = "uid-" + object.metadata.name;
    object.metadata.resourceVersion = "1";
    const auto key = keyOf(object);
    pass_.world().put<Seen>(key, std::make_shared<const Seen>(std::move(object)), clock_.now());
  }
  std::optional<Duration> lead() { return pass_.lead(clock_.now()); }
  [[nodiscard]] std::vector<std::string> requests(std::size_t from = 0) const {
    auto all = transport_->requests();
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(from));
    return all;
  }

  FakeClock clock_;
  multinet::testing::ObjectStore store_;
  kube::FakeTransport* transport_ = new kube::FakeTransport(store_);
  kube::Client client_{std::unique_ptr<kube::Transport>(transport_)};
  Writer writer_{client_, clock_, {.leading = [] { return true; }}};
  Pass pass_{allReconcilers(), writer_, clock_};
};

TEST_F(PassTest, WhatComesWhileMuchIsWrittenWaitsForFewOfThoseWrites) {
  constexpr std::size_t kNetworks = 200;
  EXPECT_FALSE(lead()) << "there is nothing yet";
  for (std::size_t i = 0; i < kNetworks; ++i) {
    see(Network(testing::tunnelOf("n" + std::to_string(i), 1, 7000 + static_cast<int>(i))));
  }
  static_cast<void>(lead());
  EXPECT_TRUE(pass_.planner().awaitsWrites()) << "the others wait for what it has begun";
  writer_.wait();
  const auto begun = requests().size();
  EXPECT_LE(begun, 2 * kAhead) << "of each reconciler a few";
  see(Attachment(api::testing::goodAttachment("late", "n0")));
  static_cast<void>(lead());
  writer_.wait();
  const auto then = requests(begun);
  EXPECT_LE(then.size(), 3 * kAhead);
  EXPECT_TRUE(std::ranges::any_of(then, [](const std::string& request) {
    return request.find("/podnetworkattachments/late/status") != std::string::npos;
  })) << "it waits for others of its kind alone";
  for (int turn = 0; turn < 1000 && pass_.planner().awaitsWrites(); ++turn) {
    static_cast<void>(lead());
    writer_.wait();
  }
  std::size_t reserved = 0;
  for (const auto& request : requests()) reserved += request.starts_with("POST ") ? 1 : 0;
  EXPECT_EQ(reserved, kNetworks) << "each once, and none is forgotten";
}

TEST_F(PassTest, WhatTheServerRefusesIsToldAndTriedAtOnceWhenItsAuthorChangesIt) {
  const k8s::ObjectKey key{"default", "web"};
  k8s::Namespace home;
  home.metadata.name = "default";
  see(Namespace(home));
  see(Network(api::testing::goodNetwork("blue")));
  auto web = api::testing::goodService("web", "blue");
  web.spec.clusterIP.clear();
  const auto put = [&](api::PodNetworkService service) { see(NetworkService(std::move(service))); };
  transport_->before = [](const kube::HttpRequest& request) {
    return request.method == kube::Method::Post &&
                   request.target.find("/services") != std::string::npos
               ? std::optional<Result<kube::HttpResponse>>(kube::HttpResponse{
                     422, R"({"message":"provided port is already allocated"})", std::nullopt})
               : std::nullopt;
  };
  const auto tried = [&] {
    std::size_t count = 0;
    for (int turn = 0; turn < 5; ++turn) {
      static_cast<void>(lead());
      writer_.wait();
    }
    for (const auto& request : requests()) {
      count += request.starts_with("POST /api/v1/namespaces/default/services?") ? 1 : 0;
    }
    return count;
  };
  put(web);
  EXPECT_EQ(tried(), 1U);
  EXPECT_EQ(tried(), 1U) << "the same write gets the same answer";
  const auto* seen = pass_.world().find<NetworkService>(key);
  ASSERT_NE(seen, nullptr);
  const auto* says = pass_.world().refusal(*seen, "create Service default/web");
  ASSERT_NE(says, nullptr);
  EXPECT_NE(says->find("provided port is already allocated"), std::string::npos);
  web.metadata.generation = 2;
  web.spec.selector = {{"app", "other"}};  // nothing that the Service has
  put(web);
  EXPECT_EQ(tried(), 2U);
  clock_.advance(std::chrono::seconds(6));
  EXPECT_EQ(tried(), 3U) << "it may have become possible";
  transport_->before = nullptr;
  clock_.advance(std::chrono::seconds(11));
  EXPECT_EQ(tried(), 4U);
  static_cast<void>(lead());
  EXPECT_EQ(
      pass_.world().refusal(*pass_.world().find<NetworkService>(key), "create Service default/web"),
      nullptr);
}

TEST_F(PassTest, WhatTheServerRefusesOfAPolicyIsKeptForNobody) {
  k8s::Namespace home;
  home.metadata.name = "default";
  see(Namespace(home));
  see(Network(api::testing::goodNetwork("blue")));
  see(Policy(api::testing::goodPolicy("db", "blue")));
  std::size_t refused = 0;
  transport_->before = [&](const kube::HttpRequest& request) {
    const bool isSlice = request.method == kube::Method::Post &&
                         request.target.find("/podnetworkpolicyslices") != std::string::npos;
    if (isSlice) ++refused;
    return isSlice ? std::optional<Result<kube::HttpResponse>>(kube::HttpResponse{
                         403, R"({"message":"the namespace is being terminated"})", std::nullopt})
                   : std::nullopt;
  };
  for (int turn = 0; turn < 5; ++turn) {
    static_cast<void>(lead());
    writer_.wait();
  }
  EXPECT_EQ(refused, 1U);
  // Nothing tells of that policy's end, which would take it away.
  NetworkService like;
  like.metadata.nameSpace = "default";
  like.metadata.name = "db";
  like.metadata.uid = "uid-db";
  like.metadata.generation = 1;
  EXPECT_EQ(pass_.world().refusal(like, "create PodNetworkPolicySlice default/db-uid-db"), nullptr);
}

}  // namespace
}  // namespace multinet::controller
