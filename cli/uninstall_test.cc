#include "cli/program_fixture.h"

namespace multinet::cli {
namespace {

const std::string kNetworks = "/apis/multinet.dev/v1alpha1/podnetworks";
const std::string kDefinitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const std::string kRoles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const std::string kPods = "/api/v1/namespaces/shop/pods";
const json kOurs = {{"labels", {{"app.kubernetes.io/part-of", "multinet"}}}};

class UninstallTest : public ProgramTest {
 protected:
  UninstallTest() {
    put(kNetworks, "blue", {{"metadata", {{"finalizers", {"multinet.dev/in-use"}}}}});
    put(kDefinitions, "podnetworks.multinet.dev", {{"metadata", json::object()}});
    put(kDefinitions, "others.example.com", {{"metadata", json::object()}});
    put(kRoles, "multinet-controller", {{"metadata", kOurs}});
    put(kRoles, "admin", {{"metadata", json::object()}});
    put("/api/v1/namespaces", "multinet-system", {{"metadata", kOurs}});
    put("/api/v1/namespaces", "shop", {{"metadata", json::object()}});
  }
  void addPod(const std::string& name, const json& status = json::object()) {
    put(kPods, name,
        {{"metadata",
          {{"namespace", "shop"},
           {"annotations", {{"multinet.dev/networks", "blue"}}},
           {"ownerReferences", {{{"kind", "ReplicaSet"}, {"name", "web"}, {"controller", true}}}}}},
         {"spec", {{"nodeName", "node-a"}}},
         {"status", status}});
  }
  void expectNothingLeft() {
    for (const auto& path :
         {kNetworks + "/blue", kDefinitions + "/podnetworks.multinet.dev",
          kRoles + "/multinet-controller", std::string("/api/v1/namespaces/multinet-system")}) {
      EXPECT_TRUE(look(path).is_null()) << path;
    }
    for (const auto& path : {kDefinitions + "/others.example.com", kRoles + "/admin",
                             std::string("/api/v1/namespaces/shop")}) {
      EXPECT_FALSE(look(path).is_null()) << path << " is somebody else's";
    }
  }
};

TEST_F(UninstallTest, NamesWhoHoldsWhatAndChangesNothing) {
  addPod("web-0");
  addPod("over", {{"phase", "Succeeded"}});
  EXPECT_EQ(run({"uninstall"}), 1);
  EXPECT_EQ(out(),
            "1 pod has networks, or asks for them:\n"
            "  pod shop/web-0 (blue), made by ReplicaSet web on node-a\n"
            "end them first, with what makes them again, or give --wait; nothing was changed\n");
  EXPECT_FALSE(look(kNetworks + "/blue")["metadata"].contains("deletionTimestamp"));
}

TEST_F(UninstallTest, WhoeverLacksARightIsToldAllOfThemAndChangesNothing) {
  server_.deny("delete", "clusterroles");
  server_.deny("list", "validatingwebhookconfigurations");
  EXPECT_EQ(run({"uninstall"}), 2);
  EXPECT_NE(err().find("uninstall: you may not list "
                       "validatingwebhookconfigurations.admissionregistration.k8s.io, delete "
                       "clusterroles.rbac.authorization.k8s.io; nothing was changed"),
            std::string::npos)
      << err();
  EXPECT_FALSE(look(kNetworks + "/blue")["metadata"].contains("deletionTimestamp"));
  EXPECT_EQ(run({"uninstall", "--networks-only"}), 0) << "needs neither: " << err();
}

TEST_F(UninstallTest, WithoutAControllerItReleasesWhatNobodyHolds) {
  EXPECT_EQ(run({"uninstall"}), 0) << err();
  EXPECT_NE(out().find("released, since no pod holds it"), std::string::npos) << out();
  expectNothingLeft();
  EXPECT_EQ(run({"uninstall"}), 0) << "again: " << err();
}

TEST_F(UninstallTest, AControllerIsGivenItsTurn) {
  meanwhile = [this](int rests) {
    if (rests != 3) return;
    server_.store().patch(testing::ResourcePath::parse(kNetworks + "/blue"),
                          {{"metadata", {{"finalizers", json::array()}}}},
                          testing::ObjectStore::IfAbsent::Fail);
  };
  EXPECT_EQ(run({"uninstall"}), 0) << err();
  EXPECT_EQ(out().find("released"), std::string::npos) << out();
  expectNothingLeft();
}

TEST_F(UninstallTest, WaitsForPodsWhereItIsTold) {
  addPod("web-0");
  meanwhile = [this](int rests) {
    if (rests == 2) take(kPods + "/web-0");
  };
  EXPECT_EQ(run({"uninstall", "--wait"}), 0) << err();
  EXPECT_EQ(out().find("waiting for 1 pod with networks:"), 0U) << out();
  expectNothingLeft();
}

TEST_F(UninstallTest, APodThatCameInBetweenKeepsItsNetwork) {
  meanwhile = [this](int rests) {
    if (rests == 1) addPod("late");
  };
  EXPECT_EQ(run({"uninstall"}), 1);
  EXPECT_NE(out().find("pod shop/late"), std::string::npos) << out();
  EXPECT_EQ(look(kNetworks + "/blue")["metadata"]["finalizers"][0], "multinet.dev/in-use");
  EXPECT_FALSE(look(kDefinitions + "/podnetworks.multinet.dev").is_null());
  take(kPods + "/late");
  EXPECT_EQ(run({"uninstall"}), 0) << err();
  expectNothingLeft();
}

TEST_F(UninstallTest, GoesOnAfterAnEndAtAnyRequest) {
  for (int after = 0; after < 60; ++after) {
    testing::FaultRule broken{testing::Fault::Forbidden, "", "", 1, after};
    server_.inject(broken);
    run({"uninstall", "--timeout=1s"});
  }
  int code = 2;
  for (int again = 0; again < 60 && code != 0; ++again) code = run({"uninstall"});
  EXPECT_EQ(code, 0) << err();
  expectNothingLeft();
}

TEST_F(UninstallTest, SomebodyElsesFinalizerIsNamed) {
  server_.store().patch(
      testing::ResourcePath::parse(kNetworks + "/blue"),
      {{"metadata", {{"finalizers", {"multinet.dev/in-use", "example.com/mine"}}}}},
      testing::ObjectStore::IfAbsent::Fail);
  EXPECT_EQ(run({"uninstall", "--timeout=2s"}), 2);
  EXPECT_NE(err().find("example.com/mine"), std::string::npos) << err();
}

TEST_F(UninstallTest, ServicesThatWereMadeGoEvenWhereTheGarbageCollectorDoesNot) {
  const std::string services = "/apis/multinet.dev/v1alpha1/namespaces/shop/podnetworkservices";
  const std::string core = "/api/v1/namespaces/shop/services";
  const json label = {{"service.kubernetes.io/service-proxy-name", "multinet.dev"}};
  const json owner = {
      {"apiVersion", "multinet.dev/v1alpha1"}, {"kind", "PodNetworkService"}, {"name", "web"}};
  put(services, "web", {{"metadata", {{"namespace", "shop"}}}});
  put(core, "web",
      {{"metadata", {{"namespace", "shop"}, {"labels", label}, {"ownerReferences", {owner}}}}});
  put(core, "mine", {{"metadata", {{"namespace", "shop"}, {"labels", label}}}});
  put(core, "plain", {{"metadata", {{"namespace", "shop"}}}});
  EXPECT_EQ(run({"uninstall"}), 0) << err();
  EXPECT_NE(out().find("1 podnetworkservices removed"), std::string::npos) << out();
  EXPECT_NE(out().find("removing Service shop/web\n"), std::string::npos) << out();
  EXPECT_TRUE(look(services + "/web").is_null());
  EXPECT_TRUE(look(core + "/web").is_null());
  EXPECT_FALSE(look(core + "/mine").is_null()) << "somebody else's";
  EXPECT_FALSE(look(core + "/plain").is_null());
  expectNothingLeft();
}

TEST_F(UninstallTest, NetworksOnlyLeavesTheRest) {
  EXPECT_EQ(run({"uninstall", "--networks-only"}), 0) << err();
  EXPECT_TRUE(look(kNetworks + "/blue").is_null());
  EXPECT_FALSE(look(kRoles + "/multinet-controller").is_null());
}

}  // namespace
}  // namespace multinet::cli
