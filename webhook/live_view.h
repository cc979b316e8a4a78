// The API server's own word, for reviews that the caches would refuse.
//
// Caches lag: of a file with a network and its attachment, or a network that was just deleted and
// is made again, the second object may come before the watch has told of the first. So nobody is
// refused by a cache alone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/kube/client.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

/// What one review may cost the API server and whoever waits for the answer.
struct LookBudget {
  BootTime until = BootTime::max();
  int calls = 20;  ///< a pod's 16 networks, its namespace, and some attachments
};

/// Asks the API server, each thing once, as far as the budget goes; what isn't asked or answered is
/// as the caches have it. For one review, on one thread; its calls block, at most for the client's
/// deadline.
class LiveView final : public View {
 public:
  /// All outlive it.
  LiveView(kube::Client& client, const View& caches, const Clock& clock = kSystemClock,
           LookBudget budget = {})
      : client_(client), caches_(caches), clock_(clock), budget_(budget) {}

  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override;
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view namespaceName, std::string_view name) const override;
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(std::string_view name) const override;
  /// One list, which answers for the namespace's attachments as well.
  [[nodiscard]] std::vector<api::PodNetworkAttachment> selecting(
      std::string_view namespaceName) const override;
  [[nodiscard]] std::vector<api::PodNetwork> networks() const override;
  /// Two lists: ServiceCIDRs (nothing before Kubernetes 1.33) and Nodes.
  [[nodiscard]] std::optional<std::vector<api::ClusterRange>> clusterRanges() const override;

 private:
  /// Spends one call.
  [[nodiscard]] bool mayAsk() const { return clock_.now() < budget_.until && budget_.calls-- > 0; }

  kube::Client& client_;
  const View& caches_;
  const Clock& clock_;
  mutable LookBudget budget_;
  mutable std::map<std::string, std::optional<api::PodNetwork>> networks_;
  mutable std::map<std::pair<std::string, std::string>, std::optional<api::PodNetworkAttachment>>
      attachments_;
  mutable std::map<std::string, std::optional<k8s::StringMap>> labels_;
};

}  // namespace multinet::webhook
