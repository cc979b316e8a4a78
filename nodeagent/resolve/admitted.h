// A name may stand for another object than the one that the pod was admitted to: the network was
// deleted and made again. Such a pod gets nothing.
#pragma once

#include <vector>

#include "lib/api/resolve.h"
#include "nodeagent/resolve/resolver.h"

namespace multinet::agent::resolve {

/// Compares UIDs of what the request resolves to now with those that admission wrote into
/// `multinet.dev/resolved`, and with those that an earlier sandbox of the pod had. A pod without
/// the annotation (the webhook was not there) is held to the latter only.
///   FailedPrecondition/NetworkReplaced, AttachmentReplaced  names both UIDs
///   FailedPrecondition/NotAdmitted  the annotation can't be read, or doesn't tell of an interface
/// It only ever refuses: nothing that the annotation says adds to what the request gives. Pure.
[[nodiscard]] Status checkAdmitted(const PodRequest& request,
                                   const std::vector<api::ResolvedInterface>& now);

}  // namespace multinet::agent::resolve
