// What a PodNetworkAttachment's status should say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/model/model.h"

namespace multinet::controller {

struct AttachmentObservation {
  Meta meta;
  std::string networkName;
  std::vector<std::string> violations;  // what lib/api says, one sentence each
  /// The network's Ready condition; absent: there is no such network.
  std::optional<ConditionWish> networkReady;
  bool granted = false;                   // the network's access lets this namespace in
  std::vector<const InterfaceSet*> sets;  // of this namespace, that fit a live pod
};

struct AttachmentStatusWish {
  ConditionWish ready;
  int attachedPods = 0;
  bool operator==(const AttachmentStatusWish&) const = default;
};

/// Pure.
[[nodiscard]] AttachmentStatusWish reconcileAttachment(const AttachmentObservation& observed);

}  // namespace multinet::controller
