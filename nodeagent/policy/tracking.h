// What this kernel has to tell flows of bridges by, and a bridge's part in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/fd.h"
#include "lib/netlink/link.h"
#include "lib/netlink/socket.h"
#include "lib/nft/committer.h"
#include "nodeagent/policy/rules.h"

namespace multinet::agent::policing {

/// Tried, not looked up: rules are committed and removed again in one transaction, in the
/// committer's namespace, which is the calling thread's. nullopt: the kernel has neither.
[[nodiscard]] std::optional<Tracking> findTracking(nft::Committer& committer);

/// Whether this kernel can count each port's flows, tried likewise.
[[nodiscard]] bool canCount(nft::Committer& committer, Tracking tracking);

/// How full the kernel's table of flows is.
struct FlowTable {
  std::uint32_t held = 0;
  std::uint32_t most = 0;
  bool operator==(const FlowTable&) const = default;
};
/// Looks at that of the network namespace of the thread that opened it, from any thread. Not
/// thread-safe.
class FlowGauge {
 public:
  /// NotFound: the kernel follows no connections there.
  [[nodiscard]] static Result<FlowGauge> open();
  [[nodiscard]] Result<FlowTable> read() const;

 private:
  FlowGauge(Fd held, Fd most) : held_(std::move(held)), most_(std::move(most)) {}
  Fd held_;
  Fd most_;
};

/// What a node's kernel must have, for people.
inline constexpr const char* kTrackingNeeded =
    "the node's kernel must have nf_conntrack_bridge and nft_meta_bridge (NF_CONNTRACK_BRIDGE, "
    "NFT_BRIDGE_META), or the module br_netfilter loaded";

/// A tightening is certain once all packets that were judged before it have left: waits for them.
/// Some 20 ms.
void letPacketsLeave();

/// Has br_netfilter look at the frames of this bridge, or not; nothing is written where it is so.
/// A bridge that isn't there isn't an error: it is looked at again.
[[nodiscard]] Status setTracked(netlink::Socket& links, const std::string& bridge,
                                netlink::CallsInet calls);

/// What conntrack is set to in the calling thread's namespace.
void setConntrack();

}  // namespace multinet::agent::policing
