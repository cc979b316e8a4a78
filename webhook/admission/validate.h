// The validating half: every rule of lib/api on pods with a request, networks and attachments.
#pragma once

#include "webhook/admission/review.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

/// Anything that isn't ours to judge is allowed: what reaches us is decided by matchConditions.
[[nodiscard]] Verdict validate(const Review& review, const View& view);

}  // namespace multinet::webhook
