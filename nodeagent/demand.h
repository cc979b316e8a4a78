// Which networks somebody on this node wants: the node joins no others.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/sandbox/sandboxes.h"
#include "nodeagent/watch/caches.h"
#include "nodeagent/watch/lingering.h"

namespace multinet::agent {

/// Of pods that are placed here and not finished, also of those that are being deleted, which still
/// have their interfaces: what admission resolved their requests to; else what their requests name
/// now. Pure.
[[nodiscard]] std::set<NetworkUid> wantedByPods(const watch::Caches& caches);

/// Networks with services that clients who aren't on them reach by each node. Pure.
[[nodiscard]] std::set<NetworkUid> wantedByServices(const watch::Caches& caches);

/// Networks of which sandboxes have interfaces, by the journal.
struct UsedHere {
  std::set<NetworkUid> networks;
  /// False while sandboxes may have more than what is known: before the journal was compared with
  /// the runtime, and while it is in doubt what one of them has.
  bool complete = false;
};
/// Pure.
[[nodiscard]] UsedHere usedBy(const sandbox::Snapshot& sandboxes);

/// What is wanted, over time. One thread, but for call().
class Demands {
 public:
  using Used = std::function<UsedHere()>;
  /// `linger`: how long a network is kept after the last that wanted it. After a start all are kept
  /// for so long: journal and watches haven't spoken yet. `clock` outlives it.
  Demands(Used used, Duration linger, const Clock& clock);

  /// A call of the kubelet's wants the network, whose pod may not have been seen yet. True where
  /// that is news. Any thread.
  [[nodiscard]] bool call(const NetworkUid& network);
  /// Looks at all who may want something. `caches` is synced.
  void update(const watch::Caches& caches);

  [[nodiscard]] networks::Demand of(const NetworkUid& network) const;
  /// Whether its peers are to be known: it is wanted, or was a while ago.
  [[nodiscard]] bool needsPeers(const NetworkUid& network) const;
  /// When update() is due even if nothing changes; nothing: never.
  [[nodiscard]] std::optional<BootTime> next() const;

 private:
  [[nodiscard]] std::set<NetworkUid> takeCalls(BootTime now);

  const Used used_;
  const Clock& clock_;
  const BootTime certainFrom_;
  watch::Lingering lingering_;
  std::set<NetworkUid> wanted_;
  std::set<std::string> kept_;
  bool certain_ = false;  ///< what isn't kept is wanted by nobody
  bool complete_ = false;
  mutable std::mutex mutex_;                ///< of the next
  std::map<NetworkUid, BootTime> calls_{};  ///< until when they count
};

}  // namespace multinet::agent
