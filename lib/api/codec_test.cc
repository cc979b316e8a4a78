#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>

#include "lib/api/cluster_policy.h"
#include "lib/api/describe.h"
#include "lib/api/policy.h"
#include "lib/api/test_objects.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

template <class T>
void expectSameAgain(const T& object) {
  const nlohmann::json json = k8s::KindTraits<T>::encode(object);
  EXPECT_EQ(json.at("kind"), std::string(k8s::KindTraits<T>::kKind.kind));
  const auto again = k8s::decodeText<T>(json.dump());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, object) << json.dump(2);
}

TEST(Codec, KeepsEverything) {
  PodNetwork network = testing::goodNetwork();
  network.spec.enabled = false;
  network.spec.join = JoinMode::Always;
  network.spec.defaultPolicy = DefaultPolicy::SameNamespace;
  network.spec.trackConnections = TrackConnections::Always;
  network.spec.allow.netAdmin = false;
  network.spec.vxlan = VxlanSpec{7001, 4799, Underlay{"eth1"}};
  network.spec.macvlan = MacvlanSpec{"eth1", MacvlanMode::Passthru, 100};
  network.spec.vlan = VlanSpec{"eth1", 100};
  network.spec.ipvlan = IpvlanSpec{"eth1", IpvlanMode::L3S};
  network.spec.access.namespaces = {
      AccessFrom::Selector,
      k8s::LabelSelector{{{"a", "b"}}, {{"c", k8s::SelectorOperator::NotIn, {"d"}}}}};
  network.status.vni = 7001;
  network.status.nodes = NodeCounts{2, 0};
  network.status.attachedPods = 0;
  network.status.blockers = {"pod default/web-0"};
  expectSameAgain(network);

  PodNetworkAttachment attachment = testing::goodAttachment("nas", "red");
  attachment.spec = {
      "red",  k8s::LabelSelector{{{"a", "b"}}, {{"c", k8s::SelectorOperator::Exists, {}}}},
      "net7", 1400,
      {},     DefaultGateway::IPv6};
  attachment.spec.routes = {{"10.0.0.0/8", "10.30.0.1"}};
  expectSameAgain(attachment);
  attachment.spec.podSelector = k8s::LabelSelector{};  // every pod isn't none
  expectSameAgain(attachment);

  PodInterfaceSet set;
  set.metadata.name = "web-0-12345678";
  set.pod = {"web-0", "u1"};
  set.nodeName = "n1";
  set.sandboxID = "abc";
  PodInterface interface;
  interface.name = "net1";
  interface.podNetworkName = "blue";
  interface.attachmentName = "nas";
  interface.type = NetworkType::Vxlan;
  interface.mac = "0a:58:0a:14:00:05";
  interface.mtu = 1450;
  interface.linkState = LinkState::Up;
  interface.ips = {{"10.20.0.5/16", "10.20.0.1", AddressFamily::IPv4}};
  interface.routes = {{"10.0.0.0/8", ""}};
  interface.defaultGateway = DefaultGateway::IPv4;
  interface.attachedAt = WallTime{std::chrono::seconds(1000)};
  interface.health = std::vector<InterfaceHealth>{
      {"web", "u2", false, "Refused", "GET 10.20.0.5:80/: connection refused"},
      {"web2", "u3", true, "Answered", ""}};
  interface.policy = InterfacePolicy{false, PolicyPlace::Node, "PeersPending", "1 of 2 peers"};
  set.interfaces = {interface};
  expectSameAgain(set);

  NodeNetworkSet node;
  node.metadata.name = "n1";
  node.spec.nodeName = "n1";
  node.status.networks = {
      {"blue", "u1", {}, {{"PeerMTU", k8s::ConditionStatus::Unknown, "NotProbed", "no peer"}}}};
  node.status.policyRevision = "4711";
  expectSameAgain(node);

  NetworkPeer peer;
  peer.metadata.name = "blue.n1";
  peer.podNetworkName = "blue";
  peer.underlayIPs = {"10.0.0.1", "fd00::1"};
  expectSameAgain(peer);
  expectSameAgain(IPBlock{{}, {"blue", "u1", "10.20.0.64/26", "n1"}});
  expectSameAgain(NetworkIdentifier{{}, {IdentifierKind::Vxlan, 7001, "blue", "u1"}});
}

TEST(Codec, OfWhatNobodySaysNothingIsWritten) {
  PodInterfaceSet set;
  set.interfaces.emplace_back();
  const auto written = k8s::KindTraits<PodInterfaceSet>::encode(set);
  EXPECT_FALSE(written["interfaces"][0].contains("policy")) << written;
}

TEST(Codec, KeepsAPolicyAndItsSlices) {
  PodNetworkPolicy policy = testing::goodPolicy("db", "blue");
  policy.spec.policyTypes = {PolicyType::Ingress, PolicyType::Egress};
  policy.spec.egress = {{}};  // to everybody, which isn't nobody
  policy.status.interfaces = PolicyInterfaceCounts{3, 2};
  policy.status.notEnforced = {"pod shop/db-2 net1: PeersPending"};
  policy.status.conditions.set({"Enforced", k8s::ConditionStatus::False, 3, {}, "PeersPending", ""},
                               WallTime{std::chrono::seconds(1000)});
  expectSameAgain(policy);

  PodNetworkPolicySlice head;
  head.metadata.name = "db-12345678";
  head.metadata.nameSpace = "shop";
  head.metadata.labels[kPolicyNamespaceLabel] = "shop";
  head.policyName = "db";
  head.policyUID = "12345678-9";
  head.head = PolicyHead{3, policy.spec, {}, "", {{"blue", "00000000000000a1", 1, 2}}};
  expectSameAgain(head);
  head.policyName.clear();
  head.head = PolicyHead{3, std::nullopt, {}, "blue", {{"blue", "00000000000000a1", 0, 0}}};
  expectSameAgain(head);

  expectSameAgain(testing::goodClusterPolicy("guests", "blue"));
  head.clusterPolicyName = "guests";
  head.head =
      PolicyHead{3, std::nullopt, testing::goodClusterPolicy("guests", "blue").spec, "", {}};
  expectSameAgain(head);

  PodNetworkPolicySlice ledger;
  ledger.metadata.name = kPolicyLedgerName;
  ledger.policyUID = "87654321-9";
  ledger.ledger = PolicyLedger{{{"guests", "u1", 2}, {"walls", "u2", 1}}};
  expectSameAgain(ledger);

  PodNetworkPolicySlice members;
  members.policyName = "db";
  members.policyUID = "12345678-9";
  members.members =
      PolicyMembers{"blue", "00000000000000a1", {{"10.20.0.7", {}}, {"fd00::7", 8080}}};
  expectSameAgain(members);
}

TEST(Codec, TellsAbsentFromFalseAndEmpty) {
  const auto absent = k8s::decodeText<PodNetwork>(R"({"spec": {"type": "VXLAN"}})");
  ASSERT_TRUE(absent);
  EXPECT_FALSE(absent->spec.enabled.has_value());
  EXPECT_TRUE(absent->spec.isEnabled());
  EXPECT_FALSE(absent->spec.vxlan.has_value());
  const auto off =
      k8s::decodeText<PodNetwork>(R"({"spec": {"type": "VXLAN", "enabled": false, "vxlan": {}}})");
  ASSERT_TRUE(off);
  EXPECT_FALSE(off->spec.isEnabled());
  const auto json = k8s::KindTraits<PodNetwork>::encode(*off);
  EXPECT_EQ(json.at("spec").at("enabled"), false);
  EXPECT_TRUE(json.at("spec").at("vxlan").is_object());
  EXPECT_FALSE(k8s::KindTraits<PodNetwork>::encode(*absent).at("spec").contains("enabled"));
}

TEST(Codec, RefusesWhatTheSchemaRefuses) {
  const auto message = [](const char* json) {
    const auto network = k8s::decodeText<PodNetwork>(json);
    return network ? std::string() : network.error().message;
  };
  EXPECT_EQ(message(R"({"spec": {}})"), "decode PodNetwork: spec.type: is required");
  EXPECT_EQ(message(R"({"metadata": {}})"), "decode PodNetwork: spec: is required");
  EXPECT_EQ(message(R"({"spec": {"type": 7}})"),
            "decode PodNetwork: spec.type: must be a string, is a number");
  EXPECT_EQ(message(R"({"spec": {"type": "Bridge", "bridge": {"mode": "Foo"}}})"),
            "decode PodNetwork: spec.bridge.mode: is \"Foo\", must be one of Own, Existing");
  EXPECT_EQ(message(R"({"spec": {"type": "Bridge", "mtu": 4294967296}})"),
            "decode PodNetwork: spec.mtu: must be a whole number from -2147483648 to 2147483647");
  EXPECT_EQ(message(R"({"spec": {"type": "Bridge", "ipam": {"subnets": [{"gateway": "x"}]}}})"),
            "decode PodNetwork: spec.ipam.subnets[0].cidr: is required");
}

TEST(Codec, ReadsATypeOfANewerVersionAsUnknown) {
  const auto network = k8s::decodeText<PodNetwork>(R"({"spec": {"type": "Foo"}})");
  ASSERT_TRUE(network) << network.error().message;
  EXPECT_EQ(network->spec.type, NetworkType::Unknown);
  const auto set = k8s::decodeText<PodInterfaceSet>(
      R"({"pod": {"name": "a", "uid": "u"}, "nodeName": "n",
          "interfaces": [{"name": "net1", "podNetworkName": "blue", "type": "Foo"}]})");
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->interfaces.at(0).type, NetworkType::Unknown);
}

/// YAML as the API server would hand it on: plain numbers and booleans typed, the rest text.
nlohmann::json toJson(const YAML::Node& node) {
  if (node.IsMap()) {
    nlohmann::json out = nlohmann::json::object();
    for (const auto& member : node) out[member.first.as<std::string>()] = toJson(member.second);
    return out;
  }
  if (node.IsSequence()) {
    nlohmann::json out = nlohmann::json::array();
    for (const auto& item : node) out.push_back(toJson(item));
    return out;
  }
  const auto typed = nlohmann::json::parse(node.Scalar(), nullptr, false);
  return typed.is_number() || typed.is_boolean() ? typed : nlohmann::json(node.Scalar());
}

TEST(Examples, AreLegal) {
  const std::filesystem::path folder = std::string(MULTINET_SOURCE_DIR) + "/crds/examples";
  FakeCatalog catalog;
  catalog.namespaces = {{"default", {{"kubernetes.io/metadata.name", "default"}}}};
  std::vector<PodNetworkAttachment> attachments;
  std::vector<PodNetworkPolicy> policies;
  std::vector<ClusterPodNetworkPolicy> clusterPolicies;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    for (const auto& document : YAML::LoadAllFromFile(file.path().string())) {
      const auto json = toJson(document);
      if (json.value("kind", "") == "PodNetwork") {
        const auto network = k8s::decodeText<PodNetwork>(json.dump());
        ASSERT_TRUE(network) << file.path() << network.error().message;
        for (const auto& violation : validate(*network).violations) {
          ADD_FAILURE() << file.path() << ": " << violation.str();
        }
        EXPECT_TRUE(validate(*network).warnings.empty()) << file.path();
        catalog.networks[network->metadata.name] = *network;
      } else if (json.value("kind", "") == "PodNetworkAttachment") {
        const auto attachment = k8s::decodeText<PodNetworkAttachment>(json.dump());
        ASSERT_TRUE(attachment) << file.path() << attachment.error().message;
        attachments.push_back(*attachment);
      } else if (json.value("kind", "") == "PodNetworkPolicy") {
        const auto policy = k8s::decodeText<PodNetworkPolicy>(json.dump());
        ASSERT_TRUE(policy) << file.path() << policy.error().message;
        policies.push_back(*policy);
      } else if (json.value("kind", "") == "ClusterPodNetworkPolicy") {
        const auto policy = k8s::decodeText<ClusterPodNetworkPolicy>(json.dump());
        ASSERT_TRUE(policy) << file.path() << policy.error().message;
        clusterPolicies.push_back(*policy);
      }
    }
  }
  EXPECT_GE(catalog.networks.size(), 3U);
  EXPECT_GE(attachments.size(), 2U);
  EXPECT_GE(policies.size(), 1U);
  EXPECT_GE(clusterPolicies.size(), 1U);
  for (const auto& policy : clusterPolicies) {
    const auto report = validate(policy, catalog);
    EXPECT_TRUE(report.ok() && report.warnings.empty()) << policy.metadata.name;
  }
  for (const auto& policy : policies) {
    const auto report = validate(policy, catalog);
    EXPECT_TRUE(report.ok() && report.warnings.empty()) << policy.metadata.name;
  }
  for (const auto& attachment : attachments) {
    for (const auto& violation : validate(attachment, catalog).violations) {
      ADD_FAILURE() << attachment.metadata.name << ": " << violation.str();
    }
  }
}

/// What decodes again encodes to the same: the example says nothing that the structs lose.
TEST(Examples, LoseNothing) {
  const std::string folder = std::string(MULTINET_SOURCE_DIR) + "/crds/examples/";
  for (const char* file : {"blue.yaml", "storage.yaml", "lan.yaml"}) {
    const auto json = toJson(YAML::LoadFile(folder + file));
    const auto network = k8s::decodeText<PodNetwork>(json.dump());
    ASSERT_TRUE(network) << network.error().message;
    const auto patch = nlohmann::json::diff(json, k8s::KindTraits<PodNetwork>::encode(*network));
    for (const auto& change : patch) {
      EXPECT_EQ(change.at("op"), "add") << file << change.dump();  // defaults filled in
    }
  }
}

}  // namespace
}  // namespace multinet::api
