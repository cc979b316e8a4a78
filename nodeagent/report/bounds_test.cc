// Whatever there is to tell, what is written fits the CRDs: each limit is read from crds/.
#include "nodeagent/report/bounds.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>

#include "nodeagent/report/api_reporter.h"
#include "nodeagent/report/node_reporter.h"

namespace multinet::agent::report {
namespace {

using nlohmann::json;

json toJson(const YAML::Node& node) {
  json out;
  if (node.IsMap()) {
    for (const auto& member : node) out[member.first.as<std::string>()] = toJson(member.second);
  } else if (node.IsSequence()) {
    for (const auto& item : node) out.push_back(toJson(item));
  } else {
    std::int64_t number = 0;
    out = YAML::convert<std::int64_t>::decode(node, number) ? json(number)
                                                            : json(node.as<std::string>());
  }
  return out;
}

json schemaOf(const k8s::Kind& kind) {
  const auto crd = YAML::LoadFile(std::string(MULTINET_SOURCE_DIR) + "/crds/" +
                                  std::string(kind.plural) + ".yaml");
  return toJson(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
}

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

/// What the API server would refuse `value` for, by the parts of a schema that speak of sizes.
class Checker {
 public:
  void check(const json& value, const json& schema, const std::string& path) {
    if (value.is_array()) array(value, schema, path);
    if (value.is_string()) string(value.get<std::string>(), schema, path);
    if (value.is_number()) number(value.get<std::int64_t>(), schema, path);
    if (!value.is_object()) return;
    for (const auto& [name, member] : value.items()) {
      if (path.empty() && (name == "metadata" || name == "apiVersion" || name == "kind")) continue;
      if (!schema.at("properties").contains(name)) {
        wrong(path + "." + name, "unknown");
      } else {
        check(member, schema["properties"][name], path + "." + name);
      }
    }
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  void wrong(const std::string& path, const std::string& what) {
    wrong_ += path + ": " + what + "\n";
  }
  void array(const json& value, const json& schema, const std::string& path) {
    if (value.size() > schema.at("maxItems").get<std::size_t>()) {
      wrong(path, fmt::format("{} items", value.size()));
    }
    for (const json& item : value) check(item, schema["items"], path + "[]");
  }
  void string(const std::string& text, const json& schema, const std::string& path) {
    const bool closed = schema.contains("enum") || schema.contains("format");
    if (!closed && characters(text) > schema.at("maxLength").get<std::size_t>()) {
      wrong(path, fmt::format("{} characters", characters(text)));
    }
    if (schema.contains("pattern") && !std::regex_match(text, pattern(schema["pattern"]))) {
      wrong(path, "\"" + text + "\" doesn't match");
    }
  }
  void number(std::int64_t value, const json& schema, const std::string& path) {
    if (value < schema.value("minimum", value)) wrong(path, "too small");
    if (value > schema.value("maximum", value)) wrong(path, "too large");
  }
  const std::regex& pattern(const std::string& text) {
    return patterns_.try_emplace(text, text).first->second;
  }

  std::map<std::string, std::regex> patterns_;
  std::string wrong_;
};

template <class T>
std::string problems(const T& object) {
  Checker checker;
  checker.check(k8s::KindTraits<T>::encode(object), schemaOf(k8s::KindTraits<T>::kKind), "");
  return checker.wrong();
}

/// Objects of any size, with texts of any content.
class Wild {
 public:
  explicit Wild(unsigned seed) : random_(seed) {}

  std::size_t upTo(std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(0, most)(random_);
  }
  std::string text(std::size_t most) {
    static const std::vector<std::string> kParts = {"a",  "Z", "9",  " ",  "-",
                                                    "\"", "ä", "日", "🙂", ":"};
    std::string text;
    for (std::size_t left = upTo(most); left > 0; --left) text += kParts[upTo(kParts.size() - 1)];
    return text;
  }
  k8s::ConditionStatus status() { return static_cast<k8s::ConditionStatus>(upTo(2)); }
  InterfaceStatus interface(std::size_t routes) {
    InterfaceStatus status;
    status.plan.name = InterfaceName::parse("net" + std::to_string(++count_)).value();
    status.plan.network = NetworkName("blue");
    status.plan.mtu = static_cast<unsigned>(upTo(200'000));
    status.state = upTo(1) == 0 ? InterfaceState::Attached : InterfaceState::Failed;
    status.reason = text(300);
    status.message = text(5000);
    for (std::size_t i = 0; i < routes; ++i) {
      status.plan.routes.push_back(
          {IpPrefix::parse(fmt::format("172.{}.{}.0/24", i / 256, i % 256)).value(), std::nullopt});
    }
    for (std::size_t i = upTo(40); i > 0; --i) {
      status.plan.addresses.push_back(
          {InterfaceAddress::parse(fmt::format("10.20.0.{}/16", i)).value(), std::nullopt});
    }
    return status;
  }
  networks::Snapshot snapshot(std::size_t networks, std::size_t checks) {
    networks::Snapshot snapshot;
    snapshot.settled = true;
    for (std::size_t i = 0; i < networks; ++i) {
      networks::NetworkState state;
      state.name = NetworkName(fmt::format("network-{:05}", i));
      state.uid = NetworkUid(fmt::format("uid-{:05}", i));
      state.ready = static_cast<networks::CheckStatus>(upTo(2));
      state.reason = text(300);
      state.message = text(3000);
      for (std::size_t c = upTo(checks); c > 0; --c) {
        state.checks.push_back({"Check" + std::to_string(c),
                                static_cast<networks::CheckStatus>(upTo(2)), text(300),
                                text(3000)});
      }
      snapshot.networks.push_back(std::move(state));
    }
    for (std::size_t i = upTo(1000); i > 0; --i) {
      snapshot.orphans.push_back({NetworkUid("u"), "mnb" + std::to_string(i), 1});
    }
    return snapshot;
  }

 private:
  std::mt19937 random_;
  int count_ = 0;
};

TEST(Bounds, ASetOfAnySizeFitsItsSchema) {
  for (unsigned seed = 0; seed < 8; ++seed) {
    Wild wild(seed);
    std::vector<InterfaceStatus> interfaces;
    for (std::size_t i = wild.upTo(20); i > 0; --i)
      interfaces.push_back(wild.interface(wild.upTo(300)));
    const auto set = fitted(interfaceSet({PodUid("12345678"), "default", "web", 0}, NodeName("n1"),
                                         SandboxId(wild.text(400)), interfaces, WallTime{}));
    EXPECT_EQ(problems(set), "") << "seed " << seed;
  }
}

TEST(Bounds, ANodeOfAnySizeFitsItsSchemaAndTheStore) {
  for (unsigned seed = 0; seed < 3; ++seed) {
    Wild wild(seed);
    NodeView view;
    view.networks = wild.snapshot(wild.upTo(1200), wild.upTo(20));
    for (std::size_t i = wild.upTo(30); i > 0; --i) {
      const std::string type = "Type" + std::to_string(i);
      view.conditions[type] = {type, wild.status(), wild.text(300), wild.text(4000)};
    }
    api::NodeNetworkSet set;
    set.metadata.name = "n1";
    set.spec.nodeName = "n1";
    set.status = nodeStatus({}, view, WallTime{});
    EXPECT_EQ(problems(set), "") << "seed " << seed;
    EXPECT_LT(k8s::KindTraits<api::NodeNetworkSet>::encode(set).dump().size(), 1'400'000U);
    EXPECT_EQ(set.status.networks.size() + static_cast<std::size_t>(set.status.omittedNetworks),
              view.networks.networks.size());
  }
}

TEST(Bounds, APeerOfAnySizeFitsItsSchema) {
  networks::Snapshot snapshot;
  networks::NetworkState state;
  state.name = NetworkName("blue");
  state.uid = NetworkUid("u1");
  state.bridgeMac = MacAddress::derive("blue");
  for (int i = 1; i < 10; ++i) {
    state.underlays.push_back(IpAddress::parse(fmt::format("10.90.0.{}", i)).value());
  }
  snapshot.networks = {state};
  EXPECT_EQ(problems(peersOf(snapshot, NodeName("n1")).at("blue.n1")), "");
}

// A network's 32 routes, an attachment's 32 and those on link are all told.
TEST(Bounds, WhatIsAdmittedCanBeTold) {
  Wild wild(1);
  const auto set =
      fitted(interfaceSet({PodUid("12345678"), "default", "web", 0}, NodeName("n1"),
                          SandboxId("s1"), {wild.interface(32 + 32 + 15)}, WallTime{}));
  EXPECT_EQ(set.interfaces[0].routes.size(), 79U);
}

TEST(Bounds, WhatIsLeftOutIsCounted) {
  Wild wild(1);
  const auto set = fitted(interfaceSet({PodUid("12345678"), "default", "web", 0}, NodeName("n1"),
                                       SandboxId("s1"), {wild.interface(200)}, WallTime{}));
  EXPECT_TRUE(set.interfaces[0].conditions.find("Ready")->message.find(
                  "(lists 128 of 200 routes)") != std::string::npos)
      << set.interfaces[0].conditions.find("Ready")->message;
}

TEST(Bounds, UsedNetworksAndThoseInTroubleAreToldFirst) {
  NodeView view;
  view.networks.settled = true;
  for (int i = 0; i < 600; ++i) {
    networks::NetworkState state;
    state.name = NetworkName(fmt::format("network-{:05}", i));
    state.uid = NetworkUid(fmt::format("uid-{:05}", i));
    state.ready = i == 598 ? networks::CheckStatus::False : networks::CheckStatus::True;
    state.reason = "Measured";
    view.networks.networks.push_back(state);
  }
  view.used = {NetworkUid("uid-00599")};
  const auto status = nodeStatus({}, view, WallTime{});
  EXPECT_EQ(status.networks.size(), 512U);
  EXPECT_EQ(status.omittedNetworks, 88);
  EXPECT_EQ(status.networks[509].podNetworkName, "network-00509");
  EXPECT_EQ(status.networks[510].podNetworkName, "network-00598");
  EXPECT_EQ(status.networks[511].podNetworkName, "network-00599");
  EXPECT_EQ(nodeStatus(status, view, WallTime(std::chrono::hours(1))), status);
}

TEST(Bounds, TextsAreCutBetweenCharacters) {
  EXPECT_EQ(cutText("short", 5), "short");
  EXPECT_EQ(cutText("longer", 5), "lo...");
  EXPECT_EQ(cutText("ääää", 6), "ä...");
  EXPECT_EQ(reasonWord("Http500"), "Http500");
  EXPECT_EQ(reasonWord("4 of them: x"), "ofthemx");
  EXPECT_EQ(reasonWord(""), "Unknown");
}

}  // namespace
}  // namespace multinet::agent::report
