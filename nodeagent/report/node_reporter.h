// Keeps what the API says of this node as it shall be: its NodeNetworkSet, and a NetworkPeer for
// each network whose tunnel ends here.
//
// Level-driven, as the reporter of pods: what is there comes from watches, differences alone are
// written, and what is deleted or altered comes back. Each peer is written for itself: one that the
// server refuses holds up neither the others nor the set. While there is no Node of this name
// nothing is written: the controller takes away what speaks of nodes that don't exist.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "lib/api/network_peer.h"
#include "lib/api/node_network_set.h"
#include "lib/async/workers.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/kube/client_source.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/report/reporter.h"
#include "nodeagent/watch/own_objects.h"

namespace multinet::agent::report {

/// What is known of the node.
struct NodeView {
  networks::Snapshot networks;
  std::map<std::string, NodeCondition> conditions;  ///< by type
  std::set<NetworkUid> used;                        ///< networks that pods have interfaces of
};

/// The status that a view makes of the one before, so that times of transition stay; it fits the
/// schema, whatever there is to tell. Pure.
[[nodiscard]] api::NodeNetworkSetStatus nodeStatus(const api::NodeNetworkSetStatus& before,
                                                   const NodeView& view, WallTime now);
/// The peers that a snapshot asks for: networks with a tunnel whose bridge and underlay are there.
/// By name.
[[nodiscard]] std::map<std::string, api::NetworkPeer> peersOf(const networks::Snapshot& snapshot,
                                                              const NodeName& node);

struct NodeReportOptions {
  Duration repairAfter = std::chrono::seconds(1);   ///< as ReportOptions has it
  Duration refusedAgain = std::chrono::minutes(1);  ///< likewise
  Duration watchPatience = std::chrono::seconds(10);
  int workers = 2;
};

/// Any thread may call; nothing blocks, nothing fails.
class NodeReporter {
 public:
  /// All it is given outlives it. Starts its threads.
  NodeReporter(kube::ClientSource client, const watch::OwnObjects& own, const Clock& clock,
               NodeName node, NodeReportOptions options = {});
  ~NodeReporter();
  NodeReporter(const NodeReporter&) = delete;
  NodeReporter& operator=(const NodeReporter&) = delete;

  /// Any thread; returns at once; only the newest counts. Peers are written only once a snapshot
  /// is settled: before that a running node's peers would be deleted.
  void update(std::shared_ptr<const networks::Snapshot> snapshot);
  void setNodeCondition(NodeCondition condition);
  /// It outlives whoever has that.
  [[nodiscard]] NodeNews news();
  /// Networks whose interfaces pods have here: they are told first where not all can be.
  void setUsedNetworks(std::set<NetworkUid> uids);

  /// What the watches saw of this peer, or of the Node or the NodeNetworkSet (empty), changed.
  void changed(const std::string& peer);

  /// Works one key at once (a peer's name; empty: the set), for tests without threads.
  [[nodiscard]] Result<async::Outcome> write(const std::string& key);
  /// Of its threads.
  [[nodiscard]] async::LaneHealth health() const { return workers_.health(); }

 private:
  [[nodiscard]] Result<async::Outcome> writeSet(const NodeView& view);
  [[nodiscard]] Status updateSet(kube::Client& client, api::NodeNetworkSet set,
                                 const NodeView& view);
  [[nodiscard]] Status writePeer(const std::string& name);

  const kube::ClientSource client_;
  const watch::OwnObjects& own_;
  const Clock& clock_;
  const NodeName node_;
  const NodeReportOptions options_;
  const BootTime begin_;
  std::mutex mutex_;
  NodeView view_;
  std::map<std::string, api::NetworkPeer> peers_;  ///< of view_, once that is settled
  async::Workers<std::string> workers_;
};

}  // namespace multinet::agent::report
