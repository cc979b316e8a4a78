// Keeps what the API says of this node as it shall be: its NodeNetworkSet, and a NetworkPeer for
// each network whose tunnel ends here.
//
// Level-driven, as the reporter of pods: what is there comes from watches, differences alone are
// written, and what is deleted or altered comes back. Each peer is written for itself: one that the
// server refuses holds up neither the others nor the set. While there is no Node of this name
// nothing is written: the controller takes away what speaks of nodes that don't exist. Nor while
// another agent works under the name (see tenure.h): what is there is its own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
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
#include "nodeagent/report/tenure.h"
#include "nodeagent/watch/own_objects.h"

namespace multinet::agent::report {

/// What is known of the node.
struct NodeView {
  networks::Snapshot networks;
  std::map<std::string, NodeCondition> conditions;  ///< by type
  std::set<NetworkUid> used;                        ///< networks that pods have interfaces of
  /// Up to which policies are committed; nothing: as the last agent said.
  std::optional<std::string> policyRevision{};
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
  Duration revisionEvery = std::chrono::seconds(1);  ///< between writes of policies' revisions
  TenureOptions tenure{};
  int workers = 2;
};

/// Told whether this agent works under the node's name, at each change. The error says who does:
/// Unavailable/NodeNameUnclear until that is known, FailedPrecondition/NodeNameTaken where it is
/// another. On a thread of the reporter's; must not block.
using StandingTold = std::function<void(const Status&)>;

/// Any thread may call; nothing blocks, nothing fails.
class NodeReporter {
 public:
  /// All it is given outlives it. Starts its threads.
  NodeReporter(
      kube::ClientSource client, const watch::OwnObjects& own, const Clock& clock, NodeName node,
      NodeReportOptions options = {}, StandingTold told = [](const Status&) {});
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
  /// The resourceVersion up to which heads of policies are committed here; empty: of none. Written
  /// once a second at the most.
  void setPolicyRevision(std::string revision);

  /// Who this agent is, once that is known. Until then it reports without asking whose the name is.
  void identify(api::NodeAgent self);
  /// Whether it works under the node's name, as it was last told. Any thread.
  [[nodiscard]] Status standing() const;

  /// What the watches saw of this peer, or of the Node or the NodeNetworkSet (empty), changed.
  void changed(const std::string& peer);

  /// Works one key at once (a peer's name; empty: the set), for tests without threads.
  [[nodiscard]] Result<async::Outcome> write(const std::string& key);
  /// Of its threads.
  [[nodiscard]] async::LaneHealth health() const { return workers_.health(); }

 private:
  /// What a look at the set goes by.
  struct Look {
    NodeView view;
    std::optional<api::NodeAgent> self;
  };
  [[nodiscard]] Result<async::Outcome> writeSet(const Look& look);
  [[nodiscard]] Result<async::Outcome> updateSet(kube::Client& client, api::NodeNetworkSet set,
                                                 Look look);
  [[nodiscard]] bool mayReport() const;
  [[nodiscard]] bool isPressing() const;
  void stand(Status standing);
  /// The name is ours, or nobody can be asked.
  void hold();
  [[nodiscard]] Status writePeer(const std::string& name);

  const kube::ClientSource client_;
  const watch::OwnObjects& own_;
  const Clock& clock_;
  const NodeName node_;
  const NodeReportOptions options_;
  const StandingTold told_;
  const BootTime begin_;
  Tenure tenure_;  ///< of whoever works the set's key
  mutable std::mutex mutex_;
  NodeView view_;
  std::optional<api::NodeAgent> self_;
  Status standing_;
  std::map<std::string, api::NetworkPeer> peers_;  ///< of view_, once that is settled
  BootTime revisionAt_{};                          ///< when one may be written
  async::Workers<std::string> workers_;
};

}  // namespace multinet::agent::report
