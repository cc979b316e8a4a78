#include "webhook/mutate/mutate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/api/names.h"
#include "webhook/admission/fake_view.h"
#include "webhook/admission/validate.h"

namespace multinet::webhook {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

/// Both halves in the order of the API server.
class HalvesTest : public testing::Test {
 protected:
  HalvesTest() {
    api::PodNetwork blue;
    blue.metadata.name = "blue";
    blue.metadata.uid = "5a1e7a1e-0000-4000-8000-000000000001";
    blue.metadata.generation = 1;
    blue.spec.type = api::NetworkType::Bridge;
    blue.spec.bridge = api::BridgeSpec{};
    blue.spec.ipam.subnets = {
        {.cidr = "10.20.0.0/16", .gateway = {}, .exclude = {}, .blockSize = {}}};
    blue.spec.access.namespaces.from = api::AccessFrom::All;
    k8s::Condition ready;
    ready.type = "Ready";
    ready.status = k8s::ConditionStatus::True;
    ready.observedGeneration = 1;
    blue.status.conditions.set(ready, {});
    view_.catalog.networks["blue"] = blue;
    view_.catalog.namespaces["shop"] = {};
    pod_ = {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata",
             {{"generateName", "web-"}, {"annotations", {{api::kNetworksAnnotation, "blue"}}}}},
            {"spec", {{"containers", Json::array()}}}};
  }

  [[nodiscard]] Verdict ask(const std::function<Verdict(const Review&, const View&)>& half,
                            const Json& object, const std::string& nameSpace = "shop") {
    const Json review{{"apiVersion", "admission.k8s.io/v1"},
                      {"kind", "AdmissionReview"},
                      {"request",
                       {{"uid", "u"},
                        {"operation", "CREATE"},
                        {"namespace", nameSpace},
                        {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
                        {"object", object}}}};
    const auto root = parseStrictly(review.dump());
    const auto decoded = decodeReview(*root);
    EXPECT_TRUE(decoded) << decoded.error().message;
    return half(*decoded, view_);
  }

  FakeView view_;
  Json pod_;
};

TEST_F(HalvesTest, WhatOneWritesTheOtherTakes) {
  const auto first = ask(mutate, pod_);
  ASSERT_TRUE(first.allowed) << first.message;
  ASSERT_EQ(first.patch.size(), 2U);
  const Json patched = pod_.patch(first.patch);
  EXPECT_THAT(patched["metadata"]["annotations"]["multinet.dev/resolved"].get<std::string>(),
              HasSubstr("net1=blue@5a1e7a1e"));
  EXPECT_EQ(patched["spec"]["readinessGates"][0]["conditionType"], "multinet.dev/networks-ready");
  const auto verdict = ask(validate, patched);
  EXPECT_TRUE(verdict.allowed) << verdict.message;
  EXPECT_TRUE(ask(mutate, patched).patch.empty()) << "reinvoked, it adds nothing twice";
}

TEST_F(HalvesTest, KeepsGatesOfOthers) {
  pod_["spec"]["readinessGates"] = {{{"conditionType", "example.com/lb"}}};
  const Json patched = pod_.patch(ask(mutate, pod_).patch);
  EXPECT_EQ(patched["spec"]["readinessGates"].size(), 2U);
  EXPECT_EQ(patched["spec"]["readinessGates"][0]["conditionType"], "example.com/lb");
}

TEST_F(HalvesTest, APodThatMutationMissedIsRefused) {
  const auto bare = ask(validate, pod_);
  EXPECT_FALSE(bare.allowed);
  EXPECT_THAT(bare.message, HasSubstr("pod shop/web-*"));
  EXPECT_THAT(bare.message, HasSubstr("metadata.annotations[multinet.dev/resolved]"));
  EXPECT_THAT(bare.message, HasSubstr("spec.readinessGates"));
  Json forged = pod_.patch(ask(mutate, pod_).patch);
  forged["metadata"]["annotations"][api::kResolvedAnnotation] = "net1=blue@another";
  EXPECT_THAT(ask(validate, forged).message, HasSubstr("not what the request resolves to"));
}

// What a backup or `kubectl debug --copy-to` brings: the annotation of another time or cluster.
TEST_F(HalvesTest, TheAnnotationOfAnotherTimeIsWrittenAnew) {
  const Json fresh = pod_.patch(ask(mutate, pod_).patch);
  for (const char* stale :
       {"net1=blue@another", "net1=gone@5a1e7a1e,net2=blue@5a1e7a1e", "", "[]"}) {
    Json restored = fresh;
    restored["metadata"]["annotations"][api::kResolvedAnnotation] = stale;
    const Json again = restored.patch(ask(mutate, restored).patch);
    EXPECT_EQ(again, fresh) << stale;
    EXPECT_TRUE(ask(validate, again).allowed) << stale;
  }
}

TEST_F(HalvesTest, BadRequestsAreRefusedByBothWithTheSameWords) {
  for (const char* request : {"green", "blue,blue", "blue,", "", "attachment/none", "other/blue",
                              "[{\"name\":\"blue\"}]", "Blue"}) {
    pod_["metadata"]["annotations"][api::kNetworksAnnotation] = request;
    const auto first = ask(mutate, pod_);
    const auto second = ask(validate, pod_);
    EXPECT_FALSE(first.allowed) << request;
    EXPECT_EQ(first.code, 422);
    EXPECT_EQ(first.message, second.message);
    EXPECT_THAT(first.message, HasSubstr("metadata.annotations[multinet.dev/networks]")) << request;
  }
}

TEST_F(HalvesTest, HostNetworkAndUngrantedNamespacesAreRefused) {
  pod_["spec"]["hostNetwork"] = true;
  EXPECT_THAT(ask(mutate, pod_).message, HasSubstr("hostNetwork"));
  pod_["spec"].erase("hostNetwork");
  view_.catalog.networks["blue"].spec.access.namespaces.from = api::AccessFrom::None;
  EXPECT_FALSE(ask(mutate, pod_).allowed);
}

TEST_F(HalvesTest, WhatIsNotOursPassesUntouched) {
  Json plain = pod_;
  plain["metadata"].erase("annotations");
  Json mirror = pod_;
  mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "hash";
  for (const auto& [object, nameSpace] :
       {std::pair(plain, "shop"), {mirror, "shop"}, {pod_, "multinet-system"}}) {
    for (const auto& half : {mutate, validate}) {
      const auto verdict = ask(half, object, nameSpace);
      EXPECT_TRUE(verdict.allowed) << verdict.message;
      EXPECT_TRUE(verdict.patch.empty());
    }
  }
}

}  // namespace
}  // namespace multinet::webhook
