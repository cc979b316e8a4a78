#include <algorithm>
#include <utility>

#include "lib/api/names.h"
#include "nodeagent/report/api_reporter.h"
#include "nodeagent/report/bounds.h"

namespace multinet::agent::report {
namespace {

api::DefaultGateway defaultGatewayOf(const InterfacePlan& plan) {
  if (plan.defaultGatewayV4 && plan.defaultGatewayV6) return api::DefaultGateway::Dual;
  if (plan.defaultGatewayV4) return api::DefaultGateway::IPv4;
  if (plan.defaultGatewayV6) return api::DefaultGateway::IPv6;
  return api::DefaultGateway::None;
}

api::LinkState linkStateOf(const InterfaceStatus& status) {
  if (status.link == LinkState::Down || status.state == InterfaceState::Failed) {
    return api::LinkState::Down;
  }
  // Records of earlier versions don't say; what they attached was up.
  return status.state == InterfaceState::Attached ? api::LinkState::Up : api::LinkState::Unknown;
}

k8s::Condition conditionOf(const char* type, bool holds, const InterfaceStatus& status) {
  k8s::Condition condition;
  condition.type = type;
  condition.status = holds ? k8s::ConditionStatus::True : k8s::ConditionStatus::False;
  condition.reason = holds ? "Attached" : status.reason;
  condition.message = holds ? "link, addresses and routes are there" : status.message;
  return condition;
}

bool attached(const InterfaceStatus& status) {
  return status.state == InterfaceState::Attached;
}
bool ready(const InterfaceStatus& status) {
  return attached(status) && status.link != LinkState::Down;
}

api::PodInterface interfaceOf(const InterfaceStatus& status, WallTime now) {
  const InterfacePlan& plan = status.plan;
  api::PodInterface out;
  out.name = plan.name.str();
  out.podNetworkName = plan.network.str();
  out.podNetworkUID = plan.networkUid.str();
  out.attachmentName = plan.attachment;
  out.type = typeOf(plan.link);
  out.mac = plan.mac.str();
  out.mtu = static_cast<std::int32_t>(plan.mtu);
  out.linkState = linkStateOf(status);
  for (const AddressPlan& address : plan.addresses) {
    out.ips.push_back(
        {address.address.str(), address.gateway ? address.gateway->str() : "",
         address.address.address.isV4() ? api::AddressFamily::IPv4 : api::AddressFamily::IPv6});
  }
  for (const RoutePlan& route : plan.routes) {
    out.routes.edit().push_back({route.to.str(), route.via ? route.via->str() : ""});
  }
  out.defaultGateway = defaultGatewayOf(plan);
  out.conditions.set(conditionOf("Attached", attached(status), status), now);
  out.conditions.set(conditionOf("Ready", ready(status), status), now);
  if (status.state != InterfaceState::Pending) out.attachedAt = status.attachedAt;
  return out;
}

}  // namespace

api::PodInterfaceSet interfaceSet(const PodRef& pod, const NodeName& node, const SandboxId& sandbox,
                                  const std::vector<InterfaceStatus>& interfaces, WallTime now) {
  api::PodInterfaceSet set;
  set.metadata.name = api::interfaceSetName(pod.name, pod.uid);
  set.metadata.nameSpace = pod.namespaceName;
  k8s::OwnerReference owner;
  owner.apiVersion = "v1";
  owner.kind = "Pod";
  owner.name = pod.name;
  owner.uid = pod.uid.str();
  set.metadata.ownerReferences.push_back(std::move(owner));
  set.pod = {pod.name, pod.uid.str()};
  set.nodeName = node.str();
  set.sandboxID = sandbox.str();
  std::transform(interfaces.begin(), interfaces.end(), std::back_inserter(set.interfaces),
                 [now](const InterfaceStatus& status) { return interfaceOf(status, now); });
  return set;
}

std::vector<api::InterfaceHealth> healthsOf(const InterfaceHealths& now,
                                            const std::vector<api::InterfaceHealth>& there) {
  std::vector<api::InterfaceHealth> all = now.found;
  for (const api::InterfaceHealth& one : there) {
    const bool isFound = std::ranges::any_of(
        now.found, [&](const auto& found) { return found.serviceUID == one.serviceUID; });
    if (now.checked.contains(one.serviceUID) && !isFound) all.push_back(one);
  }
  std::ranges::sort(all, {}, &api::InterfaceHealth::service);
  for (api::InterfaceHealth& one : all) one.message = cutText(one.message, limits::kMessage);
  return all;
}

Readiness readinessOf(const std::vector<InterfaceStatus>& interfaces) {
  const auto broken = std::find_if_not(interfaces.begin(), interfaces.end(), ready);
  if (broken != interfaces.end()) {
    return {false, broken->reason.empty() ? "NotAttached" : broken->reason,
            "interface " + broken->plan.name.str() + ": " + broken->message};
  }
  return {true, "Attached", std::to_string(interfaces.size()) + " interfaces are attached"};
}

}  // namespace multinet::agent::report
