#include "cli/policy.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "lib/api/spelling.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kMostInTable = 40;
constexpr std::size_t kMostInDocument = 500;

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string word(bool allowed) {
  return allowed ? "allowed" : "denied";
}

/// Nothing where they have no family in common.
std::vector<std::pair<IpAddress, IpAddress>> pairsOf(const std::vector<IpAddress>& from,
                                                     const std::vector<IpAddress>& to) {
  std::vector<std::pair<IpAddress, IpAddress>> out;
  for (const auto family : {IpFamily::V4, IpFamily::V6}) {
    const auto source = std::ranges::find(from, family, &IpAddress::family);
    const auto destination = std::ranges::find(to, family, &IpAddress::family);
    if (source != from.end() && destination != to.end()) out.emplace_back(*source, *destination);
  }
  return out;
}

/// The worst of both families; nothing where the two have none in common.
struct Reach {
  bool sends = true;
  bool receives = true;
};
std::optional<Reach> reachOf(const policy::World& world, const policy::Network& network,
                             const policy::Pod& from, const policy::Pod& to,
                             const Service& service) {
  const auto pairs = pairsOf(from.on(network.name)->addresses, to.on(network.name)->addresses);
  if (pairs.empty()) return std::nullopt;
  Reach reach;
  for (const auto& [source, destination] : pairs) {
    const auto verdict =
        policy::evaluate(world, network, {source, destination, service.protocol, service.port});
    reach.sends = reach.sends && verdict.egress.allowed;
    reach.receives = reach.receives && verdict.ingress.allowed;
  }
  return reach;
}

/// One cell, and where it is denied.
Cell cellOf(const std::optional<Reach>& reach) {
  if (!reach) return {"no common family", Mood::Unsure};
  if (reach->sends && reach->receives) return {"yes", Mood::Good};
  if (reach->sends) return {"no: ingress", Mood::Bad};
  return {reach->receives ? "no: egress" : "no: both", Mood::Bad};
}

/// Those that have an address there, in order.
Result<std::vector<const policy::Pod*>> podsOn(const policy::World& world,
                                               const policy::Network& network,
                                               const std::string& nameSpace, std::size_t most) {
  const bool isTable = most == kMostInTable;
  std::vector<const policy::Pod*> pods;
  for (const auto& pod : world.pods) {
    const auto* interface = pod.on(network.name);
    if (interface == nullptr || interface->addresses.empty()) continue;
    if (nameSpace.empty() || pod.key.nameSpace == nameSpace) pods.push_back(&pod);
  }
  const std::string where = nameSpace.empty() ? "" : " in namespace " + nameSpace;
  if (pods.empty()) {
    return fail(Code::NotFound, "NotFound",
                "no pod" + where + " has an address on network " + network.name);
  }
  if (pods.size() > most) {
    return fail(
        Code::OutOfRange, "TooMany",
        std::to_string(pods.size()) + " pods" + where + " are on network " + network.name +
            ", more than the " + std::to_string(most) + " of a " +
            (isTable ? "table" : "document") +
            "; write -n for one namespace, or ask for a pair by policy explain" +
            (isTable ? ", or -o json, which takes " + std::to_string(kMostInDocument) : ""));
  }
  std::ranges::sort(pods, {}, &policy::Pod::key);
  return pods;
}

/// What was asked, as both verbs' documents begin.
json questionOf(const policy::Network& network, const Service& service) {
  json out = {{"network", network.name},
              {"defaultPolicy", k8s::spell(network.defaultPolicy)},
              {"protocol", service.protocol ? k8s::spell(*service.protocol) : "ICMP"}};
  if (service.protocol) out["port"] = service.port;
  return out;
}

std::string_view nameOf(policy::Ground ground) {
  switch (ground) {
    case policy::Ground::NoPod:
      return "NoPod";
    case policy::Ground::Itself:
      return "Itself";
    case policy::Ground::Default:
      return "Default";
    case policy::Ground::Rule:
      return "Rule";
    case policy::Ground::NoRule:
      return "NoRule";
    case policy::Ground::Cluster:
      return "Cluster";
  }
  return "";
}

std::string_view nameOf(policy::Tier tier) {
  switch (tier) {
    case policy::Tier::Admin:
      return "Admin";
    case policy::Tier::Namespaced:
      return "Namespaced";
    case policy::Tier::Baseline:
      return "Baseline";
    case policy::Tier::Default:
      return "Default";
  }
  return "";
}

json documentOf(const policy::Decision& decision, const std::string& direction,
                const policy::Network& network) {
  json out = {{"allowed", decision.allowed},
              {"ground", nameOf(decision.ground)},
              {"reason", reasonOf(decision, direction, network)}};
  if (decision.ground == policy::Ground::Rule) {
    out["policy"] = decision.policy;
    out["rule"] = decision.rule;
  }
  if (decision.ground == policy::Ground::Cluster) {
    out["policy"] = decision.policy;
    out["rule"] = decision.rule;
    out["tier"] = nameOf(decision.tier);
    if (!decision.ruleName.empty()) out["ruleName"] = decision.ruleName;
  }
  if (!decision.passedBy.empty()) out["passedBy"] = decision.passedBy;
  if (!decision.isolatedBy.empty()) out["isolatedBy"] = decision.isolatedBy;
  return out;
}

}  // namespace

std::string reasonOf(const policy::Decision& decision, const std::string& direction,
                     const policy::Network& network) {
  switch (decision.ground) {
    case policy::Ground::NoPod:
      return "is no pod of the network: nothing is held against it there";
    case policy::Ground::Itself:
      return "speaks to itself";
    case policy::Ground::Default:
      return "no policy selects it for " + direction + ", and the network's default is " +
             std::string(k8s::spell(network.defaultPolicy));
    case policy::Ground::Rule:
      return "by spec." + direction + "[" + std::to_string(decision.rule) + "] of " +
             decision.policy;
    case policy::Ground::NoRule:
      return "isolated by " + joined(decision.isolatedBy) + ", no rule of which allows it";
    case policy::Ground::Cluster:
      return std::string(decision.allowed ? "accepted" : "denied") + " by spec." + direction + "[" +
             std::to_string(decision.rule) + "]" +
             (decision.ruleName.empty() ? "" : " (" + decision.ruleName + ")") +
             " of ClusterPodNetworkPolicy " + decision.policy + ", tier " +
             std::string(nameOf(decision.tier));
  }
  return "";
}

std::string Service::str() const {
  return protocol ? std::string(k8s::spell(*protocol)) + " " + std::to_string(port) : "ICMP";
}

Result<Service> serviceOf(const std::string& protocol, const std::string& port) {
  if (protocol == "ICMP") {
    if (port.empty()) return Service{std::nullopt, 0};
    return fail(Code::InvalidArgument, "InvalidCommandLine", "ICMP has no ports; leave out --port");
  }
  const auto known =
      protocol.empty() ? std::optional(api::Protocol::TCP) : k8s::unspell<api::Protocol>(protocol);
  if (!known) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "flag --protocol \"" + printable(protocol) + "\": must be TCP, UDP, SCTP or ICMP");
  }
  if (port.empty()) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "flag --port is missing: write the receiver's port, 1 to 65535; ICMP alone has "
                "none");
  }
  Service out{known, 0};
  const char* end = port.data() + port.size();
  const auto read = std::from_chars(port.data(), end, out.port);
  if (read.ec != std::errc() || read.ptr != end || out.port == 0) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "flag --port \"" + printable(port) + "\": write the receiver's port, 1 to 65535");
  }
  return out;
}

Result<Explained> explainConnection(const policy::World& world, const policy::Network& network,
                                    const Endpoint& from, const Endpoint& to,
                                    const Service& service) {
  Explained out;
  json families = json::array();
  const auto pairs = pairsOf(from.addresses, to.addresses);
  if (pairs.empty()) {
    return fail(Code::FailedPrecondition, "NoCommonFamily",
                from.title + " and " + to.title +
                    " have no address of the same family on network " + network.name);
  }
  for (const auto& [source, destination] : pairs) {
    const auto verdict =
        policy::evaluate(world, network, {source, destination, service.protocol, service.port});
    out.allowed = out.allowed && verdict.allowed();
    out.text += service.str() + " from " + from.title + " (" + source.str() + ") to " + to.title +
                " (" + destination.str() + ") on network " + network.name + ": " +
                word(verdict.allowed()) + "\n";
    out.text += "  egress of " + from.title + ": " + word(verdict.egress.allowed) + ", " +
                reasonOf(verdict.egress, "egress", network) + "\n";
    out.text += "  ingress of " + to.title + ": " + word(verdict.ingress.allowed) + ", " +
                reasonOf(verdict.ingress, "ingress", network) + "\n";
    families.push_back({{"source", source.str()},
                        {"destination", destination.str()},
                        {"allowed", verdict.allowed()},
                        {"egress", documentOf(verdict.egress, "egress", network)},
                        {"ingress", documentOf(verdict.ingress, "ingress", network)}});
  }
  out.document = questionOf(network, service);
  out.document["from"] = from.title;
  out.document["to"] = to.title;
  out.document["allowed"] = out.allowed;
  out.document["families"] = std::move(families);
  return out;
}

Result<std::string> reachTable(const policy::World& world, const policy::Network& network,
                               const std::string& nameSpace, const Service& service) {
  MULTINET_TRY(const auto pods, podsOn(world, network, nameSpace, kMostInTable));
  Table table;
  table.columns.push_back({"FROM \\ TO"});
  for (const auto* pod : pods) table.columns.push_back({pod->key.str()});
  for (const auto* from : pods) {
    std::vector<Cell> row = {{from->key.str()}};
    for (const auto* to : pods) {
      row.push_back(cellOf(reachOf(world, network, *from, *to, service)));
    }
    table.rows.push_back(std::move(row));
  }
  return service.str() + " on network " + network.name + "\n" +
         render(table, Format::Table, Colour::Never);
}

Result<json> reachDocument(const policy::World& world, const policy::Network& network,
                           const std::string& nameSpace, const Service& service) {
  MULTINET_TRY(const auto pods, podsOn(world, network, nameSpace, kMostInDocument));
  json connections = json::array();
  for (const auto* from : pods) {
    for (const auto* to : pods) {
      json one = {{"from", from->key.str()}, {"to", to->key.str()}};
      const auto reach = reachOf(world, network, *from, *to, service);
      one["commonFamily"] = reach.has_value();
      one["allowed"] = reach && reach->sends && reach->receives;
      if (reach) one["egress"] = reach->sends;
      if (reach) one["ingress"] = reach->receives;
      connections.push_back(std::move(one));
    }
  }
  json out = questionOf(network, service);
  out["connections"] = std::move(connections);
  return out;
}

}  // namespace multinet::cli
