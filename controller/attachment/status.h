// What a PodNetworkAttachment's status should say.
#pragma once

#include "controller/plan/reconciler.h"

namespace multinet::controller {

/// What it points to outlives it.
struct AttachmentObservation {
  const Attachment* attachment = nullptr;
  const AttachmentVerdict* verdict = nullptr;
  const Network* network = nullptr;  ///< null: there is no such network
  int attachedPods = 0;
};
[[nodiscard]] AttachmentObservation observe(const World& world, const Attachment& attachment);

/// What stands there, with our fields as they should be. Pure.
[[nodiscard]] api::PodNetworkAttachmentStatus wishFor(const AttachmentObservation& observed,
                                                      WallTime now);

[[nodiscard]] Reconciler attachmentReconciler();

}  // namespace multinet::controller
