// Pods that can undo what policies say of them: what their authors are told.
#include <gmock/gmock.h>

#include "lib/api/names.h"
#include "lib/api/test_objects.h"
#include "webhook/admission/fake_view.h"
#include "webhook/admission/pod.h"
#include "webhook/admission/validate.h"

namespace multinet::webhook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

Json container(const std::string& name, const Json& securityContext) {
  return {{"name", name}, {"securityContext", securityContext}};
}
const Json kNetAdmin{{"capabilities", {{"add", {"NET_ADMIN"}}}}};

class NetAdminReview : public ::testing::Test {
 protected:
  NetAdminReview() {
    view_.catalog = api::testing::goodCatalog();
    auto& blue = view_.catalog.networks.at("blue").spec;
    blue.type = api::NetworkType::Macvlan;
    blue.bridge.reset();
    blue.macvlan = api::MacvlanSpec{"eth1", api::MacvlanMode::Bridge};
    const auto interfaces = api::resolve({"default", false, "blue"}, view_.catalog);
    EXPECT_TRUE(interfaces);
    pod_ = {{"metadata",
             {{"name", "web"},
              {"annotations",
               {{api::kNetworksAnnotation, "blue"},
                {api::kResolvedAnnotation, api::formatResolved(*interfaces)}}}}},
            {"spec",
             {{"readinessGates", {{{"conditionType", api::kReadyGate}}}},
              {"containers", {{{"name", "web"}}}}}}};
  }
  Verdict ask(const Json& pod, const Json& before = {}) const {
    const bool isNew = before.is_null();
    const Json review{{"apiVersion", "admission.k8s.io/v1"},
                      {"kind", "AdmissionReview"},
                      {"request",
                       {{"uid", "u"},
                        {"operation", isNew ? "CREATE" : "UPDATE"},
                        {"namespace", "default"},
                        {"resource", {{"group", ""}, {"resource", "pods"}}},
                        {"subResource", isNew ? "" : "ephemeralcontainers"},
                        {"object", pod},
                        {"oldObject", before}}}};
    const auto root = parseStrictly(review.dump());
    const auto decoded = decodeReview(*root);
    EXPECT_TRUE(decoded) << decoded.error().message;
    return validate(*decoded, view_);
  }

  FakeView view_;
  Json pod_;
};

TEST_F(NetAdminReview, ANewPodIsWarnedAndAdmitted) {
  EXPECT_THAT(ask(pod_).warnings, IsEmpty());
  pod_["spec"]["containers"].push_back(container("vpn", kNetAdmin));
  const auto verdict = ask(pod_);
  EXPECT_TRUE(verdict.allowed) << verdict.message;
  EXPECT_THAT(verdict.warnings,
              ElementsAre(HasSubstr("spec.containers[1].securityContext.capabilities.add: "
                                    "\"NET_ADMIN\" lets container \"vpn\" undo")));
}

TEST_F(NetAdminReview, ContainersThatDebugArePartOfIt) {
  auto before = pod_;
  before["spec"]["ephemeralContainers"] = Json::array({container("first", {{"privileged", true}})});
  auto after = before;
  after["spec"]["ephemeralContainers"].push_back(container("second", kNetAdmin));
  const auto verdict = ask(after, before);
  EXPECT_TRUE(verdict.allowed) << verdict.message;
  EXPECT_THAT(verdict.warnings, ElementsAre(HasSubstr("lets container \"second\" undo")));
}

TEST_F(NetAdminReview, WhereANetworkDoesntAllowItBothAreRefused) {
  view_.catalog.networks.at("blue").spec.allow.netAdmin = false;
  EXPECT_TRUE(ask(pod_).allowed);
  auto debugged = pod_;
  debugged["spec"]["ephemeralContainers"] = Json::array({container("debug", kNetAdmin)});
  const auto debugging = ask(debugged, pod_);
  EXPECT_FALSE(debugging.allowed);
  EXPECT_THAT(debugging.message,
              HasSubstr("spec.ephemeralContainers[0].securityContext.capabilities.add: "
                        "\"NET_ADMIN\" of container \"debug\" isn't allowed on \"blue\""));
  EXPECT_TRUE(ask(debugged, debugged).allowed) << "it is there already";
  pod_["spec"]["containers"].push_back(container("vpn", kNetAdmin));
  const auto created = ask(pod_);
  EXPECT_FALSE(created.allowed);
  EXPECT_THAT(created.message, HasSubstr("spec.containers[1].securityContext.capabilities.add"));
  view_.catalog.networks.at("blue").spec.type = api::NetworkType::Vxlan;
  EXPECT_TRUE(ask(debugged, pod_).allowed) << "held on the node";
}

TEST_F(NetAdminReview, DebuggingIsRefusedForNothingElse) {
  auto after = pod_;
  after["spec"]["ephemeralContainers"] = Json::array({container("debug", kNetAdmin)});
  view_.catalog.networks.at("blue").spec.access.namespaces.from = api::AccessFrom::None;
  EXPECT_TRUE(ask(after, pod_).allowed);
  EXPECT_THAT(ask(after, pod_).warnings, IsEmpty()) << "it isn't theirs to know of any more";
  view_.catalog.networks.clear();
  EXPECT_TRUE(ask(after, pod_).allowed);
}

}  // namespace
}  // namespace multinet::webhook
