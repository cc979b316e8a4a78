// Each rule for requests, by the bad input that it refuses.
#include "lib/api/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "lib/api/test_objects.h"

namespace multinet::api {
namespace {

using ::testing::ElementsAre;
using testing::goodCatalog;
using ::testing::HasSubstr;

PodSubject asking(std::string request) {
  return {"default", false, std::move(request)};
}

std::string all(const Violations& violations) {
  std::string out;
  for (const auto& violation : violations) out += violation.str() + "\n";
  return out;
}

struct BadPod {
  const char* name;
  const char* request;
  std::function<void(FakeCatalog&)> spoil;
  const char* sentence;
  const char* reason;
  Code code;
};

void named(FakeCatalog& catalog, const char* attachment, const char* interface) {
  catalog.attachments.at({"default", attachment}).spec.interfaceName = interface;
}

PodNetworkAttachmentSpec& specOf(FakeCatalog& catalog, const char* attachment) {
  return catalog.attachments.at({"default", attachment}).spec;
}

const std::vector<BadPod> kBadPods{
    {"unknown network", "blue, pink", [](auto&) {},
     "metadata.annotations[multinet.dev/networks] item 2: \"pink\" names PodNetwork \"pink\", "
     "which "
     "doesn't exist; name one of kubectl get pnet",
     "NetworkNotFound", Code::NotFound},
    {"unknown attachment", "attachment/pink", [](auto&) {},
     "item 1: \"attachment/pink\" names no PodNetworkAttachment of namespace \"default\"",
     "AttachmentNotFound", Code::NotFound},
    {"attachment to an unknown network", "attachment/nas", [](auto& c) { c.networks.erase("red"); },
     "\"attachment/nas\" names PodNetwork \"red\", which doesn't exist", "NetworkNotFound",
     Code::NotFound},
    {"network not judged yet", "blue",
     [](auto& c) { c.networks.at("blue").status.conditions.items.clear(); },
     "uses a network that isn't Ready (the controller hasn't judged it yet); wait until kubectl "
     "get "
     "podnetwork blue says Ready",
     "NetworkNotReady", Code::FailedPrecondition},
    {"network not Ready", "blue",
     [](auto& c) {
       c.networks.at("blue").status.conditions.set(
           {"Ready", k8s::ConditionStatus::False, 1, std::nullopt, "Conflict", "red has its VNI"},
           WallTime{});
     },
     "isn't Ready (Conflict: red has its VNI)", "NetworkNotReady", Code::FailedPrecondition},
    {"network changed since", "blue",
     [](auto& c) { c.networks.at("blue").metadata.generation = 2; },
     "the controller hasn't judged its last change yet", "NetworkNotReady",
     Code::FailedPrecondition},
    {"network disabled", "blue", [](auto& c) { c.networks.at("blue").spec.enabled = false; },
     "uses a network that is disabled", "NetworkDisabled", Code::FailedPrecondition},
    {"network being deleted", "blue",
     [](auto& c) { c.networks.at("blue").metadata.deletionTimestamp = WallTime{}; },
     "uses a network that is being deleted", "NetworkDeleting", Code::FailedPrecondition},
    {"attachment being deleted", "attachment/nas",
     [](auto& c) { c.attachments.at({"default", "nas"}).metadata.deletionTimestamp = WallTime{}; },
     "is being deleted", "AttachmentDeleting", Code::FailedPrecondition},
    {"namespace not granted", "blue", [](auto& c) { c.networks.at("blue").spec.access = {}; },
     "\"blue\" is open to no namespace; have the admin grant namespace \"default\" in "
     "spec.access.namespaces of network \"blue\"",
     "NamespaceNotGranted", Code::PermissionDenied},
    {"same network twice", "red, attachment/nas", [](auto&) {},
     "item 2: \"attachment/nas\" joins network \"red\" again, after item 1 (red); ask for each "
     "network once",
     "NetworkTwice", Code::InvalidArgument},
    {"interface name duplicate", "attachment/nas, attachment/out",
     [](auto& c) {
       named(c, "nas", "san0");
       named(c, "out", "san0");
     },
     "gets interface name \"san0\", which item 1 (attachment/nas) has", "DuplicateInterfaceName",
     Code::InvalidArgument},
    {"interface name taken by place", "attachment/nas, blue",
     [](auto& c) { named(c, "nas", "net2"); }, "gets interface name \"net2\"",
     "DuplicateInterfaceName", Code::InvalidArgument},
    {"two default gateways", "attachment/nas, attachment/out",
     [](auto& c) {
       specOf(c, "nas").defaultGateway = DefaultGateway::Dual;
       specOf(c, "out").defaultGateway = DefaultGateway::IPv6;
     },
     "is a second default gateway for IPv6, beside item 1 (attachment/nas)", "TwoDefaultGateways",
     Code::InvalidArgument},
    {"one destination twice", "attachment/nas, attachment/out",
     [](auto& c) {
       specOf(c, "nas").routes = {{"172.16.0.0/12", "10.30.0.1"}};
       specOf(c, "out").routes = {{"172.16.0.0/12", "10.40.0.1"}};
     },
     "routes 172.16.0.0/12, which item 1 (attachment/nas) routes as well", "RouteConflict",
     Code::InvalidArgument},
    {"MTU above the network's", "attachment/nas", [](auto& c) { specOf(c, "nas").mtu = 9000; },
     "item 1: \"attachment/nas\" has spec.mtu \"9000\" is above what network \"red\" carries",
     "MTUTooLarge", Code::InvalidArgument},
    {"routes not allowed", "attachment/nas",
     [](auto& c) {
       specOf(c, "nas").routes = {{"172.16.0.0/12", "10.30.0.1"}};
       c.networks.at("red").spec.allow.routes = false;
     },
     "isn't allowed by network \"red\"", "NotAllowed", Code::PermissionDenied},
    {"network that breaks its rules", "blue",
     [](auto& c) {
       c.networks.at("blue").spec.ipam.subnets[0].gateway = "10.21.0.1";
       c.networks.at("blue").spec.routes.clear();
     },
     "PodNetwork \"blue\" is wrong: spec.ipam.subnets[0].gateway \"10.21.0.1\" lies outside",
     "GatewayOutsideSubnet", Code::InvalidArgument},
};

TEST(Resolve, RefusesEachBadInputByItself) {
  for (const auto& bad : kBadPods) {
    FakeCatalog catalog = goodCatalog();
    bad.spoil(catalog);
    const auto resolved = resolve(asking(bad.request), catalog);
    ASSERT_FALSE(resolved) << bad.name;
    ASSERT_EQ(resolved.error().size(), 1U) << bad.name << ":\n" << all(resolved.error());
    EXPECT_THAT(resolved.error()[0].str(), HasSubstr(bad.sentence)) << bad.name;
    EXPECT_EQ(resolved.error()[0].reason, bad.reason) << bad.name;
    EXPECT_EQ(resolved.error()[0].code, bad.code) << bad.name;
  }
}

TEST(Resolve, RefusesBadInterfaceNames) {
  for (const char* name :
       {"sixteen-letters-", "lo", "eth0", "all", "a/b", "a%b", "net*", "a\"b", "a b"}) {
    FakeCatalog catalog = goodCatalog();
    named(catalog, "nas", name);
    const auto resolved = resolve(asking("attachment/nas"), catalog);
    ASSERT_FALSE(resolved) << name;
    EXPECT_EQ(resolved.error()[0].reason, "InvalidInterfaceName") << name;
    EXPECT_THAT(resolved.error()[0].str(), HasSubstr(name));
  }
}

TEST(Resolve, RefusesHostNetworkAndWhatItCannotRead) {
  PodSubject pod = asking("blue");
  pod.hostNetwork = true;
  const auto host = resolve(pod, goodCatalog());
  ASSERT_FALSE(host);
  EXPECT_EQ(host.error().at(0).str(),
            "spec.hostNetwork: \"true\" goes with no request for networks; set it to false, or "
            "remove the annotation multinet.dev/networks");
  EXPECT_EQ(resolve(asking("blue,"), goodCatalog()).error().at(0).reason, "EmptyItem");
}

TEST(Resolve, TellsAllThatIsWrong) {
  FakeCatalog catalog = goodCatalog();
  catalog.networks.at("blue").spec.enabled = false;
  catalog.networks.at("red").spec.access = {};
  const auto resolved = resolve(asking("blue, pink, attachment/nas"), catalog);
  ASSERT_FALSE(resolved);
  std::vector<std::string> reasons;
  for (const auto& violation : resolved.error()) reasons.push_back(violation.reason);
  EXPECT_THAT(reasons, ElementsAre("NetworkDisabled", "NetworkNotFound", "NamespaceNotGranted"));
}

TEST(Resolve, GivesInterfacesInTheOrderOfTheRequest) {
  FakeCatalog catalog = goodCatalog();
  auto& nas = specOf(catalog, "nas");
  nas.interfaceName = "san0";
  nas.mtu = 1400;
  nas.routes = {{"172.16.0.0/12", "10.30.0.1"}, {"192.168.1.0/24", ""}};
  nas.defaultGateway = DefaultGateway::IPv6;
  catalog.networks.at("red").spec.routes = {{"172.16.0.0/12", "10.30.0.9"},
                                            {"172.30.0.0/16", "10.30.0.9"}};
  catalog.networks.at("blue").spec.mtu.reset();
  const auto resolved = resolve(asking("blue, attachment/nas, green"), catalog);
  ASSERT_TRUE(resolved) << all(resolved.error());
  ASSERT_EQ(resolved->size(), 3U);
  const auto& blue = resolved->at(0);
  EXPECT_EQ(blue.name.str(), "net1");
  EXPECT_EQ(blue.objectUid, "uid-blue");
  EXPECT_EQ(blue.networkUid, NetworkUid("uid-blue"));
  EXPECT_EQ(blue.mtu, std::nullopt);
  EXPECT_FALSE(blue.defaultGatewayV4);
  const auto& san = resolved->at(1);
  EXPECT_EQ(san.name.str(), "san0");
  EXPECT_EQ(san.objectUid, "uid-nas");
  EXPECT_EQ(san.network, NetworkName("red"));
  EXPECT_EQ(san.networkUid, NetworkUid("uid-red"));
  EXPECT_EQ(san.mtu, 1400);
  EXPECT_FALSE(san.defaultGatewayV4);
  EXPECT_TRUE(san.defaultGatewayV6);
  // The attachment's route takes the place of the network's; on link has no router.
  ASSERT_EQ(san.routes.size(), 3U);
  EXPECT_EQ(san.routes[0].to.str(), "172.16.0.0/12");
  EXPECT_EQ(san.routes[0].via->str(), "10.30.0.1");
  EXPECT_EQ(san.routes[1].to.str(), "172.30.0.0/16");
  EXPECT_FALSE(san.routes[2].via);
  EXPECT_EQ(resolved->at(2).name.str(), "net3");
  EXPECT_EQ(resolved->at(2).mtu, 1450);
}

/// Counts what is asked of it: a catalog hands out copies.
class CountedCatalog final : public Catalog {
 public:
  explicit CountedCatalog(const Catalog& all) : all_(all) {}
  [[nodiscard]] std::optional<PodNetwork> network(std::string_view name) const override {
    ++asked_;
    return all_.network(name);
  }
  [[nodiscard]] std::optional<PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override {
    return all_.attachment(namespaceName, name);
  }
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(
      std::string_view name) const override {
    return all_.namespaceLabels(name);
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  const Catalog& all_;
  mutable int asked_ = 0;
};

TEST(Resolve, LooksAtEachNetworkOnce) {
  FakeCatalog catalog = goodCatalog();
  std::string request;
  for (int i = 0; i < 16; ++i) {
    PodNetwork network = catalog.networks.at("blue");
    network.metadata.name = "many-" + std::to_string(i);
    network.metadata.uid = network.metadata.name;
    network.spec.routes.clear();
    catalog.networks[network.metadata.name] = network;
    request += (i == 0 ? "" : ", ") + network.metadata.name;
    if (i != 1 && i != 15) continue;
    const CountedCatalog counted(catalog);
    ASSERT_TRUE(resolve(asking(request), counted).has_value());
    EXPECT_EQ(counted.asked(), i + 1);
  }
}

TEST(Resolve, NothingAskedIsNothingGiven) {
  const auto resolved = resolve({"default", true, std::nullopt}, goodCatalog());
  ASSERT_TRUE(resolved);
  EXPECT_TRUE(resolved->empty());
}

TEST(Explain, WarnsOfWhatIsLegalButRisky) {
  FakeCatalog catalog = goodCatalog();
  catalog.networks.at("blue").status.nodes = NodeCounts{2, 0};
  catalog.networks.at("red").spec.ipam.subnets[0].cidr = "10.20.128.0/17";
  catalog.networks.at("red").spec.ipam.subnets[0].gateway = "10.20.128.1";
  specOf(catalog, "nas").defaultGateway = DefaultGateway::IPv4;
  const auto explanation = explain(asking("blue, attachment/nas"), catalog);
  EXPECT_TRUE(explanation.report.ok()) << all(explanation.report.violations);
  std::vector<std::string> reasons;
  for (const auto& warning : explanation.report.warnings) reasons.push_back(warning.reason);
  EXPECT_THAT(reasons, ElementsAre("NoNodeReady", "DefaultGatewayMoved", "OverlappingSubnets"));
}

// As long as no pod wants it, a network is on no node.
TEST(Explain, WarnsNobodyWhoIsTheFirst) {
  FakeCatalog catalog = goodCatalog();
  catalog.networks.at("blue").status.nodes = NodeCounts{0, 0};
  EXPECT_TRUE(explain(asking("blue"), catalog).report.warnings.empty());
}

TEST(Explain, SaysTheVerdictOfEveryRule) {
  FakeCatalog catalog = goodCatalog();
  catalog.networks.at("red").spec.enabled = false;
  const auto explanation = explain(asking("blue, attachment/nas"), catalog);
  ASSERT_EQ(explanation.items.size(), 2U);
  const auto verdicts = [](const ExplainedItem& item) {
    std::vector<std::string> out;
    for (const auto& rule : item.rules) {
      out.push_back(rule.rule + (rule.verdict == RuleOutcome::Verdict::Passed ? "+" : "-"));
      EXPECT_FALSE(rule.text.empty());
    }
    return out;
  };
  EXPECT_THAT(verdicts(explanation.items[0]),
              ElementsAre("NetworkExists+", "NetworkEnabled+", "NetworkValid+", "NetworkReady+",
                          "NamespaceGranted+", "InterfaceName+"));
  EXPECT_THAT(verdicts(explanation.items[1]),
              ElementsAre("AttachmentExists+", "NetworkExists+", "NetworkEnabled-", "NetworkValid+",
                          "NetworkReady+", "NamespaceGranted+", "AttachmentValid+"));
  EXPECT_TRUE(explanation.items[0].interface);
  EXPECT_FALSE(explanation.items[1].interface);
}

TEST(Resolved, IsReadAsItIsWritten) {
  FakeCatalog catalog = goodCatalog();
  named(catalog, "nas", "san0");
  const auto resolved = resolve(asking("blue, attachment/nas"), catalog);
  ASSERT_TRUE(resolved);
  const std::string text = formatResolved(*resolved);
  EXPECT_EQ(text, "net1=blue@uid-blue,san0=attachment/nas@uid-nas:red@uid-red");
  const auto read = parseResolved(text);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2U);
  for (std::size_t i = 0; i < read->size(); ++i) {
    EXPECT_EQ(read->at(i), (ResolvedReference{resolved->at(i).name, resolved->at(i).item,
                                              resolved->at(i).objectUid, resolved->at(i).network,
                                              resolved->at(i).networkUid}));
  }
  EXPECT_TRUE(parseResolved("")->empty());
}

TEST(Resolved, RefusesWhatIsNoResolution) {
  for (const char* text :
       {"net1", "=blue@u", "eth0=blue@u", "net1=blue", "net1=@u", "net1=blue@", "net1=Blue@u",
        "net1=blue@u,", "net1=blue@u:red@v", "net1=attachment/nas@u", "net1=attachment/nas@u:red",
        "net1=blue@u@v", "net1=blue@u=w", ","}) {
    EXPECT_FALSE(parseResolved(text)) << text;
  }
  std::string many;
  for (int i = 0; i < 17; ++i) many += (i == 0 ? "" : ",") + ("n" + std::to_string(i)) + "=b@u";
  EXPECT_FALSE(parseResolved(many));
}

}  // namespace
}  // namespace multinet::api
