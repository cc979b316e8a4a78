#include "controller/sets/misfits.h"

namespace multinet::controller {
namespace {

k8s::ObjectKey podOf(const InterfaceSet& set) {
  return {set.metadata.nameSpace, set.pod.name};
}

/// There is no such pod, or it is another, or elsewhere. One that can't be read may be the pod.
Premise podDoesNotFit(const InterfaceSet& set) {
  return {k8s::kPodKind, podOf(set), [set](const simdjson::dom::element& there) {
            const auto pod = k8s::KindTraits<Pod>::decode(there);
            return !pod.has_value() || !pod->undecodable.empty() || !misfit(set, &*pod);
          }};
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& /*now*/) {
  Outcome outcome;
  const auto* set = world.find<InterfaceSet>(key);
  if (set == nullptr || set->metadata.deleting() || !set->undecodable.empty()) return outcome;
  const auto why = misfit(*set, world.find<Pod>(podOf(*set)));
  if (!why) return outcome;
  outcome.writes.push_back(
      deletionOf(api::kPodInterfaceSetKind, set->metadata, *why, {podDoesNotFit(*set)}));
  return outcome;
}

void concerned(const World& world, const Change& change, Keys& keys) {
  on(
      change, [&](const Changed<InterfaceSet>& changed) { keys.push_back(changed.key()); },
      [&](const Changed<Pod>& changed) {
        if (!changed.existence() && changed.before->metadata.uid == changed.now->metadata.uid &&
            changed.before->spec.nodeName == changed.now->spec.nodeName) {
          return;
        }
        for (const auto* set : world.of<InterfaceSet>().by<ByPod>(changed.key())) {
          keys.push_back(keyOf(*set));
        }
      });
}

}  // namespace

Reconciler setReconciler() {
  return {"interface-set", concerned, reconcile};
}

}  // namespace multinet::controller
