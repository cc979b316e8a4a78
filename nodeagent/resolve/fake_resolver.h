// Gives every pod with the annotation the interfaces that a test wants.
#pragma once

#include <atomic>
#include <optional>
#include <utility>

#include "lib/async/fake_hang.h"
#include "nodeagent/resolve/resolver.h"

namespace multinet::agent::resolve {

/// Answers on the caller's thread, or when api.release() is called.
class FakeResolver final : public Resolver {
 public:
  std::vector<WantedInterface> interfaces;
  std::optional<Error> error;
  std::vector<IpPrefix> clusterPrefixes;  ///< of those that take the default route over
  std::map<NetworkUid, Link> links;       ///< that this node has of networks
  async::FakeHang api;
  PodRequest last;  ///< what was asked for last
  std::atomic<bool> networks = true;

  [[nodiscard]] Status ready() const override {
    if (error.has_value()) return fail(*error);
    return {};
  }
  [[nodiscard]] bool anyNetwork() const override { return networks; }
  [[nodiscard]] std::vector<IpPrefix> staysOnEth0(const InterfacePlan& plan) const override {
    return plan.defaultGatewayV4 || plan.defaultGatewayV6 ? clusterPrefixes
                                                          : std::vector<IpPrefix>{};
  }
  [[nodiscard]] std::optional<Link> linkOf(const NetworkUid& network) const override {
    const auto found = links.find(network);
    return found == links.end() ? std::nullopt : std::optional<Link>(found->second);
  }
  void resolve(const PodRequest& request, BootTime /*deadline*/,
               async::Answer<std::vector<WantedInterface>> done) override {
    last = request;
    api.pass([this, done = std::move(done)] {
      if (error.has_value()) return done(fail(*error));
      done(interfaces);
    });
  }
};

}  // namespace multinet::agent::resolve
