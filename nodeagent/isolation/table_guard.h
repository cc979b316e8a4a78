// Keeps one table of port security in the kernel: of the switch's ports, or of the devices of a
// namespace that links of pods stand on. What a predecessor left is adopted as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/netlink/socket.h"
#include "lib/nft/committer.h"
#include "lib/nft/generation.h"
#include "nodeagent/isolation/port_rules.h"

namespace multinet::agent::isolation {

/// Frames dropped since the table was made or adopted, by the words of kReasons.
using Drops = std::map<std::string, std::uint64_t>;

/// What a kernel must have for rules at devices.
inline constexpr const char* kDeviceNeeds =
    "nftables for devices with an egress hook (NF_TABLES_NETDEV, NETFILTER_EGRESS, Linux 5.16 and "
    "newer)";

/// Any thread; a call may wait for another's transaction or listing (0.2 ms, a few ms for a hundred
/// ports). Nobody else commits the table.
class TableGuard {
 public:
  enum class Kind : std::uint8_t { Ends, Parents };
  /// `netns`: where the ports' nodes' ends or parents are; nullopt: in the caller's namespace.
  /// `compareEvery`: GuardOptions'. `clock` outlives it. A kernel without what the rules need is no
  /// error here but of secure().
  [[nodiscard]] static Result<std::unique_ptr<TableGuard>> open(Kind kind,
                                                                const std::optional<Fd>& netns,
                                                                Duration compareEvery,
                                                                const Clock& clock);
  ~TableGuard() = default;
  TableGuard(const TableGuard&) = delete;
  TableGuard& operator=(const TableGuard&) = delete;

  /// What became of each port, in their order, and those that weren't known before.
  struct Secured {
    std::vector<PortSecured> told;
    std::vector<std::string> added;
  };
  /// Puts the rules of these ports into the kernel, all of them or none; nothing is written where
  /// they are there. Unavailable/KernelLacks or Unavailable/CommitFailed, and then none of the
  /// ports has more rights than before; ports of networks that are Disabled get no error, but are
  /// told of so.
  [[nodiscard]] Result<Secured> secure(const std::vector<Port>& ports);
  /// The links of these ports, and all that were secured for these intents, are gone: their rules
  /// go too, in one transaction. Where the kernel refuses that is tried again.
  void release(const std::vector<std::string>& names, const std::vector<IntentId>& intents = {});

  /// What networks ask for, and the tunnels' UDP ports; ports that are secured follow. A network
  /// that isn't among them keeps what it has, at first Enforced.
  void setNetworks(std::map<NetworkUid, api::PortSecurity> networks,
                   const std::set<std::uint16_t>& tunnelPorts);
  [[nodiscard]] api::PortSecurity askedOf(const NetworkUid& network) const;
  /// Whether setNetworks() told of it.
  [[nodiscard]] bool knows(const NetworkUid& network) const;
  /// Of the port's network; as a predecessor had it where that isn't known yet.
  [[nodiscard]] api::PortSecurity heldTo(const Port& port) const;

  /// Of tunnels, as told last.
  [[nodiscard]] std::set<std::uint16_t> tunnelPorts() const;
  /// Puts back what somebody else changed, takes away what nobody needs. To be called again and
  /// again.
  void look();

  /// Frames dropped so far; what was read last where the kernel doesn't answer.
  [[nodiscard]] Drops drops();
  /// Transactions so far: tests assert that what is as wished costs none.
  [[nodiscard]] std::uint64_t commits() const;

  /// Takes the table away, in the namespace of the calling thread.
  [[nodiscard]] static Status clear(Kind kind);

 private:
  struct Entry {
    nft::Elements elements;
    /// nullopt: of a predecessor, or whose link is gone; it goes once there is no such link.
    std::optional<Port> port;
  };
  struct Parent {
    int index = 0;          ///< 0: not known
    bool isShared = false;  ///< its links have its MAC
  };
  using Entries = std::map<std::string, std::optional<Entry>>;  ///< nullopt: to be removed
  struct Doors {
    nft::Committer committer;
    nft::Generation generation;
    netlink::Socket links;
  };
  TableGuard(Kind kind, Doors doors, Duration compareEvery, const Clock& clock);

  // All below: under the mutex.
  /// Of changes that the kernel refuses: not to be made, or to be made later.
  enum class IfRefused : std::uint8_t { Forget, Keep };
  [[nodiscard]] Status put(const Entries& changed, nft::Elements gone, nft::Elements added,
                           IfRefused ifRefused);
  void keepOn(const Status& done);
  [[nodiscard]] Status commit(const std::function<Status()>& transaction);
  [[nodiscard]] Status makeCertain();
  void adopt(const nft::Listing& listing);
  void forgetAdopted();
  [[nodiscard]] Status replace();
  [[nodiscard]] api::PortSecurity askedOf(const Port& port) const;
  [[nodiscard]] Error refused(const Error& error) const;
  void readDrops();
  void meet(const std::vector<Port>& ports);
  void reshape();
  void followParents();
  void forgetIdleParents();
  [[nodiscard]] Result<std::set<std::string>> present();
  void keep(BootTime now);
  void sweep();
  void tellDrops();

  const Kind kind_;
  const Duration compareEvery_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  Doors doors_;
  nft::Table table_;                       ///< as it shall be
  std::map<std::string, Parent> parents_;  ///< devices with chains
  bool reshaped_ = false;                  ///< the kernel's table isn't expected to be table_
  std::map<std::string, Entry> entries_;
  std::map<NetworkUid, api::PortSecurity> networks_;
  bool adopted_ = false;          ///< what a predecessor left was looked at
  bool certain_ = false;          ///< the kernel has table_
  bool committed_ = false;        ///< it once took the table
  std::uint32_t generation_ = 0;  ///< of the kernel's rules where certain_
  BootTime compareAt_{};
  BootTime meetUntil_{};  ///< till then a predecessor's ports on shared devices are waited for
  std::string trouble_;   ///< logged already
  Drops before_;          ///< of tables that were replaced
  Drops now_;             ///< of this one
  nft::Counts told_;      ///< frames of each port and reason at the last look
  std::set<std::string> dropping_;  ///< ports and reasons of which was told
};

}  // namespace multinet::agent::isolation
