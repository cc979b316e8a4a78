// What the controller reads of each kind: lib/api's and lib/k8s's own structs with the few fields
// that a decision looks at. Metadata has a resourceVersion only where a write holds on to it, so
// that an object of which nothing else changed is found to be the same.
#pragma once

#include <string_view>
#include <tuple>
#include <vector>

#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/network_peer.h"
#include "lib/api/node_network_set.h"
#include "lib/api/pod_interface_set.h"
#include "lib/api/pod_network.h"
#include "lib/api/pod_network_attachment.h"
#include "lib/api/pod_network_policy_slice.h"
#include "lib/api/pod_network_service.h"
#include "lib/api/reservations.h"
#include "lib/base/ids.h"
#include "lib/k8s/core.h"
#include "lib/k8s/projection.h"
#include "lib/npwg/multi_network_policy.h"

namespace multinet::controller {

extern const k8s::Fields kNetworkFields;
extern const k8s::Fields kAttachmentFields;
extern const k8s::Fields kIdentifierFields;
extern const k8s::Fields kSetFields;
extern const k8s::Fields kNodeSetFields;
extern const k8s::Fields kPeerFields;
extern const k8s::Fields kBlockFields;
extern const k8s::Fields kPodFields;
extern const k8s::Fields kNodeFields;
extern const k8s::Fields kNamespaceFields;
extern const k8s::Fields kNetworkServiceFields;
extern const k8s::Fields kServiceFields;
extern const k8s::Fields kSliceFields;
extern const k8s::Fields kPolicyFields;
extern const k8s::Fields kPolicySliceFields;
extern const k8s::Fields kClusterPolicyFields;

using Network = k8s::Projection<api::PodNetwork, kNetworkFields>;
using Attachment = k8s::Projection<api::PodNetworkAttachment, kAttachmentFields>;
using Identifier = k8s::Projection<api::NetworkIdentifier, kIdentifierFields>;
using InterfaceSet = k8s::Projection<api::PodInterfaceSet, kSetFields>;
using NodeSet = k8s::Projection<api::NodeNetworkSet, kNodeSetFields>;
using Peer = k8s::Projection<api::NetworkPeer, kPeerFields>;
using Block = k8s::Projection<api::IPBlock, kBlockFields>;
using Pod = k8s::Projection<k8s::Pod, kPodFields>;
using Node = k8s::Projection<k8s::Node, kNodeFields>;
using Namespace = k8s::Projection<k8s::Namespace, kNamespaceFields>;
using NetworkService = k8s::Projection<api::PodNetworkService, kNetworkServiceFields>;
/// Core's; everybody's, since a name can be taken.
using Service = k8s::Projection<k8s::Service, kServiceFields>;
/// Those that say that they are ours.
using Slice = k8s::Projection<k8s::EndpointSlice, kSliceFields>;
using Policy = k8s::Projection<api::PodNetworkPolicy, kPolicyFields>;
using ClusterPolicy = k8s::Projection<api::ClusterPodNetworkPolicy, kClusterPolicyFields>;
using PolicySlice = k8s::Projection<api::PodNetworkPolicySlice, kPolicySliceFields>;
using npwg::MultiNetworkPolicy;

/// `template <class... T> struct X; ForKinds<X>` is `X` of every kind that is watched.
template <template <class...> class X>
using ForKinds =
    X<Node, Namespace, Network, Attachment, Identifier, Pod, InterfaceSet, NodeSet, Peer, Block,
      NetworkService, Service, Slice, Policy, ClusterPolicy, PolicySlice, MultiNetworkPolicy>;

/// A kind of somebody else's that the server may not know, or not let us read: nobody waits for it.
/// Until its first list is whole (World::knows) nothing is concluded from none being there.
template <class T>
inline constexpr bool kIsOptional = false;
template <>
inline constexpr bool kIsOptional<MultiNetworkPolicy> = true;

/// Which objects of a kind the server is asked for, by their labels; empty: all of them.
template <class T>
inline constexpr std::string_view kWatchedLabels;
template <>
inline constexpr std::string_view kWatchedLabels<Slice> =
    "endpointslice.kubernetes.io/managed-by=multinet.dev";

/// Which objects of a kind concern us; the others are as if they weren't there.
template <class T>
[[nodiscard]] bool concerns(const T& /*object*/) {
  return true;
}
/// A pod with a request. Its readiness gate, which can't be taken away, tells it also where
/// somebody took the annotation.
template <>
[[nodiscard]] bool concerns(const Pod& pod);

template <class T>
[[nodiscard]] k8s::ObjectKey keyOf(const T& object) {
  return {object.metadata.nameSpace, object.metadata.name};
}

}  // namespace multinet::controller
