// Containers that can change the network of their own pod, and so undo what is held inside it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/catalog.h"
#include "lib/api/resolve.h"
#include "lib/api/violation.h"
#include "lib/k8s/core.h"

namespace multinet::api {

/// Whether it is privileged, or has the capability NET_ADMIN added.
[[nodiscard]] bool mayChangeNetwork(const k8s::Container& container);
/// The name of the pod's first container that may, init and ephemeral ones too; nullopt: none may.
[[nodiscard]] std::optional<std::string> whoMayChangeNetwork(const k8s::PodSpec& spec);

/// Which containers are looked at: all of a new pod, or the ephemeral ones that one gets which
/// runs.
struct NewContainers {
  bool all = true;
  std::size_t ephemeralFrom = 0;  ///< those before it are there already
};

/// Of each container that can undo what its pod is held to on `interfaces`, where the rules stand
/// inside the pod: a violation where a network says `allow.netAdmin: false`, else a warning.
/// Nothing where the catalog doesn't show the network.
[[nodiscard]] Report checkNetAdmin(const k8s::PodSpec& spec, NewContainers which,
                                   const std::vector<ResolvedInterface>& interfaces,
                                   const Catalog& catalog);

}  // namespace multinet::api
