// Writes what this node has of its networks: its NodeNetworkSet, and a NetworkPeer for each network
// whose tunnel ends here.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/api/network_peer.h"
#include "lib/api/node_network_set.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/kube/work_queue.h"
#include "lib/kube/worker.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/report/reporter.h"

namespace multinet::agent::report {

/// What this room asks of the API for the node. Calls block, on the room's own thread.
class NodeApi {
 public:
  virtual ~NodeApi() = default;
  /// NotFound where the node has none yet.
  [[nodiscard]] virtual Result<api::NodeNetworkSet> getNodeSet(const NodeName& node) = 0;
  [[nodiscard]] virtual Result<api::NodeNetworkSet> createNodeSet(
      const api::NodeNetworkSet& set) = 0;
  [[nodiscard]] virtual Status updateNodeSetStatus(const api::NodeNetworkSet& set) = 0;
  /// All peers that this node has written.
  [[nodiscard]] virtual Result<std::vector<api::NetworkPeer>> listPeers(const NodeName& node) = 0;
  [[nodiscard]] virtual Status createPeer(const api::NetworkPeer& peer) = 0;
  [[nodiscard]] virtual Status updatePeer(const api::NetworkPeer& peer) = 0;
  [[nodiscard]] virtual Status deletePeer(const api::NetworkPeer& peer) = 0;
};

/// What is known of the node.
struct NodeView {
  networks::Snapshot networks;
  std::map<std::string, NodeCondition> conditions;  ///< by type
};

/// The status that a view makes of the one before, so that times of transition stay. Pure.
[[nodiscard]] api::NodeNetworkSetStatus nodeStatus(const api::NodeNetworkSetStatus& before,
                                                   const NodeView& view, WallTime now);
/// The peers that a snapshot asks for: networks with a tunnel whose bridge and underlay are there.
[[nodiscard]] std::vector<api::NetworkPeer> peersOf(const networks::Snapshot& snapshot,
                                                    const NodeName& node);

/// Makes the API say what the view says; writes only differences, and nothing before the first
/// desired state is in the kernel: that would delete the peers that a running node stands for.
[[nodiscard]] Status writeNode(NodeApi& api, const NodeName& node, const NodeView& view,
                               WallTime now);

class NodeReporter final : public NodeConditions {
 public:
  /// `api` and `clock` outlive it. Starts its thread.
  NodeReporter(NodeApi& api, const Clock& clock, NodeName node);
  ~NodeReporter() override;
  NodeReporter(const NodeReporter&) = delete;
  NodeReporter& operator=(const NodeReporter&) = delete;

  /// Any thread; returns at once; only the newest counts.
  void update(std::shared_ptr<const networks::Snapshot> snapshot);
  void setNodeCondition(NodeCondition condition) override;

 private:
  [[nodiscard]] Result<kube::Outcome> write();

  NodeApi& api_;
  const Clock& clock_;
  const NodeName node_;
  std::mutex mutex_;
  NodeView view_;
  kube::WorkQueue<std::string> queue_;
  kube::Workers<std::string> workers_;
};

}  // namespace multinet::agent::report
