#include "lib/api/describe.h"

namespace multinet::k8s {

Result<api::PodNetwork> KindTraits<api::PodNetwork>::decode(const simdjson::dom::element& object) {
  return decodeObject<api::PodNetwork>(object);
}
nlohmann::json KindTraits<api::PodNetwork>::encode(const api::PodNetwork& object) {
  return encodeObject(object);
}

Result<api::PodNetworkAttachment> KindTraits<api::PodNetworkAttachment>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::PodNetworkAttachment>(object);
}
nlohmann::json KindTraits<api::PodNetworkAttachment>::encode(
    const api::PodNetworkAttachment& object) {
  return encodeObject(object);
}

Result<api::PodInterfaceSet> KindTraits<api::PodInterfaceSet>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::PodInterfaceSet>(object);
}
nlohmann::json KindTraits<api::PodInterfaceSet>::encode(const api::PodInterfaceSet& object) {
  return encodeObject(object);
}

Result<api::PodNetworkService> KindTraits<api::PodNetworkService>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::PodNetworkService>(object);
}
nlohmann::json KindTraits<api::PodNetworkService>::encode(const api::PodNetworkService& object) {
  return encodeObject(object);
}

Result<api::PodNetworkPolicy> KindTraits<api::PodNetworkPolicy>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::PodNetworkPolicy>(object);
}
nlohmann::json KindTraits<api::PodNetworkPolicy>::encode(const api::PodNetworkPolicy& object) {
  return encodeObject(object);
}

Result<api::ClusterPodNetworkPolicy> KindTraits<api::ClusterPodNetworkPolicy>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::ClusterPodNetworkPolicy>(object);
}
nlohmann::json KindTraits<api::ClusterPodNetworkPolicy>::encode(
    const api::ClusterPodNetworkPolicy& object) {
  return encodeObject(object);
}

Result<api::PodNetworkPolicySlice> KindTraits<api::PodNetworkPolicySlice>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::PodNetworkPolicySlice>(object);
}
nlohmann::json KindTraits<api::PodNetworkPolicySlice>::encode(
    const api::PodNetworkPolicySlice& object) {
  return encodeObject(object);
}

Result<api::NodeNetworkSet> KindTraits<api::NodeNetworkSet>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::NodeNetworkSet>(object);
}
nlohmann::json KindTraits<api::NodeNetworkSet>::encode(const api::NodeNetworkSet& object) {
  return encodeObject(object);
}

Result<api::NetworkPeer> KindTraits<api::NetworkPeer>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::NetworkPeer>(object);
}
nlohmann::json KindTraits<api::NetworkPeer>::encode(const api::NetworkPeer& object) {
  return encodeObject(object);
}

Result<api::IPBlock> KindTraits<api::IPBlock>::decode(const simdjson::dom::element& object) {
  return decodeObject<api::IPBlock>(object);
}
nlohmann::json KindTraits<api::IPBlock>::encode(const api::IPBlock& object) {
  return encodeObject(object);
}

Result<api::NetworkIdentifier> KindTraits<api::NetworkIdentifier>::decode(
    const simdjson::dom::element& object) {
  return decodeObject<api::NetworkIdentifier>(object);
}
nlohmann::json KindTraits<api::NetworkIdentifier>::encode(const api::NetworkIdentifier& object) {
  return encodeObject(object);
}

}  // namespace multinet::k8s

namespace multinet::api {

std::string_view name(DefaultGateway gateway) {
  return k8s::spell(gateway);
}

}  // namespace multinet::api
