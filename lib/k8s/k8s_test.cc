#include <gtest/gtest.h>

#include "lib/k8s/core.h"
#include "lib/k8s/describe_core.h"
#include "lib/k8s/merge_patch.h"
#include "lib/k8s/projection_decode.h"

namespace multinet::k8s {
namespace {

using std::chrono::seconds;

Condition condition(ConditionStatus status, std::string reason) {
  return {"Ready", status, 3, std::nullopt, std::move(reason), "told"};
}

TEST(Conditions, KeepTheTimeOfTheLastChangeOfStatus) {
  Conditions conditions;
  const WallTime first{seconds(100)};
  const WallTime later{seconds(200)};
  EXPECT_TRUE(conditions.set(condition(ConditionStatus::False, "Waiting"), first));
  EXPECT_TRUE(conditions.set(condition(ConditionStatus::False, "Broken"), later));
  EXPECT_EQ(conditions.find("Ready")->lastTransitionTime, first);
  EXPECT_EQ(conditions.find("Ready")->reason, "Broken");
  EXPECT_TRUE(conditions.set(condition(ConditionStatus::True, "Fine"), later));
  EXPECT_EQ(conditions.find("Ready")->lastTransitionTime, later);
  EXPECT_EQ(conditions.items.size(), 1U);
}

TEST(Decoding, TakesOfAListWhatIsAskedFor) {
  static const Fields kReadyAlone{
      "", {{"status", {{"conditions", {{"type"}, {"status"}}, {"type", "Ready"}}}}}};
  simdjson::dom::parser parser;
  const std::string text = R"({"status": {"conditions": [{"type": "Initialized", "status": "True"},
    {"type": "Ready", "status": "False"}, {"type": "PodScheduled", "status": "True"}]}})";
  const auto pod = decode<Pod>(parser.parse(text).value(), &kReadyAlone);
  ASSERT_TRUE(pod.has_value()) << pod.error().message;
  ASSERT_EQ(pod->status.conditions.items.size(), 1U);
  EXPECT_EQ(pod->status.conditions.find("Ready")->status, ConditionStatus::False);
  static const Fields kTwo{
      "",
      {{"status", {{"conditions", {{"type"}, {"status"}}, {"type", "Ready|PodScheduled|Read"}}}}}};
  const auto both = decode<Pod>(parser.parse(text).value(), &kTwo);
  ASSERT_TRUE(both.has_value()) << both.error().message;
  EXPECT_EQ(both->status.conditions.items.size(), 2U);
  EXPECT_TRUE(both->status.conditions.isTrue("PodScheduled"));
}

TEST(Decoding, OfASliceKeepsWhatIsWritten) {
  EndpointSlice slice;
  slice.metadata.name = "web-1";
  slice.addressType = "IPv4";
  slice.ports = {{"", "TCP", 80, ""}};
  slice.endpoints = {{{"10.20.0.5"},
                      {false, true, true},
                      "web-0",
                      "a",
                      "east",
                      EndpointHints{{{"east"}}, {{"a"}}},
                      ObjectReference{"Pod", "n", "web-0", "u"}}};
  const auto json = KindTraits<EndpointSlice>::encode(slice);
  EXPECT_EQ(json["endpoints"][0]["conditions"]["ready"], false) << "false isn't absent";
  EXPECT_EQ(json["endpoints"][0]["hints"]["forZones"][0]["name"], "east");
  EXPECT_EQ(decodeText<EndpointSlice>(json.dump()).value(), slice);
  slice.endpoints[0].hints = EndpointHints{};
  const auto without = KindTraits<EndpointSlice>::encode(slice);
  EXPECT_FALSE(without["endpoints"][0].contains("hints")) << "none is absent";
}

TEST(Conditions, SayWhetherAnythingChanged) {
  Conditions conditions;
  EXPECT_TRUE(conditions.set(condition(ConditionStatus::True, "Fine"), WallTime{seconds(1)}));
  EXPECT_FALSE(conditions.set(condition(ConditionStatus::True, "Fine"), WallTime{seconds(2)}));
  Condition newer = condition(ConditionStatus::True, "Fine");
  newer.observedGeneration = 4;
  EXPECT_TRUE(conditions.set(newer, WallTime{seconds(3)}));
  EXPECT_TRUE(conditions.remove("Ready"));
  EXPECT_FALSE(conditions.remove("Ready"));
}

TEST(Conditions, AnOlderVerdictIsNoVerdict) {
  Conditions conditions;
  conditions.set(condition(ConditionStatus::True, "Fine"), WallTime{seconds(1)});
  EXPECT_TRUE(conditions.isTrue("Ready"));
  EXPECT_TRUE(conditions.isTrueAt("Ready", 3));
  EXPECT_FALSE(conditions.isTrueAt("Ready", 4));
  EXPECT_FALSE(conditions.isTrueAt("InUse", 3));
}

TEST(LabelSelector, MatchesAsKubernetesDoes) {
  const StringMap labels{{"team", "red"}, {"tier", "web"}};
  const auto one = [](std::string key, SelectorOperator op, std::vector<std::string> values) {
    return LabelSelector{{}, {{std::move(key), op, std::move(values)}}};
  };
  EXPECT_TRUE(LabelSelector{}.matches(labels));
  EXPECT_TRUE((LabelSelector{{{"team", "red"}}, {}}).matches(labels));
  EXPECT_FALSE((LabelSelector{{{"team", "blue"}}, {}}).matches(labels));
  EXPECT_FALSE((LabelSelector{{{"absent", ""}}, {}}).matches(labels));
  EXPECT_TRUE(one("team", SelectorOperator::In, {"blue", "red"}).matches(labels));
  EXPECT_FALSE(one("absent", SelectorOperator::In, {"x"}).matches(labels));
  EXPECT_TRUE(one("absent", SelectorOperator::NotIn, {"x"}).matches(labels));
  EXPECT_FALSE(one("team", SelectorOperator::NotIn, {"red"}).matches(labels));
  EXPECT_TRUE(one("team", SelectorOperator::Exists, {}).matches(labels));
  EXPECT_FALSE(one("team", SelectorOperator::DoesNotExist, {}).matches(labels));
  EXPECT_TRUE(one("absent", SelectorOperator::DoesNotExist, {}).matches(labels));
}

TEST(LabelSelector, RefusesWhatNoLabelCanBe) {
  const auto broken = [](const LabelSelector& selector) {
    const auto status = validate(selector);
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(broken({{{"example.com/team", "red"}}, {}}), "");
  EXPECT_EQ(broken({{{"a b", "red"}}, {}}), "matchLabels: \"a b\" is no label key");
  EXPECT_EQ(broken({{{"team", "-red"}}, {}}), "matchLabels.team: \"-red\" is no label value");
  EXPECT_EQ(broken({{}, {{"team", SelectorOperator::In, {}}}}),
            "matchExpressions[0].values: is empty; In and NotIn need at least one value");
  EXPECT_EQ(broken({{}, {{"team", SelectorOperator::Exists, {"x"}}}}),
            "matchExpressions[0].values: must be empty; Exists and DoesNotExist take no values");
  EXPECT_EQ(broken({{{"UPPER.com/x", "y"}}, {}}), "matchLabels: \"UPPER.com/x\" is no label key");
}

TEST(Pod, DecodesWhatWeRead) {
  const auto pod = decodeText<Pod>(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "default", "uid": "u1", "generation": 2,
      "creationTimestamp": "2026-09-01T12:00:00Z", "labels": null,
      "annotations": {"multinet.dev/networks": "blue"}, "managedFields": [{"manager": "x"}],
      "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web",
                           "uid": "o1", "controller": true}]},
    "spec": {"nodeName": "n1", "readinessGates": [{"conditionType": "multinet.dev/networks-ready"}],
             "containers": [{"name": "a"}]},
    "status": {"phase": "Failed", "podIPs": [{"ip": "10.0.0.1"}],
               "conditions": [{"type": "Ready", "status": "False", "lastProbeTime": null}]}})");
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(pod->metadata.nameSpace, "default");
  EXPECT_EQ(*pod->metadata.annotation("multinet.dev/networks"), "blue");
  EXPECT_EQ(pod->metadata.annotation("other"), nullptr);
  EXPECT_EQ(pod->metadata.controllerRef()->name, "web");
  EXPECT_EQ(formatTime(*pod->metadata.creationTimestamp), "2026-09-01T12:00:00Z");
  EXPECT_FALSE(pod->metadata.deleting());
  EXPECT_TRUE(pod->finished());
  EXPECT_FALSE(pod->isMirror());
  EXPECT_TRUE(pod->hasReadinessGate("multinet.dev/networks-ready"));
  EXPECT_FALSE(pod->status.conditions.isTrue("Ready"));
  EXPECT_EQ(pod->status.podIPs.at(0).ip, "10.0.0.1");
}

struct Wrong {
  const char* json;
  const char* message;
};

TEST(Decoder, NamesTheFieldAndWhatItShouldBe) {
  const std::vector<Wrong> table{
      {R"({"metadata": {"name": 5}})", "decode Pod: metadata.name: must be a string, is a number"},
      {R"({"metadata": {"labels": {"a": true}}})",
       "decode Pod: metadata.labels.a: must be a string, is a boolean"},
      {R"({"metadata": {"finalizers": "x"}})",
       "decode Pod: metadata.finalizers: must be a list, is a string"},
      {R"({"metadata": {"generation": 1.5}})",
       "decode Pod: metadata.generation: must be a whole number from -9223372036854775808 to "
       "9223372036854775807"},
      {R"({"metadata": {"ownerReferences": [{"kind": "A", "name": "a", "apiVersion": "v1"}]}})",
       "decode Pod: metadata.ownerReferences[0].uid: is required"},
      {R"({"metadata": {"deletionTimestamp": "soon"}})",
       "decode Pod: metadata.deletionTimestamp: is \"soon\", must be a time such as "
       "2026-09-01T12:00:00Z"},
      {R"({"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B",
          "status": "Maybe"}]}})",
       "decode Pod: status.conditions[1].status: is \"Maybe\", must be one of True, False, "
       "Unknown"},
      {R"({"spec": {"hostNetwork": "yes"}})",
       "decode Pod: spec.hostNetwork: must be true or false, is a string"},
      {R"([])", "decode Pod: object: must be an object, is a list"},
      {R"({"kind": "Node"})", "decode kind: is \"Node\", must be \"Pod\""},
  };
  for (const auto& [json, message] : table) {
    const auto pod = decodeText<Pod>(json);
    ASSERT_FALSE(pod) << json;
    EXPECT_EQ(pod.error().message, message) << json;
  }
  EXPECT_EQ(decodeText<Pod>("{").error().reason, "InvalidJSON");
}

TEST(Encoder, LeavesOutWhatIsAbsent) {
  Pod pod;
  pod.metadata.name = "web-0";
  pod.metadata.ownerReferences = {{"v1", "Node", "n1", "u1", std::nullopt, false}};
  EXPECT_EQ(KindTraits<Pod>::encode(pod), nlohmann::json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "web-0", "ownerReferences": [
      {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1",
       "blockOwnerDeletion": false}]}})"));
}

TEST(Encoder, IsTheDecodersInverse) {
  Node node;
  node.metadata.name = "n1";
  node.metadata.labels = {{"a", "b"}};
  node.metadata.creationTimestamp = WallTime{seconds(1000)};
  node.spec.taints = {{"k", "v", "NoExecute"}};
  node.status.addresses = {{"InternalIP", "10.0.0.1"}};
  node.status.conditions.set({"Ready", ConditionStatus::True, 0, std::nullopt, "Up", "m"},
                             WallTime{seconds(2000)});
  const auto again = decodeText<Node>(KindTraits<Node>::encode(node).dump());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, node);
}

const Fields kSlim{"",
                   {{"metadata", {{"name"}, {"uid"}, {"annotations", {{"a/b"}}}}},
                    {"spec", {{"nodeName"}, {"readinessGates", {{"conditionType"}}}}}}};
using SlimPod = Projection<Pod, kSlim>;

TEST(Projection, ReadsWhatIsAskedForAndNothingElse) {
  const auto pod = decodeText<SlimPod>(R"({"kind": "Pod", "metadata": {"name": "p", "uid": "u",
    "labels": {"x": "y"}, "annotations": {"a/b": "c", "d": "e"}},
    "spec": {"nodeName": "n", "hostNetwork": true, "readinessGates": [{"conditionType": "G"}]},
    "status": {"phase": 3}})");
  ASSERT_TRUE(pod.has_value()) << pod.error().message;
  EXPECT_EQ(pod->metadata.annotations, (StringMap{{"a/b", "c"}}));
  EXPECT_TRUE(pod->metadata.labels.empty());
  EXPECT_EQ(pod->spec.nodeName, "n");
  EXPECT_FALSE(pod->spec.hostNetwork);
  EXPECT_TRUE(pod->hasReadinessGate("G"));
  EXPECT_TRUE(pod->status.phase.empty()) << "it couldn't have been read, and nobody asked";
  EXPECT_TRUE(pod->undecodable.empty());
}

TEST(Projection, WhatCantBeReadIsThereAllTheSame) {
  const auto pod =
      decodeText<SlimPod>(R"({"metadata": {"name": "p", "uid": "u"}, "spec": {"nodeName": 3}})");
  ASSERT_TRUE(pod.has_value());
  EXPECT_EQ(pod->metadata.uid, "u");
  EXPECT_EQ(pod->undecodable, "decode Pod: spec.nodeName: must be a string, is a number");
  EXPECT_FALSE(decodeText<SlimPod>(R"({"metadata": {"name": "p"}})").has_value());
  EXPECT_FALSE(decodeText<SlimPod>(R"({"kind": "Node", "metadata": {"name": "p", "uid": "u"}})"));
}

TEST(Projection, TellsFieldsThatTheStructDoesntHave) {
  const Fields odd{"",
                   {{"spec", {{"nodeNam"}, {"readinessGates", {{"conditionType"}, {"kind"}}}}},
                    {"metadata", {{"annotations", {{"any/key"}}}}}}};
  EXPECT_EQ(strangers(odd, outline<Pod>()),
            (std::vector<std::string>{"spec.nodeNam", "spec.readinessGates[].kind"}));
  EXPECT_TRUE(strangers(kSlim, outline<Pod>()).empty());
}

TEST(MergePatch, MakesOneOfTheOther) {
  const auto patched = [](const std::string& before, const std::string& after) {
    auto made = nlohmann::json::parse(before);
    const auto patch = mergePatch(made, nlohmann::json::parse(after));
    made.merge_patch(patch);
    EXPECT_EQ(made, nlohmann::json::parse(after));
    return patch.dump();
  };
  EXPECT_EQ(patched("{}", "{}"), "{}");
  EXPECT_EQ(patched(R"({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]})",
                    R"({"a": 1, "b": {"c": 1, "d": 3}, "e": [1]})"),
            R"({"b":{"d":3}})");
  EXPECT_EQ(patched(R"({"a": 1, "b": {"c": 1}})", R"({"b": [1]})"), R"({"a":null,"b":[1]})");
}

}  // namespace
}  // namespace multinet::k8s
