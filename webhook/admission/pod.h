// A pod under review, and what its request resolves to: the same for both webhooks.
#pragma once

#include <string>
#include <vector>

#include "lib/api/resolve.h"
#include "lib/api/selection.h"
#include "lib/k8s/core.h"
#include "webhook/admission/review.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

struct ReviewedPod {
  k8s::Pod pod;
  api::PodSubject subject;
  std::string display;  ///< `pod shop/web-0`, or `pod shop/web-*` before it has a name
};

/// Refuses what is no pod. The namespace is the request's: the object's may still be empty.
[[nodiscard]] Result<ReviewedPod> readPod(const Review& review);

/// True where the pod is ours to judge: no mirror pod (the agent refuses the static pod behind it),
/// not in our own namespace (else we would wait for ourselves).
[[nodiscard]] bool concernsUs(const ReviewedPod& pod);

/// Whether attachments of its namespace may choose it.
[[nodiscard]] bool inSelectingNamespace(const ReviewedPod& pod, const View& view);

/// What the pod's annotations shall be by its labels: nothing is chosen where the namespace doesn't
/// select.
[[nodiscard]] api::Selection selectFor(const ReviewedPod& pod, const View& view);

}  // namespace multinet::webhook
