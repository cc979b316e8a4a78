// What the informers keep of each kind: the few fields that a pass looks at, under 1 KB an object.
// None of these is ever written back; writes are merge patches of single fields.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "controller/pass/pass.h"
#include "lib/api/pod_network.h"
#include "lib/api/pod_network_attachment.h"
#include "lib/k8s/kind_names.h"

namespace multinet::controller {

struct SeenNetwork {
  NetworkState state;
  /// For rules that span objects; null where it couldn't be decoded.
  std::shared_ptr<const api::PodNetwork> object;
};
struct SeenAttachment {
  AttachmentState state;
  /// For rules that span objects; null where it couldn't be decoded.
  std::shared_ptr<const api::PodNetworkAttachment> object;
};
struct SeenPod {
  Pod pod;                               // networks: those named directly
  std::vector<std::string> attachments;  // of its own namespace
};
struct SeenNodeSet {
  NodeObject object;
  std::vector<NodeReport> reports;
};
struct SeenNode {
  Meta meta;
  NodeView view;
};
struct SeenNamespace {
  Meta meta;
  std::map<std::string, std::string> labels;
};
struct SeenPeer {
  NodeObject object;
};

/// Reads of one kind.
template <class T>
struct ReadOnlyTraits {
  static Result<T> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const T& /*object*/) { return nlohmann::json::object(); }
};

inline constexpr std::string_view kGroup = "multinet.dev";
inline constexpr std::string_view kVersion = "v1alpha1";

}  // namespace multinet::controller

namespace multinet::k8s {
namespace seen {
inline constexpr Kind kSeenNetworkKind{controller::kGroup, controller::kVersion, "podnetworks",
                                       "PodNetwork", Scope::Cluster};
inline constexpr Kind kSeenAttachmentKind{controller::kGroup, controller::kVersion,
                                          "podnetworkattachments", "PodNetworkAttachment",
                                          Scope::Namespaced};
inline constexpr Kind kInterfaceSetKind{controller::kGroup, controller::kVersion,
                                        "podinterfacesets", "PodInterfaceSet", Scope::Namespaced};
inline constexpr Kind kSeenNodeSetKind{controller::kGroup, controller::kVersion, "nodenetworksets",
                                       "NodeNetworkSet", Scope::Cluster};
inline constexpr Kind kSeenPeerKind{controller::kGroup, controller::kVersion, "networkpeers",
                                    "NetworkPeer", Scope::Cluster};
inline constexpr Kind kBlockKind{controller::kGroup, controller::kVersion, "ipblocks", "IPBlock",
                                 Scope::Cluster};
inline constexpr Kind kIdentifierKind{controller::kGroup, controller::kVersion,
                                      "networkidentifiers", "NetworkIdentifier", Scope::Cluster};
inline constexpr Kind kSeenPodKind{"", "v1", "pods", "Pod", Scope::Namespaced};
inline constexpr Kind kSeenNodeKind{"", "v1", "nodes", "Node", Scope::Cluster};
inline constexpr Kind kSeenNamespaceKind{"", "v1", "namespaces", "Namespace", Scope::Cluster};
}  // namespace seen

template <>
struct KindTraits<controller::SeenNetwork> : controller::ReadOnlyTraits<controller::SeenNetwork>,
                                             KindNames<seen::kSeenNetworkKind> {};
template <>
struct KindTraits<controller::SeenAttachment>
    : controller::ReadOnlyTraits<controller::SeenAttachment>,
      KindNames<seen::kSeenAttachmentKind> {};
template <>
struct KindTraits<controller::InterfaceSet> : controller::ReadOnlyTraits<controller::InterfaceSet>,
                                              KindNames<seen::kInterfaceSetKind> {};
template <>
struct KindTraits<controller::SeenNodeSet> : controller::ReadOnlyTraits<controller::SeenNodeSet>,
                                             KindNames<seen::kSeenNodeSetKind> {};
template <>
struct KindTraits<controller::SeenPeer> : controller::ReadOnlyTraits<controller::SeenPeer>,
                                          KindNames<seen::kSeenPeerKind> {};
template <>
struct KindTraits<controller::Block> : controller::ReadOnlyTraits<controller::Block>,
                                       KindNames<seen::kBlockKind> {};
template <>
struct KindTraits<controller::Identifier> : controller::ReadOnlyTraits<controller::Identifier>,
                                            KindNames<seen::kIdentifierKind> {};
template <>
struct KindTraits<controller::SeenPod> : controller::ReadOnlyTraits<controller::SeenPod>,
                                         KindNames<seen::kSeenPodKind> {};
template <>
struct KindTraits<controller::SeenNode> : controller::ReadOnlyTraits<controller::SeenNode>,
                                          KindNames<seen::kSeenNodeKind> {};
template <>
struct KindTraits<controller::SeenNamespace>
    : controller::ReadOnlyTraits<controller::SeenNamespace>, KindNames<seen::kSeenNamespaceKind> {};

}  // namespace multinet::k8s
