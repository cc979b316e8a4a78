// Keeps what the API says of this node's pods as it shall be: PodInterfaceSets, the pods' readiness
// condition. And their Events.
//
// Level-driven: what shall be stands here for as long as the sandbox does; what is there comes from
// watches of this node's own objects. A set that somebody deletes or alters, or that a restored
// store has lost, is written again; where both say the same nothing is asked of the server, so that
// a restart of the agent costs it nothing. Nothing on the way of a pod waits for any of this.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/api/names.h"
#include "lib/api/pod_interface_set.h"
#include "lib/async/workers.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/kube/client_source.h"
#include "nodeagent/report/events.h"
#include "nodeagent/report/pod_writes.h"
#include "nodeagent/report/reporter.h"
#include "nodeagent/watch/own_objects.h"

namespace multinet::agent::report {

/// The set of a pod as the API shows it. Pure.
[[nodiscard]] api::PodInterfaceSet interfaceSet(const PodRef& pod, const NodeName& node,
                                                const SandboxId& sandbox,
                                                const std::vector<InterfaceStatus>& interfaces,
                                                WallTime now);

/// What health checks know of a pod's interface on a network.
struct InterfaceHealths {
  std::set<std::string> checked;  ///< UIDs of the services that have it asked
  std::vector<api::InterfaceHealth> found;
};
/// What the set says of it: what was found; of services of which nothing was found yet what the API
/// has, where it has something; of others nothing. By service. Pure.
[[nodiscard]] std::vector<api::InterfaceHealth> healthsOf(
    const InterfaceHealths& now, const std::vector<api::InterfaceHealth>& there);

struct ReportOptions {
  /// Between a change at the API and the look at it: others' changes come in bursts, and our own
  /// need a moment to come back by the watch.
  Duration repairAfter = std::chrono::seconds(1);
  /// An attach that is done by then isn't announced: most are, and the server is spared a write for
  /// each. A pod that counts as ready is told at once to be so no more.
  Duration announceAfter = std::chrono::seconds(10);
  /// What the server refuses for its content is tried again so seldom: it won't change its mind.
  Duration refusedAgain = std::chrono::minutes(1);
  /// So long after the start the watches are waited for before anything is written blindly.
  Duration watchPatience = std::chrono::seconds(10);
  /// Writes at a time. One that hangs holds up no other pod's.
  int workers = 4;
};
/// True where all of them are attached and up; else it names the first that isn't. Pure.
[[nodiscard]] Readiness readinessOf(const std::vector<InterfaceStatus>& interfaces);

/// Any thread may call; nothing blocks, nothing fails.
class ApiReporter {
 public:
  /// All it is given outlives it. Starts its threads.
  ApiReporter(kube::ClientSource client, const watch::OwnObjects& own, NodeNews node,
              const Clock& clock, NodeName name, ReportOptions options = {});
  ~ApiReporter();
  ApiReporter(const ApiReporter&) = delete;
  ApiReporter& operator=(const ApiReporter&) = delete;

  void tell(News news);
  void starting(const PodRef& pod);
  void attached(const PodRef& pod, const SandboxId& sandbox,
                const std::vector<InterfaceStatus>& interfaces);
  void detached(const PodRef& pod, const SandboxId& sandbox);
  void refused(const PodRef& pod, const Error& error);
  /// From now on the set says so. Until it is called for an interface, what the API has stays: an
  /// earlier agent found it.
  void healthFound(const PodUid& pod, const NetworkUid& network, InterfaceHealths healths);
  /// What the set says of that interface's policies; nothing: none says anything of it. Until it is
  /// called for an interface, what the API has stays.
  void policyFound(const PodUid& pod, const NetworkUid& network,
                   std::optional<api::InterfacePolicy> policy);
  /// All containers of the pod in that sandbox are told to stop, though it isn't deleted, or aren't
  /// any more. The set's interfaces say so by condition Draining while it is so. Until it is called
  /// what the API has stays: an earlier agent said it.
  void ending(const PodRef& pod, const SandboxId& sandbox, bool ends);
  void event(const PodRef& pod, const Notice& notice);
  void nodeEvent(const Notice& notice);

  /// What the watches saw of a pod or its set changed; empty: they have just seen all. Any thread.
  void changed(const std::string& podUid);

  /// Pods of which something isn't written yet, for metrics and tests.
  [[nodiscard]] std::size_t waiting() const;
  /// Of its threads.
  [[nodiscard]] async::LaneHealth health() const { return workers_.health(); }

 private:
  /// What shall be said of a pod, and how far that is.
  struct Told {
    PodRef pod;
    SandboxId sandbox;  ///< of the set; empty: no set
    std::optional<api::PodInterfaceSet> set;
    std::set<NetworkUid> networks;
    bool deleteSet = false;
    Readiness readiness;
    bool announced = false;  ///< only a beginning: it replaces no verdict that is there
    BootTime announceAt{};   ///< and is told from then on
    std::optional<WallTime> readySince;
    bool setWritten = false;        ///< once, or seen to be there
    bool readinessWritten = false;  ///< likewise
    bool refusalTold = false;       ///< the Event that says why the set can't be written
    std::uint64_t version = 0;
  };

  void tell(const PodRef& pod, Told told);
  void tellUsed();
  void addHealth(Told& told) const;
  void addPolicies(Told& told) const;
  void addEnding(Told& told) const;
  [[nodiscard]] Result<async::Outcome> write(const PodUid& uid);
  [[nodiscard]] Status writeSet(Told& told, const watch::Seen<k8s::Pod>& pod);
  [[nodiscard]] Status writeReadiness(Told& told, const watch::Seen<k8s::Pod>& seen);
  void tellRefusal(Told& told, const Error& error);
  [[nodiscard]] Result<kube::Client*> connected();
  [[nodiscard]] bool stillBlind() const;
  /// How long an announcement is still kept back, since its pod may be ready any moment.
  [[nodiscard]] Duration keptBack(const Told& told, const watch::Seen<k8s::Pod>& seen) const;
  void keep(const PodUid& uid, const Told& told, bool isFollowed);

  const kube::ClientSource client_;
  const watch::OwnObjects& own_;
  const NodeNews node_;
  const Clock& clock_;
  const NodeName name_;
  const ReportOptions options_;
  const BootTime begin_;
  mutable std::mutex mutex_;
  std::uint64_t version_ = 0;
  std::map<PodUid, Told> told_;
  std::map<std::pair<PodUid, NetworkUid>, InterfaceHealths> healths_;
  std::map<std::pair<PodUid, NetworkUid>, std::optional<api::InterfacePolicy>> policies_;
  std::map<PodUid, std::pair<SandboxId, bool>> endings_;
  std::map<PodUid, SandboxId> current_;  ///< whose set is, or is about to be, in the API
  Events events_;
  async::Workers<PodUid> workers_;
};

}  // namespace multinet::agent::report
