// Reviews that anybody may have made up: what their answers tell of networks that the namespace may
// not use.
#include "webhook/admission/open_to.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/api/names.h"
#include "lib/api/test_objects.h"
#include "webhook/admission/fake_view.h"
#include "webhook/admission/validate.h"

namespace multinet::webhook {
namespace {

using api::testing::goodAttachment;
using api::testing::goodNetwork;
using api::testing::otherNetwork;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class OpenToTest : public ::testing::Test {
 protected:
  OpenToTest() {
    auto& networks = view_.catalog.networks;
    networks["open"] = otherNetwork("open", 30);
    networks["closed"] = otherNetwork("closed", 40);
    networks["closed"].spec.access.namespaces = {};
    networks["others"] = otherNetwork("others", 50);
    networks["others"].spec.access.namespaces = {api::AccessFrom::Selector, k8s::LabelSelector{}};
    networks["others"].spec.access.namespaces.selector->matchLabels = {{"team", "b"}};
    networks["broken"] = networks["closed"];
    networks["broken"].metadata.name = "broken";
    networks["broken"].spec.enabled = false;
    networks["broken"].status.conditions.items.clear();
    view_.catalog.namespaces["shop"] = {{"team", "a"}};
    for (const char* network : {"open", "closed", "others", "broken", "absent"}) {
      auto attachment = goodAttachment(std::string("to-") + network, network);
      attachment.metadata.nameSpace = "shop";
      view_.catalog.attachments[{"shop", attachment.metadata.name}] = attachment;
    }
  }

  /// `user` is who the review says asks.
  template <class Half>
  Verdict ask(const Half& half, const std::string& resource, Json object,
              const Json& user = Json::object()) const {
    const std::string group(resource == "pods" ? "" : api::kGroup);
    const Json review{{"apiVersion", "admission.k8s.io/v1"},
                      {"kind", "AdmissionReview"},
                      {"request",
                       {{"uid", "u"},
                        {"operation", "CREATE"},
                        {"namespace", resource == "podnetworks" ? "" : "shop"},
                        {"resource", {{"group", group}, {"resource", resource}}},
                        {"userInfo", user},
                        {"object", std::move(object)}}}};
    const auto root = parseStrictly(review.dump());
    const auto decoded = decodeReview(*root);
    EXPECT_TRUE(decoded) << decoded.error().message;
    return half(*decoded, view_);
  }
  /// What a pod with this request is told, with `name` taken out of the words.
  std::string told(const std::string& request, const std::string& name,
                   const Json& user = Json::object()) const {
    const Json pod{
        {"metadata", {{"name", "p"}, {"annotations", {{api::kNetworksAnnotation, request}}}}}};
    const Verdict verdict = ask(validate, "pods", pod, user);
    EXPECT_FALSE(verdict.allowed) << request;
    return without(name, verdict.message);
  }
  std::string toldOfAttachment(const std::string& network) const {
    const Json attachment{{"metadata", {{"name", "a"}}}, {"spec", {{"podNetworkName", network}}}};
    const Verdict verdict = ask(validate, "podnetworkattachments", attachment);
    EXPECT_FALSE(verdict.allowed) << network;
    return without(network, verdict.message);
  }
  static std::string without(const std::string& name, std::string words) {
    for (std::size_t at = 0; (at = words.find(name, at)) != std::string::npos;) {
      words.replace(at, name.size(), "*");
    }
    return words;
  }

  FakeView view_;
};

constexpr auto kNotForShop = {"closed", "others", "broken"};

TEST_F(OpenToTest, ANetworkThatIsNotOpenIsToldOfAsOneThatIsNotThere) {
  const std::string absent = told("absent", "absent");
  EXPECT_THAT(absent, HasSubstr("item 1: \"*\" names no PodNetwork that is open to namespace "
                                "\"shop\"; name another, or have the admin make it or open it"));
  for (const std::string name : kNotForShop) EXPECT_EQ(told(name, name), absent) << name;
}

TEST_F(OpenToTest, AnAttachmentToOneIsNotThereEither) {
  const std::string absent = told("attachment/none", "none");
  EXPECT_THAT(absent, HasSubstr("names no PodNetworkAttachment of namespace \"shop\""));
  for (const std::string name : {"to-closed", "to-others", "to-broken", "to-absent"}) {
    EXPECT_EQ(told("attachment/" + name, name), absent) << name;
  }
}

TEST_F(OpenToTest, AnAttachmentsReviewTellsNoMore) {
  const std::string absent = toldOfAttachment("absent");
  EXPECT_THAT(absent, HasSubstr("spec.podNetworkName: \"*\" names no PodNetwork that is open"));
  for (const std::string name : kNotForShop) EXPECT_EQ(toldOfAttachment(name), absent) << name;
}

TEST_F(OpenToTest, WhileTheNamespaceIsNotKnownAllAreToldTheSame) {
  view_.catalog.namespaces.clear();
  const std::string absent = told("absent", "absent");
  EXPECT_THAT(absent, HasSubstr("namespace \"shop\" isn't known yet; try again"));
  for (const std::string name : kNotForShop) EXPECT_EQ(told(name, name), absent) << name;
}

TEST_F(OpenToTest, AnAuthorIsAsEasilyMadeUpAsTheRest) {
  const Json admin{{"username", "kubernetes-admin"}, {"groups", {"system:masters"}}};
  EXPECT_EQ(told("closed", "closed", admin), told("absent", "absent"));
}

TEST_F(OpenToTest, WhyAnOpenNetworkIsNotReadyNamesNoOther) {
  auto& open = view_.catalog.networks["open"];
  open.status.conditions.set({"Ready", k8s::ConditionStatus::False, 1, std::nullopt, "Conflict",
                              "network \"closed\" has its VNI"},
                             WallTime{});
  EXPECT_THAT(told("open", "*"), HasSubstr("uses a network that isn't Ready (Conflict); wait"));
}

Json vxlan(const char* cidr) {
  return {{"metadata", {{"name", "new"}}},
          {"spec",
           {{"type", "VXLAN"},
            {"vxlan", {{"vni", 5}}},
            {"ipam", {{"subnets", {{{"cidr", cidr}}}}}},
            {"access", {{"namespaces", {{"from", "All"}}}}}}}};
}

TEST_F(OpenToTest, AClashOfNetworksNamesTheOtherToTheApiServerOnly) {
  auto& other = view_.catalog.networks["closed"];
  other.spec.type = api::NetworkType::Vxlan;
  other.spec.bridge.reset();
  other.spec.vxlan = api::VxlanSpec{};
  other.spec.vxlan->vni = 5;
  const Verdict made = ask(validate, "podnetworks", vxlan("10.40.0.0/17"));
  EXPECT_FALSE(made.allowed);
  EXPECT_THAT(made.message,
              HasSubstr("spec.vxlan.vni: \"5\" is taken by another network; choose another"));
  EXPECT_THAT(made.message, HasSubstr("overlaps another network on the same wire"));
  EXPECT_THAT(made.message, Not(HasSubstr("closed")));
  EXPECT_THAT(made.message, Not(HasSubstr("10.40.0.0/16")));
  const Verdict known = ask(validateForApiServer, "podnetworks", vxlan("10.40.0.0/17"));
  EXPECT_THAT(known.message, HasSubstr("is taken by network \"closed\""));
  EXPECT_THAT(known.message, HasSubstr("overlaps 10.40.0.0/16 of network \"closed\""));
}

TEST_F(OpenToTest, AClashWithTheClustersRangesNamesNodesToTheApiServerOnly) {
  view_.ranges = {{*IpPrefix::parse("10.244.1.0/24"), api::RangeUse::Pods, "node-a"},
                  {*IpPrefix::parse("10.244.9.1/32"), api::RangeUse::Node, "node-a"}};
  const Verdict made = ask(validate, "podnetworks", vxlan("10.244.0.0/16"));
  EXPECT_THAT(made.message, HasSubstr("overlaps a node's range of pods"));
  ASSERT_FALSE(made.warnings.empty());
  EXPECT_THAT(made.warnings.front(), HasSubstr("overlaps the address of a node"));
  const Verdict known = ask(validateForApiServer, "podnetworks", vxlan("10.244.0.0/16"));
  EXPECT_THAT(known.message, HasSubstr("the pods' range 10.244.1.0/24 of node node-a"));
  EXPECT_THAT(known.warnings.front(), HasSubstr("the address 10.244.9.1 of node node-a"));
}

}  // namespace
}  // namespace multinet::webhook
