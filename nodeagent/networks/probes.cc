#include "nodeagent/networks/probes.h"

#include "lib/base/log.h"
#include "lib/netns/netns.h"
#include "nodeagent/drivers/names.h"
#include "nodeagent/drivers/vxlan/vxlan.h"
#include "nodeagent/networks/ground.h"
#include "nodeagent/networks/path_mtu.h"

namespace multinet::agent::networks {
namespace {

// What is dropped is the whole node's: a path that comes and goes must not keep it from learning.
constexpr Duration kForgetEvery = std::chrono::minutes(1);

void sendOrTell(const DirectFrame& frame) {
  if (const Status sent = sendDirect(frame); !sent) {
    log::debug("can't probe a path", {{"error", sent.error()}});
  }
}

}  // namespace

Result<Prober> Probes::open(const Prober::Options& options, const Fd* switchNetns) {
  if (switchNetns == nullptr) return Prober::open(options);
  MULTINET_TRY(const auto scope, netns::Scope::enter(*switchNetns));
  return Prober::open(options);
}

void Probes::sync(const std::vector<DesiredNetwork>& served, const Host& host,
                  const Fd* switchNetns) {
  std::map<NetworkUid, Prober> next;
  for (const DesiredNetwork& network : served) {
    const auto* tunnel = std::get_if<drivers::vxlan::Network>(&network.network);
    if (tunnel == nullptr) continue;
    const auto* bridge = host.inner.link(drivers::ownBridgeName(network.uid));
    const auto placement = tunnel->tunnelPlacement(groundOf(network, host, options_.underlay));
    const bool ours = bridge != nullptr && bridge->alias == drivers::networkAlias(network.uid);
    if (!ours || !placement.local) continue;
    const Prober::Options wanted{bridge->index,    drivers::bridgeMac(options_.node, network.uid),
                                 placement.mtu,    options_.losses,
                                 *placement.local, tunnel->port,
                                 tunnel->vni};
    auto old = probers_.extract(network.uid);
    if (!old.empty() && old.mapped().options() == wanted) {
      next.insert(std::move(old));
    } else {
      auto opened = open(wanted, switchNetns);
      if (!opened) {
        log::warn("can't probe network", {{"network", network.name}, {"error", opened.error()}});
        continue;
      }
      next.emplace(network.uid, std::move(*opened));
      askSoon();
    }
    next.at(network.uid).setPeers(tunnel->peers, placement.local->family());
  }
  probers_ = std::move(next);
}

void Probes::askSoon() {
  askAt_ = std::min(askAt_, std::max(clock_.now(), askedAt_ + options_.probeEvery / 4));
}

void Probes::receive() {
  for (auto& [uid, prober] : probers_) {
    for (const DirectFrame& answer : prober.receive()) sendOrTell(answer);
  }
}

void Probes::turn(netlink::Socket& node) {
  const BootTime now = clock_.now();
  if (now >= expireAt_) {
    for (auto& [uid, prober] : probers_) prober.expire();
    useHealedPaths(node);
    expireAt_ = askAt_ + options_.probeEvery / 2;
    if (expireAt_ <= now) expireAt_ = now + options_.probeEvery / 2;
  }
  if (now >= askAt_) {
    for (auto& [uid, prober] : probers_) prober.ask();
    probePaths(node);
    askedAt_ = now;
    askAt_ = now + options_.probeEvery;
    expireAt_ = now + options_.probeEvery / 2;
  }
}

void Probes::probePaths(netlink::Socket& node) {
  for (auto& [uid, prober] : probers_) {
    for (const PeerReport& report : prober.reports()) {
      const auto remote = IpAddress::parse(report.address);
      if (report.state != PeerState::FullSizeLost || !remote) continue;
      const unsigned needed = prober.options().mtu + drivers::vxlan::overhead(remote->family());
      // Without a learned value the tunnel's own probes tell.
      if (hasSmallPath(node, *remote, needed).value_or(false)) {
        sendOrTell(prober.askDirectly(report.node));
      }
    }
  }
}

void Probes::useHealedPaths(netlink::Socket& node) {
  for (auto& [uid, prober] : probers_) {
    for (const IpAddress& remote : prober.takeHealed()) {
      const unsigned needed = prober.options().mtu + drivers::vxlan::overhead(remote.family());
      if (clock_.now() < forgetAt_ || !hasSmallPath(node, remote, needed).value_or(false)) continue;
      forgetAt_ = clock_.now() + kForgetEvery;
      const Status done = forgetPathMtus(remote.family());
      if (!done) log::debug("can't forget path MTUs", {{"error", done.error()}});
      if (done) log::info("path carries full-size packets again", {{"peer", remote.str()}});
    }
  }
}

void Probes::addPolled(std::vector<pollfd>& polled) const {
  for (const auto& [uid, prober] : probers_) polled.push_back({prober.fd(), POLLIN, 0});
}

bool Probes::heard(const NetworkUid& network) const {
  const auto found = probers_.find(network);
  return found != probers_.end() && found->second.heard();
}

std::vector<PeerReport> Probes::reports(const NetworkUid& network) const {
  const auto found = probers_.find(network);
  return found == probers_.end() ? std::vector<PeerReport>{} : found->second.reports();
}

}  // namespace multinet::agent::networks
