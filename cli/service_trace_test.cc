// What `trace service/NAME --from pod/NAME` says of each step that can refuse a connection.
#include "cli/service_trace.h"

#include <gmock/gmock.h>

#include "cli/program_fixture.h"
#include "lib/api/service.h"

namespace multinet::cli {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<k8s::EndpointSlice> slice(const std::string& name, const std::string& family,
                                          const std::string& manager = api::kServiceManager) {
  auto made = std::make_shared<k8s::EndpointSlice>();
  made->metadata.name = name;
  made->metadata.labels = {{api::kManagedByLabel, manager}};
  made->addressType = family;
  made->ports = {{"http", "TCP", 8080, ""}};
  return made;
}

k8s::Endpoint endpoint(const std::string& address, const std::string& pod, const std::string& node,
                       bool ready = true, bool serving = true, bool terminating = false) {
  k8s::Endpoint one;
  one.addresses = {address};
  one.conditions = {ready, serving, terminating};
  one.nodeName = node;
  one.targetRef = k8s::ObjectReference{"Pod", "shop", pod, "u-" + pod};
  return one;
}

/// A service with two endpoints, and a client on its network: it connects.
class WayTest : public ::testing::Test {
 protected:
  WayTest() {
    found_.service = json::parse(R"({"metadata": {"namespace": "shop", "name": "web", "uid": "pns",
      "generation": 2}, "spec": {"podNetworkName": "blue", "selector": {"app": "web"}},
      "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Accepted",
      "observedGeneration": 2}]}})");
    found_.core = json::parse(R"({"metadata": {"namespace": "shop", "name": "web",
      "labels": {"multinet.dev/network": "blue"}, "ownerReferences": [{"apiVersion": "multinet.dev/v1alpha1",
      "kind": "PodNetworkService", "name": "web", "uid": "pns"}]},
      "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"],
      "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}]}})");
    found_.network = json::parse(R"({"metadata": {"name": "blue", "uid": "net"}})");
    found_.pod = json::parse(R"({"metadata": {"namespace": "shop", "name": "client", "uid": "c"},
      "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}})");
    found_.set = json::parse(R"({"pod": {"name": "client", "uid": "c"}, "interfaces": [
      {"name": "net1", "podNetworkName": "blue", "podNetworkUID": "net",
       "ips": [{"address": "10.66.0.9/24", "family": "IPv4"}],
       "conditions": [{"type": "Ready", "status": "True"}]}]})");
    found_.nodeSet = json::parse(R"({"metadata": {"name": "n1"}, "status": {"conditions": [
      {"type": "ServicesTranslated", "status": "True", "reason": "Translated"}],
      "networks": [{"podNetworkName": "blue", "conditions": [{"type": "Ready", "status": "True"}]}]}})");
    slice_->endpoints = {endpoint("10.66.0.1", "web-1", "n1"),
                         endpoint("10.66.0.2", "web-2", "n2")};
    found_.slices = {slice_};
  }

  ServiceWay way() {
    auto followed = follow(found_);
    EXPECT_TRUE(followed) << followed.error().message;
    return followed ? *followed : ServiceWay();
  }

  /// That `step` is the first to refuse; what it says, what to do, and what the client sees.
  void expectRefusal(const std::string& step, const std::string& says, const std::string& remedy,
                     const std::string& client) {
    const auto followed = way();
    const auto* refusal = followed.refusal();
    ASSERT_NE(refusal, nullptr) << drawWay(followed, 9, Colour::Never);
    EXPECT_EQ(refusal->step, step);
    EXPECT_THAT(refusal->says, HasSubstr(says));
    EXPECT_THAT(refusal->remedy, HasSubstr(remedy));
    EXPECT_THAT(followed.client, HasSubstr(client));
    EXPECT_FALSE(toJson(followed).at("connects").get<bool>());
    EXPECT_EQ(toJson(followed).at("refusedBy"), step);
  }
  /// That none refuses, and one warns.
  void expectWarning(const std::string& step, const std::string& says) {
    const auto followed = way();
    EXPECT_EQ(followed.refusal(), nullptr) << drawWay(followed, 9, Colour::Never);
    const auto warns = std::ranges::find(followed.steps, Verdict::Warns, &WayStep::verdict);
    ASSERT_NE(warns, followed.steps.end()) << drawWay(followed, 9, Colour::Never);
    EXPECT_EQ(warns->step, step);
    EXPECT_THAT(warns->says, HasSubstr(says));
    EXPECT_FALSE(warns->remedy.empty());
  }
  json& ready() { return found_.service["status"]["conditions"][0]; }
  void makeHeadless() {
    found_.service["spec"]["clusterIP"] = "None";
    found_.core["spec"]["clusterIP"] = "None";
    found_.core["spec"]["clusterIPs"] = {"None"};
  }

  std::shared_ptr<k8s::EndpointSlice> slice_ = slice("web-pns-4-0", "IPv4");
  ServiceTrace found_;
};

TEST_F(WayTest, WhoIsNotOnTheNetworkIsTakenThereWhereTheServiceReachesTheCluster) {
  found_.service["spec"]["reach"] = "Cluster";
  found_.set["interfaces"] = json::array();
  found_.nodeSet["status"]["conditions"] = json::array();
  auto followed = way();
  EXPECT_EQ(followed.refusal(), nullptr) << drawWay(followed, 9, Colour::Never);
  EXPECT_THAT(followed.client, HasSubstr("over blue, by its node's gateway."));
  found_.pod["spec"]["hostNetwork"] = true;
  EXPECT_EQ(way().refusal(), nullptr);
  found_.nodeSet["status"]["conditions"].push_back({{"type", "Gateway"},
                                                    {"status", "False"},
                                                    {"reason", "NoAddress"},
                                                    {"message", "None left."}});
  expectWarning("node", "node n1 lacks gateways: NoAddress: None left.");
  makeHeadless();
  expectRefusal("pod", "hostNetwork", "a network of its own", "");
}

TEST_F(WayTest, AServiceThatIsRefusedGoesOnAsItWas) {
  ready() = {{"type", "Ready"},
             {"status", "False"},
             {"reason", "Refused"},
             {"message", "provided port is already allocated."},
             {"observedGeneration", 2}};
  expectWarning("service", "Refused: provided port is already allocated. The Service as it was");
  found_.core = nullptr;
  expectRefusal("service", "Refused", "kubectl describe pns", "isn't known");
}

TEST_F(WayTest, AConnectionThatPasses) {
  EXPECT_EQ(
      drawWay(way(), 20, Colour::Never),
      "STEP        VERDICT   WHY                                                    DO\n"
      "service     passes    PodNetworkService shop/web on network blue: Accepted   -\n"
      "name        passes    web.shop.svc leads to ClusterIP 10.96.0.7              -\n"
      "pod         passes    pod shop/client runs on node n1                        -\n"
      "interface   passes    pod shop/client is on blue as net1, 10.66.0.9/24       -\n"
      "node        passes    node n1 translates ClusterIPs for its pods             -\n"
      "endpoints   passes    http 80/TCP, IPv4: 2 of 2 can be used                  -\n"
      "\n"
      "PORT          ENDPOINT         POD     NODE   READY   SERVING   TERMINATING   USED   WHY\n"
      "http 80/TCP   10.66.0.1:8080   web-1   n1     true    true      false         yes    -\n"
      "http 80/TCP   10.66.0.2:8080   web-2   n2     true    true      false         yes    -\n"
      "\n"
      "From shop/client: It connects to one of 2, chosen at random, over blue.\n");
  const auto told = toJson(way());
  EXPECT_TRUE(told.at("connects").get<bool>());
  EXPECT_EQ(told.at("refusedBy"), "");
  EXPECT_EQ(told.at("steps").size(), 6U);
  EXPECT_EQ(told.at("endpoints")[1].at("endpoint"), "10.66.0.2:8080");
}

TEST_F(WayTest, AnAffinityChooses) {
  auto& spec = found_.core["spec"];
  spec["sessionAffinity"] = "ClientIP";
  EXPECT_EQ(
      way().client,
      "It connects to one of 2, the one that it had if its last connection to it isn't longer "
      "ago than 10800 s (sessionAffinity), else chosen at random, over blue.");
  spec["sessionAffinityConfig"] = {{"clientIP", {{"timeoutSeconds", 60}}}};
  EXPECT_THAT(way().client, HasSubstr("longer ago than 60 s"));
  slice_->endpoints.pop_back();
  EXPECT_EQ(way().client, "It connects to 10.66.0.1:8080, over blue.");
}

TEST_F(WayTest, AServiceThatIsRefused) {
  ready()["status"] = "False";
  ready()["reason"] = "Invalid";
  ready()["message"] = "spec.ports: no";
  expectRefusal("service", "Invalid: spec.ports: no", "kubectl describe pns web -n shop",
                "isn't known");
  found_.service["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  expectRefusal("service", "is being deleted", "create it again", "No name");
}

TEST_F(WayTest, AServiceWhoseNetworkIsJudgedBadlyGoesOn) {
  ready()["status"] = "False";
  ready()["reason"] = "NetworkNotReady";
  expectWarning("service", "Pods that run go on");
  ready()["status"] = "True";
  ready()["observedGeneration"] = 1;
  expectWarning("service", "its last change hasn't been judged yet");
  found_.service["status"].clear();
  expectWarning("service", "nobody has judged it yet");
}

TEST_F(WayTest, ANameThatIsNobodysOrSomebodyElses) {
  found_.core["metadata"]["ownerReferences"][0]["uid"] = "other";
  expectRefusal("name", "was made by somebody else", "another name", "leads to that Service");
  found_.core = nullptr;
  expectRefusal("name", "there is no Service shop/web", "kubectl describe pns web",
                "web.shop.svc isn't known");
  EXPECT_TRUE(way().endpoints.empty());
}

TEST_F(WayTest, AServiceThatNodesDontFollow) {
  found_.core["metadata"]["labels"]["multinet.dev/network"] = "red";
  expectWarning("name", "label multinet.dev/network is \"red\", not \"blue\"");
}

TEST_F(WayTest, APodThatDoesntRunOrHasNoNetworkOfItsOwn) {
  found_.pod["status"]["phase"] = "Pending";
  expectRefusal("pod", "phase Pending", "kubectl multinet trace client -n shop", "Nothing runs");
  found_.pod["spec"]["hostNetwork"] = true;
  expectRefusal("pod", "hostNetwork", "a network of its own", "time-out");
}

TEST_F(WayTest, APodThatIsOnOtherNetworksOrNone) {
  found_.set["interfaces"][0]["podNetworkName"] = "red";
  expectRefusal("interface", "isn't on network blue: it is on red",
                "name blue in its annotation multinet.dev/networks", "ENETUNREACH");
  makeHeadless();
  expectRefusal("interface", "isn't on network blue", "create it again", "no way");
  found_.set = nullptr;
  expectRefusal("interface", "it asks for no networks", "create it again", "no way");
  found_.pod["metadata"]["annotations"]["multinet.dev/networks"] = "blue";
  expectRefusal("interface", "it asks for \"blue\" and has no interface so far",
                "kubectl multinet trace client", "no way");
}

TEST_F(WayTest, AnInterfaceOfAnEarlierPodOrNetwork) {
  found_.network["metadata"]["uid"] = "net-2";
  expectRefusal("interface", "made again since", "create the pod again", "time-out");
  found_.set["pod"]["uid"] = "c-before";
  expectRefusal("interface", "it asks for no networks", "create it again", "time-out");
}

TEST_F(WayTest, AnInterfaceThatIsntReadyIsAWarning) {
  found_.set["interfaces"][0]["conditions"][0] = {
      {"type", "Ready"}, {"status", "False"}, {"reason", "LinkDown"}};
  expectWarning("interface", "Ready=False LinkDown");
}

TEST_F(WayTest, ANodeThatDoesntTranslate) {
  auto& condition = found_.nodeSet["status"]["conditions"][0];
  condition["status"] = "False";
  condition["reason"] = "NoCgroup2";
  condition["message"] = "mount them";
  expectRefusal("node", "node n1 doesn't translate ClusterIPs: NoCgroup2: mount them",
                "clusterIP: None", "time-out");
  found_.nodeSet = nullptr;
  expectRefusal("node", "no agent has reported", "install the agent", "time-out");
}

TEST_F(WayTest, AHeadlessServiceNeedsNoTranslation) {
  found_.nodeSet["status"]["conditions"] = json::array();
  expectWarning("node", "doesn't say whether it translates");
  makeHeadless();
  EXPECT_EQ(way().refusal(), nullptr);
  EXPECT_EQ(std::ranges::count(way().steps, std::string("node"), &WayStep::step), 0);
}

TEST_F(WayTest, ANodeOfWhichLessIsKnown) {
  found_.mayReadNodes = false;
  found_.nodeSet = nullptr;
  expectWarning("node", "you may not read NodeNetworkSet n1");
}

TEST_F(WayTest, ANetworkThatIsntReadyOnTheNode) {
  found_.nodeSet["status"]["networks"][0]["conditions"][0] = {
      {"type", "Ready"}, {"status", "False"}, {"reason", "PeerUnreachable"}};
  expectWarning("node", "Ready=False PeerUnreachable");
}

TEST_F(WayTest, NoEndpoints) {
  slice_->endpoints.clear();
  expectRefusal("endpoints", "0 of 0 can be used", "kubectl get pods -l app=web -n shop",
                "ECONNREFUSED");
  found_.slices.clear();
  expectRefusal("endpoints", "there is no EndpointSlice of shop/web", "controller runs",
                "ECONNREFUSED");
  makeHeadless();
  expectRefusal("endpoints", "there is no EndpointSlice of shop/web", "controller runs",
                "The name has no addresses");
}

TEST_F(WayTest, EndpointsThatArentReady) {
  slice_->endpoints = {endpoint("10.66.0.1", "web-1", "n1", false, false),
                       endpoint("10.66.0.2", "web-2", "n2", false, false, true)};
  expectRefusal("endpoints", "0 of 2 can be used", "kubectl multinet pods -l app=web",
                "ECONNREFUSED");
  EXPECT_EQ(way().endpoints[0].unused,
            "is not ready: the pod, its interface, or what spec.healthCheck found");
  EXPECT_EQ(way().endpoints[1].unused, "is terminating and not ready");
}

TEST_F(WayTest, EndpointsThatEndAreTheLastResortOfAClusterIpAlone) {
  slice_->endpoints[0] = endpoint("10.66.0.1", "web-1", "n1", false, true, true);
  EXPECT_EQ(way().endpoints[0].unused, "is terminating, others are ready");
  EXPECT_EQ(way().client, "It connects to 10.66.0.2:8080, over blue.");
  slice_->endpoints.pop_back();
  EXPECT_EQ(way().refusal(), nullptr);
  makeHeadless();
  expectRefusal("endpoints", "0 of 1 can be used", "kubectl get pods", "no addresses");
  EXPECT_THAT(way().endpoints[0].unused, HasSubstr("names lead to ready ones alone"));
}

TEST_F(WayTest, EndpointsOfOtherNodesAlone) {
  found_.core["spec"]["internalTrafficPolicy"] = "Local";
  EXPECT_EQ(way().client, "It connects to 10.66.0.1:8080, over blue.");
  EXPECT_THAT(way().endpoints[1].unused, HasSubstr("internalTrafficPolicy is Local"));
  slice_->endpoints.erase(slice_->endpoints.begin());
  expectRefusal("endpoints", "0 of 1 can be used", "run one on node n1", "ECONNREFUSED");
  makeHeadless();
  EXPECT_EQ(way().refusal(), nullptr) << "names know no node";
}

TEST_F(WayTest, EndpointsOfItsZoneFirst) {
  slice_->endpoints[0].hints = k8s::EndpointHints{{{"east"}}, {}};
  slice_->endpoints[1].hints = k8s::EndpointHints{{{"west"}}, {}};
  EXPECT_THAT(way().client, HasSubstr("one of 2")) << "its node's zone isn't known";
  found_.zone = "east";
  EXPECT_EQ(way().client, "It connects to 10.66.0.1:8080, over blue.");
  EXPECT_THAT(way().endpoints[1].unused, HasSubstr("trafficDistribution"));
  makeHeadless();
  EXPECT_EQ(way().endpoints[1].unused, "") << "names know no zone";
}

TEST_F(WayTest, EndpointsWithoutThePort) {
  slice_->ports.clear();
  expectRefusal("endpoints", "0 of 2 can be used", "name a container's port \"web\"",
                "ECONNREFUSED");
}

TEST_F(WayTest, AFamilyThatThePodOrTheServiceLacks) {
  found_.core["spec"]["clusterIPs"].push_back("fd00:96::7");
  EXPECT_EQ(way().steps.back().verdict, Verdict::Passes) << "the pod has IPv4 alone";
  found_.set["interfaces"][0]["ips"].push_back({{"address", "fd00:66::9/64"}, {"family", "IPv6"}});
  expectWarning("endpoints", "http 80/TCP, IPv6: 0 of 0 can be used");
  found_.core["spec"]["clusterIPs"] = {"fd00:96::7"};
  found_.set["interfaces"][0]["ips"].erase(1);
  expectRefusal("endpoints", "no address on blue of a family", "spec.ipFamilies", "network error");
}

TEST_F(WayTest, AForeignSliceIsToldOfAHeadlessService) {
  found_.slices.push_back(slice("mine", "IPv4", "me"));
  EXPECT_EQ(std::ranges::count(way().steps, Verdict::Warns, &WayStep::verdict), 0);
  makeHeadless();
  expectWarning("name", "mix into web.shop.svc: mine");
}

TEST_F(WayTest, APortOfTheServicesOwn) {
  found_.core["spec"]["ports"].push_back({{"name", "dns"}, {"protocol", "UDP"}, {"port", 53}});
  slice_->ports.push_back({"dns", "UDP", 5353, ""});
  EXPECT_EQ(way().endpoints.size(), 4U);
  found_.port = "53";
  EXPECT_EQ(way().endpoints.size(), 2U);
  EXPECT_EQ(way().endpoints[0].endpoint, "10.66.0.1:5353");
  found_.port = "dns";
  EXPECT_EQ(way().endpoints[0].port, "dns 53/UDP");
  found_.port = "81";
  const auto refused = follow(found_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "flag --port \"81\": service shop/web has no such port; it has http 80/TCP, dns "
            "53/UDP");
}

TEST_F(WayTest, AnExternalNameAsksNothingOfTheNetwork) {
  found_.service["spec"]["type"] = "ExternalName";
  found_.service["spec"]["externalName"] = "db.example.com";
  found_.core["spec"] = {{"type", "ExternalName"}, {"externalName", "db.example.com"}};
  found_.set = nullptr;
  EXPECT_EQ(way().refusal(), nullptr);
  EXPECT_EQ(way().steps.size(), 2U);
  EXPECT_THAT(way().client, HasSubstr("db.example.com"));
}

TEST_F(WayTest, ManyEndpointsAreCut) {
  for (int i = 0; i < 30; ++i) slice_->endpoints.push_back(endpoint("10.66.0.3", "web-3", "n1"));
  EXPECT_THAT(drawWay(way(), 20, Colour::Never), HasSubstr("and 12 more; -o wide shows all\n"));
}

/// The same with policies: a client, and web-1 and web-2, in `shop` on blue.
class PolicedWayTest : public WayTest {
 protected:
  PolicedWayTest() {
    found_.policies.emplace();
    view().network.name = "blue";
    view().world.namespaces["shop"] = {};
    addPod("client", "client", "10.66.0.9");
    addPod("web-1", "web", "10.66.0.1");
    addPod("web-2", "api", "10.66.0.2");
  }
  PolicyView& view() { return *found_.policies; }
  void addPod(const std::string& name, const std::string& app, const std::string& address) {
    view().world.pods.push_back(
        {{"shop", name}, {{"app", app}}, {}, {{"blue", {IpAddress::parse(address).value()}}}});
  }
  /// Isolates pods of `app` and lets `from` come to port 8080.
  void isolate(const std::string& app, const std::string& from) {
    api::PodNetworkPolicy policy;
    policy.metadata.nameSpace = "shop";
    policy.metadata.name = "of-" + app;
    policy.spec.podNetworkNames = {"blue"};
    policy.spec.podSelector.matchLabels = {{"app", app}};
    api::PolicyPeer peer;
    peer.podSelector.emplace().matchLabels = {{"app", from}};
    api::PolicyPort port;
    port.port.emplace().number = 8080;
    auto& rule = policy.spec.ingress.emplace_back();
    rule.peers = {peer};
    rule.ports = {port};
    view().world.policies.push_back(policy);
  }
  WayStep policyStep() { return way().steps.back(); }
};

TEST_F(PolicedWayTest, NamesTheRuleThatAllows) {
  EXPECT_EQ(policyStep().says, "no policy is about network blue");
  isolate("web", "client");
  const auto step = policyStep();
  EXPECT_EQ(step.step, "policy");
  EXPECT_EQ(step.verdict, Verdict::Passes);
  EXPECT_EQ(step.says,
            "allowed: egress of shop/client: no policy selects it for egress, and the network's "
            "default is Allow; ingress of shop/web-1: by spec.ingress[0] of shop/of-web");
}

TEST_F(PolicedWayTest, WarnsWhereOneEndpointMayNotBeReached) {
  isolate("web", "other");
  expectWarning("policy",
                "1 of 2 endpoints are denied; 10.66.0.1:8080: ingress of shop/web-1: isolated by "
                "shop/of-web, no rule of which allows it");
  const auto told = way();
  EXPECT_THAT(told.endpoints[0].denied, HasSubstr("isolated by shop/of-web"));
  EXPECT_EQ(told.endpoints[1].denied, "");
  EXPECT_THAT(drawWay(told, 9, Colour::Never),
              ::testing::ContainsRegex("yes +ingress of shop/web-1: isolated by shop/of-web"));
  EXPECT_EQ(toJson(told).at("endpoints")[0].at("denied"), told.endpoints[0].denied);
}

TEST_F(PolicedWayTest, RefusesWhereNoneMayBeReached) {
  isolate("web", "other");
  isolate("api", "other");
  expectRefusal("policy", "2 of 2 endpoints are denied",
                "policy explain -f FILE --network blue --from shop/client --to ", "a time-out");
  view().world.policies.clear();
  view().network.defaultPolicy = api::DefaultPolicy::Deny;
  expectRefusal("policy",
                "egress of shop/client: no policy selects it for egress, and the "
                "network's default is Deny; ingress of",
                "policy explain", "a time-out");
}

TEST_F(PolicedWayTest, IsSaidToBeUnknownWithoutRights) {
  view().unseen = "you may not list Pods everywhere";
  expectWarning("policy", "what policies allow on blue: you may not list Pods everywhere");
}

TEST_F(PolicedWayTest, RefusesNothingWhereNodesHoldNothing) {
  isolate("web", "other");
  isolate("api", "other");
  view().isPoliced = false;
  expectWarning("policy", "Nodes don't hold interfaces of the network's type to policies");
}

TEST_F(PolicedWayTest, WhoComesByTheNodesGatewayIsNoPod) {
  found_.service["spec"]["reach"] = "Cluster";
  found_.set["interfaces"] = json::array();
  isolate("web", "client");
  isolate("api", "client");
  expectWarning("policy", "It comes from the gateway's address, which is no pod's");
  view().world.policies[0].spec.ingress[0].peers.clear();
  view().world.policies[1].spec.ingress[0].peers.clear();
  EXPECT_EQ(policyStep().verdict, Verdict::Passes) << policyStep().says;
}

/// Whole calls.
class TraceServiceTest : public ProgramTest {
 protected:
  TraceServiceTest() {
    const std::string ours = "/apis/multinet.dev/v1alpha1";
    put(ours + "/podnetworks", "blue", {{"spec", {{"type", "VXLAN"}}}});
    put(ours + "/namespaces/shop/podnetworkservices", "web",
        {{"spec", {{"podNetworkName", "blue"}, {"selector", {{"app", "web"}}}}},
         {"status",
          {{"conditions", {{{"type", "Ready"}, {"status", "True"}, {"reason", "Accepted"}}}}}}});
    const auto uid = look(ours + "/namespaces/shop/podnetworkservices/web")["metadata"]["uid"]
                         .get<std::string>();
    put("/api/v1/namespaces/shop/services", "web",
        {{"metadata",
          {{"labels", {{"multinet.dev/network", "blue"}}},
           {"ownerReferences",
            {{{"apiVersion", "multinet.dev/v1alpha1"},
              {"kind", "PodNetworkService"},
              {"name", "web"},
              {"uid", uid}}}}}},
         {"spec",
          {{"clusterIP", "10.96.0.7"},
           {"clusterIPs", {"10.96.0.7"}},
           {"ports", {{{"name", "http"}, {"protocol", "TCP"}, {"port", 80}}}}}}});
    put("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", "web-4-0",
        {{"metadata",
          {{"labels",
            {{"kubernetes.io/service-name", "web"},
             {"endpointslice.kubernetes.io/managed-by", "multinet.dev"}}}}},
         {"addressType", "IPv4"},
         {"ports", {{{"name", "http"}, {"protocol", "TCP"}, {"port", 8080}}}},
         {"endpoints", {{{"addresses", {"10.66.0.1"}}, {"conditions", {{"ready", true}}}}}}});
    put(ours + "/nodenetworksets", "n1",
        {{"status", {{"conditions", {{{"type", "ServicesTranslated"}, {"status", "True"}}}}}}});
    client("shop");
  }

  void client(const std::string& where) {
    put("/api/v1/namespaces/" + where + "/pods", "client",
        {{"metadata", {{"namespace", where}}},
         {"spec", {{"nodeName", "n1"}}},
         {"status", {{"phase", "Running"}}}});
    const auto uid =
        look("/api/v1/namespaces/" + where + "/pods/client")["metadata"]["uid"].get<std::string>();
    put("/apis/multinet.dev/v1alpha1/namespaces/" + where + "/podinterfacesets", "client-1",
        {{"pod", {{"name", "client"}, {"uid", uid}}},
         {"nodeName", "n1"},
         {"interfaces",
          {{{"name", "net1"},
            {"podNetworkName", "blue"},
            {"type", "VXLAN"},
            {"ips", {{{"address", "10.66.0.9/24"}, {"family", "IPv4"}}}},
            {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}}});
  }
};

TEST_F(TraceServiceTest, EndsWithWhetherItConnects) {
  EXPECT_EQ(run({"trace", "service/web", "--from", "pod/client"}), 0) << out() << err();
  EXPECT_THAT(out(), HasSubstr("From shop/client: It connects to 10.66.0.1:8080, over blue.\n"));
  EXPECT_EQ(run({"trace", "svc/web", "--from=pod/client", "-o", "yaml"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("connects: true\n"));
  take("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-4-0");
  EXPECT_EQ(run({"trace", "pns/web", "--from=pod/client", "-o", "json"}), 1) << err();
  EXPECT_EQ(json::parse(out()).at("refusedBy"), "endpoints");
}

TEST_F(TraceServiceTest, SaysWhatPoliciesOfTheClusterSay) {
  EXPECT_EQ(run({"trace", "service/web", "--from", "pod/client"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("no policy is about network blue"));
  put("/apis/multinet.dev/v1alpha1/namespaces/shop/podnetworkpolicies", "shut",
      {{"metadata", {{"namespace", "shop"}}},
       {"spec", {{"podNetworkNames", {"blue"}}, {"policyTypes", {"Egress"}}}}});
  EXPECT_EQ(run({"trace", "service/web", "--from", "pod/client"}), 1) << out() << err();
  EXPECT_THAT(out(), HasSubstr("egress of shop/client: isolated by shop/shut, no rule of which"));
  EXPECT_THAT(out(), HasSubstr("Step policy refuses. shop/client sees: Nothing comes back"));
  server_.inject({testing::Fault::Forbidden, "GET", "/podnetworkpolicies", 9});
  EXPECT_EQ(run({"trace", "service/web", "--from", "pod/client"}), 0) << out() << err();
  EXPECT_THAT(out(), HasSubstr("you may not list PodNetworkPolicies"));
}

TEST_F(TraceServiceTest, OfAPodInAnotherNamespace) {
  client("lab");
  EXPECT_EQ(run({"trace", "service/web", "--from", "pod/client", "--from-namespace", "lab"}), 0)
      << out() << err();
  EXPECT_THAT(out(), HasSubstr("From lab/client: "));
}

TEST_F(TraceServiceTest, GoesOnWithoutRightsOnNodesAndNetworks) {
  server_.inject({testing::Fault::Forbidden, "GET", "/nodenetworksets", 9});
  server_.inject({testing::Fault::Forbidden, "GET", "/podnetworks/", 9});
  EXPECT_EQ(run({"trace", "service/web", "--from", "pod/client"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("you may not read NodeNetworkSet n1"));
  EXPECT_THAT(out(), HasSubstr("you may not read PodNetwork blue"));
}

TEST_F(TraceServiceTest, WrongWordsGetOneSentence) {
  const auto error = [&](const std::vector<std::string>& words) {
    EXPECT_EQ(run(words), 2) << out();
    return err();
  };
  EXPECT_EQ(error({"trace", "service/web"}),
            "error: trace service/web needs the pod that connects: --from pod/NAME\n");
  EXPECT_EQ(error({"trace", "service/web", "--from", "deployment/web"}),
            "error: flag --from \"deployment/web\": must be pod/NAME; of another namespace with "
            "--from-namespace\n");
  EXPECT_EQ(error({"trace", "service/web", "--from", "pod/other"}),
            "error: flag --from: pod \"shop/other\" not found; one of another namespace is named "
            "with --from-namespace\n");
  EXPECT_EQ(error({"trace", "service/wep", "--from", "pod/client"}),
            "error: podnetworkservice \"shop/wep\" not found; did you mean \"web\"?\n");
  EXPECT_EQ(error({"trace", "node/n1"}),
            "error: \"node/n1\": must be POD, pod/NAME or service/NAME\n");
  EXPECT_EQ(error({"trace", "client", "--from", "pod/client"}),
            "error: flag --from is for a service: trace service/NAME --from pod/client\n");
  EXPECT_EQ(error({"trace", "client", "-o", "jsn"}),
            "error: flag --output \"jsn\": must be table, wide, json or yaml; did you mean "
            "\"json\"?\n");
  put("/api/v1/namespaces/shop/services", "plain", json::object());
  EXPECT_THAT(error({"trace", "service/plain", "--from", "pod/client"}),
              HasSubstr("Service \"shop/plain\" is on no network, but kube-proxy's"));
}

TEST_F(TraceServiceTest, OfAPodAsYaml) {
  EXPECT_EQ(run({"trace", "pod/client", "-o", "yaml"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("podInterfaceSets:\n"));
}

}  // namespace
}  // namespace multinet::cli
