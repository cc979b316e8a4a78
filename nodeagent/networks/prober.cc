#include "nodeagent/networks/prober.h"

#include <sys/random.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace multinet::agent::networks {
namespace {

// More than all peers ask and answer in one round of a large cluster; what is left waits in the
// socket for the next turn of the loop.
constexpr std::size_t kFramesAtOnce = 1024;

std::uint64_t nonce() {
  std::uint64_t value = 0;
  // Never fails for up to 256 bytes once the kernel's pool is ready (getrandom(2)).
  return ::getrandom(&value, sizeof value, 0) == sizeof value ? value : 1;
}

std::size_t weight(const MacAddress& own, const MacAddress& peer) {
  const MacAddress mixed =
      MacAddress::derive(std::min(own, peer).str() + "/" + std::max(own, peer).str());
  return std::hash<std::string>()(mixed.str());
}

}  // namespace

Prober::Prober(const Options& options, netns::PacketSocket socket)
    : options_(options), socket_(std::move(socket)) {}

Result<Prober> Prober::open(const Options& options) {
  MULTINET_TRY(auto socket, netns::PacketSocket::open(options.bridgeIndex, kProbeEthertype));
  return Prober(options, std::move(socket));
}

void Prober::setPeers(const std::vector<drivers::vxlan::Peer>& peers, IpFamily outer) {
  known_.clear();
  std::vector<std::pair<std::size_t, const drivers::vxlan::Peer*>> candidates;
  for (const drivers::vxlan::Peer& peer : peers) {
    if (peer.bridgeMac == MacAddress{}) continue;  // not known yet: nothing to send to
    known_.push_back(peer.bridgeMac);
    if (drivers::vxlan::remoteOf(peer, IpAddress(outer, 0))) {
      candidates.emplace_back(weight(options_.mac, peer.bridgeMac), &peer);
    }
  }
  std::sort(known_.begin(), known_.end());
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second->bridgeMac) < std::tie(b.first, b.second->bridgeMac);
  });
  candidates.resize(std::min(candidates.size(), kProbedPeers));

  std::map<MacAddress, Asked> next;
  for (const auto& [order, peer] : candidates) {
    const IpAddress remote = *drivers::vxlan::remoteOf(*peer, IpAddress(outer, 0));
    PeerReport report{peer->node, remote.str(), PeerState::Probing};
    const auto old = asked_.find(peer->bridgeMac);
    next.emplace(peer->bridgeMac,
                 old != asked_.end() && old->second.report.address == report.address
                     ? old->second
                     : Asked{std::move(report), PeerHealth(options_.losses), remote, 0});
  }
  asked_ = std::move(next);
}

void Prober::send(const MacAddress& to, const Probe& probe, std::size_t size) {
  // A frame that can't be sent is one that isn't answered: the count of losses tells.
  static_cast<void>(socket_.send({options_.mac, to, encodeProbe(probe, size)}));
}

void Prober::ask() {
  for (auto& [mac, asked] : asked_) {
    const std::uint64_t small = nonce();
    const std::uint64_t full = nonce();
    asked.health.sent(small, full);
    send(mac, {ProbeKind::Request, small}, kSmallProbe);
    send(mac, {ProbeKind::Request, full}, options_.mtu);
  }
}

void Prober::expire() {
  for (auto& [mac, asked] : asked_) asked.health.expire();
}

std::vector<DirectFrame> Prober::receive() {
  std::vector<DirectFrame> answers;
  socket_.drain(kFramesAtOnce, [&](const netns::EthernetFrame& frame) {
    const auto probe = decodeProbe(frame.payload);
    if (!probe || frame.payload.size() > options_.mtu) return;
    const auto asked = asked_.find(frame.from);
    if (probe->kind == ProbeKind::Request) {
      if (!std::binary_search(known_.begin(), known_.end(), frame.from)) return;
      heard_ = true;
      const Probe reply{ProbeKind::Reply, probe->nonce};
      send(frame.from, reply, frame.payload.size());
      if (frame.payload.size() > kSmallProbe && asked != asked_.end() &&
          asked->second.health.state() == PeerState::FullSizeLost) {
        answers.push_back(
            direct(frame.from, asked->second.remote, encodeProbe(reply, frame.payload.size())));
      }
    } else if (asked != asked_.end()) {
      asked->second.health.answered(probe->nonce);
      heard_ = heard_ || asked->second.health.state() == PeerState::Answers;
      if (probe->nonce != asked->second.directNonce || probe->nonce == 0) return;
      asked->second.directNonce = 0;
      healed_.push_back(asked->second.remote);
    }
  });
  return answers;
}

DirectFrame Prober::direct(const MacAddress& to, const IpAddress& remote,
                           std::vector<std::uint8_t> payload) const {
  return {
      options_.local, remote, options_.port, options_.vni, {options_.mac, to, std::move(payload)},
      kProbeEthertype};
}

DirectFrame Prober::askDirectly(const NodeName& peer) {
  for (auto& [mac, asked] : asked_) {
    if (asked.report.node != peer) continue;
    asked.directNonce = nonce();
    return direct(mac, asked.remote,
                  encodeProbe({ProbeKind::Request, asked.directNonce}, options_.mtu));
  }
  return {};
}

std::vector<IpAddress> Prober::takeHealed() {
  return std::exchange(healed_, {});
}

std::vector<PeerReport> Prober::reports() const {
  std::vector<PeerReport> reports;
  for (const auto& [mac, asked] : asked_) {
    reports.push_back(asked.report);
    reports.back().state = asked.health.state();
  }
  std::sort(reports.begin(), reports.end(),
            [](const PeerReport& a, const PeerReport& b) { return a.node < b.node; });
  return reports;
}

}  // namespace multinet::agent::networks
