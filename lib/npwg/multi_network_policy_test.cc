#include "lib/npwg/multi_network_policy.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lib/api/describe.h"
#include "lib/api/policy.h"

namespace multinet::npwg {
namespace {

using nlohmann::json;

json objectOf(const json& spec, const std::string& networks = "blue") {
  return {{"apiVersion", "k8s.cni.cncf.io/v1beta1"},
          {"kind", "MultiNetworkPolicy"},
          {"metadata",
           {{"namespace", "shop"},
            {"name", "db"},
            {"uid", "uid-db"},
            {"generation", 3},
            {"annotations", {{kPolicyForAnnotation, networks}, {"other", "x"}}}}},
          {"spec", spec}};
}

MultiNetworkPolicy read(const json& object) {
  return k8s::decodeText<MultiNetworkPolicy>(object.dump()).value();
}
MultiNetworkPolicy readOf(const std::string& spec, const std::string& networks = "blue") {
  return read(objectOf(json::parse(spec), networks));
}
std::string told(const MultiNetworkPolicy& policy) {
  std::string all;
  for (const auto& one : policy.complaints) all += one.str() + "\n";
  return all;
}
json specOf(const MultiNetworkPolicy& policy) {
  return k8s::Encoder::value(policiesOf(policy).at(0).spec);
}

TEST(MultiNetworkPolicy, IsTranslatedWordForWord) {
  const json spec = json::parse(R"({
    "podSelector": {"matchLabels": {"app": "db"},
                    "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
    "policyTypes": ["Ingress", "Egress"],
    "ingress": [
      {"from": [{"podSelector": {"matchLabels": {"app": "web"}},
                 "namespaceSelector": {"matchLabels": {"team": "x"}}},
                {"namespaceSelector": {}},
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
       "ports": [{"protocol": "TCP", "port": 5432, "endPort": 5440},
                 {"protocol": "UDP", "port": "dns"}, {"protocol": "SCTP"}]}],
    "egress": [{"to": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}]})");
  const auto policy = read(objectOf(spec, "blue, red"));
  EXPECT_EQ(told(policy), "");
  const auto made = policiesOf(policy);
  ASSERT_EQ(made.size(), 1U);
  json expected = spec;
  expected["podNetworkNames"] = {"blue", "red"};
  // The protocol that is written for who reads it.
  json found = k8s::Encoder::value(made[0].spec);
  EXPECT_EQ(found, expected) << found.dump(1);
  EXPECT_EQ(made[0].metadata.name, "npwg-db");
  EXPECT_EQ(made[0].metadata.nameSpace, "shop");
  ASSERT_NE(makerOf(made[0].metadata), nullptr);
  EXPECT_EQ(makerOf(made[0].metadata)->uid, "uid-db");
  EXPECT_TRUE(api::validate(made[0]).ok());
}

TEST(MultiNetworkPolicy, NamesNetworksAsTheAnnotationHasThem) {
  const std::vector<std::tuple<std::string, std::vector<std::string>, bool>> cases = {
      {"blue", {"blue"}, false},
      {" blue ,red", {"blue", "red"}, false},
      {"shop/blue,other/blue,blue", {"blue"}, false},
      {"", {}, false},
      {" , ,", {}, false},
      {"blue,,red,", {"blue", "red"}, false},
      {"Blue,red", {"red"}, true},
      {"a/b/c,red", {"red"}, true},
      {"shop/,red", {"red"}, true},
      {"eth0,default", {}, true},
      {"bl ue", {}, true},
      {"../../x,*", {}, true},
  };
  for (const auto& [annotation, networks, complains] : cases) {
    const auto policy = readOf("{}", annotation);
    EXPECT_EQ(policy.networks, networks) << annotation;
    EXPECT_EQ(!policy.complaints.empty(), complains) << annotation << ": " << told(policy);
  }
  auto without = objectOf(json::object());
  without["metadata"].erase("annotations");
  EXPECT_TRUE(read(without).networks.empty());
  EXPECT_TRUE(policiesOf(read(without)).empty());
}

struct Bad {
  const char* what;
  const char* spec;
  const char* becomes;  ///< of policyTypes, ingress, egress and podSelector what isn't empty
  const char* says;
};

/// Each is a policy that says something illegible: it allows less, never more.
TEST(MultiNetworkPolicy, AllowsLessWhereItCantBeRead) {
  const Bad cases[] = {
      {"no spec", "null", R"({"policyTypes":["Ingress","Egress"]})", "spec: is missing"},
      {"a spec that is a word", R"("all")", R"({"policyTypes":["Ingress","Egress"]})",
       "spec: is no object"},
      {"a selector that is a list", R"({"podSelector":[]})", R"({"policyTypes":["Ingress"]})",
       "spec.podSelector"},
      {"a selector's unknown field", R"({"podSelector":{"matchLabel":{"a":"b"}}})",
       R"({"policyTypes":["Ingress"]})", "spec.podSelector.matchLabel: is no field"},
      {"a label that there can't be", R"({"podSelector":{"matchLabels":{"a b":"c"}}})",
       R"({"policyTypes":["Ingress"]})", "isolates all pods of the namespace"},
      {"a selector that can't be read, with rules",
       R"({"podSelector":{"matchLabel":{"a":"b"}},"ingress":[{}],"egress":[{}]})",
       R"({"policyTypes":["Ingress","Egress"]})", "nothing is allowed"},
      {"a selector by an operator that there isn't",
       R"({"podSelector":{"matchExpressions":[{"key":"a","operator":"Is"}]},"ingress":[{}]})",
       R"({"policyTypes":["Ingress"]})", "nothing is allowed"},
      {"a type that there isn't", R"({"policyTypes":["ingress"],"ingress":[{}]})",
       R"({"policyTypes":["Ingress","Egress"]})", "spec.policyTypes"},
      {"types in a word", R"({"policyTypes":"Ingress"})", R"({"policyTypes":["Ingress","Egress"]})",
       "spec.policyTypes"},
      {"an unknown field", R"({"ingress":[{}],"deny":true})",
       R"({"policyTypes":["Ingress","Egress"]})", "spec.deny: is no field"},
      {"rules that are no list", R"({"ingress":{"from":[]}})", R"({"policyTypes":["Ingress"]})",
       "spec.ingress: is no list of rules"},
      {"a rule that is a word", R"({"ingress":["all"]})", R"({"policyTypes":["Ingress"]})",
       "spec.ingress[0]: is no rule"},
      {"a rule's misspelt field", R"({"ingress":[{"form":[]}]})", R"({"policyTypes":["Ingress"]})",
       "spec.ingress[0].form: is no field"},
      {"peers of another direction", R"({"ingress":[{"to":[]}]})", R"({"policyTypes":["Ingress"]})",
       "spec.ingress[0].to"},
      {"peers that are no list", R"({"ingress":[{"from":{"podSelector":{}}}]})",
       R"({"policyTypes":["Ingress"]})", "spec.ingress[0].from: is no list"},
      {"the only peer", R"({"ingress":[{"from":[{}]}]})", R"({"policyTypes":["Ingress"]})",
       "spec.ingress[0].from[0]"},
      {"a null among peers", R"({"ingress":[{"from":[null]}]})", R"({"policyTypes":["Ingress"]})",
       "spec.ingress[0].from[0]"},
      {"one peer of two", R"({"ingress":[{"from":[{"podselector":{}},{"podSelector":{}}]}]})",
       R"({"policyTypes":["Ingress"],"ingress":[{"from":[{"podSelector":{}}]}]})",
       "spec.ingress[0].from[0].podselector"},
      {"a peer's misspelt selector",
       R"({"ingress":[{"from":[{"podSelector":{"matchlabels":{"a":"b"}}}]}]})",
       R"({"policyTypes":["Ingress"]})", "podSelector.matchlabels"},
      {"an operator that there isn't",
       R"({"ingress":[{"from":[{"podSelector":{"matchExpressions":[{"key":"a","operator":"Is"}]}}]}]})",
       R"({"policyTypes":["Ingress"]})", "\"Is\""},
      {"an exception that can't be read",
       R"({"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1"]}}]}]})",
       R"({"policyTypes":["Ingress"]})", "spec.ingress[0].from[0].ipBlock.except[0]"},
      {"an address for a block", R"({"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.1"}}]}]})",
       R"({"policyTypes":["Ingress"]})", "spec.ingress[0].from[0].ipBlock.cidr"},
      {"a block and a selector",
       R"({"ingress":[{"from":[{"podSelector":{},"ipBlock":{"cidr":"10.0.0.0/8"}}]}]})",
       R"({"policyTypes":["Ingress"]})", "has an ipBlock and a selector"},
      {"the only port", R"({"ingress":[{"ports":[{"port":0}]}]})", R"({"policyTypes":["Ingress"]})",
       "spec.ingress[0].ports[0].port"},
      {"a protocol that there isn't", R"({"ingress":[{"ports":[{"protocol":"ICMP"}]}]})",
       R"({"policyTypes":["Ingress"]})", "ICMP"},
      {"a port's misspelt field", R"({"ingress":[{"ports":[{"prot":80}]}]})",
       R"({"policyTypes":["Ingress"]})", "spec.ingress[0].ports[0].prot"},
      {"a range that ends before it begins",
       R"({"ingress":[{"ports":[{"port":80,"endPort":79}]}]})", R"({"policyTypes":["Ingress"]})",
       "endPort"},
      // Without types: what was said of egress isolates, though nothing of it could be read.
      {"egress of which nothing is left", R"({"egress":[{"to":[{}]}]})",
       R"({"policyTypes":["Ingress","Egress"]})", "spec.egress[0].to[0]"},
      {"egress that is no list", R"({"egress":"none"})", R"({"policyTypes":["Ingress","Egress"]})",
       "spec.egress: is no list"},
  };
  for (const auto& [what, spec, becomes, says] : cases) {
    const auto policy = readOf(spec);
    json expected = json::parse(becomes);
    expected["podNetworkNames"] = {"blue"};
    EXPECT_EQ(specOf(policy), expected) << what << "\n" << specOf(policy).dump();
    EXPECT_NE(told(policy).find(says), std::string::npos) << what << ": " << told(policy);
    for (const auto& one : policy.complaints) {
      EXPECT_FALSE(one.path.empty() || one.remedy.empty()) << what << ": " << one.str();
    }
    EXPECT_TRUE(api::validate(policiesOf(policy).at(0)).ok()) << what;
  }
}

TEST(MultiNetworkPolicy, ReadsWhatCoreReads) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", R"({"policyTypes":["Ingress"]})"},
      {R"({"podSelector":null,"ingress":null,"egress":null,"policyTypes":null})",
       R"({"policyTypes":["Ingress"]})"},
      {R"({"ingress":[{}]})", R"({"policyTypes":["Ingress"],"ingress":[{}]})"},
      {R"({"ingress":[{"from":[],"ports":[]}]})", R"({"policyTypes":["Ingress"],"ingress":[{}]})"},
      {R"({"egress":[{}]})", R"({"policyTypes":["Ingress","Egress"],"egress":[{}]})"},
      {R"({"egress":[]})", R"({"policyTypes":["Ingress"]})"},
      {R"({"policyTypes":["Egress","Egress"]})", R"({"policyTypes":["Egress"]})"},
      {R"({"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.7/8","except":["10.1.2.3/16"]}}]}]})",
       R"({"policyTypes":["Ingress"],
           "ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]}]})"},
  };
  for (const auto& [spec, becomes] : cases) {
    const auto policy = readOf(spec);
    json expected = json::parse(becomes);
    expected["podNetworkNames"] = {"blue"};
    EXPECT_EQ(specOf(policy), expected) << spec;
    EXPECT_EQ(told(policy), "") << spec;
  }
}

std::string networksUpTo(std::size_t count) {
  std::string names;
  for (std::size_t i = 0; i < count; ++i) names += "n" + std::to_string(i) + ",";
  return names;
}

TEST(MultiNetworkPolicy, BecomesSeveralWhereItNamesMoreNetworksThanOneMay) {
  const auto policy = readOf(R"({"ingress":[{}]})", networksUpTo(33));
  EXPECT_EQ(told(policy), "");
  const auto made = policiesOf(policy);
  ASSERT_EQ(made.size(), 3U);
  EXPECT_EQ(made[0].metadata.name, "npwg-db");
  EXPECT_NE(made[1].metadata.name, made[2].metadata.name);
  EXPECT_EQ(made[2].spec.podNetworkNames, std::vector<std::string>{"n32"});
  for (const auto& one : made) {
    EXPECT_TRUE(api::validate(one).ok());
    EXPECT_EQ(one.spec.ingress.size(), 1U);
  }
}

/// What the API would refuse holds all the same: it isolates.
TEST(MultiNetworkPolicy, OfTooMuchIsolatesAndAllowsNothing) {
  json rules = json::array();
  for (int i = 0; i < 101; ++i) rules.push_back(json::object());
  json peers = json::array();
  for (int i = 0; i < 101; ++i) peers.push_back({{"podSelector", json::object()}});
  const json large = json::array(
      {{{"from",
         json::array({{{"podSelector",
                        {{"matchExpressions",
                          json::array({{{"key", "a"},
                                        {"operator", "In"},
                                        {"values", std::vector<std::string>(
                                                       30000, "a-value-of-a-label")}}})}}}}})}}});
  json labels;
  for (int i = 0; i < 17; ++i) labels["l" + std::to_string(i)] = "a";
  const json wide =
      json::array({{{"from", json::array({{{"namespaceSelector", {{"matchLabels", labels}}}}})}}});
  const json any = json::array({json::object()});
  const std::tuple<json, std::size_t, const char*> cases[] = {
      {{{"ingress", rules}}, 1, "101 rules"},
      {{{"ingress", json::array({{{"from", peers}}})}}, 1, "101 peers"},
      {{{"ingress", large}}, 1, "30000 values"},
      {{{"ingress", wide}}, 1, "17 labels"},
      {{{"ingress", any}, {"podSelector", {{"matchLabels", labels}}}}, 1, "17 labels"},
      {{{"ingress", json::array({json::object()})}}, kMaxNetworks + 1, "129 networks"},
  };
  for (const auto& [spec, networks, says] : cases) {
    const auto policy = read(objectOf(spec, networksUpTo(networks)));
    EXPECT_NE(told(policy).find(says), std::string::npos) << says << ": " << told(policy);
    std::size_t named = 0;
    for (const auto& one : policiesOf(policy)) {
      EXPECT_TRUE(api::validate(one).ok()) << says;
      EXPECT_TRUE(one.spec.ingress.empty()) << says;
      EXPECT_TRUE(one.spec.isolates(api::PolicyType::Ingress)) << says;
      named += one.spec.podNetworkNames.size();
    }
    EXPECT_EQ(named, networks) << says;
  }
}

/// Objects of any namespace are read and kept.
TEST(MultiNetworkPolicy, OfNothingButMistakesTakesLittle) {
  const json nothings = std::vector<json>(100'000, json::object());
  const json few = std::vector<json>(100, json::object());
  const json rules = std::vector<json>(100, json{{"from", few}, {"ports", few}});
  for (const json& ingress : {nothings, json::array({{{"from", nothings}}}), rules}) {
    const auto policy = read(objectOf({{"ingress", ingress}}, networksUpTo(50'000) + "A,B"));
    EXPECT_LE(policy.complaints.size(), kMaxComplaints);
    EXPECT_EQ(policy.networks.size(), kMaxNamed);
    EXPECT_NE(told(policy).find("more than 1024 names"), std::string::npos);
    EXPECT_TRUE(policy.spec.ingress.empty());
  }
  const auto policy = readOf("{}", std::string(100'000, 'A'));
  ASSERT_EQ(policy.complaints.size(), 1U);
  EXPECT_LT(policy.complaints[0].str().size(), 500U) << "what would be right is seen";
}

TEST(MultiNetworkPolicy, HasANameThatFits) {
  const std::string longest(253, 'a');
  EXPECT_EQ(policyName("db", 0), "npwg-db");
  EXPECT_EQ(nameBehind("npwg-db"), "db");
  EXPECT_EQ(nameBehind("db"), "");
  EXPECT_EQ(policyName(longest, 0).size(), 253U);
  EXPECT_NE(policyName(longest, 0), policyName(std::string(252, 'a') + "b", 0));
  EXPECT_NE(policyName("db", 1), policyName("db", 2));
  EXPECT_NE(policyName("db", 1), policyName("db-1", 0));
}

TEST(MultiNetworkPolicy, IsKnownByItsKindInWhateverVersion) {
  k8s::ObjectMeta metadata;
  metadata.ownerReferences = {
      {"k8s.cni.cncf.io/v1beta2", "MultiNetworkPolicy", "db", "u", true, std::nullopt}};
  EXPECT_NE(makerOf(metadata), nullptr);
  metadata.ownerReferences.edit()[0].controller = false;
  EXPECT_EQ(makerOf(metadata), nullptr) << "a friend's";
  metadata.ownerReferences = {
      {"other.io/v1beta1", "MultiNetworkPolicy", "db", "u", true, std::nullopt}};
  EXPECT_EQ(makerOf(metadata), nullptr) << "of another group";
}

TEST(MultiNetworkPolicy, IsTheSameWhereOnlyItsVersionIsAnother) {
  auto object = objectOf(json::parse(R"({"ingress":[{}]})"));
  const auto before = read(object);
  object["metadata"]["resourceVersion"] = "77";
  object["metadata"]["annotations"]["other"] = "y";
  EXPECT_EQ(before, read(object));
  object["metadata"]["annotations"][kPolicyForAnnotation] = "red";
  EXPECT_NE(before, read(object));
}

TEST(MultiNetworkPolicy, WithoutANameIsRefused) {
  EXPECT_FALSE(k8s::decodeText<MultiNetworkPolicy>(R"({"spec":{}})").has_value());
}

}  // namespace
}  // namespace multinet::npwg
