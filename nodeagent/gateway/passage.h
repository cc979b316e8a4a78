// Whether the node lets pass what it forwards to a gateway. A firewall that has its own mind of
// forwarded packets (Docker's policy of FORWARD), or forwarding that is switched off, leaves no
// trace in our rules: only a packet tells.
#pragma once

#include <cstdint>

#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "nodeagent/gateway/tables.h"

namespace multinet::agent::gateway {

/// Of one gateway, in one family: datagrams out of the gateway's namespace into the node, through
/// each hook that a client's packet passes there, and back. One thread.
class Passage {
 public:
  /// Sockets in the gateway's namespace, at its address of the pair.
  [[nodiscard]] static Result<Passage> open(const Fd& netns, const Pair& pair, IpFamily family);

  /// Sends one, by the node's rules, which have to be committed; waits milliseconds for it, and
  /// takes one that came late.
  void ask();
  /// The last two were lost: one may be by chance.
  [[nodiscard]] bool isClosed() const { return lost_ > 1; }
  /// Whether the next should follow soon.
  [[nodiscard]] bool isInDoubt() const { return lost_ == 1; }

 private:
  Passage(Fd sender, Fd receiver, IpAddress node)
      : sender_(std::move(sender)), receiver_(std::move(receiver)), node_(node) {}
  /// Whether the last one that was sent is among what came.
  [[nodiscard]] bool came() const;

  Fd sender_;
  Fd receiver_;
  IpAddress node_;
  std::uint32_t number_ = 0;  ///< of the last one
  unsigned lost_ = 0;
};

/// What a person reads of a closed one.
[[nodiscard]] Error closedPassage(const std::string& network, const Pair& pair, IpFamily family);

}  // namespace multinet::agent::gateway
