// The books of this node's addresses: whose each one is, and what should become of each block.
//
// Pure: no thread, no clock, no call. Time is an argument; what must be done outside (answers,
// calls to the API server) comes back as orders, and what became of those calls is told here again.
//
// Laws, each held by a property test: an address that is held or in quarantine is given to nobody
// else; a block of which something is held or in quarantine is never given back; what is wanted by
// nobody is given back in the end, whoever leased it and when.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/leased_block.h"
#include "nodeagent/addresses/network_pool.h"

namespace multinet::agent::addresses {

struct LedgerOptions {
  Duration quarantine = std::chrono::seconds(60);
  /// New addresses come only from blocks that the API server confirmed within this time.
  Duration confirmedFor = std::chrono::hours(1);
  /// So long a block stays empty before it goes back.
  Duration returnAfter = std::chrono::minutes(5);
  /// So long nobody asks again for a block of a pool that had none left: each look lists all of
  /// its blocks.
  Duration fullFor = std::chrono::seconds(5);
  /// After a lease ahead of need that failed.
  Duration aheadPause = std::chrono::seconds(30);
  /// Between two tries to lease a block again that vanished, or that another node has.
  Duration renewEvery = std::chrono::seconds(5);
  Duration contestEvery = std::chrono::minutes(1);
  /// After a store was put back: longer than it takes each node to see that and to lease again what
  /// its pods hold, which is what a watch may stay silent and then back off.
  Duration settle = std::chrono::minutes(2);
};

/// Leases are sought for a family of a network.
using LeaseKey = std::pair<NetworkUid, IpFamily>;
/// Names a claim until it is answered.
using Ticket = std::uint64_t;

struct ClaimRequest {
  Ticket ticket = 0;
  IntentId intent;
  PodUid pod;
  std::vector<AddressRequest> wants;
  BootTime deadline;
};

/// Whether a pool had a block left when one was last sought.
enum class Room { Likely, Unlikely };

/// What the ledger wants done, in any order.
struct Orders {
  struct Answer {
    Ticket ticket = 0;
    Result<std::vector<Claimed>> result;
  };
  struct Lease {
    LeaseKey key;
    Pool pool;
    std::vector<IpPrefix> own;  ///< this node's blocks of it
    Room room = Room::Likely;
  };
  std::vector<Answer> answers;
  std::vector<Lease> leases;                     ///< told by leased()
  std::vector<LeasedBlock> returns;              ///< remove them; told by returned()
  std::vector<LeasedBlock> renewals;             ///< create them again by name; told by renewed()
  std::optional<std::vector<Contest>> contests;  ///< all there are now, where they changed
  bool retrySoon = false;                        ///< call retry() in a moment
};

/// One thread at a time.
class Ledger {
 public:
  explicit Ledger(LedgerOptions options) : options_(options) {}

  [[nodiscard]] Orders claim(ClaimRequest request, BootTime now);
  [[nodiscard]] Orders release(const IntentId& intent, BootTime now);
  /// See Addresses::restore().
  [[nodiscard]] Orders restore(std::vector<Holding> holdings, Books books, BootTime now);
  [[nodiscard]] Orders setWanted(const std::vector<Pool>& pools, BootTime now);
  /// See Addresses::setNetworks(). Until the first call every network counts as there.
  void setNetworks(std::set<NetworkUid> existing) { existing_ = std::move(existing); }

  /// The node's blocks may be another's now: nothing is given, leased or given back until listed()
  /// tells them again. What is held stays held.
  [[nodiscard]] Orders suspend(Error why);

  /// A list of this node's blocks that began, at `asked`, after every lease, return and renewal
  /// told so far. What it says was so then: an answer may be long on its way.
  [[nodiscard]] Orders listed(Result<std::vector<LeasedBlock>> list, BootTime asked, BootTime now);
  [[nodiscard]] Orders leased(const LeaseKey& key, Result<LeasedBlock> result, BootTime now);
  [[nodiscard]] Orders returned(const LeasedBlock& block, const Status& status, BootTime now);
  [[nodiscard]] Orders renewed(const LeasedBlock& block, Result<LeasedBlock> result, BootTime now);

  /// The API server's store was put back to an earlier state: blocks leased since are gone from it,
  /// though pods hold addresses of them, on every node. Own ones are leased again as soon as they
  /// are seen to be gone; no other is until `settle` has passed. Claims wait, or get an address of
  /// a block that is here.
  [[nodiscard]] Orders storeWentBack(BootTime now);

  /// Tries again what waits.
  [[nodiscard]] Orders retry(BootTime now);
  /// Every few seconds, and when a claim's deadline has come.
  [[nodiscard]] Orders housekeep(BootTime now);

  /// Whether addresses are given from that very object.
  [[nodiscard]] bool relies(const LeasedBlock& block) const;
  /// Networks in the books.
  [[nodiscard]] std::size_t pools() const { return pools_.size(); }
  /// Blocks in the books, those on their way out included.
  [[nodiscard]] std::size_t blocks() const { return own_.size(); }
  /// What is in use: without what is in quarantine.
  [[nodiscard]] std::vector<Holding> held() const;
  [[nodiscard]] Books books() const { return books_; }

 private:
  struct Held {
    InterfaceName interface;
    NetworkUid network;
    IpAddress address;
  };
  struct HeldByIntent {
    PodUid pod;
    std::vector<Held> addresses;
  };
  struct Quarantined {
    PodUid pod;
    InterfaceName interface;
    NetworkUid network;
    IpAddress address;
    BootTime until;
  };
  struct Pending : ClaimRequest {
    Error waitsFor;
  };
  enum class Standing {
    Ours,
    Returning,  ///< empty and on its way out
    Renewing,   ///< gone from the API server, being created again
    Lost,       ///< the same, and that failed: tried again
  };
  struct Own {
    LeasedBlock lease;
    BootTime confirmed;
    bool fresh = false;  ///< leased by this process: all that is held of it is known
    Standing standing = Standing::Ours;
    std::optional<BootTime> emptyFrom{};
    BootTime nextTry{};
    bool contested = false;  ///< another node has it
  };
  using OwnKey = std::pair<NetworkUid, IpPrefix>;
  struct Full {
    Error error;
    BootTime until;
  };

  // Claims.
  [[nodiscard]] bool tryClaim(Pending& claim, BootTime now);
  [[nodiscard]] bool waitForLeases(Pending& claim, const std::vector<LeaseKey>& missing,
                                   BootTime now);
  [[nodiscard]] std::optional<AddressPlan> one(NetworkPool& pool, IpFamily family,
                                               const PodUid& pod, const InterfaceName& interface,
                                               BootTime now);
  void giveBack(const PodUid& pod, const Held& undo);
  void forgetResting(const PodUid& pod, const std::vector<Held>& taken, BootTime now);
  void retryPending(BootTime now);
  void failLate(BootTime now);
  void tellClaimsOf(const LeaseKey& key, const Error& waitsFor);
  [[nodiscard]] Error withUsage(const Error& error, const LeaseKey& key) const;

  // Blocks.
  void place(const Pool& pool, BootTime now);
  void occupy(NetworkPool& pool, BootTime now);
  void reseal();
  void keepRoom(const NetworkUid& uid, BootTime now);
  /// Leases the blocks of addresses that pods hold though the API server knows no block for them.
  void leaseHeld(const NetworkPool& pool);
  void startLease(const LeaseKey& key, BootTime now);
  void adopt(const LeasedBlock& block, bool fresh, BootTime confirmed, BootTime now);
  void lose(Own& own, BootTime now);
  void drop(const OwnKey& key);
  void renewLost(BootTime now);
  void returnEmpty(BootTime now);
  void forgetPools();
  [[nodiscard]] bool inUse(const LeasedBlock& block, BootTime now) const;
  [[nodiscard]] bool isHeld(const LeasedBlock& block) const;
  /// Whether a block that vanished is to be leased again.
  [[nodiscard]] bool isMissed(const LeasedBlock& block, BootTime now) const;
  [[nodiscard]] bool usable(const Own& own) const;
  void tellContests();
  [[nodiscard]] static Error unavailable(const Error& error);

  // Holdings.
  [[nodiscard]] bool heldByAnyone(const Held& what) const;
  [[nodiscard]] bool isQuarantined(const Holding& holding) const;
  [[nodiscard]] Orders takeOrders() { return std::exchange(orders_, {}); }

  const LedgerOptions options_;
  bool restored_ = false;
  bool listed_ = false;
  std::optional<Error> suspended_;  ///< why it isn't listed any more, or not yet
  Books books_ = Books::Incomplete;
  std::map<NetworkUid, NetworkPool> pools_;
  std::map<OwnKey, Own> own_;  // also of networks whose spec isn't known yet
  std::set<NetworkUid> wanted_;
  std::optional<std::set<NetworkUid>> existing_;
  std::map<IntentId, HeldByIntent> held_;
  std::vector<Quarantined> quarantined_;
  std::list<Pending> pending_;
  std::set<LeaseKey> leasing_;
  std::map<LeaseKey, BootTime> aheadPaused_;
  std::map<LeaseKey, Full> full_;
  std::set<LeaseKey> crowded_;            ///< none was left at the last look
  BootTime settledAt_ = BootTime::min();  ///< no new lease before
  std::vector<Contest> contests_;
  Orders orders_;
};

}  // namespace multinet::agent::addresses
