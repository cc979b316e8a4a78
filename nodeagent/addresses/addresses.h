// Addresses for interfaces: claimed from blocks that this node leases by creating IPBlocks, given
// back into quarantine.
//
// The books live on the lane of the sandboxes' owner and never wait; the calls to the API server
// are made on another. Once a block has room, a claim costs no call and no change of threads.
// Blocks are leased ahead for networks that pods of this node want and when one runs low; an empty
// one goes back after a while.
//
// A block is used only for a time after the API server last confirmed it: a node that is cut off
// for longer may have lost its blocks to another.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "lib/async/answer.h"
#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/ipam/subnet.h"
#include "nodeagent/addresses/blocks.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::addresses {

/// A network and how its addresses are cut; what pods of this node may need.
struct Pool {
  NetworkName network;
  NetworkUid uid;
  std::vector<ipam::Subnet> subnets;  ///< in order of preference
};

/// One address of each family that the pool has, for one interface.
struct AddressRequest {
  InterfaceName interface;
  Pool pool;
};

/// What an intent of the journal holds, or held until its quarantine ends.
struct Holding {
  IntentId intent;
  PodUid pod;
  InterfaceName interface;
  /// Empty where only the kernel told the address: then it counts in every network that has it.
  NetworkUid network;
  IpAddress address;
  /// Zero: in use. Else how long nobody else may get it.
  Duration quarantine{};
};

/// Whether all that sandboxes of this node hold is known. While it isn't, an address that looks
/// free may be a running pod's.
enum class Books { Complete, Incomplete };

/// An address that a sandbox of this node holds while another node has leased its block: it may be
/// in use twice.
struct Contest {
  IntentId intent;
  NetworkName network;
  IpPrefix block;
  IpAddress address;
  bool operator==(const Contest&) const = default;
};

/// Addresses of one interface, with the length of the subnet and its gateway, IPv4 before IPv6.
using Claimed = std::vector<AddressPlan>;

struct LeaseOptions {
  NodeName node;
  Duration quarantine = std::chrono::seconds(60);
  /// New addresses come only from blocks confirmed within this time; see docs on lost nodes.
  Duration confirmedFor = std::chrono::hours(1);
  /// A list of this node's blocks, where it has any, beside what a watch tells: see blockGone().
  Duration confirmEvery = std::chrono::minutes(5);
  /// After a failed call to the API server, while somebody waits. A list that fails is tried again
  /// after this, doubling up to retryMost: all nodes come back at once.
  Duration retryEvery = std::chrono::milliseconds(500);
  Duration retryMost = std::chrono::seconds(10);
  Duration returnAfter = std::chrono::minutes(5);
  Duration housekeepEvery = std::chrono::seconds(5);
  /// Names tried before giving up for now: each costs a call that another node may win.
  int attempts = 64;
  /// At the start; see Addresses::allow().
  Status allowed{};
};

/// Any thread may call; nothing blocks. They live on the lane of the sandboxes' owner: what is
/// asked there is done before the call returns, and answers come there.
class Addresses {
 public:
  /// `lane`, `blocks` and `clock` outlive it. Starts by listing this node's blocks, once allowed.
  Addresses(async::Lane& lane, Blocks& blocks, const Clock& clock, LeaseOptions options);
  /// Stops the lane.
  ~Addresses();
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;

  /// All or none; answered before the call returns where the blocks have room. Waits for a lease
  /// until `deadline` where no block has room. A pod whose earlier sandbox is gone gets the
  /// addresses that it had. ResourceExhausted/PoolExhausted names the pool with its numbers;
  /// Unavailable says what is being waited for. Results are in order of `wants`.
  void claim(IntentId intent, PodUid pod, std::vector<AddressRequest> wants, BootTime deadline,
             async::Answer<std::vector<Claimed>> done);
  /// Into quarantine with all that the intent holds. Without effect for an intent that holds none.
  void release(IntentId intent);
  /// Before the first claim is answered, and again when more is known: what an intent in `holdings`
  /// had before is replaced, other intents stay. While `books` are incomplete the blocks that the
  /// node had before this process give nothing and return nothing; newly leased ones give.
  void restore(std::vector<Holding> holdings, Books books);
  /// The networks that pods of this node want now: a block of each is leased ahead of the call, and
  /// empty blocks of the others go back after a while.
  void setWanted(std::vector<Pool> pools);
  /// All networks that the API has. A block of another that vanishes, and of which nothing is held
  /// but addresses that rest, went with its network: it isn't leased again.
  void setNetworks(std::set<NetworkUid> existing);
  /// Hears of all contests there are, once when the node's blocks are known and whenever that
  /// changes. Once, before the first claim.
  void onContests(std::function<void(std::vector<Contest>)> told);

  /// Whether the node's blocks are this agent's. While they aren't, or that isn't known, nothing is
  /// asked of the API server, and claims wait and fail with that error. What is held stays held.
  void allow(Status allowed);

  /// A watch saw that a block of this node's is gone: unless that was asked for, all are listed.
  void blockGone(LeasedBlock block);
  /// A watch saw that the API server's store was put back to an earlier state.
  void storeWentBack();

  /// The books, on the lane alone or once that has stopped: what is in use, and whether that is
  /// all.
  [[nodiscard]] std::vector<Holding> held() const;
  [[nodiscard]] Books books() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::agent::addresses
