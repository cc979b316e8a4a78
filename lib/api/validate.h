// The rules for networks and attachments. Webhook, controller, agent and CLI call the same ones;
// each layer holds alone. All rules run, not only until the first is broken.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/api/violation.h"
#include "lib/base/ip.h"

namespace multinet::api {

inline constexpr std::int32_t kMinMtuV4 = 576;   // RFC 791
inline constexpr std::int32_t kMinMtuV6 = 1280;  // RFC 8200
inline constexpr std::int32_t kMaxMtu = 65535;   // an IP packet's length field
/// Ports below are the system's (RFC 6335, section 6).
inline constexpr std::int32_t kMinVxlanPort = 1024;

/// Bytes that a type adds to each packet on the underlay: VXLAN 50 over IPv4, 70 over IPv6
/// (RFC 7348: outer Ethernet isn't counted by the underlay's MTU, the inner one is).
[[nodiscard]] std::int32_t overhead(NetworkType type, IpFamily underlay);

/// A network by itself: union, subnets, gateways, exclusions, blocks, MTU, routes, access.
/// Warnings: addresses outside RFC 1918 and RFC 4193, port security that lets addresses be forged.
[[nodiscard]] Report validate(const PodNetwork& network);
/// As above, and what may not change: the type, its member, a subnet's CIDR and block size. What
/// was wrong before and stays as it is isn't told again: an object of other rules can be ended.
[[nodiscard]] Report validateUpdate(const PodNetwork& before, const PodNetwork& after);

/// Why two networks can't both be served: one VNI, one device, one L2 domain with overlapping
/// subnets. Paths are those of `network`; the message names `other`, and where that has no name
/// says nothing of it beyond the clash. VNIs in effect (status.vni) count as those of the spec.
[[nodiscard]] Violations conflicts(const PodNetwork& network, const PodNetwork& other);
/// The one that keeps its place in a conflict: the older, of the same second the smaller UID.
[[nodiscard]] bool keepsPlace(const PodNetwork& network, const PodNetwork& other);

/// What a network has of which others can't have the same, and where it meets them: two networks
/// for which conflicts() finds something have a word of one's `has` among the other's `meets`.
struct Contention {
  std::vector<std::string> has;
  std::vector<std::string> meets;
};
[[nodiscard]] Contention contention(const PodNetwork& network);

/// An attachment in its namespace (metadata.nameSpace): the network exists and is granted, the MTU
/// fits it, nothing is asked that it doesn't allow, a podSelector stands where pods are chosen.
/// Warnings: a default gateway moved off eth0, a podSelector of every pod.
[[nodiscard]] Report validate(const PodNetworkAttachment& attachment, const Catalog& catalog);
/// The same; null: there is no such network, or its namespace isn't known yet.
[[nodiscard]] Report validate(const PodNetworkAttachment& attachment, const PodNetwork* network,
                              const k8s::StringMap* namespaceLabels);
/// Whether a namespace with these labels (null: not known yet) may use the network.
[[nodiscard]] bool isOpenTo(const PodNetwork& network, const std::string& namespaceName,
                            const k8s::StringMap* namespaceLabels);
/// Of those violations: the namespace may not use the network.
[[nodiscard]] bool isRefusal(const Violation& violation);
/// As above, and podNetworkName may not change.
[[nodiscard]] Report validateUpdate(const PodNetworkAttachment& before,
                                    const PodNetworkAttachment& after, const Catalog& catalog);

}  // namespace multinet::api
