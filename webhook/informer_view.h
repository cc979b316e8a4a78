// The webhook's caches: networks, attachments and namespaces, kept by watches.
#pragma once

#include "lib/base/result.h"
#include "lib/k8s/core.h"
#include "lib/k8s/projection.h"
#include "lib/kube/informer.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

/// What a request is judged by, of the many attachments that a cluster has.
extern const k8s::Fields kAttachmentFields;
using Attachment = k8s::Projection<api::PodNetworkAttachment, kAttachmentFields>;

/// Three watches, from `start` to `stop`. Reading is thread-safe and never waits.
class InformerView final : public View {
 public:
  /// `client` outlives it.
  explicit InformerView(kube::Client& client);
  void start();
  void stop();
  /// Unavailable, and names the kind, where its first list hasn't come (NotSynced) or the server
  /// has been silent about it for minutes (CacheOld).
  [[nodiscard]] Status ready() const;

  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override;
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override;
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(std::string_view name) const override;
  [[nodiscard]] std::vector<api::PodNetworkAttachment> selecting(
      std::string_view namespaceName) const override;
  [[nodiscard]] std::vector<api::PodNetwork> networks() const override;
  /// Never: nodes change every few seconds and networks are made now and then, so they are asked
  /// for and not watched (LiveView).
  [[nodiscard]] std::optional<std::vector<api::ClusterRange>> clusterRanges() const override {
    return std::nullopt;
  }

 private:
  kube::Informer<api::PodNetwork> networks_;
  kube::Informer<Attachment> attachments_;
  kube::Informer<k8s::Namespace> namespaces_;
};

}  // namespace multinet::webhook
