#include "controller/sets/plan.h"

#include <map>
#include <utility>

namespace multinet::controller {

std::optional<std::string> misfit(const InterfaceSet& set, const std::optional<Pod>& pod) {
  if (!pod) return "pod \"" + set.podName + "\" is gone";
  if (pod->meta.uid != set.podUid) {
    return "pod \"" + set.podName + "\" is another one: UID " + pod->meta.uid + ", the set says " +
           set.podUid;
  }
  if (pod->nodeName != set.nodeName) {
    return "pod \"" + set.podName + "\" is on node \"" + pod->nodeName + "\", the set says \"" +
           set.nodeName + "\"";
  }
  return std::nullopt;
}

std::vector<const InterfaceSet*> suspects(const std::vector<InterfaceSet>& sets,
                                          const std::vector<Pod>& pods) {
  std::map<std::pair<std::string, std::string>, const Pod*> byName;
  for (const auto& pod : pods) byName[{pod.meta.namespaceName, pod.meta.name}] = &pod;
  std::vector<const InterfaceSet*> found;
  for (const auto& set : sets) {
    if (set.meta.deleted) continue;
    const auto pod = byName.find({set.meta.namespaceName, set.podName});
    const auto seen = pod == byName.end() ? std::nullopt : std::optional(*pod->second);
    if (misfit(set, seen)) found.push_back(&set);
  }
  return found;
}

std::optional<Deletion> confirmMisfit(const InterfaceSet& set, const std::optional<Pod>& livePod) {
  const auto why = misfit(set, livePod);
  if (!why) return std::nullopt;
  return Deletion{set.meta, *why};
}

}  // namespace multinet::controller
