#include "nodeagent/networks/kernel_networks.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/netlink/address.h"
#include "lib/netns/keep.h"
#include "lib/netns/netns.h"
#include "nodeagent/drivers/op.h"
#include "nodeagent/drivers/own_bridge.h"
#include "nodeagent/networks/ground.h"
#include "nodeagent/networks/lifelines.h"

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

constexpr std::pair<const char*, const char*> kSwitchSysctls[] = {
    {"ipv6/conf/all/disable_ipv6", "1"},
    {"ipv6/conf/default/disable_ipv6", "1"},
    {"ipv4/ip_forward", "0"},
    {"bridge/bridge-nf-call-iptables", "0"},
    {"bridge/bridge-nf-call-ip6tables", "0"},
    {"bridge/bridge-nf-call-arptables", "0"},
};

std::string textOf(const HostStep& step) {
  if (!step.requests.empty()) return step.requests.front().what;
  return "write sysctl " + step.sysctls.front().first + " = " + step.sysctls.front().second;
}

}  // namespace

Result<KernelNetworks::Inner> KernelNetworks::openInner(Fd netns) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(auto socket, netlink::Socket::open());
  MULTINET_TRY(auto events, netlink::EventSocket::open({RTNLGRP_LINK}));
  return Inner{SwitchSide{std::move(netns), std::move(socket)}, std::move(events)};
}

Result<std::unique_ptr<KernelNetworks>> KernelNetworks::start(NetworksOptions options,
                                                              std::optional<Fd> switchNetns,
                                                              ChangeCallback changed) {
  MULTINET_TRY(auto socket, netlink::Socket::open());
  MULTINET_TRY(auto events, netlink::EventSocket::open(
                                {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR}));
  MULTINET_TRY(auto guard, GuardKeeper::open(options.compareEvery));
  std::optional<Inner> inner;
  if (switchNetns) {
    MULTINET_TRY(inner, openInner(std::move(*switchNetns)));
  }
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail(errnoError("start networks: eventfd", errno));
  return std::unique_ptr<KernelNetworks>(
      new KernelNetworks(std::move(options), std::move(changed), std::move(socket),
                         std::move(events), std::move(inner), std::move(guard), std::move(wake)));
}

KernelNetworks::KernelNetworks(NetworksOptions options, ChangeCallback changed,
                               netlink::Socket socket, netlink::EventSocket events,
                               std::optional<Inner> inner, GuardKeeper guard, Fd wake)
    : options_(std::move(options)),
      changed_(std::move(changed)),
      socket_(std::move(socket)),
      events_(std::move(events)),
      inner_(std::move(inner)),
      guard_(std::move(guard)),
      wake_(std::move(wake)),
      probes_(options_, clock_),
      runner_("mn-networks", clock_, [this] { return wait(); }) {}

KernelNetworks::~KernelNetworks() {
  stop();
}

void KernelNetworks::stop() {
  stopping_ = true;
  static_cast<void>(::eventfd_write(wake_.get(), 1));
  runner_.join();
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

void KernelNetworks::turn() {
  readEvents();
  probes_.receive();
  takeDesired();
  if (desired_ && clock_.now() >= reconcileAt_) reconcile();
  if (desired_) probes_.turn(socket_);
  writes_ = socket_.writes() + (inner_ ? inner_->side.socket.writes() : 0) + guard_.commits();
  publish();
}

async::Task KernelNetworks::wait() {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}, {events_.fd(), POLLIN, 0}};
  if (inner_) polled.push_back({inner_->events.fd(), POLLIN, 0});
  probes_.addPolled(polled);
  int timeout = -1;
  if (desired_) {
    BootTime next = std::min(reconcileAt_, probes_.next());
    if (const auto joined = joining_.next()) next = std::min(next, *joined);
    const auto left = std::chrono::ceil<milliseconds>(next - clock_.now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }
  static_cast<void>(::poll(polled.data(), polled.size(), timeout));
  eventfd_t count = 0;
  static_cast<void>(::eventfd_read(wake_.get(), &count));
  if (stopping_) return nullptr;
  return [this] { turn(); };
}

void KernelNetworks::readEvents() {
  readEventsOf(events_, interestIndexes_);
  if (inner_) readEventsOf(inner_->events, innerInterestIndexes_);
}

void KernelNetworks::readEventsOf(netlink::EventSocket& events, const std::set<int>& indexes) {
  bool concerned = false;
  const bool complete = events.drain([&](const netlink::Frame& frame) {
    if (frame.type == RTM_NEWLINK || frame.type == RTM_DELLINK) {
      const auto link = netlink::decodeLink(frame.payload);
      concerned = concerned || !link || interestNames_.contains(link->name) ||
                  indexes.contains(link->index);
    } else if (frame.type == RTM_NEWADDR || frame.type == RTM_DELADDR) {
      const auto address = netlink::decodeAddress(frame.payload);
      concerned = concerned || !address || indexes.contains(address->linkIndex);
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
  // By name; behind all others those that come back in spite of their verdict (see returnTo()).
  const auto order = [](const DesiredNetwork& one) {
    return std::pair(one.state == DesiredState::Return, one.name);
  };
  std::ranges::sort(*incoming, {}, order);
  desired_ = std::move(incoming);
  reconcileAt_ = BootTime{};
  probes_.askSoon();  // a new peer isn't kept waiting
}

/// What the node has, and what of the wish may be done there.
Status KernelNetworks::look() {
  MULTINET_TRY(Host host, observeHost(socket_, inner_ ? &inner_->side : nullptr));
  MULTINET_CHECK(observeDetail(socket_, detailFor(*desired_, host), host));
  host.lacks = missingKinds();
  host_ = std::move(host);
  served_ = judge(*desired_, host_, options_.underlay);
  return {};
}

/// What the kernel hasn't is asked for again at each look: somebody may install the module.
std::set<std::string> KernelNetworks::missingKinds() {
  std::set<std::string> missing;
  for (const DesiredNetwork& network : *desired_) {
    for (const std::string& kind :
         std::visit([](const auto& one) { return one.kinds(); }, network.network)) {
      if (kinds_.contains(kind) || missing.contains(kind)) continue;
      (kernelHas(kind) ? kinds_ : missing).insert(kind);
    }
  }
  return missing;
}

void KernelNetworks::reconcile() {
  refused_.clear();
  keepSwitch();
  quietenSwitch();
  Status seen;
  bool again = true;
  for (int pass = 0; pass < kPasses && again; ++pass) {
    seen = look();
    if (!seen) break;
    joining_.sync(served_, host_, clock_.now());
    // Before any tunnel listens; and once more when one is gone.
    guard_.keep(served_, host_, options_.underlay, clock_.now());
    const Guard guard = guard_.refused() ? Guard::Refused : Guard::Committed;
    HostPlan plan = planHost(served_, host_, guard, options_);
    orphans_ = std::move(plan.orphans);
    again = !plan.steps.empty() && applySteps(plan);
  }
  if (!seen) log::error("can't read the host's links", {{"error", seen.error()}});
  const bool trouble = !seen || !refused_.empty() || guard_.refused();
  reconcileAt_ =
      clock_.now() + (trouble ? std::min(kRetry, options_.compareEvery) : options_.compareEvery);
  setInterest();
  probes_.sync(served_, host_, inner_ ? &inner_->side.netns : nullptr);
  settled_ = settled_ || seen.has_value();
}

/// Without its mount the switch, and each pod's link in it, would end with this process.
void KernelNetworks::keepSwitch() {
  if (!inner_ || options_.switchPath.empty()) return;
  const auto mounted = netns::keepAgain(inner_->side.netns, options_.switchPath);
  if (!mounted) {
    log::error("the switch isn't mounted: an end of this agent ends the links of its pods",
               {{"path", options_.switchPath}, {"error", mounted.error()}});
  } else if (*mounted) {
    log::warn("mounted the switch again, somebody took its mount away",
              {{"path", options_.switchPath}});
  }
}

/// True where another look is worth it.
bool KernelNetworks::applySteps(const HostPlan& plan) {
  bool progress = false;
  for (const HostStep& step : plan.steps) {
    if (refused_.contains(step.network)) continue;
    if (auto refusal = refusalOf(step)) {
      log::warn("change of network refused", {{"network", step.network}, {"error", *refusal}});
      refused_.emplace(step.network, std::move(*refusal));
      continue;
    }
    progress = true;
    log::info("changed network", {{"network", step.network}, {"step", textOf(step)}});
  }
  return progress;
}

/// Does the step. All its requests are tried; the first failure counts.
std::optional<Error> KernelNetworks::refusalOf(const HostStep& step) {
  std::optional<Error> first;
  if (const Status written = writeSysctls(step); !written) first = written.error();
  if (const Status place = failpoint::check("networks.step"); !place) return place.error();
  const bool inside = inner_ && step.place == Place::Switch;
  for (const Status& verdict : (inside ? inner_->side.socket : socket_).runAll(step.requests)) {
    if (!first && !verdict) first = verdict.error();
  }
  return first;
}

/// Of steps in the switch.
Status KernelNetworks::writeSysctls(const HostStep& step) {
  if (step.sysctls.empty()) return {};
  std::optional<netns::Scope> scope;
  if (inner_) {
    MULTINET_TRY(auto entered, netns::Scope::enter(inner_->side.netns));
    scope.emplace(std::move(entered));
  }
  for (const auto& [key, value] : step.sysctls) {
    const Status written = netns::writeSysctl(key, value);
    // A kernel without IPv6 has nothing to silence.
    if (!written && written.error().code != Code::NotFound) return written;
  }
  return {};
}

/// The switch speaks no IP by itself, and nobody's firewall looks into its frames. Also later: the
/// module with these settings may be loaded at any time, and its defaults are others.
void KernelNetworks::quietenSwitch() {
  if (!inner_) return;
  const auto scope = netns::Scope::enter(inner_->side.netns);
  if (!scope) return log::error("can't enter the switch", {{"error", scope.error()}});
  std::vector<std::pair<std::string, std::string>> sysctls(std::begin(kSwitchSysctls),
                                                           std::end(kSwitchSysctls));
  // Ends of pods' links, as they were at the last look. Networks' own are put right with them.
  for (const auto& [name, link] : host_.inner.links) {
    if (drivers::parseAlias(link.alias) && drivers::speaksIpv6(link)) {
      sysctls.push_back(drivers::silenceIpv6(link));
    }
  }
  for (const auto& [key, value] : sysctls) {
    const auto found = netns::readSysctl(key);
    if (!found || *found == value) continue;
    if (const Status written = netns::writeSysctl(key, value); !written) {
      log::warn("can't set a sysctl of the switch", {{"key", key}, {"error", written.error()}});
    }
  }
}

void KernelNetworks::setInterest() {
  interestNames_ = {options_.underlay};
  for (const DesiredNetwork& network : *desired_) {
    auto names = std::visit([](const auto& one) { return one.devices(); }, network.network);
    for (const Place place : {Place::Switch, Place::Node}) {
      std::ranges::move(linksOf(network, host_, place), std::back_inserter(names));
    }
    interestNames_.insert(names.begin(), names.end());
  }
  interestNames_.erase("");
  const auto indexesIn = [this](const Links& side) {
    std::set<int> indexes;
    for (const std::string& name : interestNames_) {
      if (const auto* link = side.link(name)) indexes.insert(link->index);
    }
    return indexes;
  };
  interestIndexes_ = indexesIn(host_);
  innerInterestIndexes_ = indexesIn(host_.inner);
}

void KernelNetworks::publish() {
  if (!desired_) return;
  Snapshot next;
  next.settled = settled_;
  next.orphans = orphans_;
  for (const DesiredNetwork& network : served_) {
    drivers::Findings findings{
        probes_.reports(network.uid), std::nullopt, guard_.refused(),
        joining_.isJoining(network.uid, probes_.heard(network.uid), clock_.now())};
    if (const auto refused = refused_.find(network.uid); refused != refused_.end()) {
      findings.refused = refused->second;
    }
    next.networks.push_back(evaluate(network, host_, findings, options_));
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
