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
  BootTime countsDue{};  ///< when its number may be told again
};
[[nodiscard]] AttachmentObservation observe(const World& world, const Attachment& attachment);

struct AttachmentWish {
  api::PodNetworkAttachmentStatus status;  ///< what stands there, with our fields as they should be
  /// Look again after this long even if nothing changes.
  std::optional<Duration> again{};
};

/// Pure.
[[nodiscard]] AttachmentWish wishFor(const AttachmentObservation& observed, const Moment& now);

[[nodiscard]] Reconciler attachmentReconciler();

}  // namespace multinet::controller
