#include "cli/views.h"

#include <algorithm>

#include "cli/objects.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

Cell statusCell(const json& condition) {
  const auto status = text(condition, "/status");
  return {status.empty() ? "Unknown" : status, moodOf(status)};
}

Cell ageCell(const json& object, const std::string& pointer, WallTime now) {
  return {ageOf(text(object, pointer), now)};
}

/// Whether a condition of a node tells of trouble: these two do by being True.
bool isAmiss(const json& condition) {
  const auto type = text(condition, "/type");
  const bool isTrouble = type == "AgentBypassed" || type == "AddressesContested";
  return text(condition, "/status") == (isTrouble ? "True" : "False");
}

/// By the first cells' text, so that two calls print the same order.
void sortRows(Table& table) {
  std::ranges::sort(table.rows, [](const auto& left, const auto& right) {
    return std::ranges::lexicographical_compare(
        left, right, {}, [](const Cell& cell) { return cell.text; },
        [](const Cell& cell) { return cell.text; });
  });
}

std::string nodesOf(const json& network) {
  const auto desired = text(network, "/status/nodes/desired");
  return desired.empty() ? "" : text(network, "/status/nodes/ready") + "/" + desired;
}

std::string selectorOf(const json& service) {
  std::string pairs;
  const json::json_pointer where("/spec/selector");
  if (!service.is_object() || !service.contains(where)) return pairs;
  for (const auto& [key, value] : service.at(where).items()) {
    pairs += (pairs.empty() ? "" : ",") + key + "=" +
             (value.is_string() ? value.get<std::string>() : "");
  }
  return pairs;
}

/// Where its load balancer is reached.
std::string externalOf(const json& service) {
  std::string places;
  for (const json& one : list(service, "/status/loadBalancer/ingress")) {
    const auto ip = text(one, "/ip");
    places += (places.empty() ? "" : ",") + (ip.empty() ? text(one, "/hostname") : ip);
  }
  if (places.empty() && text(service, "/spec/type") == "LoadBalancer") return "<pending>";
  return places;
}

}  // namespace

std::string portsOf(const json& service) {
  std::string ports;
  const json given = list(service, "/status/nodePorts");
  std::size_t place = 0;
  for (const json& port : list(service, "/spec/ports")) {
    const auto name = text(port, "/name");
    const auto protocol = text(port, "/protocol");
    const auto nodePort = place < given.size() ? text(given[place], "") : "";
    ++place;
    ports += (ports.empty() ? "" : ",") + (name.empty() ? "" : name + ":") + text(port, "/port") +
             (nodePort.empty() || nodePort == "0" ? "" : ":" + nodePort) +
             (protocol.empty() ? "" : "/" + protocol);
  }
  return ports;
}

std::string endpointsOf(const json& service) {
  const auto ready = text(service, "/status/endpoints/ready");
  if (ready.empty()) return "";
  return ready + "/" + text(service, "/status/endpoints/serving") + "/" +
         text(service, "/status/endpoints/terminating");
}

Table networksTable(const json& networks, WallTime now) {
  Table table{{{"NAME"},
               {"TYPE"},
               {"READY"},
               {"REASON"},
               {"VNI"},
               {"NODES"},
               {"PODS"},
               {"SUBNETS"},
               {"AGE"},
               {"MESSAGE", true},
               {"BLOCKERS", true}},
              {}};
  for (const auto& network : networks) {
    const auto ready = conditionOf(network, "/status/conditions", "Ready");
    table.rows.push_back({{text(network, "/metadata/name")},
                          {text(network, "/spec/type")},
                          statusCell(ready),
                          {text(ready, "/reason")},
                          {text(network, "/status/vni")},
                          {nodesOf(network)},
                          {text(network, "/status/attachedPods")},
                          {joined(list(network, "/spec/ipam/subnets"), "/cidr")},
                          ageCell(network, "/metadata/creationTimestamp", now),
                          {text(ready, "/message")},
                          {joined(list(network, "/status/blockers"), "")}});
  }
  sortRows(table);
  return table;
}

Table servicesTable(const json& services, WallTime now) {
  Table table{{{"NAMESPACE"},
               {"NAME"},
               {"NETWORK"},
               {"TYPE"},
               {"CLUSTER-IP"},
               {"EXTERNAL"},
               {"PORTS"},
               {"ENDPOINTS"},
               {"READY"},
               {"REASON"},
               {"AGE"},
               {"MESSAGE", true},
               {"LOAD-BALANCER-MESSAGE", true},
               {"ENDPOINTS-MESSAGE", true},
               {"SELECTOR", true}},
              {}};
  for (const auto& service : services) {
    const auto ready = conditionOf(service, "/status/conditions", "Ready");
    const auto endpoints = conditionOf(service, "/status/conditions", "Endpoints");
    table.rows.push_back(
        {{text(service, "/metadata/namespace")},
         {text(service, "/metadata/name")},
         {text(service, "/spec/podNetworkName")},
         {text(service, "/spec/type")},
         {joined(list(service, "/status/clusterIPs"), "")},
         {externalOf(service)},
         {portsOf(service)},
         {endpointsOf(service)},
         statusCell(ready),
         {text(ready, "/reason")},
         ageCell(service, "/metadata/creationTimestamp", now),
         {text(ready, "/message")},
         {text(conditionOf(service, "/status/conditions", "LoadBalancer"), "/message")},
         {text(endpoints, "/message")},
         {selectorOf(service)}});
  }
  sortRows(table);
  return table;
}

Table podsTable(const json& sets, WallTime now) {
  Table table{{{"NAMESPACE"},
               {"POD"},
               {"INTERFACE"},
               {"NETWORK"},
               {"ADDRESSES"},
               {"READY"},
               {"NODE"},
               {"AGE"},
               {"MAC", true},
               {"MTU", true},
               {"ATTACHMENT", true},
               {"SANDBOX", true}},
              {}};
  for (const auto& set : sets) {
    for (const auto& interface : list(set, "/interfaces")) {
      table.rows.push_back({{text(set, "/metadata/namespace")},
                            {text(set, "/pod/name")},
                            {text(interface, "/name")},
                            {text(interface, "/podNetworkName")},
                            {joined(list(interface, "/ips"), "/address")},
                            statusCell(conditionOf(interface, "/conditions", "Ready")),
                            {text(set, "/nodeName")},
                            ageCell(interface, "/attachedAt", now),
                            {text(interface, "/mac")},
                            {text(interface, "/mtu")},
                            {text(interface, "/attachmentName")},
                            {text(set, "/sandboxID").substr(0, 13)}});
    }
  }
  sortRows(table);
  return table;
}

Table nodesTable(const json& nodeSets) {
  Table table{{{"NODE"}, {"NETWORK"}, {"READY"}, {"REASON"}, {"MESSAGE", true}, {"CHECKS", true}},
              {}};
  for (const auto& nodeSet : nodeSets) {
    const std::string node = text(nodeSet, "/metadata/name");
    const json networks = list(nodeSet, "/status/networks");
    if (networks.empty() && !node.empty()) {
      table.rows.push_back(
          {{node}, {""}, {""}, {"NotJoined"}, {"no pod here wants a network"}, {""}});
    }
    for (const auto& network : networks) {
      const auto ready = conditionOf(network, "/conditions", "Ready");
      std::string checks;
      for (const auto& check : list(network, "/checks")) {
        checks += (checks.empty() ? "" : ",") + text(check, "/name") + "=" + text(check, "/status");
      }
      table.rows.push_back({{node},
                            {text(network, "/podNetworkName")},
                            statusCell(ready),
                            {text(ready, "/reason")},
                            {text(ready, "/message")},
                            {checks}});
    }
    // What is amiss with the node whatever the network.
    for (const auto& condition : list(nodeSet, "/status/conditions")) {
      if (node.empty() || !isAmiss(condition)) continue;
      table.rows.push_back({{node},
                            {""},
                            {"False", moodOf("False")},
                            {text(condition, "/reason")},
                            {text(condition, "/message")},
                            {text(condition, "/type") + "=" + text(condition, "/status")}});
    }
  }
  sortRows(table);
  return table;
}

}  // namespace multinet::cli
