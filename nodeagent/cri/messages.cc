#include "nodeagent/cri/messages.h"

namespace multinet::agent::cri {
namespace {

void setReference(wire::ObjectReference& reference, const std::string& objectName,
                  const std::string& uid) {
  reference.set_name(objectName);
  reference.set_uid(uid);
}

template <class Message>
void addAddresses(Message& message, const std::vector<AddressPlan>& addresses) {
  for (const auto& plan : addresses) {
    auto& address = *message.add_addresses();
    address.set_ip(plan.address.address.str());
    address.set_prefix_length(plan.address.length);
    if (plan.gateway) address.set_gateway(plan.gateway->str());
    address.set_family(plan.address.address.isV4() ? wire::IP_FAMILY_IPV4 : wire::IP_FAMILY_IPV6);
  }
}

template <class Message>
void addRoutes(Message& message, const std::vector<RoutePlan>& routes) {
  for (const auto& plan : routes) {
    auto& route = *message.add_routes();
    route.set_to(plan.to.str());
    if (plan.via) route.set_via(plan.via->str());
  }
}

wire::InterfaceState stateOf(InterfaceState state) {
  switch (state) {
    case InterfaceState::Pending:
      return wire::INTERFACE_STATE_PENDING;
    case InterfaceState::Attached:
      return wire::INTERFACE_STATE_ATTACHED;
    case InterfaceState::Failed:
      return wire::INTERFACE_STATE_FAILED;
  }
  return wire::INTERFACE_STATE_UNSPECIFIED;
}

/// The worst of its interfaces.
wire::PodNetworksState stateOf(const std::vector<InterfaceStatus>& interfaces) {
  auto worst = wire::POD_NETWORKS_STATE_ATTACHED;
  for (const auto& interface : interfaces) {
    if (interface.state == InterfaceState::Failed) return wire::POD_NETWORKS_STATE_FAILED;
    if (interface.state == InterfaceState::Pending) worst = wire::POD_NETWORKS_STATE_PENDING;
  }
  return worst;
}

}  // namespace

wire::PodNetworksConfig configOf(const std::vector<InterfacePlan>& interfaces) {
  wire::PodNetworksConfig config;
  config.set_schema_version(kSchemaVersion);
  config.set_source("multinet-nodeagent");
  for (const auto& plan : interfaces) {
    auto& request = *config.add_interfaces();
    request.set_name(plan.name.str());
    setReference(*request.mutable_network(), plan.network.str(), plan.networkUid.str());
    if (!plan.attachment.empty()) setReference(*request.mutable_attachment(), plan.attachment, "");
    std::visit([&](const auto& link) { link.toWire(request); }, plan.link);
    addAddresses(request, plan.addresses);
    request.set_mac(plan.mac.str());
    request.set_mtu(plan.mtu);
    addRoutes(request, plan.routes);
    request.set_default_gateway_v4(plan.defaultGatewayV4);
    request.set_default_gateway_v6(plan.defaultGatewayV6);
    request.set_required(true);
  }
  return config;
}

wire::PodNetworksStatus statusOf(const std::vector<InterfaceStatus>& interfaces,
                                 const std::string& bootId) {
  wire::PodNetworksStatus status;
  status.set_state(stateOf(interfaces));
  status.set_boot_id(bootId);
  for (const auto& from : interfaces) {
    auto& to = *status.add_interfaces();
    to.set_name(from.plan.name.str());
    setReference(*to.mutable_network(), from.plan.network.str(), from.plan.networkUid.str());
    if (!from.plan.attachment.empty()) {
      setReference(*to.mutable_attachment(), from.plan.attachment, "");
    }
    to.set_ifindex(from.ifindex);
    to.set_mac(from.plan.mac.str());
    to.set_mtu(from.plan.mtu);
    addAddresses(to, from.plan.addresses);
    addRoutes(to, from.plan.routes);
    to.set_state(stateOf(from.state));
    to.set_reason(from.reason);
    to.set_message(from.message);
    const auto since = from.attachedAt.time_since_epoch();
    if (since.count() == 0) continue;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    to.mutable_attached_at()->set_seconds(seconds.count());
    to.mutable_attached_at()->set_nanos(static_cast<int>((since - seconds).count()));
  }
  return status;
}

wire::MultiNetworkFeatures features() {
  wire::MultiNetworkFeatures result;
  result.add_schema_versions(kSchemaVersion);
  for (const auto type : knownTypes()) result.add_drivers(std::string(api::name(type)));
  return result;
}

}  // namespace multinet::agent::cri
