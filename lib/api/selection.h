// Pods that get networks by their labels: attachments with a podSelector choose them when they are
// created, so that charts get networks without a change.
//
// What is chosen becomes part of the pod's request, behind what the pod asks for itself, so that
// whoever reads requests needs to know of nothing else; `multinet.dev/selected` tells which part.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/api/violation.h"

namespace multinet::api {

/// On a pod, written by the webhook: the items of its request that its labels chose.
inline constexpr const char* kSelectedAnnotation = "multinet.dev/selected";
/// On a namespace, set by an admin: attachments there may choose pods. It is what sends pods that
/// ask for nothing to the webhook; those of other namespaces never go there.
inline constexpr const char* kSelectLabel = "multinet.dev/select";
inline constexpr const char* kSelectEnabled = "enabled";

/// Whether attachments of a namespace may choose pods. Never of our own: its pods don't wait for
/// our webhook.
[[nodiscard]] bool selectsPods(const std::string& namespaceName, const k8s::StringMap& labels);

/// A pod that is being created, as far as selection goes.
struct Candidate {
  std::string namespaceName;
  k8s::StringMap labels;
  bool hostNetwork = false;
  std::optional<std::string> request{};   ///< value of kNetworksAnnotation
  std::optional<std::string> selected{};  ///< value of kSelectedAnnotation, whoever wrote it
};

/// What a pod's annotations shall be. Absent: the pod shall have none.
struct Selection {
  std::optional<std::string> request;   ///< of kNetworksAnnotation
  std::optional<std::string> selected;  ///< of kSelectedAnnotation: `attachment/a, attachment/b`
  /// Attachments that match and aren't taken, since the pod is in the node's network.
  std::vector<std::string> onHost{};
  bool operator==(const Selection&) const = default;
};

/// Of `attachments` (all of the namespace's; empty where it doesn't select) those that match the
/// labels, in the order of their names, less those that are being deleted and those to a network
/// that the pod asks for itself. What an earlier selection wrote into the request is taken out
/// first, so that a second look, a copied and a restored pod come to the same as a new one. A
/// request that can't be read stays as it is, for the rules to refuse. Pure.
[[nodiscard]] Selection select(const Candidate& pod,
                               const std::vector<PodNetworkAttachment>& attachments,
                               const Catalog& catalog);

/// Says in the remedies of a pod's violations which items its labels chose.
void tellSelection(Violations& violations, const Selection& selection);

}  // namespace multinet::api
