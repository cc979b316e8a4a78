#include "controller/peers/plan.h"

#include <algorithm>
#include <set>

namespace multinet::controller {

NodeObjectPlan planNodeObjects(const std::vector<NodeObject>& objects,
                               const std::vector<std::string>& networkUids,
                               const std::map<std::string, BootTime>& gone, BootTime now) {
  const std::set<std::string> networks(networkUids.begin(), networkUids.end());
  NodeObjectPlan plan;
  for (const auto& object : objects) {
    if (object.meta.deleted) continue;
    if (!object.networkUid.empty() && !networks.contains(object.networkUid)) {
      plan.remove.push_back(
          {.meta = object.meta, .why = "its network is gone", .goneNetworkUid = object.networkUid});
      continue;
    }
    const auto left = gone.find(object.nodeName);
    if (left == gone.end()) continue;
    const auto away = now - left->second;
    if (away >= kNodeSettle) {
      plan.remove.push_back(
          {object.meta, "node \"" + object.nodeName + "\" is gone", object.nodeName});
    } else {
      plan.again = std::min(plan.again.value_or(kNodeSettle), kNodeSettle - away);
    }
  }
  return plan;
}

}  // namespace multinet::controller
