// The way of a connection from a pod to a service on a network, step by step: which step refuses
// it, what the client sees then, and what is to be done. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/output.h"
#include "lib/endpoints/frontends.h"
#include "lib/policy/world.h"

namespace multinet::cli {

/// What policies of the service's network are judged by.
struct PolicyView {
  policy::Network network;
  policy::World world;
  bool isPoliced = true;  ///< nodes hold interfaces of the network's type to policies
  std::string unseen;     ///< why they aren't known; empty: they are
};

/// What was found. What isn't there is null.
struct ServiceTrace {
  nlohmann::json service;  ///< the PodNetworkService; always there
  nlohmann::json core;     ///< the Service of its name
  nlohmann::json network;  ///< its PodNetwork; null too where it may not be read
  nlohmann::json pod;      ///< that connects; always there
  nlohmann::json set;      ///< the PodInterfaceSet of the pod's name
  nlohmann::json nodeSet;  ///< the NodeNetworkSet of its node
  bool mayReadNodes = true;
  std::string zone;                    ///< of its node; empty too where that may not be read
  endpoints::Slices slices;            ///< EndpointSlices of the service's name, whoever made them
  std::string port;                    ///< of the service, by name or number; empty: all
  std::optional<PolicyView> policies;  ///< nothing where the network isn't there
};

enum class Verdict : std::uint8_t { Passes, Warns, Refuses };

/// One step of a connection's way.
struct WayStep {
  std::string step;  ///< service, name, pod, interface, node, endpoints, policy
  Verdict verdict = Verdict::Passes;
  std::string says;
  std::string remedy;  ///< empty: there is nothing to do
};

/// One endpoint in one port and family.
struct WayEndpoint {
  std::string port;      ///< of the service: `http 80/TCP`
  std::string endpoint;  ///< `10.20.0.5:8080`
  std::string pod;
  std::string node;
  bool ready = false;
  bool serving = false;
  bool terminating = false;
  std::string unused;  ///< why it gets no connection; empty: it does
  std::string denied;  ///< which end's policies deny it; empty: none, or not known
};

struct ServiceWay {
  std::string from;  ///< `shop/client`
  std::string to;    ///< `shop/web`
  std::vector<WayStep> steps;
  std::vector<WayEndpoint> endpoints;
  std::string client;  ///< what the client sees

  /// The first that refuses; null: none does.
  [[nodiscard]] const WayStep* refusal() const;
};

/// InvalidArgument: the service has no such port.
[[nodiscard]] Result<ServiceWay> follow(const ServiceTrace& found);

/// Steps, endpoints (`most` of them), and a sentence.
[[nodiscard]] std::string drawWay(const ServiceWay& way, std::size_t most, Colour colour);
[[nodiscard]] nlohmann::json toJson(const ServiceWay& way);

}  // namespace multinet::cli
