// What probes say of one peer. Pure; time is the caller's.
#pragma once

#include <cstdint>

#include "nodeagent/drivers/network.h"

namespace multinet::agent::networks {

using drivers::PeerReport;
using drivers::PeerState;

/// Two exchanges, small and full-size, each with a nonce that only the peer has seen. One answer is
/// enough to count as there; `losses` in a row to count as lost.
class PeerHealth {
 public:
  explicit PeerHealth(unsigned losses) : losses_(losses) {}

  /// A new round: what is still open counts as lost first.
  void sent(std::uint64_t smallNonce, std::uint64_t fullNonce);
  /// A reply. One that isn't open (late, forged, doubled) changes nothing.
  void answered(std::uint64_t nonce);
  /// What is still open counts as lost.
  void expire();
  [[nodiscard]] PeerState state() const;

 private:
  enum class Exchange : std::uint8_t { Unknown, Works, Lost };
  struct Lane {
    std::uint64_t nonce = 0;
    bool open = false;
    unsigned lost = 0;
    Exchange state = Exchange::Unknown;
  };
  void open(Lane& lane, std::uint64_t nonce) const;
  void close(Lane& lane) const;

  unsigned losses_;
  Lane small_;
  Lane full_;
};

}  // namespace multinet::agent::networks
