// Services and slices as the controller makes them, for tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/api/service.h"
#include "lib/k8s/core.h"

namespace multinet::agent::drain::testing {

inline std::shared_ptr<k8s::Service> serviceNamed(const std::string& name,
                                                  const std::string& address,
                                                  const std::string& hold = "") {
  auto service = std::make_shared<k8s::Service>();
  service->metadata.nameSpace = "shop";
  service->metadata.name = name;
  service->metadata.labels = {{api::kNetworkLabel, "blue"}};
  if (!hold.empty()) service->metadata.labels.edit()[api::kHoldLabel] = hold;
  service->spec.clusterIP = address;
  return service;
}

inline k8s::Endpoint endpointOf(const std::string& uid, const std::string& node,
                                k8s::EndpointConditions conditions) {
  k8s::Endpoint endpoint;
  endpoint.addresses = {"10.66.0.1"};
  endpoint.conditions = conditions;
  endpoint.nodeName = node;
  endpoint.targetRef = k8s::ObjectReference{"Pod", "shop", "pod-" + uid, uid};
  return endpoint;
}
inline k8s::Endpoint ready(const std::string& uid, const std::string& node = "n1") {
  return endpointOf(uid, node, {true, true, false});
}
inline k8s::Endpoint goes(const std::string& uid, const std::string& node = "n1") {
  return endpointOf(uid, node, {false, true, true});
}

inline std::shared_ptr<k8s::EndpointSlice> sliceOf(std::vector<k8s::Endpoint> endpoints) {
  auto slice = std::make_shared<k8s::EndpointSlice>();
  slice->metadata.labels = {{api::kManagedByLabel, api::kServiceManager}};
  slice->addressType = "IPv4";
  slice->endpoints = std::move(endpoints);
  return slice;
}

}  // namespace multinet::agent::drain::testing
