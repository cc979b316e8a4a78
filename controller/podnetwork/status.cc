#include "controller/podnetwork/status.h"

#include <algorithm>
#include <set>

namespace multinet::controller {
namespace {

using State = ConditionWish::Status;

std::string podName(const std::string& namespaceName, const std::string& name) {
  return "pod " + namespaceName + "/" + name;
}

ConditionWish notReady(std::string reason, std::string message) {
  return {"Ready", State::False, std::move(reason), std::move(message)};
}

ConditionWish readyCondition(const NetworkObservation& observed) {
  const auto& network = *observed.network;
  if (network.meta.deleted) {
    return notReady("Deleting", "The network is being deleted: it takes no new interface.");
  }
  if (!network.violations.empty()) {
    auto message = network.violations.front();
    if (network.violations.size() > 1) {
      message += " (and " + std::to_string(network.violations.size() - 1) + " more)";
    }
    return notReady("Invalid", std::move(message));
  }
  if (observed.rival) return notReady("Conflict", observed.rival->sentence);
  if (observed.vnisExhausted) {
    return notReady("VNIsExhausted", "No VNI is free in the automatic range: set spec.vxlan.vni.");
  }
  if (network.tunnel && !observed.heldVni) {
    return notReady("VNIPending", "The VNI isn't reserved yet.");
  }
  if (!network.enabled) {
    return notReady("AdministrativelyDisabled",
                    "spec.enabled is false: no new interface, running pods keep theirs.");
  }
  return {"Ready", State::True, "Accepted", "The network can be used."};
}

/// Who uses the network now, by pod UID.
std::map<std::string, std::string> attachedPods(const NetworkObservation& observed) {
  std::map<std::string, std::string> attached;
  for (const auto* set : observed.sets) {
    attached.emplace(set->podUid, podName(set->meta.namespaceName, set->podName));
  }
  return attached;
}

/// Attached pods, and those whose attach may be under way and not reported yet.
std::set<std::string> holders(const NetworkObservation& observed, WallTime now,
                              const std::map<std::string, std::string>& attached,
                              std::optional<Duration>& again) {
  std::set<std::string> names;
  for (const auto& [uid, name] : attached) names.insert(name);
  const auto since = now - observed.network->meta.deleted.value_or(now);
  for (const auto* pod : observed.pods) {
    if (pod->nodeName.empty() || pod->finished || attached.contains(pod->meta.uid)) continue;
    // A running pod has its interfaces, whatever was reported.
    if (!pod->running && since >= kAttachGrace) continue;
    if (!pod->running && observed.network->meta.deleted) again = kAttachGrace - since;
    names.insert(podName(pod->meta.namespaceName, pod->meta.name));
  }
  return names;
}

ConditionWish inUseCondition(std::size_t pods) {
  if (pods == 0) return {"InUse", State::False, "NoPods", "No pod has an interface here."};
  return {"InUse", State::True, "PodsAttached",
          std::to_string(pods) + (pods == 1 ? " pod uses" : " pods use") + " the network."};
}

ConditionWish degradedCondition(const NetworkObservation& observed) {
  std::vector<std::string> failing;
  bool unknown = false;
  for (const auto& report : observed.reports) {
    if (report.ready == NodeReport::Ready::False) {
      failing.push_back(report.nodeName + " (" + report.reason + ")");
    }
    unknown = unknown || report.ready == NodeReport::Ready::Unknown;
  }
  if (failing.empty()) {
    if (observed.reports.empty()) {
      return {"Degraded", State::Unknown, "NotReported", "No node has reported this network yet."};
    }
    if (unknown) {
      return {"Degraded", State::Unknown, "NotProbed", "Some node can't tell its readiness yet."};
    }
    return {"Degraded", State::False, "NodesReady", "Every node that reports it is ready."};
  }
  std::ranges::sort(failing);
  std::string message = "Not ready on " + failing.front();
  if (failing.size() > 1) message += " and " + std::to_string(failing.size() - 1) + " more";
  return {"Degraded", State::True, "NodesNotReady", message + "."};
}

std::vector<std::string> shortened(const std::set<std::string>& names) {
  std::vector<std::string> list;
  for (const auto& entry : names) {
    if (list.size() == kMaxBlockers) {
      list.push_back("and " + std::to_string(names.size() - kMaxBlockers) + " more");
      break;
    }
    list.push_back(entry);
  }
  return list;
}

}  // namespace

NetworkWish reconcileNetwork(const NetworkObservation& observed, WallTime now) {
  const auto& network = *observed.network;
  NetworkWish wish;
  auto& status = wish.status;
  const auto attached = attachedPods(observed);
  const auto held = holders(observed, now, attached, wish.again);
  status.conditions = {readyCondition(observed), inUseCondition(held.size()),
                       degradedCondition(observed)};
  status.vni = observed.heldVni;
  status.nodesDesired = observed.nodesDesired;
  status.nodesReady = static_cast<int>(std::ranges::count_if(
      observed.reports, [](const auto& one) { return one.ready == NodeReport::Ready::True; }));
  status.attachedPods = static_cast<int>(attached.size());
  if (network.meta.deleted) {
    status.blockers = shortened(held);
    if (network.holdsFinalizer && held.empty()) wish.finalizer = FinalizerWish::Remove;
  } else if (!network.holdsFinalizer) {
    wish.finalizer = FinalizerWish::Add;
  }
  return wish;
}

}  // namespace multinet::controller
