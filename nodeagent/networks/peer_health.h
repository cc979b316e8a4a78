// What probes say of one peer. Pure; time is the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/ids.h"
#include "nodeagent/networks/site.h"

namespace multinet::agent::networks {

enum class PeerState : std::uint8_t {
  Probing,       ///< nothing is known yet
  Answers,       ///< small and full-size frames come back
  FullSizeLost,  ///< small ones do, full-size ones don't
  Silent,        ///< not even small ones
};

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

struct PeerReport {
  NodeName node;
  std::string address;  ///< of the underlay, for texts
  PeerState state = PeerState::Probing;
  bool operator==(const PeerReport&) const = default;
};

/// The check `Peers`: Unknown/NotProbed without peers, Unknown/Probing before the first verdict,
/// False/PeerUnreachable or False/PathMTUTooSmall with peer and size, else True.
[[nodiscard]] Check peersCheck(const std::vector<PeerReport>& peers, unsigned mtu,
                               unsigned overhead);

}  // namespace multinet::agent::networks
