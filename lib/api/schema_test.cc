// The schema stands in CRD, structs and docs: here CRD and structs are held against each other.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

#include "lib/api/describe.h"

namespace multinet::api {
namespace {

/// What a property is, comparably: type, whether required, enum values.
using Properties = std::map<std::string, std::string>;

std::string sorted(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  std::string out;
  for (const auto& word : words) out += " " + word;
  return out;
}

std::string describeCrd(const YAML::Node& schema, bool required) {
  const bool either = schema["x-kubernetes-int-or-string"].IsDefined();
  std::string type = either ? "int-or-string" : schema["type"].as<std::string>();
  if (schema["additionalProperties"]) type = "map";
  if (schema["format"] && schema["format"].as<std::string>() == "date-time") type = "time";
  std::vector<std::string> values;
  for (const auto& value : schema["enum"]) values.push_back(value.as<std::string>());
  return type + (required ? " required" : "") + sorted(values);
}

bool lists(const YAML::Node& words, const std::string& wanted) {
  return std::any_of(words.begin(), words.end(),
                     [&](const YAML::Node& word) { return word.as<std::string>() == wanted; });
}

void walk(const YAML::Node& schema, const std::string& path, bool required, Properties& out) {
  out[path] = describeCrd(schema, required);
  EXPECT_TRUE(schema["description"] || path.ends_with("[]")) << path << " lacks a description";
  if (schema["items"]) walk(schema["items"], path + "[]", false, out);
  for (const auto& property : schema["properties"]) {
    const auto name = property.first.as<std::string>();
    walk(property.second, fmt::format("{}.{}", path, name), lists(schema["required"], name), out);
  }
}

/// Lists, strings and maps without a bound break CEL's cost budget and etcd.
void expectBounded(const YAML::Node& schema, const std::string& path) {
  if (schema["x-kubernetes-int-or-string"]) {
    EXPECT_TRUE(schema["maxLength"]) << path;
    return;
  }
  const auto type = schema["type"].as<std::string>();
  if (type == "array") {
    EXPECT_TRUE(schema["maxItems"] && schema["x-kubernetes-list-type"]) << path;
    expectBounded(schema["items"], path + "[]");
  }
  const bool closed = schema["enum"] || schema["format"];
  EXPECT_TRUE(type != "string" || closed || schema["maxLength"]) << path;
  EXPECT_TRUE(type != "integer" || schema["minimum"]) << path;
  if (schema["additionalProperties"]) {
    EXPECT_TRUE(schema["maxProperties"]) << path;
    expectBounded(schema["additionalProperties"], path + "{}");
  }
  for (const auto& property : schema["properties"]) {
    expectBounded(property.second, path + "." + property.first.as<std::string>());
  }
}

YAML::Node crdOf(const k8s::Kind& kind) {
  return YAML::LoadFile(std::string(MULTINET_SOURCE_DIR) + "/crds/" + std::string(kind.plural) +
                        ".yaml");
}

bool isServersOwn(const std::string& name) {
  return name == "apiVersion" || name == "kind" || name == "metadata";
}

Properties ofCrd(const k8s::Kind& kind) {
  const auto schema = crdOf(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
  Properties out;
  for (const auto& property : schema["properties"]) {
    const auto name = property.first.as<std::string>();
    if (isServersOwn(name)) continue;
    walk(property.second, "." + name, lists(schema["required"], name), out);
    expectBounded(property.second, "." + name);
  }
  return out;
}

void expectNames(const k8s::Kind& kind) {
  const auto spec = crdOf(kind)["spec"];
  EXPECT_EQ(spec["group"].as<std::string>(), kind.group);
  EXPECT_EQ(spec["versions"][0]["name"].as<std::string>(), kind.version);
  EXPECT_EQ(spec["names"]["kind"].as<std::string>(), kind.kind);
  EXPECT_EQ(spec["names"]["plural"].as<std::string>(), kind.plural);
  EXPECT_EQ(spec["scope"].as<std::string>(),
            kind.scope == k8s::Scope::Namespaced ? "Namespaced" : "Cluster");
  EXPECT_EQ(spec["names"]["categories"][0].as<std::string>(), "multinet");
  EXPECT_FALSE(spec["names"]["shortNames"][0].as<std::string>().empty());
}

template <class T>
Properties ofStructs() {
  Properties out;
  for (const auto& property : k8s::outline<T>()) {
    if (property.path.starts_with("metadata")) continue;
    std::vector<std::string> values(property.values.begin(), property.values.end());
    out["." + property.path] =
        property.type + (property.required ? " required" : "") + sorted(values);
  }
  return out;
}

template <class T>
class Schema : public testing::Test {};
using Kinds = testing::Types<PodNetwork, PodNetworkAttachment, PodNetworkService, PodNetworkPolicy,
                             ClusterPodNetworkPolicy, PodNetworkPolicySlice, PodInterfaceSet,
                             NodeNetworkSet, NetworkPeer, IPBlock, NetworkIdentifier>;
TYPED_TEST_SUITE(Schema, Kinds);

TYPED_TEST(Schema, HasThePropertiesOfTheStructs) {
  EXPECT_THAT(ofCrd(k8s::KindTraits<TypeParam>::kKind),
              testing::ContainerEq(ofStructs<TypeParam>()));
}

TYPED_TEST(Schema, IsNamedAsTheStructs) {
  expectNames(k8s::KindTraits<TypeParam>::kKind);
}

/// A default that the server fills in is the one that a decoder fills in.
TEST(SchemaDefaults, AreTheStructs) {
  const auto spec = crdOf(kPodNetworkKind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
                                          ["properties"]["spec"]["properties"];
  const auto wordAt = [](const YAML::Node& node) { return node["default"].as<std::string>(); };
  EXPECT_EQ(wordAt(spec["bridge"]["properties"]["mode"]), k8s::spell(BridgeSpec{}.mode));
  EXPECT_EQ(wordAt(spec["macvlan"]["properties"]["mode"]), k8s::spell(MacvlanSpec{}.mode));
  EXPECT_EQ(wordAt(spec["ipvlan"]["properties"]["mode"]), k8s::spell(IpvlanSpec{}.mode));
  EXPECT_EQ(wordAt(spec["portSecurity"]), k8s::spell(PodNetworkSpec{}.portSecurity));
  EXPECT_EQ(wordAt(spec["defaultPolicy"]), k8s::spell(PodNetworkSpec{}.defaultPolicy));
  EXPECT_EQ(wordAt(spec["trackConnections"]), k8s::spell(PodNetworkSpec{}.trackConnections));
  EXPECT_EQ(wordAt(spec["access"]["properties"]["namespaces"]["properties"]["from"]),
            k8s::spell(NamespaceAccess{}.from));
}

TEST(SchemaDefaults, OfAServiceAreTheStructs) {
  const auto spec =
      crdOf(kPodNetworkServiceKind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
                                   ["properties"]["spec"]["properties"];
  const auto wordAt = [](const YAML::Node& node) { return node["default"].as<std::string>(); };
  EXPECT_EQ(wordAt(spec["type"]), k8s::spell(PodNetworkServiceSpec{}.type));
  EXPECT_EQ(wordAt(spec["sessionAffinity"]), k8s::spell(PodNetworkServiceSpec{}.sessionAffinity));
  EXPECT_EQ(wordAt(spec["ports"]["items"]["properties"]["protocol"]),
            k8s::spell(PodNetworkServicePort{}.protocol));
}

TEST(SchemaDefaults, OfAPolicyAreTheStructs) {
  const auto spec = crdOf(kPodNetworkPolicyKind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
                                                ["properties"]["spec"]["properties"];
  for (const char* direction : {"ingress", "egress"}) {
    const auto port = spec[direction]["items"]["properties"]["ports"]["items"]["properties"];
    EXPECT_EQ(port["protocol"]["default"].as<std::string>(), k8s::spell(PolicyPort{}.protocol));
  }
}

/// Of a CRD's properties.
void expectAsWide(const YAML::Node& narrow, const YAML::Node& wide, const std::string& path) {
  for (const char* bound : {"maxItems", "maxLength", "maxProperties", "minItems", "minLength",
                            "minimum", "maximum", "pattern"}) {
    ASSERT_EQ(narrow[bound].IsDefined(), wide[bound].IsDefined()) << path << " " << bound;
    if (!narrow[bound]) continue;
    EXPECT_EQ(narrow[bound].as<std::string>(), wide[bound].as<std::string>()) << path;
  }
  if (narrow["items"]) expectAsWide(narrow["items"], wide["items"], path + "[]");
  for (const auto& property : narrow["properties"]) {
    const auto name = property.first.as<std::string>();
    expectAsWide(property.second, wide["properties"][name], path + "." + name);
  }
}

/// Whatever a policy may say, the slice that carries it to nodes may say.
TEST(SchemaOfASlice, TakesTheSpecsOfPolicies) {
  const auto properties = [](const k8s::Kind& kind) {
    return crdOf(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
  };
  const auto head = properties(kPodNetworkPolicySliceKind)["head"]["properties"];
  expectAsWide(properties(kPodNetworkPolicyKind)["spec"], head["spec"], "spec");
  expectAsWide(properties(kClusterPodNetworkPolicyKind)["spec"], head["clusterSpec"],
               "clusterSpec");
}

TEST(SchemaSubresources, AreWhereAControllerWrites) {
  const auto hasStatus = [](const k8s::Kind& kind) {
    return crdOf(kind)["spec"]["versions"][0]["subresources"]["status"].IsDefined();
  };
  EXPECT_TRUE(hasStatus(kPodNetworkKind));
  EXPECT_TRUE(hasStatus(kPodNetworkAttachmentKind));
  EXPECT_TRUE(hasStatus(kPodNetworkServiceKind));
  EXPECT_TRUE(hasStatus(kPodNetworkPolicyKind));
  EXPECT_TRUE(hasStatus(kClusterPodNetworkPolicyKind));
  EXPECT_TRUE(hasStatus(kNodeNetworkSetKind));
  EXPECT_FALSE(hasStatus(kPodNetworkPolicySliceKind));
  EXPECT_FALSE(hasStatus(kPodInterfaceSetKind));
  EXPECT_FALSE(hasStatus(kNetworkPeerKind));
  EXPECT_FALSE(hasStatus(kIPBlockKind));
  EXPECT_FALSE(hasStatus(kNetworkIdentifierKind));
}

}  // namespace
}  // namespace multinet::api
