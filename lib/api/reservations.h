// Reservations: objects whose creation by name is the lock. IPBlock leases addresses to a node,
// NetworkIdentifier a VNI to a network. Their spec never changes; they have no status.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/result.h"
#include "lib/k8s/kind_names.h"
#include "lib/k8s/metadata.h"

namespace multinet::api {

struct IPBlockSpec {
  std::string podNetworkName;
  std::string podNetworkUID;
  std::string cidr;
  std::string nodeName;
  bool operator==(const IPBlockSpec&) const = default;
};

struct IPBlock {
  k8s::ObjectMeta metadata;  ///< name: blockName()
  IPBlockSpec spec;
  bool operator==(const IPBlock&) const = default;
};

/// That the name is the one its spec makes: a block under another name would be a second lease of
/// the same addresses. Readers pass over blocks that fail.
[[nodiscard]] Status checkName(const IPBlock& block);

enum class IdentifierKind : std::uint8_t { Vxlan };

struct NetworkIdentifierSpec {
  IdentifierKind kind = IdentifierKind::Vxlan;
  std::int64_t id = 0;
  std::string podNetworkName;
  std::string podNetworkUID;
  bool operator==(const NetworkIdentifierSpec&) const = default;
};

struct NetworkIdentifier {
  k8s::ObjectMeta metadata;  ///< name: vxlanIdentifierName()
  NetworkIdentifierSpec spec;
  bool operator==(const NetworkIdentifier&) const = default;
};

inline constexpr k8s::Kind kIPBlockKind{"multinet.dev", "v1alpha1", "ipblocks", "IPBlock",
                                        k8s::Scope::Cluster};
inline constexpr k8s::Kind kNetworkIdentifierKind{"multinet.dev", "v1alpha1", "networkidentifiers",
                                                  "NetworkIdentifier", k8s::Scope::Cluster};

}  // namespace multinet::api

template <>
struct multinet::k8s::KindTraits<multinet::api::IPBlock>
    : multinet::k8s::KindNames<multinet::api::kIPBlockKind> {
  static Result<api::IPBlock> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::IPBlock& object);
};
template <>
struct multinet::k8s::KindTraits<multinet::api::NetworkIdentifier>
    : multinet::k8s::KindNames<multinet::api::kNetworkIdentifierKind> {
  static Result<api::NetworkIdentifier> decode(const simdjson::dom::element& object);
  static nlohmann::json encode(const api::NetworkIdentifier& object);
};
