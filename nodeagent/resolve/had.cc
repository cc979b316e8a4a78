#include "nodeagent/resolve/had.h"

#include "lib/api/names.h"
#include "lib/api/resolve.h"

namespace multinet::agent::resolve {

std::set<NetworkUid> hadBy(const k8s::Pod& pod) {
  std::set<NetworkUid> had;
  const std::string* admitted = pod.metadata.annotation(api::kResolvedAnnotation);
  if (admitted == nullptr || pod.status.phase != "Running") return had;
  // One that can't be read refuses the pod elsewhere.
  const auto references = api::parseResolved(*admitted);
  if (!references) return had;
  for (const api::ResolvedReference& one : *references) had.insert(one.networkUid);
  return had;
}

std::optional<api::PodNetwork> InFavour::network(std::string_view name) const {
  auto found = all().network(name);
  if (!found || !had_.contains(NetworkUid(found->metadata.uid))) return found;
  found->spec.enabled.reset();
  found->metadata.deletionTimestamp.reset();
  found->spec.access.namespaces = {api::AccessFrom::All, std::nullopt};
  found->status.conditions.set(
      {"Ready", k8s::ConditionStatus::True, found->metadata.generation, std::nullopt, "Had", ""},
      WallTime{});
  return found;
}

std::optional<api::PodNetworkAttachment> InFavour::attachment(std::string_view namespaceName,
                                                              std::string_view name) const {
  auto found = all().attachment(namespaceName, name);
  if (!found) return found;
  const auto network = all().network(found->spec.podNetworkName);
  if (network && had_.contains(NetworkUid(network->metadata.uid))) {
    found->metadata.deletionTimestamp.reset();
  }
  return found;
}

}  // namespace multinet::agent::resolve
