#include "webhook/admission/open_to.h"

#include "lib/api/validate.h"

namespace multinet::webhook {

std::optional<api::PodNetwork> OpenTo::network(std::string_view name) const {
  auto found = all().network(name);
  if (!found) return std::nullopt;
  const auto labels = all().namespaceLabels(nameSpace_);
  if (!api::isOpenTo(*found, nameSpace_, labels ? &*labels : nullptr)) return std::nullopt;
  for (k8s::Condition& condition : found->status.conditions.items) condition.message.clear();
  return found;
}

std::optional<api::PodNetworkAttachment> OpenTo::attachment(std::string_view namespaceName,
                                                            std::string_view name) const {
  auto found = all().attachment(namespaceName, name);
  if (!found || !network(found->spec.podNetworkName)) return std::nullopt;
  return found;
}

}  // namespace multinet::webhook
