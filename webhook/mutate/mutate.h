// The mutating half: writes what the pod's labels choose, what its request resolved to, and the
// readiness gate.
#pragma once

#include "webhook/admission/review.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

/// Adds what the pod's labels choose to its request, and nothing twice, so that another mutator
/// between two calls does no harm. A request that can't be resolved is refused here already, with
/// every reason.
[[nodiscard]] Verdict mutate(const Review& review, const View& view);

}  // namespace multinet::webhook
