// This node's PodInterfaceSets as a witness: what the API believes that pods here have.
#pragma once

#include <functional>
#include <vector>

#include "lib/api/pod_interface_set.h"
#include "lib/async/lane.h"
#include "lib/base/ids.h"
#include "lib/kube/client_source.h"
#include "nodeagent/sandbox/testimony.h"

namespace multinet::agent {

/// A set in the agent's own words. InvalidArgument where it can't be one of ours: then it is no
/// witness. Pure.
[[nodiscard]] Result<sandbox::KnownSet> knownSet(const api::PodInterfaceSet& set);

/// Asks the API server, one question at a time.
class KubeOwnSets {
 public:
  /// `clock` outlives it.
  KubeOwnSets(kube::ClientSource client, NodeName node, const Clock& clock)
      : client_(std::move(client)), node_(std::move(node)), lane_("own-sets", clock) {}

  /// See sandbox::OwnSets.
  void list(async::Answer<std::vector<sandbox::KnownSet>> done);

 private:
  [[nodiscard]] Result<std::vector<sandbox::KnownSet>> listNow();

  kube::ClientSource client_;
  const NodeName node_;
  async::Lane lane_;
};

}  // namespace multinet::agent
