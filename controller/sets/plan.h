// PodInterfaceSets that fit no live pod. Readers don't believe them; here they are removed.
//
// Looking happens in the informers' caches, which may lag: what they make suspect is asked of the
// API server again, and only its answer deletes, with UID and resourceVersion as preconditions.
#pragma once

#include <optional>
#include <vector>

#include "controller/model/model.h"

namespace multinet::controller {

/// Why `set` doesn't fit `pod` (absent: there is no such pod); nothing where it fits.
[[nodiscard]] std::optional<std::string> misfit(const InterfaceSet& set,
                                                const std::optional<Pod>& pod);

/// Sets that fit none of the pods in the cache. Pure.
[[nodiscard]] std::vector<const InterfaceSet*> suspects(const std::vector<InterfaceSet>& sets,
                                                        const std::vector<Pod>& pods);

/// What to do about a suspect, given what the API server itself says of its pod just now.
[[nodiscard]] std::optional<Deletion> confirmMisfit(const InterfaceSet& set,
                                                    const std::optional<Pod>& livePod);

}  // namespace multinet::controller
