#include "nodeagent/gateway/flows.h"

namespace multinet::agent::gateway {

NodeFlows::NodeFlows(const std::vector<Opened>& gateways) {
  for (const Opened& gateway : gateways) {
    for (const Way& way : gateway.ways) {
      const auto port = gateway.ports.find(way.name);
      if (way.transport != Transport::Udp || way.targets.empty() || port == gateway.ports.end()) {
        continue;
      }
      const Pair& pair = gateway.pair;
      const IpAddress to =
          way.family == IpFamily::V4 ? pair.gateway4.address : pair.gateway6.address;
      Lead lead{{to, port->second}, {}, {}};
      const auto judged = gateway.ports.find(judgedName(way));
      if (judged != gateway.ports.end()) {
        lead.judged = {to, judged->second};
        lead.clients = way.clients;
      }
      for (const Entrance& entrance : way.entrances) {
        leads_.try_emplace({entrance.address, entrance.port}, lead);
      }
    }
  }
}

bool NodeFlows::isStale(const netlink::UdpFlow& flow) const {
  auto lead = leads_.find({flow.to.address, flow.to.port});
  if (lead == leads_.end()) lead = leads_.find({std::nullopt, flow.to.port});
  const bool isOurs = isPairs(flow.answerer.address);
  if (lead == leads_.end()) return isOurs;
  // Somebody else's translation is his.
  const bool isJudged = policy::contains(lead->second.clients, flow.from.address);
  const netlink::FlowEnd& wanted = isJudged ? lead->second.judged : lead->second.to;
  return flow.answerer != wanted && (isOurs || flow.answerer == flow.to);
}

GatewayFlows::GatewayFlows(const std::vector<Way>& ways, const WayPorts& ports) {
  for (const Way& way : ways) {
    if (way.transport != Transport::Udp) continue;
    for (const std::string& name : {way.name, judgedName(way)}) {
      const auto port = ports.find(name);
      if (port == ports.end()) continue;
      auto& targets = targets_[port->second];
      for (const Target& target : way.targets) targets.insert({target.address, target.port});
    }
  }
}

bool GatewayFlows::isStale(const netlink::UdpFlow& flow) const {
  if (!isPairs(flow.to.address)) return false;
  const auto targets = targets_.find(flow.to.port);
  return targets == targets_.end() || !targets->second.contains(flow.answerer);
}

}  // namespace multinet::agent::gateway
