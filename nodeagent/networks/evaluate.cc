#include "nodeagent/networks/evaluate.h"

#include <algorithm>

#include "nodeagent/networks/names.h"
#include "nodeagent/networks/site.h"

namespace multinet::agent::networks {
namespace {

using netlink::LinkInfo;

Check linkCheck(const DesiredNetwork& network, const Evidence& evidence) {
  const std::string kLink = "Link";
  if (evidence.refused) return failed(kLink, "KernelRefused", evidence.refused->message);
  std::vector<std::string> names = {bridgeName(network)};
  if (network.type == LinkType::Vxlan) names.push_back(vxlanName(network));
  for (const std::string& name : names) {
    const LinkInfo* link = evidence.host.link(name);
    if (link == nullptr) return failed(kLink, "LinkMissing", "device " + name + " isn't there");
    if (link->alias != networkAlias(network.uid)) {
      return failed(kLink, "NameTaken",
                    "device " + name + " is there, but it isn't ours: rename or remove it");
    }
    if (!link->up) return failed(kLink, "LinkDown", "device " + name + " is down");
  }
  return passed(kLink, "LinkUp", "device " + names.front() + " is there and up");
}

/// With some peers lost and others there, the node can serve the network; the check tells the rest.
bool someAnswer(const std::vector<PeerReport>& peers) {
  return std::any_of(peers.begin(), peers.end(),
                     [](const PeerReport& peer) { return peer.state == PeerState::Answers; });
}

void conclude(NetworkState& state, const std::vector<PeerReport>& peers) {
  for (const Check& check : state.checks) {
    if (check.status != CheckStatus::False) continue;
    if (check.name == "Peers" && someAnswer(peers)) continue;
    state.ready = CheckStatus::False;
    state.reason = check.reason;
    state.message = check.message;
    return;
  }
  for (const Check& check : state.checks) {
    if (check.status != CheckStatus::Unknown || check.reason == "NotProbed") continue;
    state.ready = CheckStatus::Unknown;
    state.reason = check.reason;
    state.message = check.message;
    return;
  }
  state.ready = CheckStatus::True;
  state.reason = "Ready";
  for (const Check& check : state.checks) {
    state.message += (state.message.empty() ? "" : "; ") + check.message;
  }
}

}  // namespace

NetworkState evaluate(const DesiredNetwork& network, const Evidence& evidence,
                      const NetworksOptions& options) {
  const Site site = siteOf(network, evidence.host, options.underlay);
  NetworkState state;
  state.name = network.name;
  state.uid = network.uid;
  state.type = network.type;
  state.mtu = site.mtu;
  state.checks.push_back(site.parent);
  if (ownsBridge(network)) state.checks.push_back(linkCheck(network, evidence));
  const bool linked = state.checks.back().status == CheckStatus::True;
  if (network.type == LinkType::Macvlan) {
    state.parent = site.device == nullptr ? "" : network.parent;
  } else if (linked || (ownsBridge(network) && state.checks.back().reason == "KernelRefused")) {
    state.parent = bridgeName(network);
  }
  if (network.type == LinkType::Vxlan) {
    state.bridgeMac = bridgeMac(options.node, network.uid);
    state.underlays = site.underlays;
    state.checks.push_back(evidence.guardRefused
                               ? failed("Guard", "RulesRefused", evidence.guardRefused->message)
                               : passed("Guard", "RulesCommitted", "tunnel packets are guarded"));
    const unsigned overhead = site.local ? vxlanOverhead(site.local->family()) : 0;
    state.checks.push_back(peersCheck(evidence.peers, site.mtu, overhead));
  } else {
    state.checks.push_back(
        unknown("Peers", "NotProbed", "what lies behind this network isn't probed"));
  }
  conclude(state, evidence.peers);
  return state;
}

}  // namespace multinet::agent::networks
