#include "lib/k8s/conditions.h"

#include <algorithm>

namespace multinet::k8s {

const Condition* Conditions::find(std::string_view type) const {
  const auto found = std::find_if(items.begin(), items.end(),
                                  [&](const Condition& item) { return item.type == type; });
  return found == items.end() ? nullptr : &*found;
}

bool Conditions::isTrue(std::string_view type) const {
  const Condition* found = find(type);
  return found != nullptr && found->status == ConditionStatus::True;
}

bool Conditions::isTrueAt(std::string_view type, std::int64_t generation) const {
  return isTrue(type) && find(type)->observedGeneration == generation;
}

bool Conditions::set(Condition condition, WallTime now) {
  condition.lastTransitionTime = now;
  const auto found = std::find_if(items.begin(), items.end(), [&](const Condition& item) {
    return item.type == condition.type;
  });
  if (found == items.end()) {
    items.push_back(std::move(condition));
    return true;
  }
  if (found->status == condition.status && found->lastTransitionTime) {
    condition.lastTransitionTime = found->lastTransitionTime;
  }
  if (*found == condition) return false;
  *found = std::move(condition);
  return true;
}

bool Conditions::remove(std::string_view type) {
  return std::erase_if(items, [&](const Condition& item) { return item.type == type; }) > 0;
}

}  // namespace multinet::k8s
