// From what a pod asks to what its interfaces shall be, by the rules of lib/api over the agent's
// own caches: what the webhook decided is never taken on trust.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/async/answer.h"
#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/ipam/subnet.h"
#include "nodeagent/model/interface.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/watch/caches.h"

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

/// What a network's spec says to its interfaces. Pure; the spec has passed the rules.
[[nodiscard]] std::vector<ipam::Subnet> subnetsOf(const api::PodNetwork& network);

/// What the node has of its networks now.
using NetworksNow = std::function<std::shared_ptr<const networks::Snapshot>()>;

/// Told of a network that a pod is to have and that the node doesn't make yet; must not block.
using WantNetwork = std::function<void(const NetworkUid&)>;

/// Whether the node's name, and with it its addresses, is this agent's; any thread, never waits.
using Standing = std::function<Status()>;

/// Over the caches of this node. Any thread may call; nothing blocks. It lives on the lane of the
/// sandboxes' owner.
class Resolver {
 public:
  /// `clusterPrefixes`: the ranges of pods and nodes, as the command line says them. `networks` is
  /// asked, and `want` told, on the lane. All others outlive it; the lane stops before it goes.
  Resolver(
      async::Lane& lane, watch::Caches& caches, NetworksNow networks, const Clock& clock,
      std::vector<IpPrefix> clusterPrefixes, WantNetwork want = [](const NetworkUid&) {},
      Standing standing = [] { return Status(); });

  /// Whether enough is known to decide; the error says what is missing. Never waits.
  [[nodiscard]] Status ready() const;
  /// False where it is known that the cluster has no network at all. Never waits.
  [[nodiscard]] bool anyNetwork() const;
  /// The cluster's ranges whose ways stay on the pod's first interface where this one takes the
  /// default route over, as they are known now; none where they aren't. Never waits.
  [[nodiscard]] std::vector<IpPrefix> staysOnEth0(const InterfacePlan& plan) const;
  /// What an interface of that network is made of on this node. For plans that were rebuilt after
  /// the journal was lost; none where the network isn't there (yet, or any more). Never waits.
  [[nodiscard]] std::optional<Link> linkOf(const NetworkUid& network) const;
  /// A refusal (InvalidArgument, NotFound, PermissionDenied, FailedPrecondition) names the rule;
  /// Unavailable says what the agent doesn't know yet, in less than 5 s. Called on the lane it is
  /// answered before the call returns where all is known, and later on the lane where it isn't.
  void resolve(const PodRequest& request, BootTime deadline,
               async::Answer<std::vector<WantedInterface>> done);

 private:
  struct Call;
  void attempt(const std::shared_ptr<Call>& call);
  void judge(const std::shared_ptr<Call>& call);
  void again(const std::shared_ptr<Call>& call, Error error);
  [[nodiscard]] Result<std::vector<WantedInterface>> decide(const PodRequest& request) const;
  /// Networks of its earlier sandboxes, as far as journal and API tell.
  [[nodiscard]] std::set<NetworkUid> hadBefore(const PodRequest& request) const;
  [[nodiscard]] Result<std::vector<IpPrefix>> clusterPrefixesOf(const InterfacePlan& plan) const;
  [[nodiscard]] Status refuseClustersRange(const WantedInterface& wanted) const;

  async::Lane& lane_;
  watch::Caches& caches_;
  const NetworksNow networks_;
  const Clock& clock_;
  const std::vector<IpPrefix> clusterPrefixes_;
  const WantNetwork want_;
  const Standing standing_;
};

}  // namespace multinet::agent::resolve
