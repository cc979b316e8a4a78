#include "controller/world/kinds.h"

#include <algorithm>

#include "lib/api/describe.h"
#include "lib/api/names.h"
#include "lib/api/service.h"
#include "lib/k8s/describe_core.h"
#include "lib/k8s/projection_decode.h"
#include "lib/k8s/zone.h"

namespace multinet::controller {

using k8s::Fields;

const Fields kNetworkFields{"",
                            {{"metadata",
                              {{"name"},
                               {"uid"},
                               {"resourceVersion"},
                               {"generation"},
                               {"creationTimestamp"},
                               {"deletionTimestamp"},
                               {"finalizers"}}},
                             {"spec"},
                             {"status"}}};
const Fields kAttachmentFields{"",
                               {{"metadata",
                                 {{"namespace"},
                                  {"name"},
                                  {"uid"},
                                  {"resourceVersion"},
                                  {"generation"},
                                  {"deletionTimestamp"}}},
                                {"spec"},
                                {"status"}}};
const Fields kIdentifierFields{"",
                               {{"metadata", {{"name"}, {"uid"}, {"resourceVersion"}}}, {"spec"}}};
const Fields kSetFields{
    "",
    {{"metadata", {{"namespace"}, {"name"}, {"uid"}, {"resourceVersion"}, {"deletionTimestamp"}}},
     {"pod"},
     {"nodeName"},
     {"interfaces",
      {{"name"},
       {"podNetworkName"},
       {"podNetworkUID"},
       {"attachmentName"},
       {"ips", {{"address"}, {"family"}}},
       {"conditions", {{"type"}, {"status"}}, {"type", "Ready|Draining"}},
       {"health"},
       {"policy", {{"enforced"}, {"reason"}}}}}}};
const Fields kNodeSetFields{
    "",
    {{"metadata", {{"name"}, {"uid"}, {"resourceVersion"}, {"deletionTimestamp"}}},
     {"status",
      {{"networks", {{"podNetworkName"}, {"conditions", {{"type"}, {"status"}, {"reason"}}}}},
       {"policyRevision"}}}}};
const Fields kPeerFields{
    "",
    {{"metadata", {{"name"}, {"uid"}, {"resourceVersion"}, {"deletionTimestamp"}}},
     {"podNetworkName"},
     {"podNetworkUID"},
     {"nodeName"}}};
const Fields kBlockFields{
    "",
    {{"metadata",
      {{"name"}, {"uid"}, {"resourceVersion"}, {"creationTimestamp"}, {"deletionTimestamp"}}},
     {"spec", {{"podNetworkName"}, {"podNetworkUID"}, {"cidr"}, {"nodeName"}}}}};
const Fields kPodFields{
    "",
    {{"metadata",
      {{"namespace"},
       {"name"},
       {"uid"},
       {"deletionTimestamp"},
       {"labels"},
       {"annotations", {{api::kNetworksAnnotation}}}}},
     {"spec",
      {{"nodeName"},
       {"readinessGates"},
       {"hostname"},
       {"containers", {{"ports"}}},
       {"initContainers", {{"ports"}, {"restartPolicy"}}}}},
     {"status", {{"phase"}, {"conditions", {{"type"}, {"status"}}, {"type", "Ready"}}}}}};
const Fields kNodeFields{"",
                         {{"metadata", {{"name"}, {"uid"}, {"labels", {{k8s::kZoneLabel}}}}},
                          {"spec", {{"taints", {{"key"}}}}},
                          {"status", {{"conditions", {{"type"}, {"status"}}}}}}};
const Fields kNamespaceFields{
    "", {{"metadata", {{"name"}, {"uid"}, {"deletionTimestamp"}, {"labels"}}}}};
const Fields kNetworkServiceFields{"",
                                   {{"metadata",
                                     {{"namespace"},
                                      {"name"},
                                      {"uid"},
                                      {"resourceVersion"},
                                      {"generation"},
                                      {"deletionTimestamp"},
                                      {"labels"},
                                      {"annotations"}}},
                                    {"spec"},
                                    {"status"}}};
const Fields kServiceFields{"",
                            {{"metadata",
                              {{"namespace"},
                               {"name"},
                               {"uid"},
                               {"resourceVersion"},
                               {"deletionTimestamp"},
                               {"labels"},
                               {"annotations"},
                               {"finalizers"},
                               {"ownerReferences", {{"kind"}, {"name"}, {"uid"}, {"controller"}}}}},
                             {"spec",
                              {{"type"},
                               {"clusterIPs"},
                               {"selector"},
                               {"ports"},
                               {"publishNotReadyAddresses"},
                               {"sessionAffinity"},
                               {"sessionAffinityConfig"},
                               {"internalTrafficPolicy"},
                               {"trafficDistribution"},
                               {"ipFamilyPolicy"},
                               {"externalName"},
                               {"externalTrafficPolicy"},
                               {"loadBalancerClass"},
                               {"loadBalancerSourceRanges"},
                               {"allocateLoadBalancerNodePorts"}}},
                             {"status", {{"loadBalancer"}}}}};
const Fields kSliceFields{"",
                          {{"metadata",
                            {{"namespace"},
                             {"name"},
                             {"uid"},
                             {"resourceVersion"},
                             {"deletionTimestamp"},
                             {"labels"},
                             {"ownerReferences", {{"uid"}, {"controller"}}}}},
                           {"addressType"},
                           {"endpoints"},
                           {"ports"}}};

const Fields kPolicyFields{"",
                           {{"metadata",
                             {{"namespace"},
                              {"name"},
                              {"uid"},
                              {"resourceVersion"},
                              {"generation"},
                              {"deletionTimestamp"},
                              {"labels", {{npwg::kMadeOfLabel}}},
                              {"ownerReferences"}}},
                            {"spec"},
                            {"status"}}};
const Fields kClusterPolicyFields{
    "",
    {{"metadata", {{"name"}, {"uid"}, {"resourceVersion"}, {"generation"}, {"deletionTimestamp"}}},
     {"spec"},
     {"status"}}};
const Fields kPolicySliceFields{"",
                                {{"metadata",
                                  {{"namespace"},
                                   {"name"},
                                   {"uid"},
                                   {"resourceVersion"},
                                   {"deletionTimestamp"},
                                   {"labels", {{api::kPolicyNamespaceLabel}}}}},
                                 {"policyName"},
                                 {"clusterPolicyName"},
                                 {"policyUID"},
                                 {"head"},
                                 {"members"},
                                 {"ledger"}}};

template <>
bool concerns(const Pod& pod) {
  return pod.metadata.annotation(api::kNetworksAnnotation) != nullptr ||
         pod.hasReadinessGate(api::kReadyGate);
}

}  // namespace multinet::controller

namespace multinet::k8s {
namespace {

/// Of one that can't be read the status is all the same: it says so, and is written only where it
/// differs.
template <class T, const Fields& F>
Result<Projection<T, F>> decodeWithStatus(const simdjson::dom::element& object) {
  auto made = decodeProjection<T, F>(object);
  simdjson::dom::element status;
  if (made.has_value() && !made->undecodable.empty() &&
      object["status"].get(status) == simdjson::SUCCESS) {
    auto read = k8s::decode<decltype(T::status)>(status);
    if (read.has_value()) made->status = std::move(*read);
  }
  return made;
}

}  // namespace

template <>
Result<controller::Policy> KindTraits<controller::Policy>::decode(
    const simdjson::dom::element& object) {
  return decodeWithStatus<api::PodNetworkPolicy, controller::kPolicyFields>(object);
}

template <>
Result<controller::ClusterPolicy> KindTraits<controller::ClusterPolicy>::decode(
    const simdjson::dom::element& object) {
  return decodeWithStatus<api::ClusterPodNetworkPolicy, controller::kClusterPolicyFields>(object);
}

// A Service that isn't ours counts by its name: what others note on theirs may be long.
template <>
Result<controller::Service> KindTraits<controller::Service>::decode(
    const simdjson::dom::element& object) {
  auto service = decodeProjection<k8s::Service, controller::kServiceFields>(object);
  if (service.has_value() &&
      std::ranges::find(*service->metadata.ownerReferences, api::kPodNetworkServiceKind.kind,
                        &OwnerReference::kind) == service->metadata.ownerReferences.end()) {
    service->metadata.annotations.clear();
    service->metadata.finalizers.clear();
    service->status.clear();
  }
  return service;
}

template struct KindTraits<controller::Network>;
template struct KindTraits<controller::Attachment>;
template struct KindTraits<controller::Identifier>;
template struct KindTraits<controller::InterfaceSet>;
template struct KindTraits<controller::NodeSet>;
template struct KindTraits<controller::Peer>;
template struct KindTraits<controller::Block>;
template struct KindTraits<controller::Pod>;
template struct KindTraits<controller::Node>;
template struct KindTraits<controller::Namespace>;
template struct KindTraits<controller::NetworkService>;
template struct KindTraits<controller::Service>;
template struct KindTraits<controller::Slice>;
template struct KindTraits<controller::Policy>;
template struct KindTraits<controller::ClusterPolicy>;
template struct KindTraits<controller::PolicySlice>;

}  // namespace multinet::k8s
