#include "lib/npwg/multi_network_policy.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/api/names.h"
#include "lib/api/policy.h"
#include "lib/k8s/describe_shared.h"
#include "lib/k8s/projection.h"
#include "lib/npwg/read.h"

namespace multinet::npwg {
namespace {

constexpr std::string_view kPrefix = "npwg-";
constexpr std::size_t kMaxName = 253;

const k8s::Fields kMetadata{
    "metadata",
    {{"namespace"}, {"name"}, {"uid"}, {"generation"}, {"annotations", {{kPolicyForAnnotation}}}}};

}  // namespace

std::string policyName(const std::string& name, std::size_t place) {
  std::string whole = std::string(kPrefix) + name;
  if (place == 0 && whole.size() <= kMaxName) return whole;
  return api::cutName(whole, name + "/" + std::to_string(place), kMaxName);
}

std::string nameBehind(const std::string& policyName) {
  return policyName.starts_with(kPrefix) ? policyName.substr(kPrefix.size()) : "";
}

std::vector<api::PodNetworkPolicy> policiesOf(const MultiNetworkPolicy& policy) {
  std::vector<api::PodNetworkPolicy> made;
  const auto& networks = policy.networks;
  for (std::size_t first = 0; first < networks.size(); first += api::kMaxPolicyNetworks) {
    const auto end = std::min(networks.size(), first + api::kMaxPolicyNetworks);
    auto& one = made.emplace_back();
    one.metadata.nameSpace = policy.metadata.nameSpace;
    one.metadata.name = policyName(policy.metadata.name, made.size() - 1);
    one.metadata.labels = {{kMadeOfLabel, std::string(kMultiNetworkPolicyKind.kind)}};
    one.metadata.ownerReferences = {
        {kMultiNetworkPolicyKind.apiVersion(), std::string(kMultiNetworkPolicyKind.kind),
         policy.metadata.name, policy.metadata.uid, true, std::nullopt}};
    one.spec = policy.spec;
    one.spec.podNetworkNames.assign(networks.begin() + static_cast<std::ptrdiff_t>(first),
                                    networks.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return made;
}

const k8s::OwnerReference* makerOf(const k8s::ObjectMeta& metadata) {
  const auto* owner = metadata.controllerRef();
  if (owner == nullptr || owner->kind != kMultiNetworkPolicyKind.kind) return nullptr;
  const auto group = owner->apiVersion.substr(0, owner->apiVersion.find('/'));
  return group == kMultiNetworkPolicyKind.group ? owner : nullptr;
}

}  // namespace multinet::npwg

namespace multinet::k8s {

Result<npwg::MultiNetworkPolicy> KindTraits<npwg::MultiNetworkPolicy>::decode(
    const simdjson::dom::element& object) {
  simdjson::dom::element metadata;
  ObjectMeta read;
  if (object["metadata"].get(metadata) == simdjson::SUCCESS) {
    auto decoded = k8s::decode<ObjectMeta>(metadata, &npwg::kMetadata);
    if (!decoded) return fail(decoded.error().within("decode MultiNetworkPolicy"));
    read = std::move(*decoded);
  }
  if (read.name.empty() || read.uid.empty()) {
    return fail(Code::InvalidArgument, "Incomplete",
                "read MultiNetworkPolicy \"" + read.name +
                    "\": metadata.name and metadata.uid are required");
  }
  npwg::MultiNetworkPolicy policy;
  npwg::readNetworks(read.annotation(npwg::kPolicyForAnnotation), policy);
  read.annotations.clear();
  policy.metadata = std::move(read);
  simdjson::dom::element spec;
  const bool hasSpec = object["spec"].get(spec) == simdjson::SUCCESS && !spec.is_null();
  npwg::readSpec(hasSpec ? &spec : nullptr, policy);
  return policy;
}

nlohmann::json KindTraits<npwg::MultiNetworkPolicy>::encode(
    const npwg::MultiNetworkPolicy& /*object*/) {
  return nlohmann::json::object();
}

}  // namespace multinet::k8s
