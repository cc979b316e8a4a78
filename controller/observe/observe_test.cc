#include <simdjson.h>

#include "controller/observe/snapshot.h"

namespace multinet::controller {
namespace {

template <class T>
Result<T> decode(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::element object;
  if (parser.parse(text).get(object) != simdjson::SUCCESS) {
    return fail(Code::InvalidArgument, "InvalidJSON", text);
  }
  return k8s::KindTraits<T>::decode(object);
}
template <class T>
std::shared_ptr<const T> seen(const std::string& text) {
  auto made = decode<T>(text);
  EXPECT_TRUE(made.has_value()) << text;
  return std::make_shared<const T>(made.has_value() ? *made : T{});
}

const std::string kBlue = R"({"metadata": {"name": "blue", "uid": "u1", "generation": 3,
  "resourceVersion": "9", "creationTimestamp": "2026-01-01T00:00:00Z",
  "finalizers": ["other", "multinet.dev/in-use"]},
  "spec": {"type": "VXLAN", "vxlan": {"vni": 7001}, "access": {"namespaces": {"from": "Selector",
    "selector": {"matchLabels": {"team": "a"},
                 "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["dev"]}]}}}},
  "status": {"vni": 7001, "nodes": {"desired": 2, "ready": 1}, "attachedPods": 4,
    "blockers": ["pod default/x"], "conditions": [
    {"type": "Ready", "status": "True", "reason": "Accepted", "message": "m",
     "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:05Z"},
    {"type": "InUse", "status": "False", "reason": "NoPods", "observedGeneration": 3},
    {"type": "Theirs", "status": "True", "reason": "X"},
    {"type": "Degraded", "status": "Unknown", "reason": "NotReported", "observedGeneration": 2}]}})";

TEST(Observe, ReadsANetworkAndItsStatus) {
  const auto network = seen<SeenNetwork>(kBlue);
  const auto& state = network->state;
  EXPECT_TRUE(state.network.tunnel);
  EXPECT_EQ(state.network.vni, 7001U);
  EXPECT_TRUE(state.network.enabled) << "absent is true";
  EXPECT_TRUE(state.network.holdsFinalizer);
  EXPECT_EQ(state.network.meta.finalizers.size(), 2U);
  EXPECT_EQ(state.status.conditions.size(), 3U) << "others' conditions aren't compared";
  EXPECT_EQ(state.conditions.size(), 4U) << "but kept";
  EXPECT_FALSE(state.statusCurrent) << "Degraded speaks of generation 2";
  EXPECT_EQ(state.status.blockers, std::vector<std::string>{"pod default/x"});
}

TEST(Observe, AnObjectWithoutNameOrUidIsRefused) {
  EXPECT_FALSE(decode<SeenNetwork>(R"({"metadata": {"name": "blue"}})").has_value());
  EXPECT_FALSE(decode<SeenPod>(R"({"kind": "Pod"})").has_value());
}

TEST(Observe, OddTypesReadAsEmpty) {
  const auto network = decode<SeenNetwork>(R"({"metadata": {"name": "b", "uid": "u",
    "finalizers": "x"}, "spec": {"type": 3, "enabled": "no", "vxlan": []}, "status": []})");
  ASSERT_TRUE(network.has_value());
  EXPECT_TRUE(network->state.network.enabled);
  EXPECT_FALSE(network->state.network.tunnel);
}

TEST(Observe, AppliesTheRulesOfNetworks) {
  const auto bad = seen<SeenNetwork>(R"({"metadata": {"name": "bad", "uid": "u"}, "spec":
    {"type": "VXLAN", "vxlan": {}, "ipam": {"subnets": [{"cidr": "10.20.0.1/16"}]}}})");
  ASSERT_FALSE(bad->state.network.violations.empty());
  EXPECT_NE(bad->state.network.violations[0].find("10.20.0.0/16"), std::string::npos)
      << bad->state.network.violations[0];
}

TEST(Observe, TheYoungerOfTwoThatShareADeviceLoses) {
  const auto bridge = [](const std::string& name, const std::string& created) {
    return seen<SeenNetwork>(R"({"metadata": {"name": ")" + name + R"(", "uid": "u-)" + name +
                             R"(", "creationTimestamp": ")" + created +
                             R"("}, "spec": {"type": "Bridge", "bridge": {"name": "br-x"},
        "ipam": {"subnets": [{"cidr": "10.30.0.0/24"}]}}})");
  };
  Observed observed;
  observed.networks = {bridge("young", "2026-01-02T00:00:00Z"),
                       bridge("old", "2026-01-01T00:00:00Z")};
  NodeMemory memory;
  const auto snapshot = makeSnapshot(observed, memory, BootTime());
  ASSERT_TRUE(snapshot.networks.at(0).rival);
  EXPECT_EQ(snapshot.networks.at(0).rival->name, "old");
  EXPECT_FALSE(snapshot.networks.at(1).rival);
}

TEST(Observe, ReadsRequestsAndFollowsAttachments) {
  Observed observed;
  observed.networks = {seen<SeenNetwork>(kBlue)};
  observed.attachments = {seen<SeenAttachment>(R"({"metadata": {"namespace": "default",
    "name": "nas", "uid": "u2"}, "spec": {"podNetworkName": "storage"}})")};
  observed.pods = {seen<SeenPod>(R"({"metadata": {"namespace": "default", "name": "p", "uid": "u3",
    "annotations": {"multinet.dev/networks": "blue, attachment/nas, attachment/none,"}},
    "spec": {"nodeName": "a"}, "status": {"phase": "Running"}})")};
  NodeMemory memory;
  const auto snapshot = makeSnapshot(observed, memory, BootTime());
  EXPECT_EQ(snapshot.pods.at(0).networks, (std::vector<std::string>{"blue", "storage"}));
  EXPECT_TRUE(snapshot.pods.at(0).running);
}

TEST(Observe, GrantsByTheNamespacesLabels) {
  const auto granted = [](const std::string& labels) {
    Observed observed;
    observed.networks = {seen<SeenNetwork>(kBlue)};
    observed.namespaces = {seen<SeenNamespace>(
        R"({"metadata": {"name": "ns", "uid": "u", "labels": )" + labels + "}}")};
    observed.attachments = {seen<SeenAttachment>(R"({"metadata": {"namespace": "ns", "name": "n",
      "uid": "u2"}, "spec": {"podNetworkName": "blue"}})")};
    NodeMemory memory;
    return makeSnapshot(observed, memory, BootTime()).attachments.at(0).granted;
  };
  EXPECT_TRUE(granted(R"({"team": "a"})"));
  EXPECT_TRUE(granted(R"({"team": "a", "env": "prod"})"));
  EXPECT_FALSE(granted(R"({"team": "a", "env": "dev"})"));
  EXPECT_FALSE(granted(R"({"env": "prod"})"));
}

TEST(Observe, AppliesTheRulesOfAttachments) {
  Observed observed;
  observed.networks = {seen<SeenNetwork>(R"({"metadata": {"name": "blue", "uid": "u1"}, "spec":
    {"type": "Bridge", "bridge": {}, "mtu": 1400, "ipam": {"subnets": [{"cidr": "10.20.0.0/16"}]},
     "access": {"namespaces": {"from": "All"}}}})")};
  const auto violations = [&](const std::string& wish) {
    observed.attachments = {seen<SeenAttachment>(R"({"metadata": {"namespace": "ns", "name": "n",
      "uid": "u2"}, "spec": {"podNetworkName": "blue")" +
                                                 wish + "}}")};
    NodeMemory memory;
    return makeSnapshot(observed, memory, BootTime()).attachments.at(0).violations;
  };
  EXPECT_TRUE(violations("").empty());
  ASSERT_EQ(violations(R"(, "mtu": 1500)").size(), 1U);
  EXPECT_NE(violations(R"(, "mtu": 1500)")[0].find("spec.mtu"), std::string::npos);
  ASSERT_FALSE(violations(R"(, "defaultGateway": "IPv4")").empty()) << "not in spec.allow";
  ASSERT_FALSE(violations(R"(, "mtu": "much")").empty()) << "can't be decoded";
}

TEST(Observe, ReadsNodesReportsAndTaints) {
  Observed observed;
  observed.nodes = {seen<SeenNode>(R"({"metadata": {"name": "a", "uid": "u"}, "spec": {"taints":
    [{"key": "node.kubernetes.io/out-of-service"}]}, "status": {"conditions":
    [{"type": "Ready", "status": "False"}]}})")};
  observed.nodeSets = {seen<SeenNodeSet>(R"({"metadata": {"name": "gone", "uid": "u"}, "status":
    {"networks": [{"podNetworkName": "blue", "conditions": [{"type": "Ready", "status": "False",
     "reason": "MTUNotCarried"}]}, {"podNetworkName": "red"}]}})")};
  NodeMemory memory;
  const auto snapshot = makeSnapshot(observed, memory, BootTime());
  EXPECT_TRUE(snapshot.nodes.at("a").outOfService);
  EXPECT_FALSE(snapshot.nodes.at("a").ready);
  ASSERT_EQ(snapshot.reports.size(), 2U);
  EXPECT_EQ(snapshot.reports[0].reason, "MTUNotCarried");
  EXPECT_EQ(snapshot.reports[1].ready, NodeReport::Ready::Unknown);
  EXPECT_TRUE(snapshot.gone.contains("gone"));
}

TEST(Observe, ReadsWhatNodesWrite) {
  const auto set = seen<InterfaceSet>(R"({"metadata": {"namespace": "n", "name": "p-1", "uid": "u"},
    "pod": {"name": "p", "uid": "pu"}, "nodeName": "a",
    "interfaces": [{"podNetworkName": "blue", "attachmentName": "nas"}]})");
  EXPECT_EQ(set->podUid, "pu");
  EXPECT_EQ(set->interfaces.at(0).attachmentName, "nas");
  const auto block = seen<Block>(R"({"metadata": {"name": "b", "uid": "u"},
    "spec": {"nodeName": "a", "podNetworkUID": "nu"}})");
  EXPECT_EQ(block->nodeName, "a");
  EXPECT_EQ(block->networkUid, "nu");
  const auto identifier = seen<Identifier>(R"({"metadata": {"name": "vxlan-7", "uid": "u"},
    "spec": {"kind": "VXLAN", "id": 7, "podNetworkName": "blue", "podNetworkUID": "nu"}})");
  EXPECT_EQ(identifier->vni, 7U);
}

}  // namespace
}  // namespace multinet::controller
