// Which networks reach which nodes and pods, as a picture and as text. Pure.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/output.h"

namespace multinet::cli {

struct Topology {
  struct Network {
    std::string name;
    std::string type;
    std::string vni;  // empty: none
    std::string subnets;
    std::string ready;  // True, False, Unknown
  };
  struct Service {
    std::size_t network = 0;  // in `networks`
    std::string name;         // `shop/web`
    std::string address;      // ClusterIPs, or `headless`; empty: none yet
    std::string outside;      // `192.0.2.10, node port 30080`; empty: it's for the cluster
    std::string ports;        // `http:80/TCP`
    std::string endpoints;    // ready/serving/terminating; empty: not counted yet
    bool ready = false;       // its names lead to an endpoint
  };
  struct Interface {
    std::size_t network = 0;  // in `networks`
    std::string name;
    std::string addresses;
    bool ready = false;
  };
  struct Pod {
    std::string name;  // `default/web-0`
    std::vector<Interface> interfaces;
  };
  struct Node {
    std::string name;
    std::map<std::size_t, std::string> networks;  // True, False or Unknown of those that it has
    std::vector<Pod> pods;                        // by name
  };
  std::vector<Network> networks;  // by name
  std::vector<Node> nodes;        // by name
  std::vector<Service> services;  // by name
};

/// Networks that nothing else speaks of are shown too; interfaces and services of a network that
/// is gone aren't, nor are services that lead to an outside name.
[[nodiscard]] Topology makeTopology(const nlohmann::json& networks, const nlohmann::json& nodeSets,
                                    const nlohmann::json& sets, const nlohmann::json& services);

/// For a terminal: each network with its nodes, on each the pods, `most` of them by name, and its
/// services, likewise.
[[nodiscard]] std::string drawText(const Topology& topology, std::size_t most, Colour colour);

/// One SVG document. Networks are rails on top, each of a colour that goes down to the nodes that
/// have it and to a dot at each pod; its services hang from the rail. Hollow where something isn't
/// ready. A node with very many pods shows those of one workload as one.
[[nodiscard]] std::string drawSvg(const Topology& topology);

}  // namespace multinet::cli
