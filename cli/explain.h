// What a pod of a manifest would get, and why: the rules of the webhook and the agent, run here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/manifest.h"
#include "lib/api/resolve.h"
#include "lib/api/selection.h"

namespace multinet::cli {

/// A pod of a manifest, or the pod template of a workload.
struct ManifestPod {
  std::string title;  // `Deployment shop/web`
  api::PodSubject subject;
  k8s::StringMap labels;
  std::optional<std::string> selected;  // value of kSelectedAnnotation
};

/// The pod as admission leaves it, by the attachments that choose pods of its namespace; `onHost`
/// tells which don't get it.
api::Selection chooseFor(ManifestPod& pod,
                         const std::vector<api::PodNetworkAttachment>& attachments,
                         const api::Catalog& catalog);

/// All pods that a manifest's objects make. `nameSpace` is for objects that name none.
/// InvalidArgument: nothing in it makes pods.
[[nodiscard]] Result<std::vector<ManifestPod>> podsIn(const std::vector<Written>& objects,
                                                      const std::string& nameSpace);

/// For people: each interface, or each refusal with its path and remedy.
[[nodiscard]] std::string describeExplanation(const ManifestPod& pod,
                                              const api::Explanation& explanation);

/// Objects that were listed, by name.
class ListedCatalog final : public api::Catalog {
 public:
  ListedCatalog(std::vector<api::PodNetwork> networks,
                std::vector<api::PodNetworkAttachment> attachments,
                std::map<std::string, k8s::StringMap, std::less<>> namespaces)
      : networks_(std::move(networks)),
        attachments_(std::move(attachments)),
        namespaces_(std::move(namespaces)) {}

  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override;
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override;
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(std::string_view name) const override;

 private:
  std::vector<api::PodNetwork> networks_;
  std::vector<api::PodNetworkAttachment> attachments_;
  std::map<std::string, k8s::StringMap, std::less<>> namespaces_;
};

}  // namespace multinet::cli
