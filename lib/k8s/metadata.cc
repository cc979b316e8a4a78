#include "lib/k8s/metadata.h"

#include <algorithm>

namespace multinet::k8s {

bool ObjectMeta::hasFinalizer(std::string_view finalizer) const {
  return std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end();
}

const std::string* ObjectMeta::annotation(const std::string& key) const {
  const auto found = annotations.find(key);
  return found == annotations.end() ? nullptr : &found->second;
}

const OwnerReference* ObjectMeta::controllerRef() const {
  const auto found = std::find_if(ownerReferences.begin(), ownerReferences.end(),
                                  [](const OwnerReference& r) { return r.controller == true; });
  return found == ownerReferences.end() ? nullptr : &*found;
}

}  // namespace multinet::k8s
