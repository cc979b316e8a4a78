#include "cli/policy_manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/nearest.h"
#include "cli/objects.h"
#include "cli/output.h"
#include "lib/api/cluster_policy.h"
#include "lib/api/describe.h"
#include "lib/api/names.h"
#include "lib/api/network_peer.h"
#include "lib/api/node_network_set.h"
#include "lib/api/pod_network_attachment.h"
#include "lib/api/pod_network_policy_slice.h"
#include "lib/api/pod_network_service.h"
#include "lib/api/policy.h"
#include "lib/api/reservations.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

/// The first field below `spec` that the kind doesn't have, by its path.
template <class P>
class UnknownField {
 public:
  UnknownField() {
    for (const auto& property : k8s::outline<P>()) {
      known_.insert(property.path);
      if (property.type == "map") maps_.insert(property.path);
      if (property.type == "array") lists_.insert(property.path);
    }
  }

  /// `path` is the value's, `kind` the same with `[]` for each index.
  Status check(const json& value, const std::string& path, const std::string& kind) const {
    if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        const std::string at = path + "[" + std::to_string(i) + "]";
        MULTINET_CHECK(check(value[i], at, kind + "[]"));
      }
      return {};
    }
    if (value.is_object() && lists_.contains(kind)) {
      return fail(Code::InvalidArgument, "NotAList",
                  path + ": must be a list, is a map; begin each of its entries with \"- \"");
    }
    if (!value.is_object() || maps_.contains(kind)) return {};
    for (const auto& [name, inside] : value.items()) {
      const std::string step = "." + name;
      const std::string at = kind + step;
      if (!known_.contains(at)) {
        return fail(Code::InvalidArgument, "UnknownField",
                    path + ": there is no field \"" + printable(name) + "\"" +
                        didYouMean(name, namesIn(kind)));
      }
      MULTINET_CHECK(check(inside, path + step, at));
    }
    return {};
  }

 private:
  std::vector<std::string> namesIn(const std::string& kind) const {
    std::vector<std::string> out;
    for (const auto& path : known_) {
      if (!path.starts_with(kind + ".")) continue;
      const auto rest = path.substr(kind.size() + 1);
      if (rest.find_first_of(".[") == std::string::npos) out.push_back(rest);
    }
    return out;
  }

  std::set<std::string> known_;
  std::set<std::string> maps_;
  std::set<std::string> lists_;
};

/// A misspelt namespace would be the context's.
Status checkMetadata(const json& object) {
  static const std::vector<std::string> kKnown = {"name",
                                                  "namespace",
                                                  "labels",
                                                  "annotations",
                                                  "generateName",
                                                  "uid",
                                                  "resourceVersion",
                                                  "generation",
                                                  "selfLink",
                                                  "creationTimestamp",
                                                  "managedFields",
                                                  "deletionTimestamp",
                                                  "finalizers",
                                                  "ownerReferences",
                                                  "deletionGracePeriodSeconds"};
  const json metadata = object.value("metadata", json());
  if (!metadata.is_object()) return {};  // the decoder's affair
  for (const auto& [name, value] : metadata.items()) {
    if (std::ranges::find(kKnown, name) != kKnown.end()) continue;
    return fail(
        Code::InvalidArgument, "UnknownField",
        "metadata: there is no field \"" + printable(name) + "\"" + didYouMean(name, kKnown));
  }
  return {};
}

Status checkName(const k8s::ObjectMeta& metadata) {
  if (metadata.name.empty()) {
    return fail(Code::InvalidArgument, "NameMissing", "metadata.name: is missing");
  }
  if (!api::isDnsSubdomain(metadata.name)) {
    return fail(Code::InvalidArgument, "IllegalName",
                "metadata.name: \"" + printable(metadata.name) +
                    "\" can be no object's: use lower-case letters, digits, \"-\" and \".\", a "
                    "letter or digit at both ends");
  }
  if (metadata.nameSpace.empty() || api::isDnsLabel(metadata.nameSpace)) return {};
  return fail(Code::InvalidArgument, "IllegalName",
              "metadata.namespace: \"" + printable(metadata.nameSpace) +
                  "\" can be no namespace's: use lower-case letters, digits and \"-\"");
}

template <class P>
Result<P> readPolicy(const json& object, const std::string& nameSpace) {
  static const UnknownField<P> kFields;
  const auto& kind = k8s::KindTraits<P>::kKind;
  const auto version = object.value("apiVersion", json());
  if (version != kind.apiVersion()) {
    const std::string is = version.is_null() ? "missing" : toJsonText(version);
    return fail(Code::InvalidArgument, "WrongVersion",
                "apiVersion: is " + is + ", must be \"" + kind.apiVersion() + "\"");
  }
  MULTINET_CHECK(checkMetadata(object));
  for (const auto& [name, value] : object.items()) {
    if (name == "apiVersion" || name == "kind" || name == "metadata") continue;
    if (name == "status") continue;  // what was got out of a cluster has it; the server drops it
    if (name != "spec") {
      return fail(Code::InvalidArgument, "UnknownField",
                  "there is no field \"" + printable(name) + "\"" + didYouMean(name, {"spec"}));
    }
    MULTINET_CHECK(kFields.check(value, name, name));
  }
  json asApplied = object;
  asApplied.erase("status");
  // Bytes that are no UTF-8 are in no object: what they are in is found wrong.
  const std::string text = asApplied.dump(-1, ' ', false, json::error_handler_t::replace);
  MULTINET_TRY(auto policy, k8s::decodeText<P>(text));
  if (kind.scope == k8s::Scope::Cluster) {
    policy.metadata.nameSpace.clear();
  } else if (policy.metadata.nameSpace.empty()) {
    policy.metadata.nameSpace = nameSpace;
  }
  MULTINET_CHECK(checkName(policy.metadata));
  if (const auto report = api::validate(policy); !report.ok()) {
    return fail(api::toError(report.violations));
  }
  return policy;
}

template <class P>
bool isOf(const json& object) {
  return object.value("kind", json()) == std::string(k8s::KindTraits<P>::kKind.kind);
}

/// Other objects may be in a manifest, but none that was meant as a policy.
Status checkOther(const json& object) {
  static const std::vector<std::string> kKinds = [] {
    std::vector<std::string> kinds;
    for (const k8s::Kind& kind :
         {api::kPodNetworkKind, api::kPodNetworkAttachmentKind, api::kPodNetworkServiceKind,
          api::kPodNetworkPolicyKind, api::kClusterPodNetworkPolicyKind, api::kPodInterfaceSetKind,
          api::kPodNetworkPolicySliceKind, api::kNodeNetworkSetKind, api::kNetworkPeerKind,
          api::kIPBlockKind, api::kNetworkIdentifierKind}) {
      kinds.emplace_back(kind.kind);
    }
    return kinds;
  }();
  const json kind = object.value("kind", json());
  const json version = object.value("apiVersion", json());
  const std::string name = kind.is_string() ? kind.get<std::string>() : "";
  if (name == "MultiNetworkPolicy") {
    return fail(Code::InvalidArgument, "WrongKind",
                "kind: MultiNetworkPolicies aren't read from a manifest; apply it, and ask again "
                "without: PodNetworkPolicy npwg-NAME is made of it");
  }
  const bool isOurs =
      version.is_string() && version.get<std::string>().starts_with("multinet.dev/");
  if (!isOurs || std::ranges::find(kKinds, name) != kKinds.end()) return {};
  return fail(Code::InvalidArgument, "UnknownKind",
              "kind: multinet.dev has no \"" + printable(name) + "\"" + didYouMean(name, kKinds));
}

json nameIn(const json& object) {
  const auto metadata = object.find("metadata");
  const bool isThere = metadata != object.end() && metadata->is_object();
  return isThere ? metadata->value("name", json()) : json();
}

template <class P>
Status add(const Written& written, const std::string& nameSpace, std::vector<P>& out) {
  const json& object = written.object;
  const json name = nameIn(object);
  const std::string title = written.place + ": " + std::string(k8s::KindTraits<P>::kKind.kind) +
                            " " + printable(name.is_string() ? name : "");
  auto policy = readPolicy<P>(object, nameSpace);
  if (!policy) return fail(policy.error().within(title));
  const bool isTwice = std::ranges::any_of(out, [&](const P& one) {
    return one.metadata.nameSpace == policy->metadata.nameSpace &&
           one.metadata.name == policy->metadata.name;
  });
  if (isTwice) {
    const auto& home = policy->metadata.nameSpace;
    return fail(Code::InvalidArgument, "Duplicate",
                title + ": stands twice" + (home.empty() ? "" : " in namespace " + home));
  }
  out.push_back(std::move(*policy));
  return {};
}

}  // namespace

Result<PolicyManifest> policiesIn(const std::vector<Written>& objects,
                                  const std::string& nameSpace) {
  PolicyManifest out;
  std::set<std::string> others;
  for (const Written& one : objects) {
    if (isOf<api::PodNetworkPolicy>(one.object)) {
      MULTINET_CHECK(add(one, nameSpace, out.policies));
    } else if (isOf<api::ClusterPodNetworkPolicy>(one.object)) {
      MULTINET_CHECK(add(one, nameSpace, out.clusterPolicies));
    } else {
      if (const Status other = checkOther(one.object); !other) {
        return fail(other.error().within(one.place));
      }
      others.insert(text(one.object, "/kind"));
    }
  }
  if (!out.policies.empty() || !out.clusterPolicies.empty()) return out;
  std::string found;
  for (const auto& kind : others) found += (found.empty() ? "; what is: " : ", ") + printable(kind);
  if (others.contains("NetworkPolicy") || others.contains("ClusterNetworkPolicy")) {
    found += ". Those of Kubernetes are about eth0: of a network write a PodNetworkPolicy";
  }
  return fail(Code::InvalidArgument, "NoPolicies",
              "read manifest: no PodNetworkPolicy and no ClusterPodNetworkPolicy is in it" + found);
}

}  // namespace multinet::cli
