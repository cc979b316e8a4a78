#include "nodeagent/own_sets.h"

#include <utility>

#include "lib/base/log.h"

namespace multinet::agent {
namespace {

Result<std::optional<IpAddress>> optionalAddress(const std::string& text) {
  if (text.empty()) return std::optional<IpAddress>{};
  MULTINET_TRY(const IpAddress address, IpAddress::parse(text));
  return std::optional<IpAddress>(address);
}

Result<InterfaceStatus> statusOf(const api::PodInterface& told) {
  InterfaceStatus status;
  InterfacePlan& plan = status.plan;
  MULTINET_TRY(plan.name, InterfaceName::parse(told.name));
  plan.network = NetworkName(told.podNetworkName);
  plan.networkUid = NetworkUid(told.podNetworkUID);
  plan.attachment = told.attachmentName;
  plan.link = linkOfType(told.type);
  if (!told.mac.empty()) {
    MULTINET_TRY(plan.mac, MacAddress::parse(told.mac));
  }
  plan.mtu = static_cast<unsigned>(std::max(0, told.mtu));
  for (const api::PodInterfaceAddress& one : told.ips) {
    AddressPlan address;
    MULTINET_TRY(address.address, InterfaceAddress::parse(one.address));
    MULTINET_TRY(address.gateway, optionalAddress(one.gateway));
    plan.addresses.push_back(address);
  }
  for (const api::Route& one : told.routes) {
    RoutePlan route;
    MULTINET_TRY(route.to, IpPrefix::parse(one.to));
    MULTINET_TRY(route.via, optionalAddress(one.via));
    plan.routes.push_back(route);
  }
  const bool dual = told.defaultGateway == api::DefaultGateway::Dual;
  plan.defaultGatewayV4 = dual || told.defaultGateway == api::DefaultGateway::IPv4;
  plan.defaultGatewayV6 = dual || told.defaultGateway == api::DefaultGateway::IPv6;
  status.state = InterfaceState::Attached;
  status.attachedAt = told.attachedAt.value_or(WallTime{});
  return status;
}

}  // namespace

Result<sandbox::KnownSet> knownSet(const api::PodInterfaceSet& set) {
  sandbox::KnownSet known{PodUid(set.pod.uid), SandboxId(*set.sandboxID), {}};
  for (const api::PodInterface& one : set.interfaces) {
    auto status = statusOf(one);
    if (!status.has_value()) {
      return fail(status.error().within("read PodInterfaceSet " + set.metadata.nameSpace + "/" +
                                        set.metadata.name));
    }
    known.interfaces.push_back(std::move(*status));
  }
  return known;
}

void KubeOwnSets::list(async::Answer<std::vector<sandbox::KnownSet>> done) {
  const bool posted = lane_.post([this, done] { done(listNow()); });
  if (!posted) done(fail(Code::Unavailable, "Stopping", "list own sets: the agent is stopping"));
}

Result<std::vector<sandbox::KnownSet>> KubeOwnSets::listNow() {
  MULTINET_TRY(kube::Client* const client, client_());
  kube::Selection selection;
  selection.fieldSelector = "nodeName=" + node_.str();
  MULTINET_TRY(const auto sets, client->list<api::PodInterfaceSet>(selection));
  std::vector<sandbox::KnownSet> known;
  for (const api::PodInterfaceSet& set : sets) {
    if (set.nodeName != node_.str()) continue;
    auto one = knownSet(set);
    if (one.has_value()) {
      known.push_back(std::move(*one));
    } else {
      log::warn("set passed over", {{"error", one.error()}});
    }
  }
  return known;
}

}  // namespace multinet::agent
