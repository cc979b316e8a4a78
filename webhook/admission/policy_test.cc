// Policies on networks: what is refused at the door, and what is only told.
#include <gmock/gmock.h>

#include "lib/api/names.h"
#include "lib/api/test_objects.h"
#include "webhook/admission/fake_view.h"
#include "webhook/admission/validate.h"

namespace multinet::webhook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

class PolicyReview : public ::testing::Test {
 protected:
  PolicyReview() { view_.catalog = api::testing::goodCatalog(); }

  static Json good() {
    return k8s::KindTraits<api::PodNetworkPolicy>::encode(api::testing::goodPolicy("db", "blue"));
  }
  static Json goodOfTheCluster() {
    return k8s::KindTraits<api::ClusterPodNetworkPolicy>::encode(
        api::testing::goodClusterPolicy("guard", "blue"));
  }
  Verdict ask(const Json& object, const std::string& operation = "CREATE",
              const std::string& resource = "podnetworkpolicies") const {
    const bool isOfTheCluster = resource == "clusterpodnetworkpolicies";
    const Json review{{"apiVersion", "admission.k8s.io/v1"},
                      {"kind", "AdmissionReview"},
                      {"request",
                       {{"uid", "u"},
                        {"operation", operation},
                        {"namespace", isOfTheCluster ? "" : "default"},
                        {"resource", {{"group", api::kGroup}, {"resource", resource}}},
                        {"object", object},
                        {"oldObject", operation == "UPDATE" ? good() : Json()}}}};
    const auto root = parseStrictly(review.dump());
    const auto decoded = decodeReview(*root);
    EXPECT_TRUE(decoded) << decoded.error().message;
    return validate(*decoded, view_);
  }

  FakeView view_;
};

TEST_F(PolicyReview, AGoodOnePassesWithoutAWord) {
  for (const char* operation : {"CREATE", "UPDATE"}) {
    const auto verdict = ask(good(), operation);
    EXPECT_TRUE(verdict.allowed) << verdict.message;
    EXPECT_THAT(verdict.warnings, IsEmpty());
  }
}

TEST_F(PolicyReview, AllThatIsWrongIsToldAtOnce) {
  auto bad = good();
  bad["spec"]["podNetworkNames"] = Json::array({"blue", "eth0"});
  bad["spec"]["ingress"][0]["from"][1]["ipBlock"]["cidr"] = "10.20.0.5/16";
  for (const char* operation : {"CREATE", "UPDATE"}) {
    const auto verdict = ask(bad, operation);
    EXPECT_FALSE(verdict.allowed);
    EXPECT_EQ(verdict.code, 422);
    EXPECT_THAT(verdict.message, HasSubstr("admit podnetworkpolicy default/db: "));
    EXPECT_THAT(verdict.message, HasSubstr("spec.podNetworkNames[1]: \"eth0\""));
    EXPECT_THAT(verdict.message, HasSubstr("has host bits set; write 10.20.0.0/16"));
  }
  bad = good();
  bad["spec"]["ingress"][0]["ports"][0]["protocol"] = "ICMP";
  EXPECT_THAT(ask(bad).message, HasSubstr("must be one of TCP, UDP, SCTP"));
}

TEST_F(PolicyReview, ANetworkThatIsClosedIsntTheirsToKnow) {
  view_.catalog.networks.at("red").spec.access.namespaces.from = api::AccessFrom::None;
  view_.catalog.networks.at("red").spec.portSecurity = api::PortSecurity::Disabled;
  auto object = good();
  object["spec"]["podNetworkNames"] = Json::array({"blue", "red"});
  const auto closed = ask(object);
  EXPECT_TRUE(closed.allowed);
  ASSERT_THAT(closed.warnings, ElementsAre(HasSubstr("\"red\" names no PodNetwork")));
  view_.catalog.networks.erase("red");
  EXPECT_EQ(ask(object).warnings, closed.warnings);
}

TEST_F(PolicyReview, WhatWeakensItIsTold) {
  view_.catalog.networks.at("blue").spec.portSecurity = api::PortSecurity::Disabled;
  EXPECT_THAT(ask(good()).warnings, ElementsAre(HasSubstr("has portSecurity Disabled")));
  view_.catalog.networks.at("blue").spec.portSecurity = api::PortSecurity::Enforced;
  view_.catalog.networks.at("blue").spec.type = api::NetworkType::IPVlan;
  view_.catalog.networks.at("blue").spec.ipvlan = api::IpvlanSpec{"eth1", api::IpvlanMode::L3S};
  EXPECT_THAT(ask(good()).warnings, ElementsAre(HasSubstr("\"blue\" is of type IPVlan")));
}

TEST_F(PolicyReview, ARuleForEverybodyIsTold) {
  auto object = good();
  object["spec"]["ingress"][0].erase("from");
  EXPECT_THAT(ask(object).warnings,
              ElementsAre(HasSubstr("spec.ingress[0].from: is left out or empty, which means "
                                    "everybody on the network")));
}

TEST_F(PolicyReview, OneOfTheClusterIsHeldToItsRules) {
  constexpr auto kResource = "clusterpodnetworkpolicies";
  auto object = goodOfTheCluster();
  for (const char* operation : {"CREATE", "UPDATE"}) {
    const auto verdict = ask(object, operation, kResource);
    EXPECT_TRUE(verdict.allowed) << verdict.message;
    EXPECT_THAT(verdict.warnings, IsEmpty());
  }
  object["spec"]["priority"] = 1001;
  object["spec"]["ingress"][0]["from"][0]["nodes"] = Json::object();
  const auto refused = ask(object, "UPDATE", kResource);
  EXPECT_EQ(refused.code, 422);
  EXPECT_THAT(refused.message, HasSubstr("admit clusterpodnetworkpolicy guard: "));
  EXPECT_THAT(refused.message,
              HasSubstr("spec.priority: \"1001\" is no priority; write 0 to 1000"));
  EXPECT_THAT(refused.message,
              HasSubstr("spec.ingress[0].from[0].nodes: isn't known on a network"));
  object = goodOfTheCluster();
  object["spec"]["tier"] = "Middle";
  EXPECT_THAT(ask(object, "CREATE", kResource).message,
              HasSubstr("must be one of Admin, Baseline"));
}

TEST_F(PolicyReview, OfOneOfTheClusterItIsToldWhatWeakensIt) {
  auto object = goodOfTheCluster();
  object["spec"]["podNetworkNames"] = Json::array({"blue", "red", "bleu"});
  view_.catalog.networks.at("red").spec.access.namespaces.from = api::AccessFrom::None;
  view_.catalog.networks.at("red").spec.portSecurity = api::PortSecurity::Disabled;
  EXPECT_THAT(ask(object, "CREATE", "clusterpodnetworkpolicies").warnings,
              ElementsAre(HasSubstr("has portSecurity Disabled"),
                          HasSubstr("\"bleu\" names no PodNetwork")));
}

}  // namespace
}  // namespace multinet::webhook
