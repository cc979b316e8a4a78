// MultiNetworkPolicy: the Network Plumbing Working Group's kind for policies on networks of pods.
// It is core's NetworkPolicy with the networks in an annotation, so it is read into the spec of a
// PodNetworkPolicy. Its schema holds little, so what can't be read is left out such that less is
// allowed, never more, and `complaints` has what, why and what would be right.
#pragma once

#include <string>
#include <vector>

#include "lib/api/pod_network_policy.h"
#include "lib/api/violation.h"
#include "lib/k8s/kind_names.h"
#include "lib/k8s/metadata.h"

namespace multinet::npwg {

/// Networks by name, with commas between: `blue, shop/red`. PodNetworks have no namespace, so one
/// that is written is passed over.
inline constexpr const char* kPolicyForAnnotation = "k8s.v1.cni.cncf.io/policy-for";
/// On a namespace, with this value: its MultiNetworkPolicies are Multinet's.
inline constexpr const char* kOwnedLabel = "multinet.dev/npwg";
inline constexpr const char* kOwned = "owned";
/// On each PodNetworkPolicy that is made of one, with the kind for a value. Whose it is, its owner
/// reference says.
inline constexpr const char* kMadeOfLabel = "multinet.dev/made-of";
/// More can't be in as many PodNetworkPolicies as one may become: it isolates on all of them then,
/// and allows nothing.
inline constexpr std::size_t kMaxNetworks = 128;
/// Names behind these aren't read.
inline constexpr std::size_t kMaxNamed = 1024;
/// More aren't kept: objects of any namespace are read, and may be nothing but mistakes.
inline constexpr std::size_t kMaxComplaints = 100;

struct MultiNetworkPolicy {
  /// Of it namespace, name, UID and generation.
  k8s::ObjectMeta metadata;
  std::vector<std::string> networks;  ///< each once; none: it holds nowhere
  api::PodNetworkPolicySpec spec;     ///< but for the networks; its types are always written
  api::Violations complaints;         ///< at most kMaxComplaints
  bool operator==(const MultiNetworkPolicy&) const = default;
};

inline constexpr k8s::Kind kMultiNetworkPolicyKind{"k8s.cni.cncf.io", "v1beta1",
                                                   "multi-networkpolicies", "MultiNetworkPolicy",
                                                   k8s::Scope::Namespaced};

/// `npwg-<name>`; of further ones, and where that is too long, with a hash at its end.
[[nodiscard]] std::string policyName(const std::string& name, std::size_t place);
/// Whose first PodNetworkPolicy has such a name; empty where the name doesn't tell.
[[nodiscard]] std::string nameBehind(const std::string& policyName);
/// What it is among our kinds: one for each 16 networks, with its owner reference and our label.
[[nodiscard]] std::vector<api::PodNetworkPolicy> policiesOf(const MultiNetworkPolicy& policy);
/// Refers to a MultiNetworkPolicy, of whatever version, as the object's controller; null: none
/// does.
[[nodiscard]] const k8s::OwnerReference* makerOf(const k8s::ObjectMeta& metadata);

}  // namespace multinet::npwg

template <>
struct multinet::k8s::KindTraits<multinet::npwg::MultiNetworkPolicy>
    : multinet::k8s::KindNames<multinet::npwg::kMultiNetworkPolicyKind> {
  /// InvalidArgument where name or UID is missing; all else is read as far as it can be.
  static Result<npwg::MultiNetworkPolicy> decode(const simdjson::dom::element& object);
  /// It is never written.
  static nlohmann::json encode(const npwg::MultiNetworkPolicy& object);
};
