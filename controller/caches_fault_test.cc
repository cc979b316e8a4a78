// The controller's caches against an API server that doesn't know, or doesn't let us read, a kind
// of somebody else's.
#include "controller/caches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "test/support/apiserver.h"

namespace multinet::controller {
namespace {

using testing::ApiServer;
using testing::Fault;

const std::string kPolicies = "/apis/k8s.cni.cncf.io/v1beta1/namespaces/shop/multi-networkpolicies";

class CachesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    kube::Config config;
    config.server = server_.url();
    client_ = kube::connect(config, {}).value();
    caches_ = std::make_unique<Caches>(*client_, [] {});
  }
  void TearDown() override { caches_->stop(); }
  void put(const std::string& name) {
    const auto answer = server_.store().patch(
        testing::ResourcePath::parse(kPolicies + "/" + name),
        {{"metadata", {{"namespace", "shop"}, {"name", name}}}, {"spec", nlohmann::json::object()}},
        testing::ObjectStore::IfAbsent::Create);
    ASSERT_LT(answer.status, 300);
  }
  template <class Condition>
  bool eventually(const Condition& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  void nobodyWaitsWhile(Fault fault) {
    put("db");
    server_.inject({.fault = fault,
                    .method = "GET",
                    .targetContains = "multi-networkpolicies",
                    .times = 100000});
    caches_->start();
    ASSERT_TRUE(eventually([&] { return caches_->synced().has_value(); }))
        << caches_->synced().error().message;
    EXPECT_TRUE(caches_->ready(std::chrono::minutes(5)).has_value());
    EXPECT_FALSE(knows()) << "nothing is concluded";
    EXPECT_FALSE(caches_->ages().contains("multi-networkpolicies"));
  }
  bool knows() {
    caches_->drainInto(world_, BootTime{});
    return world_.knows<MultiNetworkPolicy>();
  }

  ApiServer server_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<Caches> caches_;
  World world_;
};

/// The server refuses the kind.
class RefusedKindTest : public CachesTest, public ::testing::WithParamInterface<Fault> {};
INSTANTIATE_TEST_SUITE_P(Faults, RefusedKindTest,
                         ::testing::Values(Fault::NotFound, Fault::Forbidden),
                         [](const auto& tested) {
                           return tested.param == Fault::NotFound ? "NotFound" : "Forbidden";
                         });

TEST_P(RefusedKindTest, IsWaitedForByNobody) {
  nobodyWaitsWhile(GetParam());
}

TEST_F(CachesTest, AnOptionalKindWhoseListHangsIsWaitedForByNobody) {
  nobodyWaitsWhile(Fault::Stall);
}

TEST_P(RefusedKindTest, IsFollowedOnceItIsServed) {
  put("db");
  server_.inject({.fault = GetParam(),
                  .method = "GET",
                  .targetContains = "multi-networkpolicies",
                  .times = 4});
  caches_->start();
  ASSERT_TRUE(eventually([&] { return knows(); }));
  EXPECT_NE(world_.find<MultiNetworkPolicy>(k8s::ObjectKey{"shop", "db"}), nullptr);
}

TEST_P(RefusedKindTest, KeepsWhatIsKnownOfIt) {
  put("db");
  caches_->start();
  ASSERT_TRUE(eventually([&] { return knows(); }));
  server_.inject({.fault = GetParam(),
                  .method = "GET",
                  .targetContains = "multi-networkpolicies",
                  .times = 100000});
  server_.set(ApiServer::Presence::Away);
  server_.set(ApiServer::Presence::Here);
  const auto asked = [this] {
    const auto requests = server_.requests();
    return std::ranges::count_if(requests, [](const std::string& one) {
      return one.find("multi-networkpolicies") != std::string::npos;
    });
  };
  const auto before = asked();
  ASSERT_TRUE(eventually([&] { return asked() > before; }));
  caches_->drainInto(world_, BootTime{});
  EXPECT_NE(world_.find<MultiNetworkPolicy>(k8s::ObjectKey{"shop", "db"}), nullptr);
}

}  // namespace
}  // namespace multinet::controller
