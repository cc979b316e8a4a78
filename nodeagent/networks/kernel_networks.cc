#include "nodeagent/networks/kernel_networks.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/netlink/address.h"
#include "lib/netns/netns.h"
#include "nodeagent/networks/guard.h"
#include "nodeagent/networks/names.h"
#include "nodeagent/networks/path_mtu.h"
#include "nodeagent/networks/site.h"

namespace multinet::agent::networks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A bridge, a tunnel in it, its flood list: each needs what the one before made. One more finds
// that nothing is left.
constexpr int kPasses = 5;
// Events come in swarms (each pod's link is several); our own writes cause some too.
constexpr Duration kDebounce = milliseconds(200);
constexpr Duration kRetry = seconds(3);
constexpr Duration kForgetEvery = seconds(4);

}  // namespace

Result<std::unique_ptr<Networks>> startNetworks(NetworksOptions options, ChangeCallback changed) {
  MULTINET_TRY(std::unique_ptr<Networks> networks,
               KernelNetworks::start(std::move(options), std::move(changed)));
  return networks;
}

Result<std::unique_ptr<KernelNetworks>> KernelNetworks::start(NetworksOptions options,
                                                              ChangeCallback changed) {
  MULTINET_TRY(auto socket, netlink::Socket::open());
  MULTINET_TRY(auto events, netlink::EventSocket::open(
                                {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR}));
  MULTINET_TRY(auto committer, nft::Committer::open());
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail(errnoError("start networks: eventfd", errno));
  return std::unique_ptr<KernelNetworks>(new KernelNetworks(std::move(options), std::move(changed),
                                                            std::move(socket), std::move(events),
                                                            std::move(committer), std::move(wake)));
}

KernelNetworks::KernelNetworks(NetworksOptions options, ChangeCallback changed,
                               netlink::Socket socket, netlink::EventSocket events,
                               nft::Committer committer, Fd wake)
    : options_(std::move(options)),
      changed_(std::move(changed)),
      socket_(std::move(socket)),
      events_(std::move(events)),
      committer_(std::move(committer)),
      wake_(std::move(wake)),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "mn-networks");
}

KernelNetworks::~KernelNetworks() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
  thread_.join();
}

void KernelNetworks::setDesired(std::vector<DesiredNetwork> networks) {
  {
    const std::lock_guard lock(mutex_);
    incoming_ = std::move(networks);
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
}

std::shared_ptr<const Snapshot> KernelNetworks::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

void KernelNetworks::run() {
  while (true) {
    wait();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    readEvents();
    // Replies before verdicts: after a stop of this process they may all be waiting.
    for (auto& [uid, prober] : probers_) prober.receive();
    takeDesired();
    if (desired_ && clock_.now() >= reconcileAt_) reconcile();
    turnProbes();
    writes_ = socket_.writes() + committer_.commits();
    publish();
  }
}

void KernelNetworks::wait() {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}, {events_.fd(), POLLIN, 0}};
  for (const auto& [uid, prober] : probers_) polled.push_back({prober.fd(), POLLIN, 0});
  int timeout = -1;
  if (desired_) {
    const BootTime next = std::min({reconcileAt_, askAt_, expireAt_});
    const auto left = std::chrono::ceil<milliseconds>(next - clock_.now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }
  static_cast<void>(::poll(polled.data(), polled.size(), timeout));
  eventfd_t count = 0;
  static_cast<void>(::eventfd_read(wake_.get(), &count));
}

void KernelNetworks::readEvents() {
  bool concerned = false;
  const bool complete = events_.drain([&](const netlink::Frame& frame) {
    if (frame.type == RTM_NEWLINK || frame.type == RTM_DELLINK) {
      const auto link = netlink::decodeLink(frame.payload);
      concerned = concerned || !link || interestNames_.contains(link->name) ||
                  interestIndexes_.contains(link->index);
    } else if (frame.type == RTM_NEWADDR || frame.type == RTM_DELADDR) {
      const auto address = netlink::decodeAddress(frame.payload);
      concerned = concerned || !address || interestIndexes_.contains(address->linkIndex);
    }
  });
  if (concerned || !complete) reconcileAt_ = std::min(reconcileAt_, clock_.now() + kDebounce);
}

void KernelNetworks::takeDesired() {
  std::optional<std::vector<DesiredNetwork>> incoming;
  {
    const std::lock_guard lock(mutex_);
    incoming.swap(incoming_);
  }
  if (!incoming || (desired_ && *desired_ == *incoming)) return;
  std::sort(incoming->begin(), incoming->end(),
            [](const DesiredNetwork& a, const DesiredNetwork& b) { return a.name < b.name; });
  desired_ = std::move(incoming);
  reconcileAt_ = BootTime{};
  askSoon();  // a new peer isn't kept waiting
}

void KernelNetworks::reconcile() {
  refused_.clear();
  applyGuard();  // before any tunnel listens
  bool again = true;
  std::optional<Error> blind;
  for (int pass = 0; pass < kPasses && again; ++pass) {
    auto host = observeHost(socket_);
    if (!host) {
      blind = host.error();
      break;
    }
    host_ = std::move(*host);
    HostPlan plan = planHost(*desired_, host_, options_);
    leftovers_ = std::move(plan.leftovers);
    again = !plan.steps.empty() && applySteps(plan);
  }
  if (blind) log::error("can't read the host's links", {{"error", *blind}});
  const bool trouble = blind || !refused_.empty() || guardRefused_;
  reconcileAt_ =
      clock_.now() + (trouble ? std::min(kRetry, options_.compareEvery) : options_.compareEvery);
  setInterest();
  syncProbers();
  settled_ = settled_ || !blind;
}

void KernelNetworks::applyGuard() {
  const nft::Table table = guardTable(*desired_, options_.underlay);
  guardRefused_.reset();
  const auto refuse = [&](const Error& error) {
    committed_.reset();
    guardRefused_ = error;
    log::error("can't guard the tunnels", {{"error", error}});
  };
  if (!committed_ || clock_.now() >= compareGuardAt_) {
    compareGuardAt_ = clock_.now() + options_.compareEvery;
    const auto same = committer_.matches(committed_.value_or(table));
    if (!same) return refuse(same.error());
    if (!*same) {
      committed_.reset();
    } else if (!committed_) {
      committed_ = table;
    }
  }
  if (committed_ == table) return;
  const bool nothing = guardsNothing(table);
  if (nothing && !committed_) return;  // never made, or taken away by somebody: fine both
  std::string commands;
  if (nothing) {
    commands = nft::renderDelete(table.name);
  } else if (committed_ && !guardsNothing(*committed_) && nft::sameShape(*committed_, table)) {
    commands = nft::renderDelta(*committed_, table);
  } else {
    commands = nft::renderReplace(table);
  }
  if (Status done = failpoint::check("networks.guard"); !done) return refuse(done.error());
  if (Status done = committer_.commit(commands); !done) return refuse(done.error());
  log::info("guarded tunnels", {{"ports", table.sets.front().elements.size()}});
  committed_ = table;
  if (nothing) committed_.reset();
}

/// True where another look is worth it.
bool KernelNetworks::applySteps(const HostPlan& plan) {
  bool progress = false;
  for (const HostStep& step : plan.steps) {
    if (refused_.contains(step.network)) continue;
    for (const auto& [key, value] : step.sysctls) {
      const Status written = netns::writeSysctl(key, value);
      // A kernel without IPv6 has nothing to silence.
      if (!written && written.error().code != Code::NotFound) {
        refused_.emplace(step.network, written.error());
      }
    }
    Status outcome = failpoint::check("networks.step");
    if (outcome) {
      for (Status& verdict : socket_.runAll(step.requests)) {
        if (outcome && !verdict) outcome = std::move(verdict);
      }
    }
    if (outcome) {
      progress = true;
      log::info("changed network",
                {{"network", step.network}, {"step", step.requests.front().what}});
    } else {
      log::warn("change of network refused",
                {{"network", step.network}, {"error", outcome.error()}});
      refused_.emplace(step.network, outcome.error());
    }
  }
  return progress;
}

void KernelNetworks::setInterest() {
  interestNames_ = {options_.underlay};
  interestIndexes_.clear();
  for (const DesiredNetwork& network : *desired_) {
    for (const std::string& name : {network.underlay, network.uplink, network.parent,
                                    network.bridge, bridgeName(network), vxlanName(network)}) {
      if (!name.empty()) interestNames_.insert(name);
    }
  }
  for (const std::string& name : interestNames_) {
    if (const auto* link = host_.link(name)) interestIndexes_.insert(link->index);
  }
}

void KernelNetworks::syncProbers() {
  std::map<NetworkUid, Prober> next;
  for (const DesiredNetwork& network : *desired_) {
    if (network.type != LinkType::Vxlan) continue;
    const auto* bridge = host_.link(bridgeName(network));
    const Site site = siteOf(network, host_, options_.underlay);
    if (bridge == nullptr || bridge->alias != networkAlias(network.uid) || !site.local) continue;
    const Prober::Options wanted{bridge->index, bridgeMac(options_.node, network.uid), site.mtu,
                                 options_.losses};
    auto old = probers_.extract(network.uid);
    if (!old.empty() && old.mapped().options().bridgeIndex == wanted.bridgeIndex &&
        old.mapped().options().mtu == wanted.mtu) {
      next.insert(std::move(old));
    } else {
      auto opened = Prober::open(wanted);
      if (!opened) {
        log::warn("can't probe network", {{"network", network.name}, {"error", opened.error()}});
        continue;
      }
      next.emplace(network.uid, std::move(*opened));
      askSoon();
    }
    next.at(network.uid).setPeers(network.peers, site.local->family());
  }
  probers_ = std::move(next);
}

/// Never so soon that what is under way is taken for lost.
void KernelNetworks::askSoon() {
  askAt_ = std::min(askAt_, std::max(clock_.now(), askedAt_ + options_.probeEvery / 4));
}

void KernelNetworks::turnProbes() {
  if (!desired_) return;
  const BootTime now = clock_.now();
  if (now >= expireAt_) {
    for (auto& [uid, prober] : probers_) prober.expire();
    forgetLearnedPaths();
    expireAt_ = askAt_ + options_.probeEvery / 2;
    if (expireAt_ <= now) expireAt_ = now + options_.probeEvery / 2;
  }
  if (now >= askAt_) {
    for (auto& [uid, prober] : probers_) prober.ask();
    askedAt_ = now;
    askAt_ = now + options_.probeEvery;
    expireAt_ = now + options_.probeEvery / 2;
  }
}

void KernelNetworks::forgetLearnedPaths() {
  if (clock_.now() < forgetAt_) return;
  for (const auto& [uid, prober] : probers_) {
    for (const PeerReport& report : prober.reports()) {
      const auto remote = IpAddress::parse(report.address);
      if (report.state != PeerState::FullSizeLost || !remote) continue;
      forgetAt_ = clock_.now() + kForgetEvery;
      const Status forgotten =
          forgetPathMtu(socket_, *remote, prober.options().mtu + vxlanOverhead(remote->family()));
      if (!forgotten) log::debug("can't forget a path MTU", {{"error", forgotten.error()}});
    }
  }
}

void KernelNetworks::publish() {
  if (!desired_) return;
  Snapshot next;
  next.settled = settled_;
  next.leftovers = leftovers_;
  for (const DesiredNetwork& network : *desired_) {
    Evidence evidence{host_, {}, std::nullopt, guardRefused_};
    if (const auto prober = probers_.find(network.uid); prober != probers_.end()) {
      evidence.peers = prober->second.reports();
    }
    if (const auto refused = refused_.find(network.uid); refused != refused_.end()) {
      evidence.refused = refused->second;
    }
    next.networks.push_back(evaluate(network, evidence, options_));
  }
  std::shared_ptr<const Snapshot> published;
  {
    const std::lock_guard lock(mutex_);
    if (*snapshot_ == next) return;
    snapshot_ = std::make_shared<const Snapshot>(std::move(next));
    published = snapshot_;
  }
  if (changed_) changed_(std::move(published));
}

}  // namespace multinet::agent::networks
