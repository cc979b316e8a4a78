// The core Service that is made of a PodNetworkService: without a selector, so that core's own
// controllers put no endpoints there, and labelled so that kube-proxy passes over it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "controller/world/kinds.h"

namespace multinet::controller {

/// To the PodNetworkService of that name and UID, as what is made of it has it for its owner.
[[nodiscard]] k8s::OwnerReference referenceTo(const std::string& name, const std::string& uid);

/// What stands was made of this one; another of its name is somebody else's and is left alone.
[[nodiscard]] bool isMadeOf(const k8s::ObjectMeta& standing, const NetworkService& service);

/// What stands was made of another one of its name, which is gone: the garbage collector deletes
/// it, and a load balancer controller may hold it until it has cleaned up.
[[nodiscard]] bool isOfAnEarlier(const k8s::ObjectMeta& standing, const NetworkService& service);

/// The object to create.
[[nodiscard]] nlohmann::json newService(const NetworkService& service);

/// The merge patch that puts right what stands; empty where nothing differs. What the server
/// allocated stays, and so do labels and annotations of others.
[[nodiscard]] nlohmann::json servicePatch(const NetworkService& service, const Service& standing);

}  // namespace multinet::controller
