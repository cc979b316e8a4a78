#include "nodeagent/networks/peer_health.h"

namespace multinet::agent::networks {
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

}  // namespace multinet::agent::networks
