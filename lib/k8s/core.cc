#include "lib/k8s/core.h"

#include <algorithm>

#include "lib/k8s/describe_core.h"

namespace multinet::k8s {

bool Pod::finished() const {
  return status.phase == "Succeeded" || status.phase == "Failed";
}

bool Pod::isMirror() const {
  return metadata.annotation("kubernetes.io/config.mirror") != nullptr;
}

bool Pod::hasReadinessGate(std::string_view conditionType) const {
  return std::any_of(spec.readinessGates.begin(), spec.readinessGates.end(),
                     [&](const auto& gate) { return gate.conditionType == conditionType; });
}

Result<Pod> KindTraits<Pod>::decode(const simdjson::dom::element& object) {
  return decodeObject<Pod>(object);
}
nlohmann::json KindTraits<Pod>::encode(const Pod& object) {
  return encodeObject(object);
}
Result<Node> KindTraits<Node>::decode(const simdjson::dom::element& object) {
  return decodeObject<Node>(object);
}
nlohmann::json KindTraits<Node>::encode(const Node& object) {
  return encodeObject(object);
}
Result<Namespace> KindTraits<Namespace>::decode(const simdjson::dom::element& object) {
  return decodeObject<Namespace>(object);
}
nlohmann::json KindTraits<Namespace>::encode(const Namespace& object) {
  return encodeObject(object);
}
Result<Service> KindTraits<Service>::decode(const simdjson::dom::element& object) {
  return decodeObject<Service>(object);
}
nlohmann::json KindTraits<Service>::encode(const Service& object) {
  return encodeObject(object);
}
Result<EndpointSlice> KindTraits<EndpointSlice>::decode(const simdjson::dom::element& object) {
  return decodeObject<EndpointSlice>(object);
}
nlohmann::json KindTraits<EndpointSlice>::encode(const EndpointSlice& object) {
  return encodeObject(object);
}
Result<ServiceCidr> KindTraits<ServiceCidr>::decode(const simdjson::dom::element& object) {
  return decodeObject<ServiceCidr>(object);
}
nlohmann::json KindTraits<ServiceCidr>::encode(const ServiceCidr& object) {
  return encodeObject(object);
}

}  // namespace multinet::k8s
