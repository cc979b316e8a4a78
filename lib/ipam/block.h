// One leased block: which of its addresses are taken, free, or in quarantine. Pure: time is an
// argument.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "lib/base/clock.h"
#include "lib/ipam/subnet.h"

namespace multinet::ipam {

/// Allocation walks on from the last address given, so that a freed one comes back as late as
/// possible; it costs the same however full the block is. Of a block larger than 65,536 addresses
/// only the first 65,536 are handed out.
class Block {
 public:
  Block(const Subnet& subnet, const IpPrefix& prefix);

  [[nodiscard]] const IpPrefix& prefix() const { return prefix_; }
  /// A free address, or nothing.
  [[nodiscard]] std::optional<IpAddress> allocate(BootTime now);
  /// Marks one that is known to be in use (after a restart). False where it isn't this block's, is
  /// not usable, or is taken or in quarantine.
  [[nodiscard]] bool take(const IpAddress& address);
  /// Gives one back; nobody gets it before `until` (which never goes back from call to call). Of an
  /// address that isn't taken: no effect.
  void release(const IpAddress& address, BootTime until);
  /// Undoes an allocate() whose address nobody has used. Of one that isn't taken: no effect.
  void putBack(const IpAddress& address);
  /// Takes one out of quarantine for the owner that had it. False where it isn't in quarantine.
  [[nodiscard]] bool reclaim(const IpAddress& address);

  [[nodiscard]] bool contains(const IpAddress& address) const { return prefix_.contains(address); }
  [[nodiscard]] bool isTaken(const IpAddress& address) const;
  /// Addresses that a pod could have at all.
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] std::size_t taken() const { return capacity_ - free_ - quarantined_; }
  [[nodiscard]] std::size_t quarantined() const { return quarantined_; }
  /// Free now; expired quarantine counts after the next allocate() or expire().
  [[nodiscard]] std::size_t available() const { return free_; }
  /// True where nothing is taken and nothing in quarantine.
  [[nodiscard]] bool empty() const { return free_ == capacity_; }
  /// Ends quarantines that are over.
  void expire(BootTime now);

 private:
  enum class State : std::uint8_t { Unusable, Free, Taken, Quarantined };
  struct Waiting {
    BootTime until;
    std::uint32_t offset;
    std::uint32_t turn;
  };
  [[nodiscard]] std::optional<std::uint32_t> offsetOf(const IpAddress& address) const;
  /// The first free one at `from` or after it, then from the beginning; there is one.
  [[nodiscard]] std::uint32_t nextFree(std::uint32_t from) const;
  void markFree(std::uint32_t offset);
  void markUsed(std::uint32_t offset);

  IpPrefix prefix_;
  std::uint32_t count_ = 0;
  std::vector<std::uint64_t> freeBits_;
  std::vector<std::uint64_t> freeWords_;  // which of them have a bit
  std::vector<State> states_;
  std::vector<std::uint32_t> turns_;  // tells an old quarantine of an address from its newest
  std::deque<Waiting> waiting_;
  std::size_t capacity_ = 0;
  std::size_t free_ = 0;
  std::size_t quarantined_ = 0;
  std::uint32_t cursor_ = 0;
};

}  // namespace multinet::ipam
