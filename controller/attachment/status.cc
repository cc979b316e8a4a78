#include "controller/attachment/status.h"

#include <algorithm>
#include <set>

namespace multinet::controller {
namespace {

using State = ConditionWish::Status;

ConditionWish notReady(std::string reason, std::string message) {
  return {"Ready", State::False, std::move(reason), std::move(message)};
}

ConditionWish readyCondition(const AttachmentObservation& observed) {
  const auto network = "PodNetwork \"" + observed.networkName + "\"";
  if (!observed.networkReady) {
    return notReady("NetworkNotFound", network + " doesn't exist: create it, or name another.");
  }
  if (!observed.granted) {
    return notReady("NotGranted", network + " doesn't let namespace \"" +
                                      observed.meta.namespaceName +
                                      "\" in: see its spec.access.namespaces.");
  }
  if (!observed.violations.empty()) {
    auto message = observed.violations.front();
    if (observed.violations.size() > 1) {
      message += " (and " + std::to_string(observed.violations.size() - 1) + " more)";
    }
    return notReady("Invalid", std::move(message));
  }
  if (observed.networkReady->status != State::True) {
    return notReady("NetworkNotReady", network + " isn't Ready: " + observed.networkReady->reason +
                                           ": " + observed.networkReady->message);
  }
  return {"Ready", State::True, "Accepted", "Pods of this namespace can use the attachment."};
}

}  // namespace

AttachmentStatusWish reconcileAttachment(const AttachmentObservation& observed) {
  std::set<std::string> pods;
  for (const auto* set : observed.sets) {
    const bool uses = std::ranges::any_of(set->interfaces, [&](const auto& interface) {
      return interface.attachmentName == observed.meta.name;
    });
    if (uses) pods.insert(set->podUid);
  }
  return {readyCondition(observed), static_cast<int>(pods.size())};
}

}  // namespace multinet::controller
