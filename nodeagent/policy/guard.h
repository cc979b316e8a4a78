// Keeps the policies of networks in the kernel, at the node's ends of the pods' links. Decision
// 0118 says why it is done so.
//
// Ends have names before they exist, so what holds for one is committed before its link is made.
// What a predecessor left is adopted as it is: a restart writes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/ids.h"
#include "lib/netlink/link.h"
#include "lib/netlink/socket.h"
#include "lib/nft/committer.h"
#include "lib/nft/generation.h"
#include "lib/nft/skeletons.h"
#include "nodeagent/policy/rules.h"
#include "nodeagent/policy/tracking.h"

namespace multinet::agent::policing {

struct PolicyGuardOptions {
  /// How often the kernel is asked whether somebody else changed rules: one small request.
  Duration lookEvery = std::chrono::seconds(1);
  /// How long the tables are believed to be as committed without listing them.
  Duration compareEvery = std::chrono::seconds(30);
  /// How long after a tightening flows get a generation again; till then each packet is judged.
  /// Permits that nobody has any more go then, too.
  Duration settle = std::chrono::milliseconds(20);
  /// How many transactions this process made in the same namespace with other tables, so that they
  /// aren't taken for somebody else's. Not one more, or somebody else's wouldn't be seen.
  std::function<std::uint64_t()> others = [] { return std::uint64_t{0}; };
  /// Of a guard in a pod, where links are ports and bridges: it has no thread, so whoever has it
  /// calls look(), and settle() that long after this one was called. Of a bridge's: nothing.
  std::function<void()> settleLater{};
  /// How many flows the kernel's table is taken to hold, for what each port may begin of them;
  /// nothing: as the kernel says at the start.
  std::optional<std::uint32_t> mostFlows{};
  /// By which whole tables are committed; it outlives the guard. Null: by its own.
  nft::Skeletons* skeletons = nullptr;
  /// For people: whose rules they are.
  std::string whose = "this node's switch";
};

/// Packets that were denied.
struct Denied {
  std::uint64_t egress = 0;   ///< to those whom a pod may not speak to
  std::uint64_t ingress = 0;  ///< from those who may not speak to it
  bool operator==(const Denied&) const = default;
};

/// What is another of a network since it was committed last.
struct PolicedChange {
  /// As it is now; its addresses aren't looked at.
  const policy::Program& program;
  /// Since then.
  const policy::AddressChange& addresses;
  /// Null: subjects, permits and ports are as they were.
  const std::map<policy::PodKey, std::string>* ports = nullptr;
  const std::set<std::string>* gateways = nullptr;  ///< null with `ports`
};

/// Any thread; a call may wait for another's transaction or listing (0.2 ms; 30 ms with 10,000
/// peers). Nobody else commits the tables.
class PolicyGuard {
 public:
  /// `switchNetns`: where the bridges are; nullopt: in the caller's namespace, which is the node's
  /// own. With `settleLater`: the pod's. A kernel without what is needed is no error here but of
  /// commit(). `clock` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<PolicyGuard>> start(
      const std::optional<Fd>& switchNetns, PolicyGuardOptions options, const Clock& clock);
  ~PolicyGuard();
  PolicyGuard(const PolicyGuard&) = delete;
  PolicyGuard& operator=(const PolicyGuard&) = delete;

  /// Has the network's ports held to `wanted`, which is all that there is of it on this node; in
  /// one transaction, and none where the kernel has it. `bridge`: the network's, in the switch.
  /// Where the change may end what was allowed, open connections are judged again by it.
  /// Unavailable/KernelLacks or Unavailable/CommitFailed: then what was there still holds.
  [[nodiscard]] Status commit(const NetworkUid& network, const std::string& bridge, Policed wanted);
  /// The same, of a network that was committed and didn't fail since: what it costs depends on what
  /// changes alone. NotFound/NotHeld where no port of it was isolated: commit() is to be asked.
  [[nodiscard]] Status change(const NetworkUid& network, const std::string& bridge,
                              const PolicedChange& change);
  /// There is no such network any more. Where the kernel refuses that is tried again.
  void forget(const NetworkUid& network);

  /// How flows are known here; nullopt: not at all, and no port can be isolated.
  [[nodiscard]] std::optional<Tracking> tracking() const { return tracking_; }
  /// By port, of what was denied within the last hour or so.
  [[nodiscard]] std::map<std::string, Denied> deniedByPort();
  /// Since the start.
  [[nodiscard]] Denied denied();
  /// Packets of new flows beyond their senders' shares: by port, within the last hour or so; and
  /// since the start.
  [[nodiscard]] std::map<std::string, std::uint64_t> beyondByPort();
  [[nodiscard]] std::uint64_t beyond();
  /// How full the kernel's table of flows is; nothing where no port is held to anything.
  [[nodiscard]] std::optional<FlowTable> flows() const;
  /// Why the kernel hasn't what was committed, as of the last look: somebody took it away, and
  /// putting it back is refused.
  [[nodiscard]] std::optional<Error> trouble() const;
  /// Transactions so far: tests assert that what is as wished costs none.
  [[nodiscard]] std::uint64_t commits() const;
  /// Not of a guard in a pod.
  [[nodiscard]] const async::Lane& lane() const { return *lane_; }
  /// Looks no more; the kernel's tables stay.
  void stop() {
    if (lane_) lane_->stop();
  }
  /// Puts back what somebody else changed, and takes away what nobody needs.
  void look();
  /// After a tightening, once all packets that were judged before it have left.
  void settle();
  [[nodiscard]] bool holdsAny() const;

  /// Takes the tables away, those of pods too, in the namespace of the calling thread.
  [[nodiscard]] static Status clear();

 private:
  /// A network, as the kernel has it.
  struct Network {
    Standing standing;
    Policed held;
    nft::Elements ports;          ///< of `held`
    nft::Elements stale;          ///< permits that only packets on their way may still ask for
    std::uint64_t unsettled = 0;  ///< the change after which it isn't settled; 0: it is

    /// But for what it holds.
    [[nodiscard]] Network sameBut() const { return {standing, {}, {}, stale, unsettled}; }
  };
  enum class Flows : std::uint8_t { New, MayBeOpen };
  struct Doors {
    nft::Committer committer;
    nft::Generation generation;
    netlink::Socket links;
    std::optional<FlowGauge> flows;
  };
  struct Change {
    nft::Elements gone;
    nft::Elements added;
  };
  PolicyGuard(Doors doors, std::optional<Tracking> tracking, std::uint32_t mostFlows,
              PolicyGuardOptions options, const Clock& clock);

  // All below: under the mutex.
  enum class IfRefused : std::uint8_t { Again, Fail };
  [[nodiscard]] Status hold(const NetworkUid& uid, const std::string& bridge, Policed wanted,
                            IfRefused ifRefused);
  [[nodiscard]] Status step(const NetworkUid& uid, Network& network, const PolicedChange& asked);
  [[nodiscard]] Status advance(Network& next, const Policed& wanted, Change change, Flows flows);
  static void addTo(Change& change, const policy::Delta& delta, const Standing& standing);
  [[nodiscard]] Network begin(const std::string& bridge, const Policed& wanted, Change& change);
  [[nodiscard]] Status remove(const NetworkUid& uid);
  [[nodiscard]] Status removeFound(const std::string& bridge);
  [[nodiscard]] Status putInOrder(Change change);
  [[nodiscard]] Status put(const Change& asked);
  [[nodiscard]] Status removeTables();
  [[nodiscard]] Status putWhole(const Tables& whole);
  [[nodiscard]] Status transact(const std::string& commands);
  [[nodiscard]] Status transact(const std::function<Status()>& commit);
  [[nodiscard]] std::uint16_t freeZone();
  [[nodiscard]] std::uint32_t freshGeneration();
  void settleLater();
  [[nodiscard]] Result<std::optional<bool>> compare();
  [[nodiscard]] Status makeCertain();
  [[nodiscard]] Result<std::optional<bool>> lookWhole();
  void take(const nft::Elements& elements);
  void forgetFound();
  [[nodiscard]] Status replace();
  void withdrawGenerations();
  [[nodiscard]] Status setTracked(const std::string& bridge, netlink::CallsInet calls);
  [[nodiscard]] Error refused(const Error& error) const;
  void keepOn(const Status& done);
  void keep();
  void sweep();
  void readDenied();
  void forgetCounters();
  void tellBeyond();
  [[nodiscard]] std::string podOf(const std::string& port) const;
  [[nodiscard]] Result<std::uint64_t> foreign();

  const PolicyGuardOptions options_;
  const Clock& clock_;
  const std::optional<Tracking> tracking_;
  const std::uint32_t mostFlows_;  ///< 0: nobody is limited
  mutable std::mutex mutex_;
  Doors doors_;
  nft::Skeletons skeletons_;  ///< where the options have none
  Tables tables_;             ///< as they shall be
  std::map<NetworkUid, Network> networks_;
  std::map<std::string, Found> found_;  ///< of a predecessor, and not asked for yet; by bridge
  std::set<NetworkUid> forgotten_;      ///< that the kernel still has
  bool adopted_ = false;                ///< what a predecessor left was looked at
  bool certain_ = false;                ///< the kernel has tables_
  bool committed_ = false;              ///< it once took the tables
  std::uint64_t foreign_ = 0;           ///< transactions of strangers, where certain_
  std::uint64_t own_ = 0;               ///< that were taken
  BootTime compareAt_{};
  BootTime tellAt_{};
  policy::Number last_ = 0;  ///< number of a subject or class
  std::uint16_t lastZone_ = 0;
  std::uint32_t lastGeneration_ = 0;
  std::uint64_t changes_ = 0;  ///< that aren't over with their transaction
  bool settling_ = false;
  std::string trouble_;           ///< logged already
  std::optional<Error> missing_;  ///< why tables_ aren't there, or nobody can say that they are
  std::optional<BootTime> unseenSince_;  ///< what the kernel has can't be looked at
  std::optional<Error> untracked_;       ///< why a bridge's flows aren't known
  Denied before_;                        ///< of tables that were replaced
  Denied now_;                           ///< of these
  std::uint64_t beyondBefore_ = 0;       ///< likewise
  std::uint64_t beyondNow_ = 0;
  nft::Counts beyondTold_;             ///< packets of each port at the last look
  std::set<std::string> beyondNames_;  ///< ports of which was told
  std::optional<async::Lane> lane_;    // last: it uses all of the above
};

}  // namespace multinet::agent::policing
