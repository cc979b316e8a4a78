#include "cli/topology.h"

#include <algorithm>
#include <array>

#include "cli/holders.h"
#include "cli/listing.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "cli/views.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

std::string readyOf(const json& object, const std::string& pointer) {
  const auto status = text(conditionOf(object, pointer, "Ready"), "/status");
  return status.empty() ? "Unknown" : status;
}

Topology::Node& nodeOf(Topology& topology, const std::string& name) {
  const auto found = std::ranges::find(topology.nodes, name, &Topology::Node::name);
  if (found != topology.nodes.end()) return *found;
  return topology.nodes.emplace_back(Topology::Node{name, {}, {}});
}

std::string countOf(std::size_t number, const std::string& noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

/// Where clients come in who aren't in the cluster.
std::string outsideOf(const json& service) {
  std::vector<std::string> ways;
  for (const json& one : list(service, "/status/loadBalancer/ingress")) {
    const auto address = text(one, "/ip");
    ways.push_back(address.empty() ? text(one, "/hostname") : address);
  }
  for (const json& one : list(service, "/status/nodePorts")) {
    if (const auto port = text(one, ""); port != "0") ways.push_back("node port " + port);
  }
  std::string out;
  for (const auto& way : ways) out += (out.empty() ? "" : ", ") + way;
  return out;
}

Topology::Service serviceOf(const json& service, std::size_t network) {
  auto address = joined(list(service, "/status/clusterIPs"), "");
  if (address == "None") address = "headless";
  const auto ready = text(service, "/status/endpoints/ready");
  return {network,
          text(service, "/metadata/namespace") + "/" + nameOf(service),
          address,
          outsideOf(service),
          portsOf(service),
          endpointsOf(service),
          readyOf(service, "/status/conditions") == "True" && !ready.empty() && ready != "0"};
}

/// Of one network, `most` of them by name.
std::string servicesLine(const std::vector<const Topology::Service*>& services, std::size_t most,
                         Colour colour) {
  std::string out;
  for (std::size_t i = 0; i < services.size() && i < most; ++i) {
    const auto& one = *services[i];
    out += (i == 0 ? "" : ", ") + printable(one.name) + " " + printable(one.address) + " " +
           (one.outside.empty() ? "" : "(" + printable(one.outside) + ") ") +
           paint(printable(one.endpoints), one.ready ? Mood::Good : Mood::Bad, colour);
  }
  if (services.size() > most) {
    out +=
        std::string(most == 0 ? "" : ", and ") + std::to_string(services.size() - most) + " more";
  }
  return out;
}

}  // namespace

Topology makeTopology(const json& networks, const json& nodeSets, const json& sets,
                      const json& services) {
  Topology topology;
  for (const json& network : networks) {
    topology.networks.push_back({nameOf(network), text(network, "/spec/type"),
                                 text(network, "/status/vni"),
                                 joined(list(network, "/spec/ipam/subnets"), "/cidr"),
                                 readyOf(network, "/status/conditions")});
  }
  std::ranges::sort(topology.networks, {}, &Topology::Network::name);
  std::map<std::string, std::size_t> numbers;
  for (std::size_t i = 0; i < topology.networks.size(); ++i) {
    numbers[topology.networks[i].name] = i;
  }
  for (const json& set : nodeSets) {
    auto& node = nodeOf(topology, nameOf(set));
    for (const json& network : list(set, "/status/networks")) {
      const auto number = numbers.find(text(network, "/podNetworkName"));
      if (number == numbers.end()) continue;
      node.networks[number->second] = readyOf(network, "/conditions");
    }
  }
  for (const json& set : sets) {
    Topology::Pod pod{podOf(set), {}};
    for (const json& interface : list(set, "/interfaces")) {
      const auto number = numbers.find(text(interface, "/podNetworkName"));
      if (number == numbers.end()) continue;
      pod.interfaces.push_back({number->second, text(interface, "/name"),
                                joined(list(interface, "/ips"), "/address"),
                                readyOf(interface, "/conditions") == "True"});
    }
    if (!pod.interfaces.empty()) {
      nodeOf(topology, text(set, "/nodeName")).pods.push_back(std::move(pod));
    }
  }
  for (const json& service : services) {
    const auto number = numbers.find(text(service, "/spec/podNetworkName"));
    if (number == numbers.end() || text(service, "/spec/type") == "ExternalName") continue;
    topology.services.push_back(serviceOf(service, number->second));
  }
  std::ranges::sort(topology.services, {}, &Topology::Service::name);
  std::ranges::sort(topology.nodes, {}, &Topology::Node::name);
  for (auto& node : topology.nodes) std::ranges::sort(node.pods, {}, &Topology::Pod::name);
  return topology;
}

std::string drawText(const Topology& topology, std::size_t most, Colour colour) {
  std::string out;
  std::size_t longest = 0;
  for (const auto& node : topology.nodes) longest = std::max(longest, width(node.name));
  for (std::size_t number = 0; number < topology.networks.size(); ++number) {
    const auto& network = topology.networks[number];
    std::vector<const Topology::Node*> nodes;
    std::vector<const Topology::Service*> services;
    for (const auto& one : topology.services) {
      if (one.network == number) services.push_back(&one);
    }
    std::size_t pods = 0;
    const auto has = [number](const Topology::Pod& pod) {
      return std::ranges::find(pod.interfaces, number, &Topology::Interface::network) !=
             pod.interfaces.end();
    };
    for (const auto& node : topology.nodes) {
      const auto count = static_cast<std::size_t>(std::ranges::count_if(node.pods, has));
      if (node.networks.contains(number) || count > 0) nodes.push_back(&node);
      pods += count;
    }
    out += (out.empty() ? "" : "\n") + printable(network.name) + "  " + printable(network.type) +
           (network.vni.empty() ? "" : " " + network.vni) + "  " + printable(network.subnets) +
           "  " +
           paint(network.ready == "True" ? "Ready" : "Ready=" + network.ready,
                 moodOf(network.ready), colour) +
           "  " + countOf(nodes.size(), "node") + ", " + countOf(pods, "pod") +
           (services.empty() ? "" : ", " + countOf(services.size(), "service")) + "\n";
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto& node = *nodes[i];
      const auto state = node.networks.find(number);
      const std::string ready = state == node.networks.end() ? "Unknown" : state->second;
      out += std::string(i + 1 == nodes.size() && services.empty() ? "└─ " : "├─ ") +
             printable(node.name) + std::string(longest - width(node.name), ' ') + "  " +
             paint(ready, moodOf(ready), colour) + std::string(7 - ready.size(), ' ');
      std::size_t shown = 0;
      std::size_t count = 0;
      std::string names;
      for (const auto& pod : node.pods) {
        if (!has(pod)) continue;
        if (++count > most) continue;
        names += (shown++ == 0 ? "" : ", ") + printable(pod.name);
      }
      if (count > shown)
        names += (shown == 0 ? "" : ", and ") + std::to_string(count - shown) + " more";
      out += "  " + countOf(count, "pod") + (names.empty() ? "" : ": " + names) + "\n";
    }
    if (!services.empty()) out += "└─ services: " + servicesLine(services, most, colour) + "\n";
  }
  return out;
}

namespace {

constexpr std::array kFlags = {
    Flag{"output", 'o', "FORMAT", "text, wide (every pod by name) or svg", Names::Words,
         "text wide svg"},
    Flag{"network", 0, "NETWORK", "This network only", Names::Networks}, kNamespace};
constexpr std::array kExamples = {
    Example{"kubectl multinet topology", "in the terminal"},
    Example{"kubectl multinet topology -o svg > networks.svg", "as a picture"}};

Result<int> run(Call& call) {
  const auto& arguments = call.arguments();
  const auto format = arguments.value("output");
  if (!format.empty() && format != "text" && format != "wide" && format != "svg") {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "flag --output \"" + format + "\": must be text, wide or svg");
  }
  MULTINET_TRY(const json networks, listNetworks(call));
  MULTINET_TRY(const json nodeSets, call.list(kinds::kNodeSets));
  // The whole cluster, unless a namespace is named.
  MULTINET_TRY(const json sets, call.list(kinds::kSets, {arguments.value("namespace"), "", ""}));
  MULTINET_TRY(const json services,
               listIfServed(call, kinds::kServices, {arguments.value("namespace"), "", ""}));
  const auto topology = makeTopology(networks, nodeSets, sets, services);
  if (format == "svg") {
    call.out() << drawSvg(topology);
  } else if (topology.networks.empty()) {
    call.err() << "none found\n";
  } else {
    call.out() << drawText(topology, format == "wide" ? kAny * kAny : 3, call.colour());
  }
  return kDone;
}

}  // namespace

Verb topologyVerb() {
  return {.name = "topology",
          .summary = "Networks with their nodes, pods and services, as text or as a picture",
          .text =
              "As text each network with its nodes, pods, and services with their address and "
              "endpoints that are ready, serve and terminate. With -o svg a picture: networks are "
              "rails of a colour each, which go down to the nodes that have them, and to a dot at "
              "each pod; services hang from their network's rail; what is hollow isn't ready. "
              "Addresses of a pod, ports of a service are in its tooltip.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
