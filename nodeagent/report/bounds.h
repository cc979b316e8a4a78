// What is told fits into the schema of its kind: a list is cut with a count, a text with three
// dots. An object that the server refuses for its size tells nothing at all.
#pragma once

#include <set>
#include <string>

#include "lib/api/network_peer.h"
#include "lib/api/node_network_set.h"
#include "lib/api/pod_interface_set.h"
#include "lib/base/ids.h"

namespace multinet::agent::report {

/// maxItems and maxLength of the CRDs, as far as what is written may come near them; a test reads
/// crds/ against what the functions below make of objects that are too large.
namespace limits {
inline constexpr std::size_t kInterfaces = 16;
inline constexpr std::size_t kAddresses = 16;
inline constexpr std::size_t kRoutes = 128;
inline constexpr std::size_t kConditions = 8;  ///< of an interface, or of a network on a node
inline constexpr std::size_t kNodeConditions = 16;
inline constexpr std::size_t kNetworks = 512;
inline constexpr std::size_t kChecks = 16;
inline constexpr std::size_t kUnderlays = 2;
inline constexpr std::size_t kMessage = 1024;  ///< of a check; conditions take more than is useful
inline constexpr std::size_t kReason = 128;
inline constexpr std::size_t kConditionType = 316;
inline constexpr std::size_t kSandboxId = 128;
inline constexpr std::size_t kCheckName = 63;
/// All messages of a node's set together: the store takes 1.5 MiB an object.
inline constexpr std::size_t kAllMessages = 256U << 10U;
/// All checks of a node's set: beyond that those that are True are left out.
inline constexpr std::size_t kAllChecks = 2048;
}  // namespace limits

/// At most `most` bytes, cut between characters.
[[nodiscard]] std::string cutText(std::string text, std::size_t most);
/// The text as a CamelCase word that the schemas take; `Unknown` where nothing is left of it.
[[nodiscard]] std::string reasonWord(const std::string& text);

/// Times are cut to the seconds that the API keeps. Pure, as all of these.
[[nodiscard]] api::PodInterfaceSet fitted(api::PodInterfaceSet set);
/// Networks of `used` UIDs and those that aren't Ready stay first; the others are counted.
[[nodiscard]] api::NodeNetworkSetStatus fitted(api::NodeNetworkSetStatus status,
                                               const std::set<NetworkUid>& used);
[[nodiscard]] api::NetworkPeer fitted(api::NetworkPeer peer);

/// The set, with the times of the one that is there wherever they say the same thing: what differs
/// after that is a difference.
[[nodiscard]] api::PodInterfaceSet withTimesOf(api::PodInterfaceSet set,
                                               const api::PodInterfaceSet& there);
/// Whether the API has what the set says, times and what the server adds left aside.
[[nodiscard]] bool saysTheSame(const api::PodInterfaceSet& set, const api::PodInterfaceSet& there);

}  // namespace multinet::agent::report
