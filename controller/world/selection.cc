#include "controller/world/selection.h"

#include <algorithm>

namespace multinet::controller {

bool selects(const NetworkService& service, const k8s::StringMap& labels) {
  const auto& selector = service.spec.selector;
  // An empty one would be every pod's: such a service is an ExternalName.
  return !selector.empty() && std::ranges::all_of(selector, [&](const auto& pair) {
    const auto found = labels.find(pair.first);
    return found != labels.end() && found->second == pair.second;
  });
}

void Selection::changed(const Pod* before, const Pod* now, const Tables& tables) {
  if (before != nullptr) {
    forSelecting(tables, before->metadata.nameSpace, before->metadata.labels,
                 [&](const NetworkService& service) {
                   const auto found = known_.find(keyOf(service));
                   if (found != known_.end()) found->second.erase(before);
                 });
  }
  if (now != nullptr) {
    forSelecting(tables, now->metadata.nameSpace, now->metadata.labels,
                 [&](const NetworkService& service) {
                   const auto found = known_.find(keyOf(service));
                   if (found != known_.end()) found->second.insert(now);
                 });
  }
}

void Selection::changed(const NetworkService* before, const NetworkService* now) {
  if (before == nullptr) return;
  if (now == nullptr || before->spec.selector != now->spec.selector) known_.erase(keyOf(*before));
}

const Members<Pod>& Selection::podsOf(const NetworkService& service, const Tables& tables) {
  const auto key = keyOf(service);
  if (!known_.contains(key)) look(key.nameSpace, tables);
  return known_.at(key);
}

void Selection::look(const std::string& nameSpace, const Tables& tables) {
  std::unordered_map<const NetworkService*, Members<Pod>*> open;
  for (const NetworkService* one : tables.of<NetworkService>().by<ByNamespace>(nameSpace)) {
    const auto [place, isNew] = known_.try_emplace(keyOf(*one));
    if (isNew) open.emplace(one, &place->second);
  }
  for (const Pod* pod : tables.of<Pod>().by<ByNamespace>(nameSpace)) {
    const k8s::StringMap& labels = pod->metadata.labels;
    if (open.size() == 1) {
      if (selects(*open.begin()->first, labels)) open.begin()->second->insert(pod);
      continue;
    }
    forSelecting(tables, nameSpace, labels, [&](const NetworkService& service) {
      const auto found = open.find(&service);
      if (found != open.end()) found->second->insert(pod);
    });
  }
}

}  // namespace multinet::controller
