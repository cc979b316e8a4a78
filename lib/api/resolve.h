// What a pod would get, and why: the request of a pod against the catalog. The webhook refuses by
// it, the agent attaches by it, the CLI prints it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/api/request.h"
#include "lib/api/violation.h"
#include "lib/base/ids.h"
#include "lib/base/ip.h"

namespace multinet::api {

/// The pod as far as its networks go.
struct PodSubject {
  std::string namespaceName;
  bool hostNetwork = false;
  std::optional<std::string> request;  ///< value of kNetworksAnnotation; absent: asks for nothing
};

struct ResolvedRoute {
  IpPrefix to;
  std::optional<IpAddress> via;  ///< absent: on link
  auto operator<=>(const ResolvedRoute&) const = default;
};

/// One interface, every rule passed.
struct ResolvedInterface {
  InterfaceName name;
  RequestItem item;       ///< what asked for it
  std::string objectUid;  ///< of the network or attachment that `item` names
  NetworkName network;
  NetworkUid networkUid;
  NetworkType type = NetworkType::Bridge;
  std::optional<std::int32_t> mtu;    ///< absent: what the network has on the node
  std::vector<ResolvedRoute> routes;  ///< the network's, then the attachment's; one a destination
  bool defaultGatewayV4 = false;
  bool defaultGatewayV6 = false;
  bool operator==(const ResolvedInterface&) const = default;
};

/// A rule's verdict, for people.
struct RuleOutcome {
  enum class Verdict : std::uint8_t { Passed, Broken, Warned, Skipped };
  std::string rule;  ///< CamelCase: `NetworkReady`
  Verdict verdict = Verdict::Passed;
  std::string text;  ///< one sentence
};

struct ExplainedItem {
  std::string item;  ///< as the request has it
  std::vector<RuleOutcome> rules;
  std::optional<ResolvedInterface> interface;  ///< absent where a rule was broken
};

struct Explanation {
  std::vector<RuleOutcome> rules;  ///< of the pod as a whole
  std::vector<ExplainedItem> items;
  Report report;  ///< all that was broken or warned of, of pod and items
};

/// Runs every rule that can be run. A pod without a request: no items, nothing broken.
[[nodiscard]] Explanation explain(const PodSubject& pod, const Catalog& catalog);

/// The interfaces in the order of the request, or all that is wrong. Paths are of the pod:
/// `metadata.annotations[multinet.dev/networks]`.
[[nodiscard]] tl::expected<std::vector<ResolvedInterface>, Violations> resolve(
    const PodSubject& pod, const Catalog& catalog);

/// The value of kResolvedAnnotation, the same for the same interfaces:
/// `net1=blue@<uid>,nas0=attachment/nas@<uid>:storage@<uid>`.
[[nodiscard]] std::string formatResolved(const std::vector<ResolvedInterface>& interfaces);

/// One item of kResolvedAnnotation.
struct ResolvedReference {
  InterfaceName name;
  RequestItem item;
  std::string objectUid;
  NetworkName network;
  NetworkUid networkUid;
  bool operator==(const ResolvedReference&) const = default;
};
/// InvalidArgument names the item and what is wrong with it.
[[nodiscard]] Result<std::vector<ResolvedReference>> parseResolved(std::string_view text);

}  // namespace multinet::api
