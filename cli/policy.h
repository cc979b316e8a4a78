// Policies, tried on pods that run: the evaluator of lib/policy, for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/policy/evaluate.h"

namespace multinet::cli {

/// One end of a connection as it was typed.
struct Endpoint {
  std::string title;                 ///< `shop/web`, or the address
  std::vector<IpAddress> addresses;  ///< on the network, at most one a family counts
};

/// `80`, or nothing but a protocol: `TCP`, `UDP`, `SCTP`, `ICMP`.
struct Service {
  std::optional<api::Protocol> protocol = api::Protocol::TCP;  ///< nothing: ICMP
  std::uint16_t port = 0;

  /// `TCP 80`, `ICMP`
  [[nodiscard]] std::string str() const;
};
/// An empty protocol is TCP. InvalidArgument: ICMP with a port, others without one, no port's
/// number.
[[nodiscard]] Result<Service> serviceOf(const std::string& protocol, const std::string& port);

/// Why a direction is allowed or denied, as half a sentence. `direction`: egress, ingress.
[[nodiscard]] std::string reasonOf(const policy::Decision& decision, const std::string& direction,
                                   const policy::Network& network);

/// A verdict for each family that both ends have, with the rules that decided. FailedPrecondition:
/// they have none in common.
struct Explained {
  std::string text;
  nlohmann::json document;  ///< the same for programs
  bool allowed = true;      ///< in every family
};
[[nodiscard]] Result<Explained> explainConnection(const policy::World& world,
                                                  const policy::Network& network,
                                                  const Endpoint& from, const Endpoint& to,
                                                  const Service& service);

/// Of the pods on the network that are in the namespace (empty: in any), who reaches whom.
/// OutOfRange: more than fit on a screen; NotFound: none.
[[nodiscard]] Result<std::string> reachTable(const policy::World& world,
                                             const policy::Network& network,
                                             const std::string& nameSpace, const Service& service);
/// The same for programs, which take more: each pair, with what its ends say.
[[nodiscard]] Result<nlohmann::json> reachDocument(const policy::World& world,
                                                   const policy::Network& network,
                                                   const std::string& nameSpace,
                                                   const Service& service);

}  // namespace multinet::cli
