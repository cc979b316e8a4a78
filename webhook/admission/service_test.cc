// Services on networks: what is refused at the door, and what is only told.
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

class ServiceReview : public ::testing::Test {
 protected:
  ServiceReview() { view_.catalog = api::testing::goodCatalog(); }

  static Json good() {
    return k8s::KindTraits<api::PodNetworkService>::encode(
        api::testing::goodService("web", "blue"));
  }
  Verdict ask(const Json& object, const Json& before = nullptr,
              const std::string& nameSpace = "default") const {
    const Json review{{"apiVersion", "admission.k8s.io/v1"},
                      {"kind", "AdmissionReview"},
                      {"request",
                       {{"uid", "u"},
                        {"operation", before.is_null() ? "CREATE" : "UPDATE"},
                        {"namespace", nameSpace},
                        {"resource", {{"group", api::kGroup}, {"resource", "podnetworkservices"}}},
                        {"object", object},
                        {"oldObject", before}}}};
    const auto root = parseStrictly(review.dump());
    const auto decoded = decodeReview(*root);
    EXPECT_TRUE(decoded) << decoded.error().message;
    return validate(*decoded, view_);
  }

  FakeView view_;
};

TEST_F(ServiceReview, AGoodOnePassesWithoutAWord) {
  const auto verdict = ask(good());
  EXPECT_TRUE(verdict.allowed) << verdict.message;
  EXPECT_THAT(verdict.warnings, IsEmpty());
}

TEST_F(ServiceReview, AllThatIsWrongIsToldAtOnce) {
  auto bad = good();
  bad["spec"]["selector"] = Json::object();
  bad["spec"]["ports"][0]["port"] = 0;
  const auto verdict = ask(bad);
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.code, 422);
  EXPECT_THAT(verdict.message, HasSubstr("admit podnetworkservice default/web: spec.selector"));
  EXPECT_THAT(verdict.message, HasSubstr("spec.ports[0].port: \"0\" is no port"));
}

TEST_F(ServiceReview, TypesAreTakenWithWhatBelongsToThem) {
  for (const char* type : {"NodePort", "LoadBalancer"}) {
    auto object = good();
    object["spec"]["type"] = type;
    EXPECT_THAT(ask(object).message,
                HasSubstr("spec.clusterIP: \"None\" is for type ClusterIP alone"));
    object["spec"].erase("clusterIP");
    object["spec"]["externalTrafficPolicy"] = "Local";
    object["spec"]["ports"][0]["nodePort"] = 30080;
    const auto verdict = ask(object);
    EXPECT_TRUE(verdict.allowed) << verdict.message;
    EXPECT_THAT(verdict.warnings, ElementsAre(HasSubstr("spec.externalTrafficPolicy: \"Local\"")));
    object["spec"]["type"] = "ClusterIP";
    const auto refused = ask(object);
    EXPECT_FALSE(refused.allowed);
    EXPECT_THAT(refused.message, HasSubstr("spec.externalTrafficPolicy"));
    EXPECT_THAT(refused.message, HasSubstr("spec.ports[0].nodePort: \"30080\" is for types"));
  }
  auto object = good();
  object["spec"]["type"] = "Nodeport";
  EXPECT_THAT(ask(object).message,
              HasSubstr("spec.type: is \"Nodeport\", must be one of ClusterIP, NodePort"));
}

TEST_F(ServiceReview, AHealthCheckIsOneThatANodeCanMake) {
  auto object = good();
  object["spec"]["healthCheck"] = {{"httpGet", {{"port", "web"}, {"path", "/healthz"}}}};
  EXPECT_TRUE(ask(object).allowed) << ask(object).message;
  object["spec"]["healthCheck"]["timeoutSeconds"] = 6;
  EXPECT_THAT(ask(object).message, HasSubstr("spec.healthCheck.timeoutSeconds: \"6\" is over"));
  object["spec"]["healthCheck"] = {{"tcpSocket", Json::object()}};
  EXPECT_THAT(ask(object).message, HasSubstr("spec.healthCheck.tcpSocket.port"));
}

TEST_F(ServiceReview, AClusterIPIsTaken) {
  auto object = good();
  object["spec"].erase("clusterIP");
  const auto verdict = ask(object);
  EXPECT_TRUE(verdict.allowed) << verdict.message;
  EXPECT_THAT(verdict.warnings, IsEmpty());
  object["spec"]["internalTrafficPolicy"] = "Local";
  EXPECT_TRUE(ask(object).allowed);
  object["spec"]["internalTrafficPolicy"] = "Nearby";
  EXPECT_THAT(ask(object).message, HasSubstr("must be one of Cluster, Local"));
}

TEST_F(ServiceReview, AnAddressOfAnotherRangeIsRefusedWhenItIsChosen) {
  view_.ranges = {{*IpPrefix::parse("10.96.0.0/16"), api::RangeUse::Services, "kubernetes"}};
  auto object = good();
  object["spec"]["clusterIP"] = "10.1.2.3";
  EXPECT_THAT(ask(object).message,
              HasSubstr("spec.clusterIP: \"10.1.2.3\" is no address of this cluster's Services; "
                        "write one of 10.96.0.0/16"));
  EXPECT_TRUE(ask(object, object).allowed) << "ranges change; what stands stays repairable";
  object["spec"]["clusterIP"] = "10.96.2.3";
  EXPECT_TRUE(ask(object).allowed);
  view_.ranges = std::nullopt;
  object["spec"]["clusterIP"] = "10.1.2.3";
  EXPECT_TRUE(ask(object).allowed) << "the API server will tell";
  EXPECT_TRUE(ask(object).unknown);
}

TEST_F(ServiceReview, ANetworkWithoutRoomForGatewaysIsTold) {
  view_.ranges = std::vector<api::ClusterRange>();
  for (const char* node : {"n1", "n2", "n3"}) {
    for (const char* address : {"192.0.2.1/32", "fd00::1/128"}) {  // of two families each
      view_.ranges->push_back({*IpPrefix::parse(address), api::RangeUse::Node, node});
    }
  }
  view_.catalog.networks["blue"].spec.ipam.subnets = {{"10.20.0.0/29", "10.20.0.1", {}, {}}};
  auto object = good();
  object["spec"].erase("clusterIP");
  object["spec"]["type"] = "NodePort";
  EXPECT_THAT(ask(object).warnings, IsEmpty()) << "five addresses";
  view_.catalog.networks["blue"].spec.ipam.subnets = {{"10.20.0.0/30", "", {}, {}}};
  const auto verdict = ask(object);
  EXPECT_TRUE(verdict.allowed);
  EXPECT_THAT(verdict.warnings,
              ElementsAre(HasSubstr("spec.podNetworkName: \"blue\" has room for 2 addresses of "
                                    "IPv4, and a gateway on each of 3 nodes takes one")));
  EXPECT_THAT(ask(object, object).warnings, IsEmpty()) << "it was told when it began";
  auto closed = object;
  closed["spec"]["type"] = "ClusterIP";
  EXPECT_THAT(ask(closed).warnings, IsEmpty());
  EXPECT_EQ(ask(object, closed).warnings, verdict.warnings);
  view_.ranges = std::nullopt;
  EXPECT_TRUE(ask(object).unknown) << "the API server is to be asked for its nodes";
}

TEST_F(ServiceReview, ANetworkIsNamedTheSameWhetherItIsClosedOrAbsent) {
  auto& closed = view_.catalog.networks["red"];
  closed.spec.access.namespaces.from = api::AccessFrom::None;
  auto object = good();
  object["spec"]["podNetworkName"] = "red";
  const auto verdict = ask(object);
  EXPECT_TRUE(verdict.allowed);
  view_.catalog.networks.erase("red");
  EXPECT_EQ(ask(object).warnings, verdict.warnings) << "nobody learns whether there is such a one";
  EXPECT_THAT(verdict.warnings, ElementsAre(HasSubstr("\"red\" names no PodNetwork")));
}

TEST_F(ServiceReview, WhatNeverChangesIsKept) {
  auto after = good();
  after["spec"]["podNetworkName"] = "red";
  const auto verdict = ask(after, good());
  EXPECT_FALSE(verdict.allowed);
  EXPECT_THAT(verdict.message, HasSubstr("spec.podNetworkName: \"red\" can't change"));
}

}  // namespace
}  // namespace multinet::webhook
