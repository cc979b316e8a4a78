#include "webhook/mutate/mutate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/api/names.h"
#include "lib/api/selection.h"
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

/// In a namespace where labels choose: attachment `web` gives blue to pods with app=web.
class SelectionTest : public HalvesTest {
 protected:
  SelectionTest() {
    view_.catalog.namespaces["shop"] = {{api::kSelectLabel, api::kSelectEnabled}};
    view_.catalog.namespaces["plain"] = {};
    attach("web", "blue", {{"app", "web"}});
    pod_["metadata"].erase("annotations");
    pod_["metadata"]["labels"] = {{"app", "web"}};
  }
  api::PodNetworkAttachment& attach(const std::string& name, const std::string& network,
                                    const k8s::StringMap& labels) {
    auto& made = view_.catalog.attachments[{"shop", name}];
    made.metadata.name = name;
    made.metadata.nameSpace = "shop";
    made.metadata.uid = "uid-" + name;
    made.spec.podNetworkName = network;
    made.spec.podSelector = k8s::LabelSelector{labels, {}};
    return made;
  }
  void addNetwork(const std::string& name, const std::string& cidr) {
    auto& made = view_.catalog.networks[name] = view_.catalog.networks["blue"];
    made.metadata.name = name;
    made.metadata.uid = "uid-" + name;
    made.spec.ipam.subnets[0].cidr = cidr;
  }
  [[nodiscard]] Json mutated(const Json& pod, const std::string& nameSpace = "shop") {
    const auto verdict = ask(mutate, pod, nameSpace);
    EXPECT_TRUE(verdict.allowed) << verdict.message;
    return verdict.patch.is_null() ? pod : pod.patch(verdict.patch);
  }
};

TEST_F(SelectionTest, APodThatAsksForNothingGetsWhatItsLabelsChoose) {
  const Json patched = mutated(pod_);
  const Json& annotations = patched["metadata"]["annotations"];
  EXPECT_EQ(annotations["multinet.dev/networks"], "attachment/web");
  EXPECT_EQ(annotations["multinet.dev/selected"], "attachment/web");
  EXPECT_THAT(annotations["multinet.dev/resolved"].get<std::string>(),
              HasSubstr("net1=attachment/web@uid-web:blue@5a1e7a1e"));
  EXPECT_EQ(patched["spec"]["readinessGates"][0]["conditionType"], "multinet.dev/networks-ready");
  EXPECT_TRUE(ask(validate, patched).allowed) << ask(validate, patched).message;
  EXPECT_TRUE(ask(mutate, patched).patch.empty()) << "reinvoked, it adds nothing twice";
}

TEST_F(SelectionTest, KeepsAnnotationsOfOthersAndThePodsOwnRequestInFront) {
  addNetwork("green", "10.30.0.0/16");
  pod_["metadata"]["annotations"] = {{"example.com/a", "b"}, {"multinet.dev/networks", "green"}};
  const Json patched = mutated(pod_);
  EXPECT_EQ(patched["metadata"]["annotations"]["example.com/a"], "b");
  EXPECT_EQ(patched["metadata"]["annotations"]["multinet.dev/networks"], "green, attachment/web");
  EXPECT_EQ(patched["metadata"]["annotations"]["multinet.dev/selected"], "attachment/web");
  EXPECT_TRUE(ask(validate, patched).allowed) << ask(validate, patched).message;
  EXPECT_TRUE(ask(mutate, patched).patch.empty());
  pod_["metadata"]["annotations"]["multinet.dev/networks"] = "blue";
  EXPECT_EQ(mutated(pod_)["metadata"]["annotations"].count("multinet.dev/selected"), 0U)
      << "what it asks for itself isn't given twice";
}

TEST_F(SelectionTest, WhoseLabelsMatchNothingStaysAsItIs) {
  pod_["metadata"]["labels"] = {{"app", "db"}};
  const auto verdict = ask(mutate, pod_);
  EXPECT_TRUE(verdict.allowed);
  EXPECT_TRUE(verdict.patch.empty());
  EXPECT_TRUE(verdict.behind) << "an attachment may be newer than the caches";
  EXPECT_TRUE(ask(mutate, pod_, "plain").patch.empty());
  EXPECT_TRUE(ask(validate, pod_).allowed);
}

TEST_F(SelectionTest, OfAnotherNamespaceOrWithoutTheLabelNothingIsChosen) {
  for (const char* nameSpace : {"plain", "multinet-system"}) {
    EXPECT_EQ(mutated(pod_, nameSpace), pod_) << nameSpace;
  }
  view_.catalog.namespaces["shop"] = {{api::kSelectLabel, "true"}};
  EXPECT_EQ(mutated(pod_), pod_);
}

TEST_F(SelectionTest, WhatIsChosenAndCantBeGivenIsRefusedByName) {
  attach("again", "blue", {{"app", "web"}});
  const auto twice = ask(mutate, pod_);
  EXPECT_FALSE(twice.allowed);
  EXPECT_THAT(twice.message,
              testing::AllOf(HasSubstr("admit pod shop/web-*"),
                             HasSubstr("\"attachment/web\" joins "
                                       "network \"blue\" again"),
                             HasSubstr("by its labels it got attachment/again, attachment/web")));
  view_.catalog.attachments.erase({"shop", "again"});
  view_.catalog.networks["blue"].spec.enabled = false;
  EXPECT_THAT(ask(mutate, pod_).message, HasSubstr("\"attachment/web\" uses a network that is "
                                                   "disabled"));
}

TEST_F(SelectionTest, ACopyElsewhereIsAPlainPodAgainAndSaysSo) {
  pod_["spec"]["readinessGates"] = {{{"conditionType", "example.com/lb"}}};
  const Json chosen = mutated(pod_);
  const auto verdict = ask(mutate, chosen, "plain");
  ASSERT_TRUE(verdict.allowed) << verdict.message;
  const Json plain = chosen.patch(verdict.patch);
  EXPECT_EQ(plain["metadata"]["annotations"], Json::object());
  EXPECT_EQ(plain["spec"]["readinessGates"], pod_["spec"]["readinessGates"]);
  EXPECT_THAT(verdict.warnings, testing::ElementsAre(HasSubstr("where it was copied from")));
  EXPECT_EQ(mutated(chosen), chosen) << "and at home it is as it was";
}

TEST_F(SelectionTest, AForgedWordIsWrittenAnewAndRefusedWhereMutationMissedIt) {
  const Json good = mutated(pod_);
  for (const char* forged : {"attachment/none", "blue", "", "[]"}) {
    Json pod = good;
    pod["metadata"]["annotations"]["multinet.dev/selected"] = forged;
    const auto verdict = ask(validate, pod);
    EXPECT_FALSE(verdict.allowed) << forged;
    EXPECT_THAT(verdict.message, HasSubstr("metadata.annotations[multinet.dev/selected]"));
  }
  Json missed = good;
  missed["metadata"]["annotations"].erase("multinet.dev/selected");
  EXPECT_TRUE(ask(validate, missed).allowed) << "as if it had asked for it itself";
  missed["metadata"]["annotations"]["multinet.dev/networks"] = "blue";
  missed["metadata"]["annotations"]["multinet.dev/selected"] = "attachment/web";
  EXPECT_FALSE(ask(validate, missed).allowed);
  // An attachment that came between the two halves.
  addNetwork("green", "10.30.0.0/16");
  attach("late", "green", {{"app", "web"}});
  EXPECT_THAT(ask(validate, good).message,
              HasSubstr("choose by the pod's labels now (attachment/late, attachment/web)"));
}

TEST_F(SelectionTest, PodsOfTheNodesNetworkAreNotChosenAndSayWhy) {
  pod_["spec"]["hostNetwork"] = true;
  const auto verdict = ask(mutate, pod_);
  EXPECT_TRUE(verdict.allowed);
  EXPECT_TRUE(verdict.patch.empty());
  EXPECT_THAT(verdict.warnings, testing::ElementsAre(HasSubstr("PodNetworkAttachment \"web\"")));
  EXPECT_TRUE(ask(validate, pod_).allowed);
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
