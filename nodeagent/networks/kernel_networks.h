// The networks of this node on the real kernel: one thread, one loop.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "lib/netlink/socket.h"
#include "nodeagent/networks/evaluate.h"
#include "nodeagent/networks/guard_keeper.h"
#include "nodeagent/networks/host_plan.h"
#include "nodeagent/networks/networks.h"
#include "nodeagent/networks/probes.h"

namespace multinet::agent::networks {

class KernelNetworks final : public Networks {
 public:
  [[nodiscard]] static Result<std::unique_ptr<KernelNetworks>> start(NetworksOptions options,
                                                                     ChangeCallback changed);
  KernelNetworks(const KernelNetworks&) = delete;
  KernelNetworks& operator=(const KernelNetworks&) = delete;
  ~KernelNetworks() override;

  void setDesired(std::vector<DesiredNetwork> networks) override;
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const override;
  /// Netlink requests and nftables transactions that changed something, so far: tests assert that a
  /// state that is as desired costs none. Any thread.
  [[nodiscard]] std::uint64_t writes() const { return writes_.load(); }

 private:
  KernelNetworks(NetworksOptions options, ChangeCallback changed, netlink::Socket socket,
                 netlink::EventSocket events, GuardKeeper guard, Fd wake);

  // All below: the room's thread.
  void run();
  void wait();
  void readEvents();
  void takeDesired();
  void reconcile();
  [[nodiscard]] Status look();
  [[nodiscard]] bool applySteps(const HostPlan& plan);
  [[nodiscard]] std::optional<Error> refusalOf(const HostStep& step);
  void publish();
  void setInterest();

  const NetworksOptions options_;
  const ChangeCallback changed_;
  SystemClock clock_;
  netlink::Socket socket_;
  netlink::EventSocket events_;
  GuardKeeper guard_;
  Fd wake_;

  mutable std::mutex mutex_;  // guards the next three
  std::optional<std::vector<DesiredNetwork>> incoming_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<const Snapshot>();
  bool stopping_ = false;
  std::atomic<std::uint64_t> writes_{0};

  std::optional<std::vector<DesiredNetwork>> desired_;
  std::vector<DesiredNetwork> served_;  ///< of desired_, judged on host_
  bool settled_ = false;
  Host host_;
  std::vector<Leftover> leftovers_;
  std::map<NetworkUid, Error> refused_;
  Probes probes_;
  std::set<std::string> interestNames_;
  std::set<int> interestIndexes_;
  BootTime reconcileAt_{};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace multinet::agent::networks
