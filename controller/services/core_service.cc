#include "controller/services/core_service.h"

#include <map>
#include <set>
#include <string>

#include "lib/api/describe.h"
#include "lib/api/health_check.h"
#include "lib/api/service.h"
#include "lib/k8s/describe_core.h"
#include "lib/k8s/merge_patch.h"

namespace multinet::controller {
namespace {

std::string keysOf(const k8s::StringMap& labels) {
  std::string keys;
  for (const auto& [key, value] : labels) keys += (keys.empty() ? "" : ",") + key;
  return keys;
}

void eraseEach(k8s::StringMap& labels, const std::string& keys) {
  for (std::size_t begin = 0; begin < keys.size();) {
    const auto end = std::min(keys.find(',', begin), keys.size());
    labels.erase(keys.substr(begin, end - begin));
    begin = end + 1;
  }
}

/// What went along `before` and doesn't any more goes; what others set stays.
void share(const k8s::StringMap& shared, const std::string& before, k8s::StringMap& made) {
  eraseEach(made, before);
  for (const auto& [key, value] : shared) made[key] = value;
}

bool hasAddress(const api::PodNetworkServiceSpec& spec) {
  return !spec.isHeadless() && !spec.isExternalName();
}

/// A copy: what it names goes, and anybody may have it name itself.
std::string noteOf(const k8s::ObjectMeta& metadata, const char* key) {
  const auto* note = metadata.annotation(key);
  return note == nullptr ? "" : *note;
}

std::string policyOf(const api::PodNetworkServiceSpec& spec) {
  if (spec.ipFamilyPolicy) return std::string(k8s::spell(*spec.ipFamilyPolicy));
  return spec.ipFamilies.size() == 1 ? "SingleStack" : "PreferDualStack";
}

/// Those that the server allocated stay with their port's name, as it does it itself (core's
/// patchAllocatedValues): a port that is listed without one would be given another.
void fillPorts(const NetworkService& service, k8s::Service& made) {
  const auto& spec = service.spec;
  const bool allocates =
      spec.type == api::ServiceType::NodePort ||
      (spec.isLoadBalancer() && spec.allocateLoadBalancerNodePorts.value_or(true));
  std::map<std::string, std::int32_t> allocated;
  std::set<std::int32_t> asked;
  for (const auto& port : made.spec.ports) allocated[port.name] = port.nodePort;
  for (const auto& port : spec.ports) asked.insert(port.nodePort);
  made.spec.ports.clear();
  for (const auto& one : spec.ports) {
    const auto port = api::withDefaults(one);
    std::int32_t nodePort = port.nodePort;
    if (nodePort == 0 && allocates) {
      const auto found = allocated.find(port.name);
      if (found != allocated.end() && !asked.contains(found->second)) nodePort = found->second;
    }
    made.spec.ports.push_back({port.name, std::string(k8s::spell(port.protocol)), port.port,
                               port.targetPort, port.appProtocol, nodePort});
  }
}

/// What is said to those outside; what doesn't go with the type goes.
void fillExposure(const api::PodNetworkServiceSpec& spec, k8s::ServiceSpec& made) {
  made.externalTrafficPolicy =
      spec.isExposed() ? std::string(k8s::spell(
                             spec.externalTrafficPolicy.value_or(api::TrafficPolicy::Cluster)))
                       : "";
  made.loadBalancerClass = spec.loadBalancerClass;
  made.loadBalancerSourceRanges = spec.loadBalancerSourceRanges;
  made.allocateLoadBalancerNodePorts.reset();
  if (spec.isLoadBalancer()) {
    made.allocateLoadBalancerNodePorts = spec.allocateLoadBalancerNodePorts.value_or(true);
  }
}

/// What of `service` stands as it is in both, the new one and the one that is put right.
void fill(const NetworkService& service, k8s::Service& made) {
  auto& labels = made.metadata.labels.edit();
  auto& annotations = made.metadata.annotations.edit();
  // By the rules none of either that we set.
  const k8s::StringMap& sharedLabels = service.metadata.labels;
  const auto sharedAnnotations = api::sharedAnnotations(service.metadata.annotations);
  share(sharedLabels, noteOf(made.metadata, api::kLabelsOfAnnotation), labels);
  share(sharedAnnotations, noteOf(made.metadata, api::kAnnotationsOfAnnotation), annotations);
  labels[api::kServiceProxyLabel] = api::kServiceManager;
  labels[api::kNetworkLabel] = service.spec.podNetworkName;
  labels.erase(api::kReachLabel);
  if (service.spec.reach == api::Reach::Cluster) {
    labels[api::kReachLabel] = k8s::spell(service.spec.reach);
  }
  labels.erase(api::kHoldLabel);
  if (const auto hold = api::holdLabelOf(service.spec)) labels[api::kHoldLabel] = *hold;
  annotations[api::kLabelsOfAnnotation] = keysOf(sharedLabels);
  if (sharedAnnotations.empty()) {
    annotations.erase(api::kAnnotationsOfAnnotation);
  } else {
    annotations[api::kAnnotationsOfAnnotation] = keysOf(sharedAnnotations);
  }
  if (service.spec.healthCheck) {
    annotations[api::kHealthCheckAnnotation] = api::spellHealthCheck(*service.spec.healthCheck);
  } else {
    annotations.erase(api::kHealthCheckAnnotation);
  }
  made.spec.type = k8s::spell(service.spec.type);
  made.spec.externalName = service.spec.externalName;
  made.spec.selector.clear();
  made.spec.publishNotReadyAddresses = service.spec.publishNotReadyAddresses;
  if (!service.spec.isExternalName()) {
    made.spec.internalTrafficPolicy = k8s::spell(service.spec.internalTrafficPolicy);
  }
  const auto& distribution = service.spec.trafficDistribution;
  made.spec.trafficDistribution = distribution ? std::string(k8s::spell(*distribution)) : "";
  made.spec.sessionAffinity = std::string(k8s::spell(service.spec.sessionAffinity));
  made.spec.sessionAffinityConfig.reset();
  if (const std::int32_t seconds = api::affinitySecondsOf(service.spec); seconds > 0) {
    made.spec.sessionAffinityConfig = k8s::SessionAffinityConfig{k8s::ClientIpConfig{seconds}};
  }
  // A headless one without selector is of both families, whatever the cluster has: names alone.
  if (hasAddress(service.spec)) made.spec.ipFamilyPolicy = policyOf(service.spec);
  fillPorts(service, made);
  fillExposure(service.spec, made.spec);
}

}  // namespace

k8s::OwnerReference referenceTo(const std::string& name, const std::string& uid) {
  k8s::OwnerReference reference;
  reference.apiVersion = api::kPodNetworkServiceKind.apiVersion();
  reference.kind = api::kPodNetworkServiceKind.kind;
  reference.name = name;
  reference.uid = uid;
  reference.controller = true;
  return reference;
}

bool isOfAnEarlier(const k8s::ObjectMeta& standing, const NetworkService& service) {
  const auto* owner = standing.controllerRef();
  return owner != nullptr && owner->kind == api::kPodNetworkServiceKind.kind &&
         owner->name == service.metadata.name && owner->uid != service.metadata.uid;
}

bool isMadeOf(const k8s::ObjectMeta& standing, const NetworkService& service) {
  const auto* owner = standing.controllerRef();
  return owner != nullptr && owner->uid == service.metadata.uid;
}

nlohmann::json newService(const NetworkService& service) {
  k8s::Service made;
  made.metadata.nameSpace = service.metadata.nameSpace;
  made.metadata.name = service.metadata.name;
  made.metadata.ownerReferences = {referenceTo(service.metadata.name, service.metadata.uid)};
  fill(service, made);
  made.spec.clusterIP = service.spec.clusterIP;
  if (hasAddress(service.spec)) {
    for (const auto family : service.spec.ipFamilies) {
      made.spec.ipFamilies.emplace_back(k8s::spell(family));
    }
  }
  return k8s::KindTraits<k8s::Service>::encode(made);
}

nlohmann::json servicePatch(const NetworkService& service, const Service& standing) {
  k8s::Service wanted = standing;
  fill(service, wanted);
  return k8s::mergePatch(k8s::Encoder::value<k8s::Service>(standing), k8s::Encoder::value(wanted));
}

}  // namespace multinet::controller
