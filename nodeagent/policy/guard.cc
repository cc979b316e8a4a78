#include "nodeagent/policy/guard.h"

#include <algorithm>
#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"
#include "nodeagent/policy/tracking.h"

namespace multinet::agent::policing {
namespace {

bool isEmpty(const nft::Table& table) {
  return std::ranges::all_of(table.sets, [](const nft::Set& set) { return set.elements.empty(); });
}

enum class Among : std::uint8_t { There, NotThere };
/// Those of the elements that the table has, or hasn't: a kernel refuses to remove what isn't
/// there.
nft::Elements among(const nft::Elements& elements, const nft::Table& table, Among which) {
  nft::Elements out;
  for (const nft::Set& set : table.sets) {
    const auto found = elements.find(set.name);
    if (found == elements.end()) continue;
    for (const std::string& element : found->second) {
      const bool isThere = set.elements.contains(element);
      if (isThere == (which == Among::There)) out[set.name].insert(element);
    }
  }
  return out;
}

/// What a port's share is taken of; 0 where this kernel can't hold it to one.
std::uint32_t mostOf(const std::optional<FlowGauge>& flows, Tracking tracking,
                     const PolicyGuardOptions& options, nft::Committer& committer) {
  std::uint32_t most = options.mostFlows.value_or(0);
  if (!options.mostFlows && flows) {
    const auto table = flows->read();
    if (table) most = table->most;
  }
  if (most == 0 || canCount(committer, tracking)) return most;
  log::warn("ports may begin any number of connections: this kernel can't count them",
            {{"lacks", "NFT_CONNLIMIT or NFT_NUMGEN"}});
  return 0;
}

}  // namespace

Result<std::unique_ptr<PolicyGuard>> PolicyGuard::start(const std::optional<Fd>& switchNetns,
                                                        PolicyGuardOptions options,
                                                        const Clock& clock) {
  std::optional<netns::Scope> scope;
  if (switchNetns) {
    MULTINET_TRY(auto entered, netns::Scope::enter(*switchNetns));
    scope.emplace(std::move(entered));
  }
  MULTINET_TRY(auto committer, nft::Committer::open());
  MULTINET_TRY(auto generation, nft::Generation::open());
  MULTINET_TRY(auto links, netlink::Socket::open());
  const bool inPod = options.settleLater != nullptr;
  const auto tracking = inPod ? std::optional(Tracking::Pod) : findTracking(committer);
  // A namespace of the node's is its own.
  if (tracking && switchNetns && !inPod) setConntrack();
  std::optional<FlowGauge> flows;
  std::uint32_t mostFlows = 0;
  if (tracking && !inPod) {
    if (auto opened = FlowGauge::open()) flows = std::move(*opened);
    mostFlows = mostOf(flows, *tracking, options, committer);
  }
  return std::unique_ptr<PolicyGuard>(new PolicyGuard(
      Doors{std::move(committer), std::move(generation), std::move(links), std::move(flows)},
      tracking, mostFlows, std::move(options), clock));
}

PolicyGuard::PolicyGuard(Doors doors, std::optional<Tracking> tracking, std::uint32_t mostFlows,
                         PolicyGuardOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      tracking_(tracking),
      mostFlows_(mostFlows),
      doors_(std::move(doors)),
      tables_(tablesFor(tracking.value_or(Tracking::Bridge), mostFlows)) {
  if (options_.settleLater) return;
  lane_.emplace("policy", clock);
  if (tracking_) lane_->post([this] { look(); });
}

PolicyGuard::~PolicyGuard() {
  stop();
}

Status PolicyGuard::commit(const NetworkUid& network, const std::string& bridge, Policed wanted) {
  const std::lock_guard lock(mutex_);
  wanted = localOf(std::move(wanted));
  if (!tracking_) {
    if (!isPoliced(wanted)) return {};
    return fail(Code::Unavailable, "KernelLacks",
                "hold ports of bridge " + bridge +
                    " to policies: flows of bridges can't be told; " + kTrackingNeeded);
  }
  const Status done = hold(network, bridge, std::move(wanted), IfRefused::Again);
  return done ? done : fail(refused(done.error()));
}

Status PolicyGuard::hold(const NetworkUid& uid, const std::string& bridge, Policed wanted,
                         IfRefused ifRefused) {
  MULTINET_CHECK(makeCertain());
  forgotten_.erase(uid);
  auto known = networks_.find(uid);
  if (known != networks_.end() && known->second.standing.bridge != bridge) {
    MULTINET_CHECK(remove(uid));
    known = networks_.end();
  }
  if (!isPoliced(wanted)) {
    return known != networks_.end() ? remove(uid) : removeFound(bridge);
  }
  Change change;
  Network next;
  // Of a new network no flow was judged yet.
  const bool isNew = known == networks_.end() && !found_.contains(bridge);
  if (known == networks_.end()) {
    next = begin(bridge, wanted, change);
  } else {
    next = known->second.sameBut();
    number(wanted.program, next.standing, last_);
    next.ports = portElements(wanted, next.standing);
    change.gone = nft::less(known->second.ports, next.ports);
    change.added = nft::less(next.ports, known->second.ports);
    addTo(change, policy::delta(known->second.held.program, wanted.program), next.standing);
  }
  const Status done =
      advance(next, wanted, std::move(change), isNew ? Flows::New : Flows::MayBeOpen);
  // Somebody else may have changed the tables since the last look.
  if (ifRefused == IfRefused::Again && nft::isRefused(done)) {
    return hold(uid, bridge, std::move(wanted), IfRefused::Fail);
  }
  MULTINET_CHECK(done);
  next.held = std::move(wanted);
  networks_.insert_or_assign(uid, std::move(next));
  found_.erase(bridge);
  return {};
}

/// The way from one program to the next, as elements.
void PolicyGuard::addTo(Change& change, const policy::Delta& delta, const Standing& standing) {
  const auto& [addresses, permits] = std::tie(delta.addresses, delta.permits);
  nft::insert(programElements(addresses.removed, permits.removed, standing), change.gone);
  nft::insert(programElements(addresses.added, permits.added, standing), change.added);
}

/// Commits the change to what `next` is about to hold.
Status PolicyGuard::advance(Network& next, const Policed& wanted, Change change, Flows flows) {
  const std::string& bridge = next.standing.bridge;
  const bool tightens =
      flows == Flows::MayBeOpen && mayTighten(change.gone, change.added, wanted.program.ordered);
  if (next.standing.generation && tightens) {
    nft::insert(generationElements(bridge, *next.standing.generation), change.gone);
    next.standing.generation.reset();
  }
  const nft::Elements unused = takeUnused(change.gone, wanted.program, next.standing);
  nft::insert(unused, next.stale);
  nft::erase(change.added, next.stale);
  // First, so that flows are known when they are judged.
  MULTINET_CHECK(setTracked(bridge, netlink::CallsInet::Yes));
  MULTINET_CHECK(putInOrder(std::move(change)));
  const bool isSettled = next.standing.generation && nft::isNone(next.stale);
  if (!isSettled && (tightens || !nft::isNone(unused) || next.unsettled == 0)) {
    next.unsettled = ++changes_;
    settleLater();
  }
  keepOnly(wanted.program, next.standing);
  return {};
}

Status PolicyGuard::change(const NetworkUid& uid, const std::string& bridge,
                           const PolicedChange& asked) {
  const std::lock_guard lock(mutex_);
  const Status certain = tracking_ ? makeCertain() : Status{};
  const auto known = networks_.find(uid);
  if (known == networks_.end() || known->second.standing.bridge != bridge ||
      forgotten_.contains(uid)) {
    return fail(
        Code::NotFound, "NotHeld",
        "change what ports of bridge " + bridge + " are held to: they aren't held to anything");
  }
  if (!certain) return fail(refused(certain.error()));
  Status done = step(uid, known->second, asked);
  // As in hold().
  if (nft::isRefused(done) && makeCertain()) done = step(uid, known->second, asked);
  return done ? done : fail(refused(done.error()));
}

/// The addresses that are held are many, so they are never copied or compared.
Status PolicyGuard::step(const NetworkUid& uid, Network& network, const PolicedChange& asked) {
  policy::AddressClasses addresses;
  std::swap(addresses, network.held.program.addresses);
  const auto putBack = [&](bool isApplied) {
    if (isApplied) policy::apply(policy::reversed(asked.addresses), addresses);
    std::swap(addresses, network.held.program.addresses);
  };
  Network next = network.sameBut();
  Change change;
  policy::Delta delta;
  Policed wanted;
  if (asked.ports != nullptr) {
    const policy::Program& now = asked.program;
    wanted = localOf({{now.egress, now.ingress, {}, now.permits, now.ordered},
                      *asked.ports,
                      *asked.gateways,
                      network.held.track,
                      network.held.gatewayAddresses});
    if (!isPoliced(wanted)) {
      putBack(false);
      return remove(uid);
    }
    delta = policy::delta(network.held.program, wanted.program);
  }
  delta.addresses = asked.addresses;
  Policed& held = asked.ports != nullptr ? wanted : network.held;
  policy::apply(asked.addresses, addresses);
  std::swap(addresses, held.program.addresses);
  number(held.program, next.standing, last_);
  if (asked.ports != nullptr) {
    const nft::Elements before = portElements(portsOfOthers(network.held, held), network.standing);
    const nft::Elements after = portElements(portsOfOthers(held, network.held), next.standing);
    change.gone = nft::less(before, after);
    change.added = nft::less(after, before);
  }
  const Change ports = change;
  addTo(change, delta, next.standing);
  Status done = advance(next, held, std::move(change), Flows::MayBeOpen);
  if (!done) {
    std::swap(addresses, held.program.addresses);
    putBack(true);
    return done;
  }
  if (asked.ports != nullptr) {
    network.held = std::move(wanted);
    nft::erase(ports.gone, network.ports);
    nft::insert(ports.added, network.ports);
  }
  network.standing = std::move(next.standing);
  network.stale = std::move(next.stale);
  network.unsettled = next.unsettled;
  return {};
}

/// Of a network that isn't known yet: as a predecessor had it, or new.
PolicyGuard::Network PolicyGuard::begin(const std::string& bridge, const Policed& wanted,
                                        Change& change) {
  Network next;
  const auto found = found_.find(bridge);
  nft::Elements before;
  if (found != found_.end()) {
    before = found->second.elements;
    next.standing = found->second.standing;
    adopt(wanted, found->second, next.standing);
  } else {
    next.standing.bridge = bridge;
    next.standing.zone = freeZone();
    // None of its flows was judged yet.
    next.standing.generation = freshGeneration();
  }
  number(wanted.program, next.standing, last_);
  next.ports = portElements(wanted, next.standing);
  nft::Elements all = next.ports;
  nft::insert(programElements(wanted.program.addresses, wanted.program.permits, next.standing),
              all);
  nft::insert(flowElements(next.standing), all);
  change.gone = nft::less(before, all);
  change.added = nft::less(all, before);
  return next;
}

void PolicyGuard::forget(const NetworkUid& network) {
  const std::lock_guard lock(mutex_);
  if (!networks_.contains(network)) return;
  const Status certain = makeCertain();
  const Status done = certain ? remove(network) : certain;
  if (!done) forgotten_.insert(network);
  keepOn(done);
}

Status PolicyGuard::remove(const NetworkUid& uid) {
  const auto known = networks_.find(uid);
  const Network& network = known->second;
  Change change;
  change.gone = network.ports;
  nft::insert(programElements(network.held.program.addresses, network.held.program.permits,
                              network.standing),
              change.gone);
  nft::insert(flowElements(network.standing), change.gone);
  nft::insert(network.stale, change.gone);
  MULTINET_CHECK(put(change));
  const std::string bridge = network.standing.bridge;
  networks_.erase(known);
  return setTracked(bridge, netlink::CallsInet::No);
}

Status PolicyGuard::removeFound(const std::string& bridge) {
  const auto found = found_.find(bridge);
  if (found == found_.end()) return {};
  MULTINET_CHECK(put({found->second.elements, {}}));
  const auto gone = found_.extract(found);  // the caller's name may be of it
  return setTracked(gone.key(), netlink::CallsInet::No);
}

Status PolicyGuard::setTracked(const std::string& bridge, netlink::CallsInet calls) {
  if (tracking_ != Tracking::BrNetfilter) return {};
  return policing::setTracked(doors_.links, bridge, calls);
}

std::uint16_t PolicyGuard::freeZone() {
  std::set<std::uint16_t> taken = {0};
  for (const auto& [uid, network] : networks_) taken.insert(network.standing.zone);
  for (const auto& [bridge, found] : found_) taken.insert(found.standing.zone);
  // In turn: a zone's old flows are gone before it comes again.
  do {
    ++lastZone_;
  } while (taken.contains(lastZone_));
  return lastZone_;
}

/// Later than all before it, a predecessor's too, as long as there are less than a thousand in a
/// second: flows keep theirs for five days, and the count begins again after 49.
std::uint32_t PolicyGuard::freshGeneration() {
  const auto sinceBoot =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now().time_since_epoch());
  const auto now = static_cast<std::uint32_t>(sinceBoot.count());
  std::uint32_t next = lastGeneration_ + 1;
  constexpr std::uint32_t kHalf = 0x80000000;
  if (now - next < kHalf) next = now;
  // 0 is of flows that nobody judged.
  lastGeneration_ = std::max(next, std::uint32_t{1});
  return lastGeneration_;
}

void PolicyGuard::settleLater() {
  if (std::exchange(settling_, true)) return;
  if (options_.settleLater) return options_.settleLater();
  lane_->postAfter(options_.settle, [this] { settle(); });
}

/// A packet that was judged before a tightening must not have its flow stamped after it. So a
/// network has no generation until all such packets have left; and a packet that has read its
/// subject or class asks for their permits a moment later.
void PolicyGuard::settle() {
  std::uint64_t upTo = 0;
  {
    const std::lock_guard lock(mutex_);
    upTo = changes_;
  }
  letPacketsLeave();
  const std::lock_guard lock(mutex_);
  settling_ = false;
  if (networks_.empty()) return;
  Status done = makeCertain();
  Change change;
  std::map<NetworkUid, std::uint32_t> settled;
  bool isLater = false;
  for (const auto& [uid, network] : networks_) {
    if (network.unsettled == 0) continue;
    isLater = isLater || network.unsettled > upTo;
    if (network.unsettled > upTo) continue;
    settled[uid] = network.standing.generation.value_or(0);
    nft::insert(network.stale, change.gone);
    if (network.standing.generation) continue;
    settled[uid] = freshGeneration();
    nft::insert(generationElements(network.standing.bridge, settled[uid]), change.added);
  }
  if (done) done = put(change);
  keepOn(done);
  if (!done) return;  // look() comes back to it
  for (const auto& [uid, generation] : settled) {
    Network& network = networks_.at(uid);
    network.standing.generation = generation;
    network.stale.clear();
    network.unsettled = 0;
  }
  if (isLater) settleLater();
}

/// Permits by ports come before whoever has them, and so do ranges of addresses: the kernel shows
/// elements with ranges a moment later than the others of their transaction (nf_tables_commit).
/// Nobody has them yet. Not a range in place of another, which it must not meet: of ports that is
/// where a successor takes over a subject whose policy changed in between.
Status PolicyGuard::putInOrder(Change change) {
  if (!certain_) return put(change);
  nft::Elements first;
  for (const char* const set : {"ranges4", "ranges6"}) {
    const auto isAny = [&](const nft::Elements& elements) {
      const auto found = elements.find(set);
      return found != elements.end() && !found->second.empty();
    };
    const bool isFree = !isAny(change.gone);
    if (isFree && isAny(change.added)) first.insert(change.added.extract(set));
  }
  auto ports = portsApartFrom(change.gone["ports"], change.added["ports"]);
  if (!ports.empty()) {
    first["ports"] = std::move(ports);
    nft::erase({{"ports", first["ports"]}}, change.added);
  }
  if (first.empty()) return put(change);
  MULTINET_CHECK(put({{}, first}));
  const Status done = put(change);
  // They would be nobody's.
  if (!done && makeCertain()) keepOn(put({first, {}}));
  return done;
}

/// As one transaction; nothing where nothing differs. Without an element there are no tables, which
/// each frame would pass.
Status PolicyGuard::put(const Change& asked) {
  Change change;
  for (const nft::Table* table : {&tables_.rules, &tables_.flows}) {
    nft::insert(among(asked.gone, *table, Among::There), change.gone);
    nft::insert(among(asked.added, *table, Among::NotThere), change.added);
  }
  if (nft::isNone(change.gone) && nft::isNone(change.added)) return {};
  nft::Table flows = tables_.flows;
  nft::apply(change.gone, change.added, flows);
  if (isEmpty(flows)) return removeTables();
  if (certain_) {
    MULTINET_CHECK(transact([&] {
      return doors_.committer.change({&tables_.rules, &tables_.flows}, change.gone, change.added);
    }));
  } else {  // the kernel has none of it
    Tables whole = tables_;
    nft::apply(change.gone, change.added, whole.rules);
    nft::apply(change.gone, change.added, whole.flows);
    MULTINET_CHECK(putWhole(whole));
  }
  nft::apply(change.gone, change.added, tables_.rules);
  nft::apply(change.gone, change.added, tables_.flows);
  return {};
}

Status PolicyGuard::removeTables() {
  readDenied();
  MULTINET_CHECK(transact(nft::renderDelete(tables_.rules.name, tables_.rules.family) +
                          nft::renderDelete(tables_.flows.name, tables_.flows.family)));
  forgetCounters();
  tables_ = tablesFor(*tracking_, mostFlows_);
  certain_ = false;
  committed_ = false;
  return {};
}

/// In place of whatever has their names.
Status PolicyGuard::putWhole(const Tables& whole) {
  nft::Skeletons& skeletons = options_.skeletons != nullptr ? *options_.skeletons : skeletons_;
  return transact(
      [&] { return doors_.committer.replace({&whole.rules, &whole.flows}, skeletons); });
}

Status PolicyGuard::transact(const std::string& commands) {
  return transact([&] { return doors_.committer.commit(commands); });
}

Status PolicyGuard::transact(const std::function<Status()>& commit) {
  // Until the verdict is in, what the kernel has isn't known.
  certain_ = false;
  MULTINET_CHECK(failpoint::check("policy.commit.before"));
  MULTINET_CHECK(commit());
  committed_ = true;
  ++own_;
  MULTINET_CHECK(failpoint::check("policy.commit.after"));
  certain_ = true;
  return {};
}

bool PolicyGuard::holdsAny() const {
  const std::lock_guard lock(mutex_);
  return !networks_.empty() || !found_.empty() || !forgotten_.empty();
}

std::uint64_t PolicyGuard::commits() const {
  const std::lock_guard lock(mutex_);
  return own_;
}

Status PolicyGuard::clear() {
  MULTINET_TRY(auto committer, nft::Committer::open());
  const std::string bridge = "bridge";
  const std::string inet = "inet";
  const std::string netdev = "netdev";
  for (const auto& [table, family] :
       {std::pair{"multinet-policy", bridge}, std::pair{"multinet-flows", bridge},
        std::pair{"multinet-flows", inet}, std::pair{"multinet-policy", inet},
        std::pair{"multinet-raw", netdev}}) {
    MULTINET_TRY(const bool there, committer.exists(table, family));
    if (there) MULTINET_CHECK(committer.commit(nft::renderDelete(table, family)));
  }
  return {};
}

}  // namespace multinet::agent::policing
