#include "cli/policy.h"

#include <gmock/gmock.h>

#include "cli/policy_manifest.h"
#include "cli/program_fixture.h"

namespace multinet::cli {
namespace {

using ::testing::HasSubstr;

constexpr auto kDb = R"(
apiVersion: multinet.dev/v1alpha1
kind: PodNetworkPolicy
metadata: {name: db}
spec:
  podNetworkNames: [blue]
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: pg}]
)";

Result<PolicyManifest> read(const std::string& text) {
  MULTINET_TRY(const auto objects, readObjects(text, "p.yaml"));
  return policiesIn(objects, "shop");
}
std::string reading(const std::string& text) {
  const auto policies = read(text);
  return policies ? "" : policies.error().message;
}
/// kDb with one word replaced.
std::string with(const std::string& word, const std::string& other) {
  std::string text = kDb;
  text.replace(text.find(word), word.size(), other);
  return text;
}

TEST(PoliciesIn, FindsThemAmongDocumentsAndInLists) {
  const auto policies = read(std::string("kind: Pod\nmetadata: {name: p}\n---") + kDb +
                             "---\nkind: List\nitems:\n- {apiVersion: "
                             "multinet.dev/v1alpha1, kind: PodNetworkPolicy, metadata: "
                             "{name: a, namespace: other}, spec: {podNetworkNames: "
                             "[\"1\"], ingress: [{ports: [{port: 80}]}]}}\n");
  ASSERT_TRUE(policies.has_value()) << policies.error().message;
  ASSERT_EQ(policies->policies.size(), 2U);
  EXPECT_EQ(policies->policies.at(0).metadata.nameSpace, "shop");
  EXPECT_EQ(policies->policies.at(0).spec.ingress[0].ports[0].port->name, "pg");
  EXPECT_EQ(policies->policies.at(1).metadata.nameSpace, "other");
  EXPECT_EQ(policies->policies.at(1).spec.podNetworkNames[0], "1") << "quoted, it is a word";
  EXPECT_EQ(policies->policies.at(1).spec.ingress[0].ports[0].port->number, 80);
}

TEST(PoliciesIn, AMisspeltFieldIsntPassedOver) {
  EXPECT_THAT(reading(with("- from:", "- fom:")),
              HasSubstr("PodNetworkPolicy db: spec.ingress[0]: there is no field \"fom\"; did you "
                        "mean \"from\"?"));
  EXPECT_THAT(reading(with("ingress:", "ingres:")), HasSubstr("did you mean \"ingress\"?"));
  EXPECT_THAT(reading(with("spec:", "sepc:")), HasSubstr("there is no field \"sepc\""));
  EXPECT_THAT(reading(with("[{port: pg}]", "[{port: 80, endport: 90}]")),
              HasSubstr("spec.ingress[0].ports[0]: there is no field \"endport\"; did you mean "
                        "\"endPort\"?"));
  EXPECT_EQ(reading(with("{app: web}", "{spec: web}")), "") << "labels are free";
}

constexpr auto kGuard = R"(
apiVersion: multinet.dev/v1alpha1
kind: ClusterPodNetworkPolicy
metadata: {name: guard}
spec:
  podNetworkNames: [blue]
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {team: a}}}
  ingress:
  - name: no-80
    action: Deny
    from: [{namespaces: {}}]
    protocols: [{tcp: {destinationPort: {number: 80}}}]
)";

TEST(PoliciesIn, TakesThoseOfTheClusterToo) {
  const auto policies = read(std::string(kDb) + "---" + kGuard);
  ASSERT_TRUE(policies.has_value()) << policies.error().message;
  ASSERT_EQ(policies->policies.size(), 1U);
  ASSERT_EQ(policies->clusterPolicies.size(), 1U);
  EXPECT_EQ(policies->clusterPolicies.at(0).metadata.nameSpace, "");
  EXPECT_EQ(policies->clusterPolicies.at(0).spec.ingress.at(0).name, "no-80");
  std::string text = kGuard;
  EXPECT_THAT(reading(text + "---" + text),
              HasSubstr("ClusterPodNetworkPolicy guard: stands twice"));
  EXPECT_THAT(reading(std::string(text).replace(text.find("from:"), 4, "form")),
              HasSubstr("ClusterPodNetworkPolicy guard: spec.ingress[0]: there is no field "
                        "\"form\"; did you mean \"from\"?"));
  EXPECT_THAT(reading(std::string(text).replace(text.find("10"), 2, "1001")),
              HasSubstr("spec.priority: \"1001\" is no priority"));
}

TEST(PoliciesIn, SaysWhatItCantTake) {
  EXPECT_THAT(reading("a: ["), HasSubstr("read p.yaml: "));
  EXPECT_THAT(reading("kind: NetworkPolicy\n---\nkind: Pod"),
              HasSubstr("no PodNetworkPolicy and no ClusterPodNetworkPolicy is in it; what is: "
                        "NetworkPolicy, Pod. Those of Kubernetes are about eth0"));
  EXPECT_THAT(reading(""),
              HasSubstr("no PodNetworkPolicy and no ClusterPodNetworkPolicy is in it"));
  EXPECT_THAT(reading(with("v1alpha1", "v1")), HasSubstr("must be \"multinet.dev/v1alpha1\""));
  EXPECT_THAT(reading(with("apiVersion: multinet.dev/v1alpha1", "")),
              HasSubstr("p.yaml: PodNetworkPolicy db: apiVersion: is missing, must be"));
  EXPECT_THAT(reading(std::string(kDb) + "---" + kDb), HasSubstr("stands twice in namespace shop"));
  EXPECT_THAT(reading(with("port: pg", "port: \"80\"")), HasSubstr("\"80\" is no port"));
  EXPECT_THAT(reading(with("port: pg", "protocol: ICMP")), HasSubstr("must be one of TCP"));
  EXPECT_THAT(reading(with("{name: db}", "{}")), HasSubstr("metadata.name: is missing"));
  EXPECT_THAT(reading(with("[blue]", "blue")), HasSubstr("spec.podNetworkNames"));
  EXPECT_THAT(reading(with("{name: db}", "[{name: db}]")), HasSubstr("metadata"));
  EXPECT_THAT(reading(with("app: web", "app: \"\xe9\"")),
              HasSubstr("spec.ingress[0].from[0].podSelector"));
}

TEST(PoliciesIn, TakesWhatAClusterGaveOut) {
  EXPECT_EQ(reading(std::string(kDb) +
                    "status: {conditions: [{type: Enforced, status: \"True\"}], more: 1}\n"),
            "");
  EXPECT_EQ(reading(with("{name: db}",
                         "{name: db, uid: u, resourceVersion: \"1\", generation: 2, "
                         "annotations: {a: b}, managedFields: []}")),
            "");
}

TEST(PoliciesIn, AListIsMissedWhereItIs) {
  EXPECT_THAT(reading(with("- from: [{podSelector: {matchLabels: {app: web}}}]",
                           "  from: [{podSelector: {matchLabels: {app: web}}}]")),
              HasSubstr("spec.ingress: must be a list, is a map; begin each of its entries with "
                        "\"- \""));
  EXPECT_THAT(reading(with("[{podSelector: {matchLabels: {app: web}}}]",
                           "{podSelector: {matchLabels: {app: web}}}")),
              HasSubstr("spec.ingress[0].from: must be a list"));
}

TEST(PoliciesIn, NamesThatNoObjectHasAreRefused) {
  EXPECT_THAT(reading(with("{name: db}", "{name: db, namespce: shop}")),
              HasSubstr("metadata: there is no field \"namespce\"; did you mean \"namespace\"?"));
  EXPECT_THAT(reading(with("{name: db}", "{name: My_DB}")),
              HasSubstr("metadata.name: \"My_DB\" can be no object's"));
  EXPECT_THAT(reading(with("{name: db}", "{name: db, namespace: a.b}")),
              HasSubstr("metadata.namespace: \"a.b\" can be no namespace's"));
}

TEST(PoliciesIn, WhatWasMeantAsAPolicyIsntPassedOver) {
  const std::string more = std::string(kDb) + "---\n";
  EXPECT_THAT(reading(more + "- kind: PodNetworkPolicy\n"),
              HasSubstr("p.yaml, document 2: must be an object, a map of fields; is a list"));
  EXPECT_THAT(reading(more + "Kind: PodNetworkPolicy\n"),
              HasSubstr("p.yaml, document 2: kind: is missing"));
  EXPECT_THAT(reading(more + "apiVersion: multinet.dev/v1alpha1\nkind: PodNetworkpolicy\n"),
              HasSubstr("kind: multinet.dev has no \"PodNetworkpolicy\"; did you mean "
                        "\"PodNetworkPolicy\"?"));
  EXPECT_THAT(reading(more + "apiVersion: k8s.cni.cncf.io/v1beta1\nkind: MultiNetworkPolicy\n"),
              HasSubstr("PodNetworkPolicy npwg-NAME is made of it"));
  EXPECT_EQ(reading(more + "apiVersion: multinet.dev/v1alpha1\nkind: PodNetwork\n"), "");
  EXPECT_EQ(reading(more + "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"), "");
}

TEST(ServiceOf, IsAProtocolWithItsPort) {
  EXPECT_EQ(serviceOf("", "80")->str(), "TCP 80");
  EXPECT_EQ(serviceOf("SCTP", "65535")->str(), "SCTP 65535");
  EXPECT_EQ(serviceOf("ICMP", "")->str(), "ICMP");
  for (const char* port : {"", "0", "65536", "-1", "80a", "pg"}) {
    EXPECT_FALSE(serviceOf("UDP", port).has_value()) << port;
  }
  EXPECT_FALSE(serviceOf("ICMP", "80").has_value());
  EXPECT_FALSE(serviceOf("tcp", "80").has_value());
}

/// web, db and an old pod in shop, all on blue; web has both families.
class PolicyVerbTest : public ProgramTest {
 protected:
  PolicyVerbTest() : policies_(::testing::TempDir() + "/policies-" + std::to_string(::getpid())) {
    write(kDb);
    put("/apis/multinet.dev/v1alpha1/podnetworks", "blue",
        {{"spec",
          {{"type", "Bridge"},
           {"ipam", {{"subnets", {{{"cidr", "10.20.0.0/16"}}}}}},
           {"access", {{"namespaces", {{"from", "All"}}}}}}}});
    put("/api/v1/namespaces", "shop", {{"metadata", {{"labels", {{"team", "a"}}}}}});
    addPod("web", "web", {"10.20.0.1/16", "fd00::1/64"});
    addPod("db", "db", {"10.20.0.2/16"});
  }
  ~PolicyVerbTest() override { ::unlink(policies_.c_str()); }

  void write(const std::string& text) { std::ofstream(policies_) << text; }
  void addPod(const std::string& name, const std::string& app,
              const std::vector<std::string>& addresses) {
    put("/api/v1/namespaces/shop/pods", name,
        {{"metadata", {{"namespace", "shop"}, {"labels", {{"app", app}}}}},
         {"spec",
          {{"containers",
            {{{"name", "c"}, {"ports", {{{"name", "pg"}, {"containerPort", 5432}}}}}}}}},
         {"status", {{"phase", "Running"}}}});
    const json made = look("/api/v1/namespaces/shop/pods/" + name);
    json ips = json::array();
    for (const auto& address : addresses) {
      const bool isV4 = address.find(':') == std::string::npos;
      ips.push_back({{"address", address}, {"family", isV4 ? "IPv4" : "IPv6"}});
    }
    put("/apis/multinet.dev/v1alpha1/namespaces/shop/podinterfacesets", name + "-1",
        {{"metadata", {{"namespace", "shop"}}},
         {"pod", {{"name", name}, {"uid", made["metadata"]["uid"]}}},
         {"nodeName", "n"},
         {"interfaces",
          {{{"name", "net1"}, {"podNetworkName", "blue"}, {"type", "Bridge"}, {"ips", ips}}}}});
  }
  int explain(const std::string& from, const std::string& to, const std::string& port) {
    return run({"policy", "explain", "-f", policies_, "--network=blue", "--from=" + from,
                "--to=" + to, "--port=" + port});
  }
  const std::string& file() const { return policies_; }

 private:
  const std::string policies_;
};

TEST_F(PolicyVerbTest, ExplainNamesTheRuleThatDecides) {
  EXPECT_EQ(explain("shop/web", "db", "5432"), 0) << err();
  EXPECT_EQ(out(),
            "TCP 5432 from shop/web (10.20.0.1) to shop/db (10.20.0.2) on network blue: allowed\n"
            "  egress of shop/web: allowed, no policy selects it for egress, and the network's "
            "default is Allow\n"
            "  ingress of shop/db: allowed, by spec.ingress[0] of shop/db\n");
  EXPECT_EQ(err(), "");
  EXPECT_EQ(explain("web", "db", "80"), 1);
  EXPECT_THAT(out(), HasSubstr("ingress of shop/db: denied, isolated by shop/db, no rule of which "
                               "allows it"));
  EXPECT_EQ(explain("10.20.9.9", "db", "5432"), 1);
  EXPECT_THAT(out(), HasSubstr("egress of 10.20.9.9: allowed, is no pod of the network"));
  EXPECT_EQ(explain("db", "web", "1"), 0) << out();
  EXPECT_EQ(look("/apis/multinet.dev/v1alpha1/namespaces/shop/podnetworkpolicies/db"), json())
      << "nothing is created";
}

TEST_F(PolicyVerbTest, WhatPodsShowToBeAMistakeIsWarnedOf) {
  write(with("{port: pg}", "{port: postgres}"));
  EXPECT_EQ(explain("web", "db", "5432"), 1);
  EXPECT_THAT(err(), HasSubstr("warning: shop/db: spec.ingress[0].ports[0].port: \"postgres\" is "
                               "the name of no TCP port of a pod that it selects"));
  put("/api/v1/namespaces/shop/pods", "exporter",
      {{"metadata", {{"namespace", "shop"}, {"labels", {{"app", "exporter"}}}}},
       {"spec", {{"hostNetwork", true}, {"containers", json::array()}}},
       {"status", {{"phase", "Running"}}}});
  write(with("{app: web}", "{app: exporter}"));
  EXPECT_EQ(explain("web", "db", "5432"), 1);
  EXPECT_THAT(err(), HasSubstr("spec.ingress[0].from[0]: matches pods with hostNetwork alone"));
}

TEST_F(PolicyVerbTest, ExplainSaysWhatIsMissing) {
  EXPECT_EQ(explain("nobody-at-all", "db", "80"), 2);
  EXPECT_THAT(err(),
              HasSubstr("there is no pod shop/nobody-at-all; write NAMESPACE/POD, or an address"));
  EXPECT_EQ(explain("shop/wep", "db", "80"), 2);
  EXPECT_THAT(err(), HasSubstr("there is no pod shop/wep; did you mean \"shop/web\"?"));
  EXPECT_EQ(explain("pod/web", "pod/db", "5432"), 0) << "as `trace` has it" << err();
  addPod("new", "web", {});
  EXPECT_EQ(explain("new", "db", "80"), 2);
  EXPECT_THAT(err(), HasSubstr("pod shop/new has no address on network blue yet"));
  put("/api/v1/namespaces/shop/pods", "plain",
      {{"metadata", {{"namespace", "shop"}}}, {"status", {{"phase", "Running"}}}});
  EXPECT_EQ(explain("web", "plain", "80"), 2);
  EXPECT_THAT(err(), HasSubstr("pod shop/plain isn't on network blue, but on none"));
  EXPECT_EQ(explain("fd00::9", "db", "80"), 2);
  EXPECT_THAT(err(), HasSubstr("have no address of the same family on network blue"));
  EXPECT_EQ(explain("web", "db", "pg"), 2);
  EXPECT_THAT(err(), HasSubstr("flag --port \"pg\""));
  EXPECT_EQ(run({"policy", "explain", "-f", file(), "--port=80", "--network=bleu", "--from=web",
                 "--to=db"}),
            2);
  EXPECT_THAT(err(), HasSubstr("no PodNetwork \"bleu\"; did you mean \"blue\"?"));
  EXPECT_EQ(run({"policy", "explain", "--network=blue", "--from=web", "--to=db"}), 2);
  EXPECT_THAT(err(), HasSubstr("flag --port is missing"));
  EXPECT_EQ(run({"policy", "explain", "--network=blue", "--port=80"}), 2);
  EXPECT_THAT(err(), HasSubstr("policy explain needs --from"));
  EXPECT_EQ(run({"policy", "show"}), 2);
  EXPECT_THAT(err(), HasSubstr("\"show\" of policy: must be explain or table"));
  write(with("{app: web}", "{app: }"));
  EXPECT_EQ(explain("web", "db", "80"), 2) << "a label without a value isn't an empty one";
}

TEST_F(PolicyVerbTest, TableTellsWhoReachesWhom) {
  const std::vector<std::string> call = {"policy", "table",          "-f",
                                         file(),   "--network=blue", "--port=5432"};
  EXPECT_EQ(run(call), 0) << err();
  EXPECT_EQ(out(),
            "TCP 5432 on network blue\n"
            "FROM \\ TO   shop/db   shop/web\n"
            "shop/db     yes       yes\n"
            "shop/web    yes       yes\n");
  auto denied = call;
  denied.emplace_back("--default-policy=Deny");
  EXPECT_EQ(run(denied), 0) << err();
  EXPECT_THAT(out(), HasSubstr("shop/db     yes          no: both\n"
                               "shop/web    no: egress   yes"));
  denied.back() = "--default-policy=None";
  EXPECT_EQ(run(denied), 2);
  EXPECT_THAT(err(), HasSubstr("must be Allow, SameNamespace or Deny"));
}

TEST_F(PolicyVerbTest, EachFileCounts) {
  const std::string other = file() + "-other";
  std::ofstream(other) << kGuard;
  EXPECT_EQ(run({"policy", "explain", "-f", other, "-f", file(), "--network=blue", "--from=web",
                 "--to=db", "--port=80"}),
            1)
      << err();
  EXPECT_THAT(out(), HasSubstr("of ClusterPodNetworkPolicy guard"));
  ::unlink(other.c_str());
  EXPECT_EQ(run({"policy", "explain", "-f", other, "-f", file(), "--network=blue", "--from=web",
                 "--to=db", "--port=80"}),
            2);
  EXPECT_THAT(err(), HasSubstr("open file " + other));
  EXPECT_EQ(run({"policy", "table", "--network=blue", "--port=80", "--from=web"}), 2);
  EXPECT_THAT(err(), HasSubstr("--from and --to are for policy explain"));
}

TEST_F(PolicyVerbTest, ProgramsGetDocuments) {
  const std::vector<std::string> asked = {"policy",         "explain",    "-f",      file(),
                                          "--network=blue", "--from=web", "--to=db", "--port=80"};
  const auto as = [&](std::vector<std::string> call, const char* form) {
    call.emplace_back("-o");
    call.emplace_back(form);
    return run(call);
  };
  EXPECT_EQ(as(asked, "json"), 1) << err();
  const json said = json::parse(out());
  EXPECT_EQ(said["network"], "blue");
  EXPECT_EQ(said["protocol"], "TCP");
  EXPECT_EQ(said["port"], 80);
  EXPECT_EQ(said["allowed"], false);
  ASSERT_EQ(said["families"].size(), 1U);
  EXPECT_EQ(said["families"][0]["source"], "10.20.0.1");
  EXPECT_EQ(said["families"][0]["egress"]["ground"], "Default");
  EXPECT_EQ(said["families"][0]["ingress"]["ground"], "NoRule");
  EXPECT_EQ(said["families"][0]["ingress"]["isolatedBy"], json({"shop/db"}));
  EXPECT_FALSE(said["families"][0]["ingress"].contains("rule"));
  auto allowed = asked;
  allowed.back() = "--port=5432";
  EXPECT_EQ(as(allowed, "json"), 0) << err();
  const json rule = json::parse(out())["families"][0]["ingress"];
  EXPECT_EQ(rule["policy"], "shop/db");
  EXPECT_EQ(rule["rule"], 0);
  EXPECT_EQ(as(asked, "yaml"), 1) << err();
  EXPECT_THAT(out(), HasSubstr("network: blue\n"));
  EXPECT_EQ(as(asked, "wide"), 2);
  EXPECT_THAT(err(), HasSubstr("flag --output \"wide\": must be text, json or yaml"));
}

TEST_F(PolicyVerbTest, ATableForProgramsHasEachPair) {
  addPod("six", "web", {"fd00::6/64"});
  EXPECT_EQ(run({"policy", "table", "-f", file(), "--network=blue", "--port=80", "-o", "json"}), 0)
      << err();
  const json said = json::parse(out());
  EXPECT_EQ(said["defaultPolicy"], "Allow");
  ASSERT_EQ(said["connections"].size(), 9U);
  const auto between = [&](const char* from, const char* to) {
    for (const json& one : said["connections"]) {
      if (one["from"] == from && one["to"] == to) return one;
    }
    return json();
  };
  EXPECT_EQ(between("shop/web", "shop/db"), json::parse(R"({"from": "shop/web", "to": "shop/db",
      "commonFamily": true, "allowed": false, "egress": true, "ingress": false})"));
  EXPECT_EQ(between("shop/db", "shop/web")["allowed"], true);
  EXPECT_EQ(between("shop/six", "shop/db"), json::parse(R"({"from": "shop/six", "to": "shop/db",
      "commonFamily": false, "allowed": false})"));
}

TEST_F(PolicyVerbTest, PoliciesOfTheClusterCountAndTheManifestsBeforeThem) {
  const std::vector<std::string> call = {"policy",     "explain", "--network=blue",
                                         "--from=web", "--to=db", "--port=80"};
  EXPECT_EQ(run(call), 0) << err();
  EXPECT_THAT(out(), HasSubstr("no policy selects it for ingress"));
  json spec = {{"podNetworkNames", {"blue"}}, {"podSelector", json::object()}};
  put("/apis/multinet.dev/v1alpha1/namespaces/shop/podnetworkpolicies", "all",
      {{"metadata", {{"namespace", "shop"}}}, {"spec", spec}});
  EXPECT_EQ(run(call), 1) << err();
  EXPECT_THAT(out(), HasSubstr("isolated by shop/all, no rule of which allows it"));
  // What isn't applied adds to it, and replaces what has its name.
  EXPECT_EQ(explain("web", "db", "5432"), 0) << out();
  EXPECT_EQ(explain("web", "db", "80"), 1);
  EXPECT_THAT(out(), HasSubstr("isolated by shop/all, shop/db"));
  put("/apis/multinet.dev/v1alpha1/namespaces/shop/podnetworkpolicies", "db",
      {{"metadata", {{"namespace", "shop"}}}, {"spec", spec}});
  auto ours = call;
  ours.back() = "--port=5432";
  EXPECT_EQ(run(ours), 1);
  EXPECT_EQ(explain("web", "db", "5432"), 0) << out();
}

TEST_F(PolicyVerbTest, TheNetworksDefaultHoldsUnlessAnotherIsAssumed) {
  take("/apis/multinet.dev/v1alpha1/podnetworks/blue");
  put("/apis/multinet.dev/v1alpha1/podnetworks", "blue",
      {{"spec",
        {{"type", "Bridge"},
         {"defaultPolicy", "Deny"},
         {"ipam", {{"subnets", {{{"cidr", "10.20.0.0/16"}}, {{"cidr", "fd00::/64"}}}}}},
         {"access", {{"namespaces", {{"from", "All"}}}}}}}});
  const std::vector<std::string> call = {"policy", "table", "--network=blue", "--port=80"};
  EXPECT_EQ(run(call), 0) << err();
  EXPECT_THAT(out(), HasSubstr("no: both"));
  auto assumed = call;
  assumed.emplace_back("--default-policy=Allow");
  EXPECT_EQ(run(assumed), 0);
  EXPECT_THAT(out(), ::testing::Not(HasSubstr("no:")));
}

TEST_F(PolicyVerbTest, WarningsOfPoliciesAreTold) {
  write(with("[blue]", "[blue, red]"));
  EXPECT_EQ(explain("web", "db", "5432"), 0);
  EXPECT_THAT(err(), HasSubstr("warning: shop/db: spec.podNetworkNames[1]: \"red\" names no "
                               "PodNetwork that is open"));
}

TEST_F(PolicyVerbTest, PoliciesWithoutANamespaceAreAskedInTheirTier) {
  const std::vector<std::string> call = {"policy",     "explain", "--network=blue",
                                         "--from=web", "--to=db", "--port=80"};
  write(std::string(kDb) + "---" + kGuard);
  EXPECT_EQ(explain("web", "db", "80"), 1);
  EXPECT_THAT(out(), HasSubstr("ingress of shop/db: denied, denied by spec.ingress[0] (no-80) of "
                               "ClusterPodNetworkPolicy guard, tier Admin"));
  EXPECT_EQ(explain("web", "db", "5432"), 0) << out() << err();
  EXPECT_EQ(run(call), 0) << out() << err();
  const json peer = {{"namespaces", json::object()}};
  const json rule = {{"action", "Deny"}, {"from", json::array({peer})}};
  put("/apis/multinet.dev/v1alpha1/clusterpodnetworkpolicies", "walls",
      {{"spec",
        {{"podNetworkNames", {"blue"}},
         {"tier", "Baseline"},
         {"priority", 0},
         {"subject", {{"namespaces", json::object()}}},
         {"ingress", json::array({rule})}}}});
  EXPECT_EQ(run(call), 1) << err();
  EXPECT_THAT(out(), HasSubstr("of ClusterPodNetworkPolicy walls, tier Baseline"));
}

}  // namespace
}  // namespace multinet::cli
