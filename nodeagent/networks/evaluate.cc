#include "nodeagent/networks/evaluate.h"

#include <algorithm>

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/vxlan/vxlan.h"
#include "nodeagent/networks/ground.h"

namespace multinet::agent::networks {
namespace {

using drivers::PeerReport;
using drivers::PeerState;

constexpr const char* kNotJoined = "NotJoined";

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
    if (check.reason == "Joining") continue;  // for a moment, of which nobody needs to hear
    state.ready = CheckStatus::Unknown;
    state.reason = check.reason;
    state.message = check.message;
    return;
  }
  state.ready = CheckStatus::True;
  state.reason = state.joined ? "Ready" : kNotJoined;
  for (const Check& check : state.checks) {
    state.message += (state.message.empty() ? "" : "; ") + check.message;
  }
}

/// What is measured of the links that the node doesn't make isn't told.
std::vector<Check> withoutLinks(std::vector<Check> checks) {
  std::erase_if(checks, [](const Check& check) { return check.name != "Guard"; });
  const std::string message = "no pod of this node wants the network";
  checks.push_back(drivers::passed("Link", kNotJoined, message));
  checks.push_back(drivers::passed("Peers", kNotJoined, message));
  return checks;
}

/// Checks that must be True before anything new goes onto the network; those that only measure
/// aren't among them.
bool protects(const Check& check) {
  return check.name == "Lifelines" || check.name == "Guard" || check.name == "Kernel";
}

/// As the API spells the type that needs it: KernelLacksIPVlan.
std::string reasonWithout(const std::string& kind) {
  if (kind == "ipvlan") return "KernelLacksIPVlan";
  return kind == "vlan" ? "KernelLacksVLAN" : "KernelLacksMacvlan";
}

/// Told only where the kernel hasn't what the network needs.
std::optional<Check> kernelCheck(const DesiredNetwork& network, const drivers::Host& host) {
  for (const std::string& kind :
       std::visit([](const auto& one) { return one.kinds(); }, network.network)) {
    if (!host.lacks.contains(kind)) continue;
    const std::string module = kind == "vlan" ? "8021q" : kind;
    std::string message = "this node's kernel has no links of kind " + kind;
    message += ", which the network needs: install its module (modprobe " + module;
    message += " must work), or keep the network's pods off this node";
    return drivers::failed("Kernel", reasonWithout(kind), std::move(message));
  }
  return std::nullopt;
}

/// What a pod's interface is made of; nothing where that isn't there, or nothing new may be on it
/// (yet).
std::optional<Link> linkOf(const DesiredNetwork& network, const drivers::Ground& ground,
                           const drivers::Placement& placement, const drivers::Findings& findings,
                           const NetworkState& state) {
  const bool refused = std::ranges::any_of(state.checks, [](const Check& check) {
    return protects(check) && check.status == CheckStatus::False;
  });
  if (refused || findings.joining || drivers::isBlocked(ground, placement)) return std::nullopt;
  return std::visit(
      [&](const auto& one) -> std::optional<Link> {
        return one.link(ground, placement, state.checks);
      },
      network.network);
}

}  // namespace

NetworkState evaluate(const DesiredNetwork& network, const drivers::Host& host,
                      const drivers::Findings& findings, const NetworksOptions& options) {
  const auto ground = groundOf(network, host, options.underlay);
  const drivers::Placement placement = placementOf(network, host, options.underlay);
  NetworkState state;
  state.name = network.name;
  state.uid = network.uid;
  state.type = typeOf(network.network);
  state.joined = network.demand != Demand::None;
  state.mtu = placement.mtu;
  if (network.refusal) {
    state.checks.push_back(
        drivers::failed("Lifelines", network.refusal->reason, network.refusal->message));
  }
  if (auto check = kernelCheck(network, host)) state.checks.push_back(std::move(*check));
  state.checks.push_back(placement.parent);
  auto checks = std::visit([&](const auto& one) { return one.checks(ground, placement, findings); },
                           network.network);
  if (!state.joined) {
    std::ranges::move(withoutLinks(std::move(checks)), std::back_inserter(state.checks));
    conclude(state, {});
    return state;
  }
  std::ranges::move(checks, std::back_inserter(state.checks));
  // NetworkPeers are of tunnels.
  if (const auto* tunnel = std::get_if<drivers::vxlan::Network>(&network.network)) {
    state.bridgeMac = drivers::bridgeMac(options.node, network.uid);
    state.underlays = tunnel->tunnelPlacement(ground).underlays;
  }
  state.link = linkOf(network, ground, placement, findings, state);
  conclude(state, findings.peers);
  return state;
}

}  // namespace multinet::agent::networks
