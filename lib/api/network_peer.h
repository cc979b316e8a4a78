// NetworkPeer: this node takes part in this network, at these underlay addresses. Small and stable;
// tunnel peers and flood lists are made of it. No status subresource.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/k8s/kind_names.h"
#include "lib/k8s/metadata.h"

namespace multinet::api {

struct NetworkPeer {
  k8s::ObjectMeta metadata;  ///< name: peerName()
  std::string podNetworkName;
  std::string podNetworkUID;
  std::string nodeName;
  std::vector<std::string> underlayIPs;
  std::string bridgeMAC;
  bool operator==(const NetworkPeer&) const = default;
};

inline constexpr k8s::Kind kNetworkPeerKind{"multinet.dev", "v1alpha1", "networkpeers",
                                            "NetworkPeer", k8s::Scope::Cluster};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::NetworkPeer>
    : multinet::k8s::KindNames<multinet::api::kNetworkPeerKind> {
  static Result<api::NetworkPeer> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::NetworkPeer& object);
};
