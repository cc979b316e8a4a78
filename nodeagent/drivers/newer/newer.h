// A type of network that this agent doesn't know: of a newer version of Multinet. What the node has
// of the network stays as it is, nothing is made, no pod is attached.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/pod_network.h"
#include "nodeagent/drivers/network.h"

namespace multinet::agent::drivers::newer {

struct Network {
  static constexpr api::NetworkType kType = api::NetworkType::Unknown;
  bool operator==(const Network&) const = default;

  [[nodiscard]] static std::optional<Network> of(
      const api::PodNetwork& /*network*/, const std::vector<const api::NetworkPeer*>& /*peers*/,
      const NodeName& /*node*/) {
    return Network{};
  }
  [[nodiscard]] bool isComplete() const { return true; }
  [[nodiscard]] bool settle(const Ground& /*ground*/) { return true; }
  [[nodiscard]] HostDetail detail(const Ground& /*ground*/) const { return {}; }
  [[nodiscard]] std::optional<Refusal> refuse(const Ground& /*ground*/) const { return {}; }
  [[nodiscard]] std::optional<Claim> claim() const { return {}; }
  [[nodiscard]] std::string takenDevice() const { return ""; }
  [[nodiscard]] std::string wire() const { return ""; }
  [[nodiscard]] std::vector<std::string> devices() const { return {}; }
  [[nodiscard]] std::vector<std::string> kinds() const { return {}; }
  /// Whatever carries the network's mark.
  [[nodiscard]] std::vector<std::string> links(Place place, const Ground& ground) const;
  [[nodiscard]] Placement placement(const Ground& /*ground*/) const {
    return {failed("Parent", "TypeUnknown",
                   "the network is of a type that this agent doesn't know; upgrade the agent of "
                   "this node"),
            nullptr};
  }
  [[nodiscard]] std::vector<HostStep> steps(const Ground& /*ground*/, const NodeName& /*node*/,
                                            Guard /*guard*/) const {
    return {};
  }
  [[nodiscard]] std::vector<Check> checks(const Ground& /*ground*/, const Placement& /*placement*/,
                                          const Findings& /*findings*/) const {
    return {};
  }
  [[nodiscard]] std::nullopt_t link(const Ground& /*ground*/, const Placement& /*placement*/,
                                    const std::vector<Check>& /*checks*/) const {
    return std::nullopt;
  }
};

}  // namespace multinet::agent::drivers::newer
