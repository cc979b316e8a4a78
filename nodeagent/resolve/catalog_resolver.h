// Resolution over the caches of this node.
#pragma once

#include <memory>

#include "lib/async/lane.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/resolve/resolver.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::resolve {

/// What a network's spec says to its interfaces, with what the node has of it. Pure; the spec has
/// passed the rules.
[[nodiscard]] std::vector<ipam::Subnet> subnetsOf(const api::PodNetwork& network);

class CatalogResolver final : public Resolver {
 public:
  /// `clusterPrefixes`: the ranges of pods and nodes, as the command line says them. All others
  /// outlive it; the lane stops before it goes.
  CatalogResolver(async::Lane& lane, watch::Caches& caches, const networks::Networks& networks,
                  const Clock& clock, std::vector<IpPrefix> clusterPrefixes);

  [[nodiscard]] Status ready() const override { return caches_.synced(); }
  [[nodiscard]] bool anyNetwork() const override;
  [[nodiscard]] std::optional<Link> linkOf(const NetworkUid& network) const override;
  [[nodiscard]] std::vector<IpPrefix> staysOnEth0(const InterfacePlan& plan) const override;
  void resolve(const PodRequest& request, BootTime deadline,
               async::Answer<std::vector<WantedInterface>> done) override;

 private:
  struct Call;
  void attempt(const std::shared_ptr<Call>& call);
  void judge(const std::shared_ptr<Call>& call);
  void again(const std::shared_ptr<Call>& call, Error error);
  [[nodiscard]] Result<std::vector<WantedInterface>> decide(const PodRequest& request) const;
  [[nodiscard]] Result<std::vector<IpPrefix>> clusterPrefixesOf(const InterfacePlan& plan) const;
  [[nodiscard]] Status refuseClustersRange(const WantedInterface& wanted) const;

  async::Lane& lane_;
  watch::Caches& caches_;
  const networks::Networks& networks_;
  const Clock& clock_;
  const std::vector<IpPrefix> clusterPrefixes_;
};

}  // namespace multinet::agent::resolve
