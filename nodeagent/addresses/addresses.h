// Addresses for interfaces: claimed from blocks that this node leases, given back into quarantine.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "lib/async/answer.h"
#include "lib/base/clock.h"
#include "lib/ipam/subnet.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::addresses {

/// A network and how its addresses are cut; what pods of this node may need.
struct Pool {
  NetworkName network;
  NetworkUid uid;
  std::vector<ipam::Subnet> subnets;  ///< in order of preference
};

/// One address of each family that the pool has, for one interface.
struct Want {
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
  Duration rests{};
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

/// Any thread may call; nothing blocks. They live on the lane of the sandboxes' owner: what is
/// asked there is done before the call returns, and answers come there.
class Addresses {
 public:
  virtual ~Addresses() = default;

  /// All or none; answered before the call returns where the blocks have room. Waits for a lease
  /// until `deadline` where no block has room. A pod whose earlier sandbox is gone gets the
  /// addresses that it had. ResourceExhausted/PoolExhausted names the pool with its numbers;
  /// Unavailable says what is being waited for. Results are in order of `wants`.
  virtual void claim(IntentId intent, PodUid pod, std::vector<Want> wants, BootTime deadline,
                     async::Answer<std::vector<Claimed>> done) = 0;
  /// Into quarantine with all that the intent holds. Without effect for an intent that holds none.
  virtual void release(IntentId intent) = 0;
  /// Before the first claim is answered, and again when more is known: what an intent in `holdings`
  /// had before is replaced, other intents stay. While `books` are incomplete the blocks that the
  /// node had before this process give nothing and return nothing; newly leased ones give.
  virtual void restore(std::vector<Holding> holdings, Books books) = 0;
  /// The networks that pods of this node want now: a block of each is leased ahead of the call, and
  /// empty blocks of the others go back after a while.
  virtual void setWanted(std::vector<Pool> pools) = 0;
  /// All networks that the API has. A block of another that vanishes, and of which nothing is held
  /// but addresses that rest, went with its network: it isn't leased again.
  virtual void setNetworks(std::set<NetworkUid> existing) = 0;
  /// Hears of all contests there are, once when the node's blocks are known and whenever that
  /// changes. Once, before the first claim.
  virtual void onContests(std::function<void(std::vector<Contest>)> told) = 0;
};

}  // namespace multinet::agent::addresses
