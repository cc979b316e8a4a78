// The parts that pods with networks need, in the order in which they start and stop. Plain pods
// need none of them (see wiring.cc).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/async/lane.h"
#include "lib/async/watchdog.h"
#include "lib/base/clock.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/blocks.h"
#include "nodeagent/attach/kernel_attach_engine.h"
#include "nodeagent/cri/runtime_channel.h"
#include "nodeagent/drain/drain.h"
#include "nodeagent/feeder.h"
#include "nodeagent/gateway/checker.h"
#include "nodeagent/gateway/keeper.h"
#include "nodeagent/isolation/port_guard.h"
#include "nodeagent/journal/sqlite_journal.h"
#include "nodeagent/measured.h"
#include "nodeagent/metrics.h"
#include "nodeagent/networks/kernel_networks.h"
#include "nodeagent/own_sets.h"
#include "nodeagent/policy/guard.h"
#include "nodeagent/policy/pod_guards.h"
#include "nodeagent/policy/policing.h"
#include "nodeagent/recover/recovery.h"
#include "nodeagent/report/api_reporter.h"
#include "nodeagent/report/node_reporter.h"
#include "nodeagent/resolve/resolver.h"
#include "nodeagent/sandbox/owner.h"
#include "nodeagent/services/joining_engine.h"
#include "nodeagent/services/kernel_plane.h"
#include "nodeagent/services/translator.h"
#include "nodeagent/watch/cluster.h"
#include "nodeagent/wiring.h"

namespace multinet::agent {

/// Made once; used on one thread. Destroyed only where its callers have ended.
class NetworkParts {
 public:
  /// What was parsed of the settings.
  struct Policy {
    Duration quarantine{};
    std::vector<IpPrefix> clusterPrefixes;
  };

  /// Fails never and touches nothing yet. `clock`, `metrics`, `watchdog` and `drain` outlive it.
  NetworkParts(const Settings& settings, Policy policy, const Clock& clock, Metrics& metrics,
               async::Watchdog& watchdog, drain::Drain& drain);

  /// Starts what isn't started yet. After an error, or an exception of the standard library for
  /// want of threads or memory, it may be called again: Unavailable names the part, the reason and
  /// what helps.
  [[nodiscard]] Status start();
  /// After start() has succeeded.
  [[nodiscard]] sandbox::Owner& owner() { return *owner_; }
  /// Any thread.
  [[nodiscard]] std::vector<watch::WatchAge> watches() const { return cluster_.watches(); }
  /// Any thread.
  [[nodiscard]] std::size_t reportsWaiting() const { return reporter_.waiting(); }
  [[nodiscard]] services::TranslatorCounts services() const {
    return feeding_ ? translator_->counts() : services::TranslatorCounts{};
  }
  [[nodiscard]] isolation::Drops drops() const {
    if (!feeding_) return {};
    isolation::Drops drops = guard_->drops();
    drops["flows"] += policyGuard_->beyond();
    return drops;
  }
  [[nodiscard]] policing::FlowTable flows() const {
    return feeding_ ? policyGuard_->flows().value_or(policing::FlowTable{}) : policing::FlowTable{};
  }
  [[nodiscard]] policing::PolicingCounts policies() const {
    return feeding_ ? policing_->counts() : policing::PolicingCounts{};
  }
  [[nodiscard]] policing::Denied denied() const {
    if (!feeding_) return {};
    const policing::Denied inPods = podGuards_->denied();
    const policing::Denied denied = policyGuard_->denied();
    return {denied.egress + inPods.egress, denied.ingress + inPods.ingress};
  }
  /// Intents stay in the journal for the successor.
  void stop();
  /// After stop(), where no pod here has an interface and nobody is coming: takes the node's
  /// networks away, with the switch. A successor makes them again.
  [[nodiscard]] Status leave();

 private:
  [[nodiscard]] Status startKernel();
  /// nullopt: the switch is in the node's own namespace.
  [[nodiscard]] Result<std::optional<Fd>> openSwitch() const;
  [[nodiscard]] Status startGuards();
  [[nodiscard]] std::unique_ptr<policing::Policing> makePolicing();
  [[nodiscard]] Result<policing::Ends> endsOfLinks() const;
  [[nodiscard]] Result<std::unique_ptr<attach::KernelAttachEngine>> startEngine() const;
  void serveNetworks(std::vector<networks::DesiredNetwork> all);
  void serve();
  void opened(const journal::Loaded& journal);
  void stand(const Status& standing);
  void changed();
  /// On the translator's lane.
  void tellServices(const Status& translated);
  /// In the policies' turn.
  void tellPolicies(const policing::NodePolicies& held);
  /// On the keeper's lane.
  void tellGateways(const std::vector<gateway::Trouble>& troubles, bool any);
  void blockGone(const api::IPBlock& block);
  void storeWentBack();

  const Settings settings_;
  const Policy policy_;
  const Clock& clock_;
  Metrics& metrics_;
  async::Watchdog& watchdog_;
  drain::Drain& drain_;
  const NodeName node_;
  async::Lane files_;
  cri::RuntimeChannel channel_;
  std::unique_ptr<sandbox::Runtime> runtime_;
  MeasuredRuntime measuredRuntime_;
  journal::SqliteJournal journal_;
  MeasuredJournal measuredJournal_;
  watch::Cluster cluster_;
  const kube::ClientSource client_;
  report::NodeReporter nodeReporter_;
  addresses::Blocks blocks_;
  report::ApiReporter reporter_;
  KubeOwnSets ownSets_;
  services::KernelPlane plane_;
  services::Members members_;
  // From here on by start():
  std::string bootId_;
  std::optional<Fd> switchNetns_;  ///< as the guards have it
  std::unique_ptr<isolation::PortGuard> guard_;
  std::unique_ptr<policing::PolicyGuard> policyGuard_;
  std::unique_ptr<policing::PodGuards> podGuards_;
  std::unique_ptr<policing::Policing> policing_;
  std::unique_ptr<attach::KernelAttachEngine> engine_;
  std::unique_ptr<MeasuredEngine> measured_;
  std::unique_ptr<services::JoiningEngine> joining_;
  std::unique_ptr<networks::KernelNetworks> networks_;
  /// Of the owner, and of what it asks without a change of threads.
  std::unique_ptr<async::Lane> lane_;
  std::unique_ptr<addresses::Addresses> addresses_;
  std::unique_ptr<resolve::Resolver> resolver_;
  std::unique_ptr<Feeder> feeder_;
  std::unique_ptr<services::Translator> translator_;
  std::unique_ptr<gateway::Checker> checker_;
  std::unique_ptr<gateway::LocalHealth> localHealth_;
  std::unique_ptr<gateway::Keeper> gateways_;
  bool gatewaysTold_ = false;         ///< of the keeper's lane, as the next
  std::set<std::string> noAddress_;   ///< networks of which that was told
  bool policiesTold_ = false;         ///< of the policies' turn
  std::atomic<bool> feeding_{false};  ///< publishes feeder_, addresses_, translator_, gateways_
  std::unique_ptr<sandbox::Owner> owner_;
  std::unique_ptr<recover::Recovery> recovery_;
};

}  // namespace multinet::agent
