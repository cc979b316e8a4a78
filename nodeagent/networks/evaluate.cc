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
  if (const std::string port = portName(network); !port.empty()) names.push_back(port);
  for (const std::string& name : names) {
    const LinkInfo* link = evidence.host.inner.link(name);
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
    // What one node claims of itself doesn't decide over all others.
    if (check.name == "PeerAddresses") continue;
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

/// Checks that must be True before anything new goes onto the network; those that only measure
/// aren't among them.
bool protects(const Check& check) {
  return check.name == "Lifelines" || check.name == "Guard";
}

std::string refusedPeers(const DesiredNetwork& network) {
  constexpr std::size_t kNamed = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kNamed, network.refusedPeers.size()); ++i) {
    text += (text.empty() ? "" : "; ") + network.refusedPeers[i];
  }
  if (const std::size_t all = network.refusedPeers.size(); all > kNamed) {
    text += "; and " + std::to_string(all - kNamed) + " more";
  }
  return text + ": nothing is sent there; correct underlayIPs of the NetworkPeer";
}

void addTunnelChecks(const DesiredNetwork& network, const Evidence& evidence, const Site& site,
                     NetworkState& state) {
  state.checks.push_back(evidence.guardRefused
                             ? failed("Guard", "RulesRefused", evidence.guardRefused->message)
                             : passed("Guard", "RulesCommitted", "tunnel packets are guarded"));
  const unsigned overhead = site.local ? vxlanOverhead(site.local->family()) : 0;
  if (!network.refusedPeers.empty()) {
    state.checks.push_back(failed("PeerAddresses", "AddressUnusable", refusedPeers(network)));
  }
  state.checks.push_back(peersCheck(evidence.peers, site.mtu, overhead));
}

/// What a pod's interface is put onto; empty where it isn't there or nothing new may be on it.
std::string parentOf(const DesiredNetwork& network, const Site& site, const NetworkState& state) {
  const bool refused = std::ranges::any_of(state.checks, [](const Check& check) {
    return protects(check) && check.status == CheckStatus::False;
  });
  if (refused || isBlocked(network, site)) return "";
  if (network.type == LinkType::Macvlan) return site.device == nullptr ? "" : network.parent;
  const auto check = std::ranges::find(state.checks, "Link", &Check::name);
  const bool there = check->status == CheckStatus::True || check->reason == "KernelRefused";
  return there ? bridgeName(network) : "";
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
  if (network.refusal) {
    state.checks.push_back(failed("Lifelines", network.refusal->reason, network.refusal->message));
  }
  state.checks.push_back(site.parent);
  if (hasBridge(network)) state.checks.push_back(linkCheck(network, evidence));
  if (network.type == LinkType::Vxlan) {
    state.bridgeMac = bridgeMac(options.node, network.uid);
    state.underlays = site.underlays;
    addTunnelChecks(network, evidence, site, state);
  } else {
    state.checks.push_back(
        unknown("Peers", "NotProbed", "what lies behind this network isn't probed"));
  }
  state.parent = parentOf(network, site, state);
  conclude(state, evidence.peers);
  return state;
}

}  // namespace multinet::agent::networks
