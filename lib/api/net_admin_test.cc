#include "lib/api/net_admin.h"

#include <gmock/gmock.h>

#include "lib/api/test_objects.h"

namespace multinet::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

k8s::Container container(const std::string& name, std::vector<std::string> add,
                         bool privileged = false) {
  k8s::Container made;
  made.name = name;
  made.securityContext = k8s::SecurityContext{privileged, {std::move(add)}};
  return made;
}

class NetAdminTest : public ::testing::Test {
 protected:
  NetAdminTest() {
    for (const char* name : {"wire", "lan", "blue"}) {
      catalog_.networks[name] = testing::goodNetwork(name);
      auto& interface = interfaces_.emplace_back();
      interface.network = NetworkName(name);
    }
    catalog_.networks["wire"].spec.type = NetworkType::Macvlan;
    catalog_.networks["lan"].spec.type = NetworkType::IPVlan;
    catalog_.networks["lan"].spec.ipvlan = IpvlanSpec{"eth1", IpvlanMode::L2};
  }
  std::vector<std::string> warnings(NewContainers which = {}) const {
    std::vector<std::string> told;
    const auto report = checkNetAdmin(spec_, which, interfaces_, catalog_);
    EXPECT_TRUE(report.ok());
    for (const auto& one : report.warnings) told.push_back(one.str());
    return told;
  }

  FakeCatalog catalog_;
  std::vector<ResolvedInterface> interfaces_;
  k8s::PodSpec spec_;
};

TEST_F(NetAdminTest, EachContainerThatCanUndoRulesIsNamed) {
  spec_.initContainers = std::vector{container("setup", {}, true)};
  spec_.containers = {container("web", {"NET_RAW"}), container("vpn", {"SYS_TIME", "NET_ADMIN"})};
  spec_.ephemeralContainers = std::vector{container("debug", {"ALL"})};
  EXPECT_THAT(warnings(),
              ElementsAre(HasSubstr("spec.initContainers[0].securityContext.privileged: \"true\""),
                          "spec.containers[1].securityContext.capabilities.add: \"NET_ADMIN\" lets "
                          "container \"vpn\" undo what policies and port security hold this pod to "
                          "on \"wire\" (Macvlan), \"lan\" (IPVlan): there their rules stand inside "
                          "the pod; leave it out, or use a network of type VXLAN, Bridge or VLAN",
                          HasSubstr("spec.ephemeralContainers[0].securityContext.capabilities.add: "
                                    "\"ALL\" lets container \"debug\"")));
  EXPECT_THAT(warnings({.all = false}), ElementsAre(HasSubstr("spec.ephemeralContainers[0]")));
  EXPECT_THAT(warnings({.all = false, .ephemeralFrom = 1}), IsEmpty());
}

TEST_F(NetAdminTest, WhereTheNodeHoldsThemNobodyCan) {
  spec_.containers = {container("vpn", {"NET_ADMIN"}, true)};
  catalog_.networks["wire"].spec.type = NetworkType::Vxlan;
  // No policies there, but port security.
  catalog_.networks["lan"].spec.ipvlan->mode = IpvlanMode::L3S;
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("on \"lan\" (IPVlan)")));
  catalog_.networks["lan"].spec.type = NetworkType::Vlan;
  EXPECT_THAT(warnings(), IsEmpty());
  catalog_.networks.clear();
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(NetAdminTest, ANetworkMayRefuseThem) {
  catalog_.networks["lan"].spec.allow.netAdmin = false;
  catalog_.networks["blue"].spec.allow.netAdmin = false;
  EXPECT_TRUE(checkNetAdmin(spec_, {}, interfaces_, catalog_).ok());
  spec_.containers = {container("web", {}), container("vpn", {"NET_ADMIN"})};
  const auto report = checkNetAdmin(spec_, {}, interfaces_, catalog_);
  ASSERT_EQ(report.violations.size(), 1U);
  EXPECT_EQ(report.violations[0].reason, "PodMayChangeRules");
  EXPECT_EQ(report.violations[0].str(),
            "spec.containers[1].securityContext.capabilities.add: \"NET_ADMIN\" of container "
            "\"vpn\" isn't allowed on \"lan\" (IPVlan), by spec.allow.netAdmin: there it could "
            "undo what policies and port security hold this pod to; leave it out, or use a network "
            "of type VXLAN, Bridge or VLAN");
  ASSERT_EQ(report.warnings.size(), 1U) << "the other network warns";
  EXPECT_THAT(report.warnings[0].str(), HasSubstr("on \"wire\" (Macvlan):"));
  EXPECT_TRUE(checkNetAdmin(spec_, {.all = false}, interfaces_, catalog_).ok());
  spec_.ephemeralContainers = std::vector{container("debug", {}, true)};
  EXPECT_FALSE(checkNetAdmin(spec_, {.all = false}, interfaces_, catalog_).ok());
  catalog_.networks["lan"].spec.allow.netAdmin = true;
  EXPECT_TRUE(checkNetAdmin(spec_, {}, interfaces_, catalog_).ok());
}

TEST_F(NetAdminTest, WhoMayChangeAPodsNetworkIsFoundInAllOfItsLists) {
  EXPECT_EQ(whoMayChangeNetwork(spec_), std::nullopt);
  spec_.containers = {container("web", {"NET_RAW"})};
  EXPECT_EQ(whoMayChangeNetwork(spec_), std::nullopt);
  spec_.ephemeralContainers = std::vector{container("debug", {"ALL"})};
  EXPECT_EQ(whoMayChangeNetwork(spec_), "debug");
  spec_.containers.push_back(container("vpn", {"NET_ADMIN"}));
  EXPECT_EQ(whoMayChangeNetwork(spec_), "vpn");
  spec_.initContainers = std::vector{container("setup", {}, true)};
  EXPECT_EQ(whoMayChangeNetwork(spec_), "setup");
}

TEST_F(NetAdminTest, ItIsReadAsRuntimesDo) {
  for (const char* spelt : {"NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "all", "CAP_ALL"}) {
    EXPECT_TRUE(mayChangeNetwork(container("a", {spelt}))) << spelt;
  }
  for (const char* spelt : {"", "NET_RAW", "NET_ADMIN ", "SYS_ADMIN", "CAP_", "ALLOW"}) {
    EXPECT_FALSE(mayChangeNetwork(container("a", {spelt}))) << spelt;
  }
  EXPECT_FALSE(mayChangeNetwork({}));
}

}  // namespace
}  // namespace multinet::api
