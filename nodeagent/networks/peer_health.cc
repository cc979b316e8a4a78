#include "nodeagent/networks/peer_health.h"

#include <algorithm>

namespace multinet::agent::networks {
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

}  // namespace

void PeerHealth::open(Lane& lane, std::uint64_t nonce) const {
  close(lane);
  lane.nonce = nonce;
  lane.open = true;
}

void PeerHealth::close(Lane& lane) const {
  if (!lane.open) return;
  lane.open = false;
  if (++lane.lost >= losses_) lane.state = Exchange::Lost;
}

void PeerHealth::sent(std::uint64_t smallNonce, std::uint64_t fullNonce) {
  open(small_, smallNonce);
  open(full_, fullNonce);
}

void PeerHealth::answered(std::uint64_t nonce) {
  for (Lane* lane : {&small_, &full_}) {
    if (!lane->open || lane->nonce != nonce) continue;
    *lane = {nonce, false, 0, Exchange::Works};
  }
}

void PeerHealth::expire() {
  close(small_);
  close(full_);
}

PeerState PeerHealth::state() const {
  if (small_.state == Exchange::Lost) return PeerState::Silent;
  if (small_.state == Exchange::Unknown) return PeerState::Probing;
  if (full_.state == Exchange::Lost) return PeerState::FullSizeLost;
  return full_.state == Exchange::Works ? PeerState::Answers : PeerState::Probing;
}

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

}  // namespace multinet::agent::networks
