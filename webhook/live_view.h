// The API server's own word, for reviews that the caches would refuse.
//
// Caches lag: of a file with a network and its attachment, or a network that was just deleted and
// is made again, the second object may come before the watch has told of the first. So nobody is
// refused by a cache alone.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/kube/client.h"
#include "webhook/admission/review.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

/// Asks the API server, each thing once; what it doesn't answer is as the caches have it. For one
/// review, on one thread; its calls block, at most for the client's deadline.
class LiveView final : public View {
 public:
  /// Both outlive it.
  LiveView(kube::Client& client, const View& caches) : client_(client), caches_(caches) {}

  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override;
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override;
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(std::string_view name) const override;
  [[nodiscard]] std::vector<api::PodNetwork> networks() const override;
  /// Two lists: ServiceCIDRs (nothing before Kubernetes 1.33) and Nodes.
  [[nodiscard]] std::optional<std::vector<api::ClusterRange>> clusterRanges() const override;

 private:
  kube::Client& client_;
  const View& caches_;
  mutable std::map<std::string, std::optional<api::PodNetwork>> networks_;
  mutable std::map<std::pair<std::string, std::string>, std::optional<api::PodNetworkAttachment>>
      attachments_;
  mutable std::map<std::string, std::optional<k8s::StringMap>> labels_;
};

using Judge = std::function<Verdict(const Review&, const View&)>;

/// Decides by the caches, and refuses only what the API server's own state refuses too. Networks,
/// which are rare and judged by what no cache holds, are decided by the API server's state alone.
[[nodiscard]] Verdict judgeFreshly(const Judge& judge, const Review& review, const View& caches,
                                   kube::Client& client);

}  // namespace multinet::webhook
