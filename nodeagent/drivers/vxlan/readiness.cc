// Whether a tunnel can be used, by what was tried and measured.
#include <algorithm>

#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/vxlan/vxlan.h"

namespace multinet::agent::drivers::vxlan {
namespace {

constexpr std::size_t kNamed = 3;

std::string namesOf(const std::vector<PeerReport>& peers, PeerState state) {
  std::string text;
  std::size_t count = 0;
  for (const PeerReport& peer : peers) {
    if (peer.state != state) continue;
    if (++count > kNamed) continue;
    text += (text.empty() ? "" : ", ") + peer.node.str() + " (" + peer.address + ")";
  }
  if (count > kNamed) text += " and " + std::to_string(count - kNamed) + " more";
  return text;
}

std::size_t countOf(const std::vector<PeerReport>& peers, PeerState state) {
  return static_cast<std::size_t>(std::count_if(
      peers.begin(), peers.end(), [&](const PeerReport& peer) { return peer.state == state; }));
}

std::string textOf(const std::vector<std::string>& refusedPeers) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kNamed, refusedPeers.size()); ++i) {
    text += (text.empty() ? "" : "; ") + refusedPeers[i];
  }
  if (const std::size_t all = refusedPeers.size(); all > kNamed) {
    text += "; and " + std::to_string(all - kNamed) + " more";
  }
  return text + ": nothing is sent there; correct underlayIPs of the NetworkPeer";
}

}  // namespace

Check peersCheck(const std::vector<PeerReport>& peers, unsigned mtu, unsigned overhead) {
  const std::string name = "Peers";
  if (peers.empty()) {
    return unknown(name, "NotProbed", "no other node takes part in the network yet");
  }
  const std::size_t answering = countOf(peers, PeerState::Answers);
  const std::string answers =
      std::to_string(answering) + " of " + std::to_string(peers.size()) + " peers answer";
  if (countOf(peers, PeerState::FullSizeLost) > 0) {
    return failed(name, "PathMTUTooSmall",
                  "packets of " + std::to_string(mtu) + " bytes don't come back from " +
                      namesOf(peers, PeerState::FullSizeLost) +
                      ", small ones do: the underlay's path must carry " +
                      std::to_string(mtu + overhead) + " bytes; " + answers);
  }
  if (countOf(peers, PeerState::Silent) > 0) {
    return failed(
        name, "PeerUnreachable",
        "no answer through the tunnel from " + namesOf(peers, PeerState::Silent) + "; " + answers);
  }
  if (answering == 0) return unknown(name, "Probing", "peers haven't answered yet");
  return passed(name, "PeersAnswer", answers + " packets of " + std::to_string(mtu) + " bytes");
}

std::vector<Check> Network::checks(const Ground& ground, const Placement& placement,
                                   const Findings& findings) const {
  std::vector<Check> all = {linkCheck(ground, findings, links(Place::Switch, ground))};
  all.push_back(findings.guardRefused
                    ? failed("Guard", "RulesRefused", findings.guardRefused->message)
                    : passed("Guard", "RulesCommitted", "tunnel packets are guarded"));
  if (!refusedPeers.empty()) {
    all.push_back(failed("PeerAddresses", "AddressUnusable", textOf(refusedPeers)));
  }
  if (!peersKnown) {
    all.push_back(unknown("Peers", "NotProbed", "the API hasn't told yet who else takes part"));
    return all;
  }
  if (findings.joining) {
    all.push_back(unknown("Peers", "Joining", "the node has just joined: nobody was heard yet"));
    return all;
  }
  const auto local = tunnelPlacement(ground).local;
  all.push_back(peersCheck(findings.peers, placement.mtu, local ? overhead(local->family()) : 0));
  return all;
}

std::optional<Link> Network::link(const Ground& ground, const Placement& /*placement*/,
                                  const std::vector<Check>& checks) const {
  if (!linkIsThere(checks)) return std::nullopt;
  return Link{ownBridgeName(ground.uid)};
}

}  // namespace multinet::agent::drivers::vxlan
