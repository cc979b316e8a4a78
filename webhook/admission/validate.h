// The validating half: every rule of lib/api on pods with a request, networks, attachments and
// services.
#pragma once

#include "webhook/admission/review.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

/// Anything that isn't ours to judge is allowed: what reaches us is decided by matchConditions.
/// Anybody may have made the review up, so what it is told is what its namespace may use
/// (OpenTo), and of a network that clashes with others nobody's name.
[[nodiscard]] Verdict validate(const Review& review, const View& view);
/// The same where nobody but the API server can have sent the review: who may write a network is
/// told which other one, range or node it clashes with.
[[nodiscard]] Verdict validateForApiServer(const Review& review, const View& view);

}  // namespace multinet::webhook
