#include "nodeagent/policy/pod_guards.h"

#include <net/if.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/nft/batch.h"

namespace multinet::agent::policing {
namespace {

/// In a pod's guard each link is a network of its own.
NetworkUid uidOf(const std::string& link) {
  return NetworkUid(link);
}

/// What of a program is about one pod, but addresses.
policy::Program ownOf(const policy::Program& program, const policy::PodKey& key) {
  policy::Program own;
  own.ordered = program.ordered;
  std::set<policy::Number> subjects;
  for (const auto& [from, to] :
       {std::pair{&program.egress, &own.egress}, std::pair{&program.ingress, &own.ingress}}) {
    const auto found = from->find(key);
    if (found == from->end()) continue;
    to->insert(*found);
    subjects.insert(found->second);
  }
  for (const policy::Number subject : subjects) {
    // Ordered by subject first.
    for (auto at = program.permits.lower_bound({subject, policy::kEverybody, std::nullopt, 0, 0});
         at != program.permits.end() && at->subject == subject; ++at) {
      own.permits.insert(*at);
    }
  }
  return own;
}

/// Other classes than those that its permits name are nobody's in a pod. Empty where an order
/// matters: then all are held, since who may less than the range that he is in must have his own.
std::set<policy::Number> classesOf(const policy::Program& own) {
  std::set<policy::Number> classes;
  if (own.ordered) return classes;
  for (const policy::Permit& permit : own.permits) classes.insert(permit.peers);
  return classes;
}

policy::AddressChange onlyOf(const policy::AddressChange& change, const policy::Program& own,
                             const std::set<policy::Number>& classes) {
  if (own.ordered) return change;
  policy::AddressChange out;
  const auto isOne = [&](const auto& one) { return classes.contains(one.second); };
  std::ranges::copy_if(change.removed, std::back_inserter(out.removed), isOne);
  std::ranges::copy_if(change.added, std::back_inserter(out.added), isOne);
  return out;
}

Error inPod(const std::string& link, const Error& error) {
  return {Code::Unavailable, "CommitFailed",
          "hold link \"" + link + "\" to policies, inside the pod: " + error.message +
              "; the node's kernel must have nftables with conntrack, and an egress hook "
              "(NF_TABLES_INET, NFT_CT, NETFILTER_EGRESS, IP_ROUTE_CLASSID)"};
}

/// Whether somebody left rules in the namespace of the calling thread.
Result<bool> hasRules() {
  MULTINET_TRY(auto socket, nft::BatchSocket::open());
  return socket.hasTable("multinet-flows", "inet");
}

}  // namespace

PodGuards::PodGuards(PolicyGuardOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), lane_("pod-policy", clock) {
  lane_.post([this] {
    prepare();
    lookAtAll();
  });
}

PodGuards::~PodGuards() {
  lane_.stop();
}

std::map<policy::PodKey, Error> PodGuards::commit(const NetworkUid& network,
                                                  const policy::Program& program,
                                                  const policy::AddressChange* since,
                                                  const InPods& inPods) {
  const std::lock_guard lock(mutex_);
  std::map<policy::PodKey, Error> refused;
  std::set<std::pair<netns::Identity, std::string>> there;
  for (const auto& [key, port] : inPods.pods) {
    const auto which = netns::identity(*port.netns);
    if (which) there.emplace(*which, port.interface);
    const Status held = which ? hold(network, program, since, key, inPods) : fail(which.error());
    if (!held) refused.emplace(key, inPod(port.interface, held.error()));
  }
  std::vector<std::pair<netns::Identity, std::string>> gone;
  for (const auto& [which, pod] : pods_) {
    for (const auto& [name, link] : pod.links) {
      if (link.network == network && !there.contains({which, name})) gone.emplace_back(which, name);
    }
  }
  for (const auto& [which, name] : gone) drop(which, name);
  return refused;
}

Status PodGuards::hold(const NetworkUid& network, const policy::Program& program,
                       const policy::AddressChange* since, const policy::PodKey& key,
                       const InPods& inPods) {
  const attach::PodPort& port = inPods.pods.at(key);
  MULTINET_TRY(const netns::Identity which, netns::identity(*port.netns));
  const auto pod = pods_.find(which);
  if (since == nullptr || pod == pods_.end()) return holdAll(network, program, key, inPods);
  const auto known = pod->second.links.find(port.interface);
  if (known == pod->second.links.end()) return holdAll(network, program, key, inPods);
  Link& link = known->second;
  const policy::Program own = ownOf(program, key);
  const bool isIsolated = !own.egress.empty() || !own.ingress.empty();
  if (!link.isHeld || link.network != network || link.isolated != isIsolated ||
      link.track != inPods.track) {
    return holdAll(network, program, key, inPods);
  }
  if (!isIsolated) return {};
  const bool isMore =
      own.ordered != link.own.ordered || !std::ranges::includes(link.classes, classesOf(own));
  const bool isOther = link.egress == own.egress.empty() || link.gateways != inPods.gateways;
  if (isMore || isOther) return holdAll(network, program, key, inPods);
  link.isHeld = false;
  const std::uint64_t before = pod->second.guard->commits();
  MULTINET_CHECK(follow(link, own, *since, key, port, *pod->second.guard));
  link.isHeld = true;
  // Its own transactions change no raw frames' rules.
  const auto commits = static_cast<std::uint32_t>(pod->second.guard->commits() - before);
  if (pod->second.rawGeneration) *pod->second.rawGeneration += commits;
  return {};
}

/// Of a link that is isolated and held.
Status PodGuards::follow(Link& link, const policy::Program& own, const policy::AddressChange& since,
                         const policy::PodKey& key, const attach::PodPort& port,
                         PolicyGuard& guard) {
  static const std::set<std::string> kNoGateways;
  const policy::AddressChange addresses = onlyOf(since, own, link.classes);
  const bool isSame = own == link.own;
  if (isSame && addresses.empty()) return {};
  const std::map<policy::PodKey, std::string> ports = {{key, port.interface}};
  PolicedChange change{own, addresses};
  if (!isSame) {
    change.ports = &ports;
    change.gateways = &kNoGateways;
  }
  MULTINET_CHECK(guard.change(uidOf(port.interface), port.interface, change));
  link.own = own;
  return {};
}

Status PodGuards::holdAll(const NetworkUid& network, const policy::Program& program,
                          const policy::PodKey& key, const InPods& inPods) {
  const attach::PodPort& port = inPods.pods.at(key);
  MULTINET_TRY(const netns::Identity which, netns::identity(*port.netns));
  Pod& pod = pods_[which];
  if (pod.netns == nullptr) pod.netns = port.netns;
  pod.name = key.str();
  const auto known = pod.links.find(port.interface);
  Policed wanted;
  wanted.track = inPods.track;
  wanted.gatewayAddresses = inPods.gateways;
  wanted.program = ownOf(program, key);
  const bool isIsolated = !wanted.program.egress.empty() || !wanted.program.ingress.empty();
  Link next{network,      isIsolated,      !wanted.program.egress.empty(),
            true,         wanted.program,  classesOf(wanted.program),
            inPods.track, inPods.gateways, port.name};
  if (isIsolated) {
    wanted.ports.emplace(key, port.interface);
    program.addresses.each([&](const policy::AddressRange& range, policy::Number peers) {
      const bool isNeeded = wanted.program.ordered || next.classes.contains(peers);
      if (isNeeded) wanted.program.addresses.put(range, peers);
    });
  }
  if (pod.guard == nullptr && !isPoliced(wanted)) {
    bool mayBeThere = known == pod.links.end();
    if (mayBeThere) {
      MULTINET_TRY(const auto scope, netns::Scope::enter(*pod.netns));
      MULTINET_TRY(mayBeThere, hasRules());
    }
    if (!mayBeThere) {
      pod.links[port.interface] = std::move(next);
      return {};
    }
  }
  if (pod.guard == nullptr) MULTINET_CHECK(open(which, pod));
  if (known != pod.links.end()) known->second.isHeld = false;
  MULTINET_CHECK(pod.guard->commit(uidOf(port.interface), port.interface, std::move(wanted)));
  pod.links[port.interface] = std::move(next);
  MULTINET_CHECK(keepRaw(pod));
  if (!pod.guard->holdsAny()) close(pod);
  return {};
}

Status PodGuards::open(const netns::Identity& which, Pod& pod) const {
  PolicyGuardOptions options = options_;
  options.others = [] { return std::uint64_t{0}; };
  options.whose = "pod " + pod.name;
  options.skeletons = &skeletons_;
  options.settleLater = [this, which] {
    lane_.postAfter(options_.settle, [this, which] { settle(which); });
  };
  MULTINET_TRY(const auto scope, netns::Scope::enter(*pod.netns));
  MULTINET_TRY(auto guard, PolicyGuard::start(std::nullopt, std::move(options), clock_));
  MULTINET_TRY(auto committer, nft::Committer::open());
  MULTINET_TRY(auto generation, nft::Generation::open());
  pod.doors.emplace(std::move(committer), std::move(generation));
  pod.rawGeneration.reset();
  pod.guard = std::move(guard);
  return {};
}

/// It takes its time, in which others have their turn.
void PodGuards::settle(const netns::Identity& which) const {
  std::shared_ptr<PolicyGuard> guard;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pods_.find(which);
    if (found != pods_.end()) guard = found->second.guard;
  }
  if (guard != nullptr) guard->settle();
}

/// None of its links needs rules any more.
void PodGuards::close(Pod& pod) {
  if (pod.guard == nullptr) return;
  const Denied denied = pod.guard->denied();
  before_.egress += denied.egress + std::exchange(pod.deniedRaw, 0);
  before_.ingress += denied.ingress;
  commitsBefore_ += pod.guard->commits() + std::exchange(pod.rawCommits, 0);
  pod.guard.reset();
  pod.doors.reset();
  pod.raw.clear();
  pod.rawCommitted = false;
}

Status PodGuards::linked(const attach::PodPort& port) {
  const std::lock_guard lock(mutex_);
  MULTINET_TRY(const netns::Identity which, netns::identity(*port.netns));
  const auto found = pods_.find(which);
  if (found == pods_.end() || found->second.guard == nullptr) return {};
  found->second.rawGeneration.reset();
  const Status kept = keepRaw(found->second);
  return kept ? kept : fail(inPod(port.interface, kept.error()));
}

void PodGuards::leave(const attach::PodPort& port) {
  const std::lock_guard lock(mutex_);
  const auto which = netns::identity(*port.netns);
  if (which) drop(*which, port.interface);
}

void PodGuards::drop(const netns::Identity& which, const std::string& link) {
  const auto found = pods_.find(which);
  if (found == pods_.end()) return;
  Pod& pod = found->second;
  if (pod.links.erase(link) > 0 && pod.guard != nullptr) {
    pod.guard->forget(uidOf(link));
    const Status kept = keepRaw(pod);
    if (!kept) log::debug("can't take a pod's rules away", {{"error", kept.error()}});
    if (!pod.guard->holdsAny()) close(pod);
  }
  if (!pod.links.empty()) return;
  close(pod);
  pods_.erase(found);
}

/// Has raw frames be dropped at those links that are there and isolated on what they send.
Status PodGuards::keepRaw(Pod& pod) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(*pod.netns));
  std::set<std::string> wanted;
  for (const auto& [name, link] : pod.links) {
    // A kernel refuses chains of a device that isn't there.
    if (link.egress && ::if_nametoindex(name.c_str()) != 0) wanted.insert(name);
  }
  MULTINET_TRY(const std::uint32_t generation, pod.doors->generation.read());
  const bool isSure = pod.rawGeneration == generation && clock_.now() < pod.rawCompareAt;
  if (isSure && wanted == pod.raw) return {};
  pod.rawGeneration.reset();
  MULTINET_CHECK(putRaw(pod, wanted));
  MULTINET_TRY(pod.rawGeneration, pod.doors->generation.read());
  pod.rawCompareAt = clock_.now() + options_.compareEvery;
  return {};
}

/// In the pod's namespace.
Status PodGuards::putRaw(Pod& pod, const std::set<std::string>& wanted) {
  const nft::Table table = rawTable(wanted);
  nft::Committer& committer = pod.doors->committer;
  MULTINET_TRY(const bool isThere, committer.exists(table.name, table.family));
  bool isWrong = isThere;
  if (!wanted.empty()) {
    MULTINET_TRY(const bool isSame,
                 isThere ? committer.matches(table, nft::kFewStrangers) : Result<bool>(false));
    isWrong = !isSame;
    if (isWrong && pod.rawCommitted && wanted == pod.raw) {
      log::warn("rules of policies inside a pod aren't as committed, putting them back",
                {{"pod", pod.name}});
    }
  }
  if (isWrong) {
    MULTINET_CHECK(failpoint::check("policy.raw.before"));
    MULTINET_CHECK(wanted.empty() ? committer.commit(nft::renderDelete(table.name, table.family))
                                  : committer.replace({&table}, skeletons_));
    ++pod.rawCommits;
    // Its counter begins anew.
    before_.egress += std::exchange(pod.deniedRaw, 0);
  }
  pod.raw = wanted;
  pod.rawCommitted = !wanted.empty();
  return {};
}

/// Before the first pod waits for it.
void PodGuards::prepare() {
  const Tables tables = tablesFor(Tracking::Pod, 0);
  for (const nft::Table* table : {&tables.rules, &tables.flows}) {
    static_cast<void>(skeletons_.of(*table));
  }
}

void PodGuards::lookAtAll() {
  std::vector<netns::Identity> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [which, pod] : pods_) {
      if (pod.guard != nullptr) all.push_back(which);
    }
  }
  for (const netns::Identity& which : all) look(which);
  lane_.postAfter(options_.lookEvery, [this] { lookAtAll(); });
}

/// In between others may have their turn.
void PodGuards::look(const netns::Identity& which) {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(which);
  if (found == pods_.end() || found->second.guard == nullptr) return;
  Pod& pod = found->second;
  pod.guard->look();
  const Status kept = keepRaw(pod);
  if (kept) return pod.trouble.reset();
  const auto before = std::exchange(pod.trouble, kept.error());
  if (before && before->message == kept.error().message) return;
  log::error("can't keep the rules of policies inside a pod",
             {{"pod", pod.name}, {"error", kept.error()}});
}

std::map<std::string, Error> PodGuards::troubles() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, Error> out;
  for (const auto& [which, pod] : pods_) {
    if (pod.guard == nullptr) continue;
    const auto trouble = pod.guard->trouble();
    for (const auto& [name, link] : pod.links) {
      if (!link.isolated) continue;
      const bool isRaw = link.egress && pod.trouble;
      if (trouble || isRaw) out.emplace(link.port, inPod(name, trouble ? *trouble : *pod.trouble));
    }
  }
  return out;
}

Denied PodGuards::denied() {
  const std::lock_guard lock(mutex_);
  Denied sum = before_;
  for (auto& [which, pod] : pods_) {
    if (pod.guard == nullptr) continue;
    const Denied own = pod.guard->denied();
    if (pod.rawCommitted) {
      const auto counts = pod.doors->committer.counters(rawTable({}));
      const auto found = counts ? counts->find(kDeniedRaw) : nft::Counts::const_iterator{};
      if (counts && found != counts->end()) pod.deniedRaw = found->second;
    }
    sum.egress += own.egress + pod.deniedRaw;
    sum.ingress += own.ingress;
  }
  return sum;
}

std::uint64_t PodGuards::commits() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = commitsBefore_;
  for (const auto& [which, pod] : pods_) {
    if (pod.guard != nullptr) sum += pod.guard->commits() + pod.rawCommits;
  }
  return sum;
}

std::size_t PodGuards::pods() const {
  const std::lock_guard lock(mutex_);
  return pods_.size();
}

}  // namespace multinet::agent::policing
