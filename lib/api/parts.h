// The parts of the rules: of this room only.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/api/pod_network_service.h"
#include "lib/api/resolve.h"
#include "lib/api/validate.h"

namespace multinet::api::parts {

/// Where a pod's request stands: `metadata.annotations[multinet.dev/networks]`.
[[nodiscard]] std::string requestPath();

/// A rule that the value of a field breaks.
[[nodiscard]] inline Violation broken(std::string path, std::string value, std::string detail,
                                      std::string remedy, std::string reason) {
  return {std::move(path),   std::move(value),  std::move(detail),
          std::move(remedy), std::move(reason), Code::InvalidArgument};
}

/// `spec.routes` and 2 make `spec.routes[2]`.
[[nodiscard]] std::string at(const std::string& path, std::size_t index);

/// The subnets of a network that can be read, in order; the others are told by checkSubnets.
struct TypedSubnet {
  std::size_t index = 0;  ///< in spec.ipam.subnets
  IpPrefix cidr;
  std::optional<IpAddress> gateway;
};
[[nodiscard]] std::vector<TypedSubnet> typedSubnets(const PodNetworkSpec& spec);

/// spec.ipam: every subnet by itself, then each pair of them.
[[nodiscard]] Report checkSubnets(const PodNetworkSpec& spec);

/// A list of routes at `path`: what each says, whether its gateway is on one of the subnets,
/// destinations named twice.
[[nodiscard]] Report checkRoutes(const std::vector<Route>& routes, const std::string& path,
                                 const std::vector<TypedSubnet>& subnets);

/// Both families' floor, and the ceiling of `most`, at `path`.
[[nodiscard]] std::optional<Violation> checkMtu(std::int32_t mtu, const std::string& path,
                                                const std::vector<TypedSubnet>& subnets,
                                                std::int32_t most, const std::string& mostIs);

/// How a service is offered beyond its network: types NodePort and LoadBalancer with what belongs
/// to them, and spec.reach.
[[nodiscard]] Report checkExposure(const PodNetworkServiceSpec& spec);
/// What is legal there and may not do what one thinks.
[[nodiscard]] Violations warnOfExposure(const PodNetworkServiceSpec& spec);

/// A name of a device on the node, at `path`.
[[nodiscard]] std::optional<Violation> checkDeviceName(const std::string& name,
                                                       const std::string& path);

/// Whether a namespace with these labels (null: not known yet) is granted; the violation's path and
/// value are for the caller to fill in.
[[nodiscard]] std::optional<Violation> checkAccess(const PodNetwork& network,
                                                   const std::string& namespaceName,
                                                   const k8s::StringMap* labels);

/// Of a network that the catalog doesn't show, where it doesn't show all: the same words whether it
/// isn't there or isn't open to the namespace. Path and value are for the caller to fill in.
[[nodiscard]] Violation notOpen(const std::string& namespaceName, const Catalog& catalog);

/// Whether a default gateway is asked for of a family.
[[nodiscard]] bool wants(DefaultGateway gateway, IpFamily family);

/// All of an attachment's rules that need its network: MTU, routes, default gateway, allow.
[[nodiscard]] Report checkAgainst(const PodNetworkAttachmentSpec& attachment,
                                  const PodNetwork& network);

}  // namespace multinet::api::parts
