// The networks of this node on the real kernel: one thread, one loop.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "lib/async/runner.h"
#include "lib/netlink/socket.h"
#include "nodeagent/networks/evaluate.h"
#include "nodeagent/networks/guard_keeper.h"
#include "nodeagent/networks/host_plan.h"
#include "nodeagent/networks/joining.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/networks/probes.h"

namespace multinet::agent::networks {

/// Level-driven: the newest desired state wins. Owns a thread, which alone touches the kernel. Any
/// thread may call.
class KernelNetworks {
 public:
  /// The network namespace of the calling thread is the node's. Bridges, tunnels and the node's
  /// ends of pods' links are in `switchNetns`; nullopt: in the node's namespace too. Stopping (by
  /// destruction) leaves the kernel's state as it is: pods go on, a successor adopts it.
  [[nodiscard]] static Result<std::unique_ptr<KernelNetworks>> start(NetworksOptions options,
                                                                     std::optional<Fd> switchNetns,
                                                                     ChangeCallback changed);
  KernelNetworks(const KernelNetworks&) = delete;
  KernelNetworks& operator=(const KernelNetworks&) = delete;
  ~KernelNetworks();

  /// Ends its thread; the kernel's state stays. Nothing else may be called afterwards but
  /// snapshot().
  void stop();

  /// The complete set: a network that is missing is removed (unless pods still use it). Until the
  /// first call nothing is touched.
  void setDesired(std::vector<DesiredNetwork> networks);
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  /// Netlink requests and nftables transactions that changed something, so far: tests assert that a
  /// state that is as desired costs none. Any thread.
  [[nodiscard]] std::uint64_t writes() const { return writes_.load(); }
  /// Of its thread.
  [[nodiscard]] async::LaneHealth health() const { return runner_.health(); }

 private:
  /// What a room of its own namespace needs of the switch's.
  struct Inner {
    SwitchSide side;
    netlink::EventSocket events;
  };
  [[nodiscard]] static Result<Inner> openInner(Fd netns);
  KernelNetworks(NetworksOptions options, ChangeCallback changed, netlink::Socket socket,
                 netlink::EventSocket events, std::optional<Inner> inner, GuardKeeper guard,
                 Fd wake);

  // All below: the room's thread.
  [[nodiscard]] async::Task wait();
  void turn();
  void readEvents();
  void readEventsOf(netlink::EventSocket& events, const std::set<int>& indexes);
  void takeDesired();
  void reconcile();
  [[nodiscard]] Status look();
  [[nodiscard]] std::set<std::string> missingKinds();
  void keepSwitch();
  void quietenSwitch();
  [[nodiscard]] Status writeSysctls(const HostStep& step);
  [[nodiscard]] bool applySteps(const HostPlan& plan);
  [[nodiscard]] std::optional<Error> refusalOf(const HostStep& step);
  void publish();
  void setInterest();

  const NetworksOptions options_;
  const ChangeCallback changed_;
  SystemClock clock_;
  netlink::Socket socket_;  // of the node's namespace
  netlink::EventSocket events_;
  std::optional<Inner> inner_;  // nullopt: the switch is in the node's namespace
  GuardKeeper guard_;
  Fd wake_;

  mutable std::mutex mutex_;  // guards the next two
  std::optional<std::vector<DesiredNetwork>> incoming_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<const Snapshot>();
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> writes_{0};

  std::optional<std::vector<DesiredNetwork>> desired_;
  std::vector<DesiredNetwork> served_;  ///< of desired_, judged on host_
  bool settled_ = false;
  Host host_;
  std::vector<Orphan> orphans_;
  std::map<NetworkUid, Error> refused_;
  std::set<std::string> kinds_;  ///< that the kernel has, as far as was asked
  Probes probes_;
  Joining joining_;
  std::set<std::string> interestNames_;
  std::set<int> interestIndexes_;       // of the node
  std::set<int> innerInterestIndexes_;  // of the switch
  BootTime reconcileAt_{};
  async::Runner runner_;  // last: it uses all of the above
};

}  // namespace multinet::agent::networks
