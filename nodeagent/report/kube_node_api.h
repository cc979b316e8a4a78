// The node reports' door to Kubernetes, over lib/kube, with the kubelet's rights.
#pragma once

#include <utility>

#include "nodeagent/report/client_source.h"
#include "nodeagent/report/node_reporter.h"

namespace multinet::agent::report {

class KubeNodeApi final : public NodeApi {
 public:
  explicit KubeNodeApi(ClientSource client) : client_(std::move(client)) {}

  [[nodiscard]] Result<api::NodeNetworkSet> getNodeSet(const NodeName& node) override;
  [[nodiscard]] Result<api::NodeNetworkSet> createNodeSet(const api::NodeNetworkSet& set) override;
  [[nodiscard]] Status updateNodeSetStatus(const api::NodeNetworkSet& set) override;
  [[nodiscard]] Status createPeer(const api::NetworkPeer& peer) override;
  [[nodiscard]] Status updatePeer(const api::NetworkPeer& peer) override;
  [[nodiscard]] Status deletePeer(const api::NetworkPeer& peer) override;

 private:
  ClientSource client_;
};

}  // namespace multinet::agent::report
