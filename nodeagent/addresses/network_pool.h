// This node's blocks of one network, and which of their addresses are whose. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/ipam/block.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/leased_block.h"

namespace multinet::agent::addresses {

/// How full the blocks of one family are.
struct Usage {
  std::size_t blocks = 0;
  std::size_t capacity = 0;
  std::size_t taken = 0;
  std::size_t quarantined = 0;
  std::size_t available = 0;
};

class NetworkPool {
 public:
  explicit NetworkPool(Pool pool) : pool_(std::move(pool)) {}

  [[nodiscard]] const Pool& pool() const { return pool_; }
  /// New exclusions, gateways or subnets; what is held stays held. True where anything changed (and
  /// then the caller restores what is held).
  [[nodiscard]] bool setPool(Pool pool);
  [[nodiscard]] std::set<IpFamily> families() const;

  /// A block that this node has leased; passed over where no subnet of the pool has it.
  void add(const LeasedBlock& block, BootTime confirmed);
  void drop(const IpPrefix& prefix) { blocks_.erase(prefix); }
  void clear() { blocks_.clear(); }
  void confirm(const IpPrefix& prefix, BootTime now);
  /// A sealed block gives nothing: some of what is held of it isn't known.
  void setSealed(const std::function<bool(const IpPrefix&)>& isSealed);
  [[nodiscard]] bool anySealed(IpFamily family) const;
  [[nodiscard]] bool has(const IpPrefix& prefix) const { return blocks_.contains(prefix); }

  /// An address of the first subnet of that family that has one, from blocks confirmed since
  /// `confirmedSince`.
  [[nodiscard]] std::optional<AddressPlan> allocate(IpFamily family, BootTime now,
                                                    BootTime confirmedSince);
  /// An address that a journal knows to be held.
  [[nodiscard]] bool take(const IpAddress& address);
  /// From quarantine for the pod that had it, with its subnet's length and gateway.
  [[nodiscard]] std::optional<AddressPlan> reclaim(const IpAddress& address);
  void release(const IpAddress& address, BootTime until);
  void putBack(const IpAddress& address);

  [[nodiscard]] Usage usage(IpFamily family) const;
  /// Of one block, with quarantines that are over ended.
  [[nodiscard]] Usage usageOf(const IpPrefix& prefix, BootTime now);

 private:
  struct Held {
    LeasedBlock lease;
    ipam::Subnet subnet;
    ipam::Block block;
    BootTime confirmed;
    bool sealed = false;
  };
  [[nodiscard]] Held* find(const IpAddress& address);

  Pool pool_;
  std::map<IpPrefix, Held> blocks_;
};

}  // namespace multinet::agent::addresses
