#include "controller/services/core_service.h"

#include <string>

#include "lib/api/describe.h"
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

/// What of `service` stands as it is in both, the new one and the one that is put right.
void fill(const NetworkService& service, k8s::Service& made) {
  auto& labels = made.metadata.labels.edit();
  const k8s::StringMap& shared = service.metadata.labels;  // by the rules none that we set
  if (const auto* before = made.metadata.annotation(api::kLabelsOfAnnotation)) {
    eraseEach(labels, *before);
  }
  for (const auto& [key, value] : shared) labels[key] = value;
  labels[api::kServiceProxyLabel] = api::kServiceManager;
  labels[api::kNetworkLabel] = service.spec.podNetworkName;
  labels.erase(api::kHoldLabel);
  if (const auto hold = api::holdLabelOf(service.spec)) labels[api::kHoldLabel] = *hold;
  made.metadata.annotations[api::kLabelsOfAnnotation] = keysOf(shared);
  made.spec.type = k8s::spell(service.spec.type);
  made.spec.selector.clear();
  made.spec.publishNotReadyAddresses = service.spec.publishNotReadyAddresses;
  made.spec.internalTrafficPolicy = k8s::spell(service.spec.internalTrafficPolicy);
  made.spec.ports.clear();
  for (const auto& one : service.spec.ports) {
    const auto port = api::withDefaults(one);
    made.spec.ports.push_back({port.name, std::string(k8s::spell(port.protocol)), port.port,
                               port.targetPort, port.appProtocol});
  }
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
  // A headless one without selector is of both families, whatever the cluster has: names alone.
  if (!service.spec.isHeadless()) {
    for (const auto family : service.spec.ipFamilies) {
      made.spec.ipFamilies.emplace_back(k8s::spell(family));
    }
    made.spec.ipFamilyPolicy =
        service.spec.ipFamilies.size() == 1 ? "SingleStack" : "PreferDualStack";
  }
  return k8s::KindTraits<k8s::Service>::encode(made);
}

nlohmann::json servicePatch(const NetworkService& service, const Service& standing) {
  k8s::Service wanted = standing;
  fill(service, wanted);
  return k8s::mergePatch(k8s::Encoder::value<k8s::Service>(standing), k8s::Encoder::value(wanted));
}

}  // namespace multinet::controller
