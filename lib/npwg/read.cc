#include "lib/npwg/read.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "lib/api/describe.h"
#include "lib/api/names.h"
#include "lib/api/policy.h"

namespace multinet::npwg {
namespace {

using simdjson::dom::element;
using Shape = std::map<std::string, std::string, std::less<>>;  ///< types of fields by their path

constexpr const char* kLeftOut = "; it is left out, so what it would allow isn't allowed";
constexpr const char* kNothingThatWay = "; until then nothing is allowed in that direction";

void add(api::Violation complaint, api::Violations& complaints) {
  if (complaints.size() < kMaxComplaints) complaints.push_back(std::move(complaint));
}
void complain(api::Violations& complaints, const std::string& path, const std::string& value,
              const std::string& detail, const std::string& remedy) {
  // What is to be done about it stands behind.
  constexpr std::size_t kMostShown = 100;
  add({path, value.substr(0, kMostShown), detail, remedy, "Illegible", Code::InvalidArgument},
      complaints);
}
void complainOfMany(api::Violations& complaints, const std::string& path, std::size_t count,
                    const std::string& what, std::size_t most, const std::string& consequence) {
  complain(complaints, path, std::to_string(count) + " " + what, "are too many",
           "write at most " + std::to_string(most) + consequence);
}

std::string at(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

/// What is written, or null where it is absent or null.
std::optional<element> fieldOf(const element& object, std::string_view name) {
  element found;
  if (object[name].get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
  return found;
}

template <class T>
const Shape& shapeOf() {
  static const Shape kShape = [] {
    Shape shape;
    for (const auto& property : k8s::outline<T>()) shape[property.path] = property.type;
    return shape;
  }();
  return kShape;
}

/// The first field that nobody knows: what it would forbid isn't known either. Empty: none.
std::string strangerIn(const element& value, const Shape& shape, const std::string& path) {
  simdjson::dom::array array;
  if (value.get(array) == simdjson::SUCCESS) {
    for (const auto item : array) {
      if (auto found = strangerIn(item, shape, path + "[]"); !found.empty()) return found;
    }
    return {};
  }
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return {};
  for (const auto& [key, inner] : object) {
    std::string name = (path.empty() ? "" : path + ".") + std::string(key);
    const auto known = shape.find(name);
    if (known == shape.end()) return name;
    if (known->second == "map") continue;
    if (auto found = strangerIn(inner, shape, name); !found.empty()) return found;
  }
  return {};
}

/// All of it, or nothing and a complaint.
template <class T>
std::optional<T> readWhole(const element& value, const std::string& path, const char* remedy,
                           api::Violations& complaints) {
  if (const auto stranger = strangerIn(value, shapeOf<T>(), ""); !stranger.empty()) {
    complain(complaints, path + "." + stranger, "", "is no field that Multinet knows", remedy);
    return std::nullopt;
  }
  auto read = k8s::decode<T>(value);
  if (read) return std::move(*read);
  complain(complaints, path, "", read.error().message, remedy);
  return std::nullopt;
}

/// What the rules of PodNetworkPolicies say against a part: `there` is where it stands in `probe`,
/// `path` where it was written.
bool stands(const api::PodNetworkPolicySpec& probe, const std::string& there,
            const std::string& path, const std::string& consequence, api::Violations& complaints) {
  api::PodNetworkPolicy policy;
  policy.spec = probe;
  policy.spec.podNetworkNames = {"any"};
  auto report = api::validate(policy);
  for (auto& violation : report.violations) {
    if (violation.path.starts_with(there)) violation.path.replace(0, there.size(), path);
    violation.remedy += consequence;
    add(std::move(violation), complaints);
  }
  return report.violations.empty();
}

/// As core reads it: the host bits say nothing.
void dropHostBits(std::string& block) {
  if (IpPrefix::parse(block)) return;
  if (block.find('/') == std::string::npos) return;
  const auto address = InterfaceAddress::parse(block);
  if (address) block = IpPrefix(address->address, address->length).str();
}

std::optional<api::PolicyPeer> readPeer(const element& value, const std::string& path,
                                        api::Violations& complaints) {
  auto peer = readWhole<api::PolicyPeer>(
      value, path,
      "write podSelector, namespaceSelector or ipBlock as in a NetworkPolicy; until then "
      "the peer is left out, so it isn't allowed",
      complaints);
  if (!peer) return std::nullopt;
  if (peer->ipBlock) {
    dropHostBits(peer->ipBlock->cidr);
    std::ranges::for_each(peer->ipBlock->except, dropHostBits);
  }
  api::PodNetworkPolicySpec probe;
  probe.ingress.emplace_back().peers.push_back(*peer);
  if (!stands(probe, "spec.ingress[0].from[0]", path, kLeftOut, complaints)) return std::nullopt;
  return peer;
}

std::optional<api::PolicyPort> readPort(const element& value, const std::string& path,
                                        api::Violations& complaints) {
  auto port = readWhole<api::PolicyPort>(
      value, path,
      "write protocol, port and endPort as in a NetworkPolicy; until then the port is "
      "left out, so it isn't allowed",
      complaints);
  if (!port) return std::nullopt;
  api::PodNetworkPolicySpec probe;
  probe.ingress.emplace_back().ports.push_back(*port);
  if (!stands(probe, "spec.ingress[0].ports[0]", path, kLeftOut, complaints)) return std::nullopt;
  return port;
}

/// False where nothing is left of a list that named some: an empty one would mean all. Or where it
/// names more than there may be.
template <class T, class Read>
bool readParts(const element& rule, const std::string& field, const std::string& path,
               std::size_t most, const Read& read, std::vector<T>& parts,
               api::Violations& complaints) {
  const auto written = fieldOf(rule, field);
  if (!written) return true;
  simdjson::dom::array array;
  if (written->get(array) != simdjson::SUCCESS) {
    complain(complaints, path + "." + field, "", "is no list",
             std::string("write a list") + kLeftOut);
    return false;
  }
  const std::string list = path + "." + field;
  if (array.size() > most) {
    const char* const what = field == "ports" ? "ports" : "peers";
    complainOfMany(complaints, list, array.size(), what, most, "; until then the rule is left out");
    return false;
  }
  std::size_t index = 0;
  for (const auto item : array) {
    if (auto part = read(item, at(list, index++), complaints)) {
      parts.push_back(std::move(*part));
    }
  }
  return index == 0 || !parts.empty();
}

bool readRule(const element& value, const std::string& path, const std::string& peers,
              api::PolicyRule& rule, api::Violations& complaints) {
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) {
    complain(complaints, path, "", "is no rule", "write " + peers + " and ports" + kLeftOut);
    return false;
  }
  for (const auto& [key, inner] : object) {
    if (key == peers || key == "ports") continue;
    complain(complaints, path + "." + std::string(key), "", "is no field that Multinet knows",
             "write " + peers + " and ports alone; until then the rule is left out");
    return false;
  }
  // Both, so that all complaints come at once.
  const bool hasPeers =
      readParts(value, peers, path, api::kMaxPolicyPeers, readPeer, rule.peers, complaints);
  const bool hasPorts =
      readParts(value, "ports", path, api::kMaxPolicyPorts, readPort, rule.ports, complaints);
  return hasPeers && hasPorts;
}

/// True where a direction is spoken of, whatever could be read of it.
template <class Rule>
bool readRules(const element& spec, const std::string& direction, const std::string& peers,
               std::vector<Rule>& rules, api::Violations& complaints) {
  const auto written = fieldOf(spec, direction);
  if (!written) return false;
  const std::string path = "spec." + direction;
  simdjson::dom::array array;
  if (written->get(array) != simdjson::SUCCESS) {
    complain(complaints, path, "", "is no list of rules",
             std::string("write a list") + kNothingThatWay);
    return true;
  }
  if (array.size() > api::kMaxPolicyRules) {
    complainOfMany(complaints, path, array.size(), "rules", api::kMaxPolicyRules, kNothingThatWay);
    return true;
  }
  std::size_t index = 0;
  for (const auto item : array) {
    Rule rule;
    if (readRule(item, at(path, index++), peers, rule, complaints))
      rules.push_back(std::move(rule));
  }
  return index > 0;
}

void isolateBoth(api::PodNetworkPolicySpec& spec) {
  spec.policyTypes = {api::PolicyType::Ingress, api::PolicyType::Egress};
}

void closeAll(MultiNetworkPolicy& policy) {
  policy.spec.ingress.clear();
  policy.spec.egress.clear();
}

/// Rules of a direction that wasn't meant would allow what others deny.
void readTypes(const element& spec, bool speaksOfEgress, MultiNetworkPolicy& policy) {
  auto& types = policy.spec.policyTypes;
  const auto written = fieldOf(spec, "policyTypes");
  const auto read = written ? k8s::decode<std::vector<api::PolicyType>>(*written)
                            : Result<std::vector<api::PolicyType>>();
  if (!read) {
    complain(policy.complaints, "spec.policyTypes", "", read.error().message,
             "write Ingress, Egress or both in a list; until then both are isolated, and nothing "
             "is allowed");
    closeAll(policy);
    return isolateBoth(policy.spec);
  }
  for (const auto type : *read) {
    if (std::ranges::find(types, type) == types.end()) types.push_back(type);
  }
  if (!types.empty()) return;
  types = {api::PolicyType::Ingress};
  if (speaksOfEgress) types.push_back(api::PolicyType::Egress);
}

/// False where nobody can tell which pods are meant: what it allows, then, is nobody's.
bool readSelector(const element& spec, MultiNetworkPolicy& policy) {
  const auto written = fieldOf(spec, "podSelector");
  if (!written) return true;
  constexpr const char* kAll =
      "; until then it isolates all pods of the namespace, and nothing is allowed";
  const std::string remedy = std::string("write matchLabels and matchExpressions") + kAll;
  auto selector = readWhole<k8s::LabelSelector>(*written, "spec.podSelector", remedy.c_str(),
                                                policy.complaints);
  if (!selector) return false;
  api::PodNetworkPolicySpec probe;
  probe.podSelector = *selector;
  if (!stands(probe, "spec.podSelector", "spec.podSelector", kAll, policy.complaints)) return false;
  policy.spec.podSelector = std::move(*selector);
  return true;
}

/// What is only too much together.
void checkWhole(MultiNetworkPolicy& policy) {
  constexpr const char* kNothing = "; until then it isolates and allows nothing";
  const auto& networks = policy.networks;
  if (networks.size() > kMaxNetworks) {
    complain(policy.complaints, std::string("metadata.annotations[") + kPolicyForAnnotation + "]",
             std::to_string(networks.size()) + " networks", "are too many",
             "name at most " + std::to_string(kMaxNetworks) + kNothing);
    closeAll(policy);
  }
  api::PodNetworkPolicy whole;
  whole.spec = policy.spec;
  const auto most = std::min(networks.size(), api::kMaxPolicyNetworks);
  whole.spec.podNetworkNames.assign(networks.begin(),
                                    networks.begin() + static_cast<std::ptrdiff_t>(most));
  if (networks.empty()) whole.spec.podNetworkNames = {"any"};
  auto report = api::validate(whole);
  if (report.ok()) return;
  for (auto& violation : report.violations) {
    violation.remedy += kNothing;
    add(std::move(violation), policy.complaints);
  }
  closeAll(policy);
}

}  // namespace

void readSpec(const simdjson::dom::element* spec, MultiNetworkPolicy& policy) {
  simdjson::dom::object object;
  if (spec == nullptr || spec->get(object) != simdjson::SUCCESS) {
    complain(
        policy.complaints, "spec", "", spec == nullptr ? "is missing" : "is no object",
        "write one as a NetworkPolicy has it; until then all pods of the namespace are isolated "
        "in both directions");
    return isolateBoth(policy.spec);
  }
  const bool selects = readSelector(*spec, policy);
  readRules(*spec, "ingress", "from", policy.spec.ingress, policy.complaints);
  const bool egress = readRules(*spec, "egress", "to", policy.spec.egress, policy.complaints);
  readTypes(*spec, egress, policy);
  if (!selects) closeAll(policy);
  for (const auto& [key, inner] : object) {
    if (key == "podSelector" || key == "ingress" || key == "egress" || key == "policyTypes")
      continue;
    complain(policy.complaints, "spec." + std::string(key), "", "is no field that Multinet knows",
             "leave it out; until then both directions are isolated, and nothing is allowed");
    isolateBoth(policy.spec);
    closeAll(policy);
  }
  checkWhole(policy);
}

void readNetworks(const std::string* annotation, MultiNetworkPolicy& policy) {
  if (annotation == nullptr) return;
  const std::string path = std::string("metadata.annotations[") + kPolicyForAnnotation + "]";
  std::set<std::string_view> seen;
  std::string_view rest = *annotation;
  for (std::size_t count = 1;; ++count) {
    if (count > kMaxNamed) {
      const std::string many = "more than " + std::to_string(kMaxNamed) + " names";
      return complain(policy.complaints, path, many, "are too many",
                      "write several policies; until then it holds on none of those behind");
    }
    const auto comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    constexpr std::string_view kBlanks = " \t\r\n";
    const auto begin = name.find_first_not_of(kBlanks);
    name = begin == std::string_view::npos
               ? std::string_view()
               : name.substr(begin, name.find_last_not_of(kBlanks) + 1 - begin);
    const auto slash = name.find('/');
    const auto network = slash == std::string_view::npos ? name : name.substr(slash + 1);
    if (!name.empty()) {
      if (!api::isDnsLabel(network) || network == "default" || network == "eth0") {
        complain(policy.complaints, path, std::string(name), "is no PodNetwork's name",
                 "write names of PodNetworks with commas between, of a-z, 0-9 and '-'; it is left "
                 "out, and the policy holds on the others");
      } else if (seen.insert(network).second) {
        policy.networks.emplace_back(network);
      }
    }
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace multinet::npwg
