// From what a pod asks to what its interfaces shall be, by the rules of lib/api over the agent's
// own caches: what the webhook decided is never taken on trust.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/async/answer.h"
#include "lib/base/clock.h"
#include "lib/ipam/subnet.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::resolve {

/// What the kubelet's call says about a pod.
struct PodRequest {
  PodRef pod;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool hostNetwork = false;
  /// Interfaces of the pod's earlier sandboxes, as far as the journal still has them.
  std::vector<InterfacePlan> earlier;
};

/// An interface without its addresses and MAC.
struct WantedInterface {
  InterfacePlan plan;
  std::vector<ipam::Subnet> subnets;
};

/// The plan with its addresses: the network's other subnets of those families become routes on
/// link.
[[nodiscard]] InterfacePlan complete(const WantedInterface& wanted,
                                     const std::vector<AddressPlan>& addresses, MacAddress mac);

/// Any thread may call; nothing blocks. It lives on the lane of the sandboxes' owner.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// Whether enough is known to decide; the error says what is missing. Never waits.
  [[nodiscard]] virtual Status ready() const = 0;
  /// False where it is known that the cluster has no network at all. Never waits.
  [[nodiscard]] virtual bool anyNetwork() const = 0;
  /// The cluster's ranges whose ways stay on the pod's first interface where this one takes the
  /// default route over, as they are known now; none where they aren't. Never waits.
  [[nodiscard]] virtual std::vector<IpPrefix> staysOnEth0(const InterfacePlan& plan) const = 0;
  /// What an interface of that network is made of on this node. For plans that were rebuilt after
  /// the journal was lost; none where the network isn't there (yet, or any more). Never waits.
  [[nodiscard]] virtual std::optional<Link> linkOf(const NetworkUid& network) const = 0;
  /// A refusal (InvalidArgument, NotFound, PermissionDenied, FailedPrecondition) names the rule;
  /// Unavailable says what the agent doesn't know yet, in less than 5 s. Called on the lane it is
  /// answered before the call returns where all is known, and later on the lane where it isn't.
  virtual void resolve(const PodRequest& request, BootTime deadline,
                       async::Answer<std::vector<WantedInterface>> done) = 0;
};

}  // namespace multinet::agent::resolve
