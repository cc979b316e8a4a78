// What our API is called, and how objects are named whose name carries meaning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/ids.h"
#include "lib/base/ip.h"

namespace multinet::api {

inline constexpr std::string_view kGroup = "multinet.dev";
inline constexpr std::string_view kVersion = "v1alpha1";
/// On a pod, written by its author: what it asks for.
inline constexpr const char* kNetworksAnnotation = "multinet.dev/networks";
/// On a pod, written by the webhook: what the request was resolved to.
inline constexpr const char* kResolvedAnnotation = "multinet.dev/resolved";
/// Readiness gate and condition of pods with a request.
inline constexpr const char* kReadyGate = "multinet.dev/networks-ready";
/// Finalizer of networks and attachments that pods use.
inline constexpr const char* kInUseFinalizer = "multinet.dev/in-use";
/// Where our own workloads run.
inline constexpr const char* kSystemNamespace = "multinet-system";

/// Interfaces that one pod may ask for, eth0 not counted.
inline constexpr std::size_t kMaxInterfaces = 16;
/// A network's name is a label: it becomes part of other names and labels.
inline constexpr std::size_t kMaxNetworkName = 63;
inline constexpr std::uint32_t kMaxVni = (1U << 24U) - 1;
/// Of VXLAN, where the network doesn't say: not 4789 and not 8472, which other systems use.
inline constexpr std::uint16_t kDefaultVxlanPort = 4799;

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 (RFC 1123).
[[nodiscard]] bool isDnsLabel(std::string_view text);
/// Labels joined by dots, at most 253: what most objects may be called.
[[nodiscard]] bool isDnsSubdomain(std::string_view text);

/// PodInterfaceSet of a pod: `<pod>-<first 8 of the UID>`. A StatefulSet's next pod of the same
/// name gets another. The pod's part is cut where the whole would pass 253.
[[nodiscard]] std::string interfaceSetName(std::string_view podName, const PodUid& uid);
/// NetworkPeer: `<network>.<node>`. The dot keeps (a-b, c) and (a, b-c) apart: a network's name
/// has none. Past 253 the node's part is cut and ends in a hash of the whole.
[[nodiscard]] std::string peerName(const NetworkName& network, const NodeName& node);
/// IPBlock: `<network>-v4-0a140040-26`, `<network>-v6-<32 digits>-122`. Two nodes that want one
/// block want one name, and the store gives it once.
[[nodiscard]] std::string blockName(const NetworkName& network, const IpPrefix& block);
/// NetworkIdentifier of a VNI: `vxlan-7001`.
[[nodiscard]] std::string vxlanIdentifierName(std::uint32_t vni);

/// A name of at most `room` characters that ends in a hash of `hashed`, the same in every version.
[[nodiscard]] std::string cutName(std::string_view name, std::string_view hashed, std::size_t room);

/// PodNetworkPolicySlice that is a policy's head: `<policy>-<first 8 of the UID>`, the policy's
/// part cut to 40. Of a network's default: `default-<network>` stands for the policy, and the
/// network's UID for its.
[[nodiscard]] std::string policyHeadName(std::string_view policyName, std::string_view uid);
/// The others: `<head>-<place>`.
[[nodiscard]] std::string policySliceName(std::string_view headName, std::size_t place);

}  // namespace multinet::api
