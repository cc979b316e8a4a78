// The arithmetic of a subnet: which of its addresses a pod can have, how it is cut into blocks, in
// which order a node tries them. Pure; a /8 or a /64 costs what a /28 costs.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "lib/base/ip.h"

namespace multinet::ipam {

/// One subnet of a network as its spec has it, already validated.
struct Subnet {
  IpPrefix cidr;
  std::optional<IpAddress> gateway;
  std::vector<IpPrefix> exclude;
  std::optional<unsigned> blockSize;  ///< prefix length of a block; absent: chosen

  /// Length of the blocks. Chosen as hostBits * 3 / 8 bits, at most 6 (a /16 gives /26, a /24 /29,
  /// an IPv6 /64 /122), and single addresses where the subnet has 32 addresses or fewer: a small
  /// subnet must not strand its addresses on a few nodes.
  [[nodiscard]] unsigned blockLength() const;
  /// True where a pod can have the address: in the subnet, not excluded, not the gateway, not the
  /// network or broadcast address of an IPv4 subnet of four addresses or more (RFC 3021 keeps both
  /// of a /31), not the subnet-router anycast address of an IPv6 subnet (RFC 4291 2.6.1; RFC 6164
  /// keeps both of a /127).
  [[nodiscard]] bool usable(const IpAddress& address) const;
};

/// How many blocks of that length one node leases of a network: 4096 addresses, which is many times
/// what a kubelet's pods need, and 4 blocks in any case. Credentials of a node that were stolen
/// keep no more from the others.
[[nodiscard]] std::size_t mostBlocks(IpFamily family, unsigned length);

/// The blocks of a subnet in the order in which a node tries them: a walk that starts and steps by
/// a hash, so that nodes rarely meet, never visits a block twice, and leaves out blocks that the
/// exclusions cover whole.
class BlockWalk {
 public:
  /// `seed` names network and node.
  BlockWalk(const Subnet& subnet, std::string_view seed);

  /// How many blocks there are to try.
  [[nodiscard]] U128 size() const { return size_; }
  /// The next one; nothing when all were visited. Blocks without a usable address are skipped.
  [[nodiscard]] std::optional<IpPrefix> next();

 private:
  struct Interval {
    U128 first = 0;  // block indexes, inclusive
    U128 last = 0;
  };
  [[nodiscard]] std::vector<Interval> openIntervals() const;
  [[nodiscard]] IpPrefix blockAt(U128 position) const;

  Subnet subnet_;
  unsigned length_;
  std::vector<Interval> intervals_;
  U128 size_ = 0;
  U128 visited_ = 0;
  U128 position_ = 0;
  U128 step_ = 1;
};

}  // namespace multinet::ipam
