// Keeps the rules of port security in the kernel. docs/isolation.md says what they hold; decisions
// 0111 and 0112 why they stand where they do.
//
// A node's end has a name before it exists, and a link on a device a MAC, so their rules are
// committed before the link is made, in one transaction; they go after the link. What a predecessor
// left is adopted as it is: a restart writes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/async/lane.h"
#include "lib/nft/committer.h"
#include "nodeagent/isolation/table_guard.h"

namespace multinet::agent::isolation {

struct GuardOptions {
  /// How often the kernel is asked whether somebody else changed rules: one small request a table.
  Duration lookEvery = std::chrono::seconds(1);
  /// How long a table is believed to be as committed without listing it, whatever the kernel's
  /// generation says; and how often dropped frames are told of.
  Duration compareEvery = std::chrono::seconds(30);
};

/// Any thread; a call may wait for another's transaction or listing (0.2 ms, a few ms for a hundred
/// ports).
class PortGuard {
 public:
  /// `switchNetns`: where bridges and the node's ends of links are; nullopt: in the caller's
  /// namespace, which is the node's own. A kernel without what the rules need is no error here but
  /// of secure().
  [[nodiscard]] static Result<std::unique_ptr<PortGuard>> start(
      const std::optional<Fd>& switchNetns, GuardOptions options, const Clock& clock);
  ~PortGuard();
  PortGuard(const PortGuard&) = delete;
  PortGuard& operator=(const PortGuard&) = delete;

  using Secured = TableGuard::Secured;
  /// Puts the rules of these ports into the kernel, all of them or none; nothing is written where
  /// they are there. One transaction for each site. Unavailable/KernelLacks or
  /// Unavailable/CommitFailed, and then none of the ports has more rights than before; ports of
  /// networks that are Disabled get no error, but are told of so.
  [[nodiscard]] Result<Secured> secure(const std::vector<Port>& ports);
  /// The links of these ports, and all that were secured for these intents, are gone: their rules
  /// go too. Where the kernel refuses that is tried again.
  void release(const std::vector<std::string>& names, const std::vector<IntentId>& intents = {});

  enum class Pod : std::uint8_t { New, Running };
  /// The rules inside a pod, which is the calling thread's namespace, of all its ports on parents:
  /// before their links are up; of links that aren't there yet there are none. In a running pod
  /// only where they differ, and frames that they dropped are counted. A running pod keeps what it
  /// has while its network isn't known. Errors as of secure().
  [[nodiscard]] Status securePod(const std::vector<Port>& ports, Pod pod);

  /// What networks ask for, and the tunnels' UDP ports; ports that are secured follow. A network
  /// that isn't among them keeps what it has, at first Enforced.
  void setNetworks(const std::map<NetworkUid, api::PortSecurity>& networks,
                   const std::set<std::uint16_t>& tunnelPorts);
  [[nodiscard]] api::PortSecurity askedOf(const NetworkUid& network) const;

  /// Frames dropped so far; what was read last where the kernel doesn't answer, or of pods.
  [[nodiscard]] Drops drops();
  /// Transactions so far: tests assert that what is as wished costs none.
  [[nodiscard]] std::uint64_t commits() const;
  /// Those in the namespace of bridges and of the node's ends of links.
  [[nodiscard]] std::uint64_t switchCommits() const;
  [[nodiscard]] const async::Lane& lane() const { return lane_; }
  /// Looks no more; the kernel's tables stay.
  void stop() { lane_.stop(); }

  /// Takes the tables away, in the namespace of the calling thread.
  [[nodiscard]] static Status clear();

 private:
  using Tables = std::vector<std::unique_ptr<TableGuard>>;
  PortGuard(Tables tables, GuardOptions options, const Clock& clock);
  [[nodiscard]] TableGuard& tableOf(const Port& port) const;
  /// What a pod's table was when it was last written or read.
  struct InPod {
    std::uint32_t generation = 0;                     ///< of the rules in the pod's namespace
    std::string table;                                ///< as its commands
    std::map<std::string, api::PortSecurity> held{};  ///< by interface
    nft::Counts counts{};
  };
  using Placed = std::pair<Port, std::optional<std::size_t>>;
  [[nodiscard]] std::vector<Placed> placed(const std::vector<Port>& ports) const;
  using Asked = std::vector<std::pair<Port, api::PortSecurity>>;
  [[nodiscard]] std::optional<api::PortSecurity> heldInPod(const Port& port) const;
  [[nodiscard]] PortSecured toldOfPod(const Port& port) const;
  [[nodiscard]] Result<Asked> askedInPod(const std::vector<Port>& ports, Pod pod) const;
  [[nodiscard]] Status commitPod(const IntentId& intent, const Asked& asked, Pod pod);
  [[nodiscard]] Error refusedInPod(const Error& error) const;
  void countPod(const nft::Counts& counts, InPod& before);
  void look();

  const GuardOptions options_;
  Tables tables_;  ///< of the switch's ports, of the node's parents, of the switch's parents
  mutable std::mutex mutex_;
  // Under the mutex:
  Drops podDrops_;
  std::map<IntentId, InPod> inPods_;
  std::uint64_t podCommits_ = 0;
  bool podsTaken_ = false;  ///< a pod's kernel once had the rules
  async::Lane lane_;        // last: it uses all of the above
};

}  // namespace multinet::agent::isolation
